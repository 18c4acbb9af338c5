"""How much a text looks like Japanese: this tells a right decoding from a wrong one that is also valid.

Bytes of CP932, EUC-JP and UTF-16 are often valid in each other's encoding and give rare kanji, lone half-width kana and
scripts that no Japanese text mixes. This module does not know bytes; app/files/encoding.py decodes and compares.
"""

import re
from functools import cache
from itertools import chain, islice

# The number of characters that are examined, the first that are not ASCII. Three hundred are enough.
SAMPLE = 4000

# The 500 commonest of the 6,355 kanji of JIS X 0208: 74 % of the kanji of running text, and 8 % of all kanji.
_COMMON_KANJI = (
    "一七万三上下不与世両中主乗九了予事二云五交京人今仏仕他付代令以件任会伝位住体何作使例供依価係保信修個値側備像元先光入全八公六共具内円再処出分切列初判別利制削前割力加助効動務化北区十千半南単原参及反収取"
    "受口古可台史号各合同名向含告味呼命和品員問営器四回団囲図国園土在地型城域基報場境増士声売変外多夜大天太夫失女好始子字存学安完宗定実客室宮害家容寺対小少居屋属山島川工市師帰常平年広店府度座建式引張強当形"
    "影役彼待後得御心必応念思性情想意感態成戦戸所手技持指接提換支改政教数整文料断新方施族日明昭時曲更書最月有朝期木末本村条来東果査校根格検業楽構様権機次歌止正武歩歳死残段母比氏民気水求江決治法注活派流海消"
    "深済渡準演火点無然焼照父物特状独王現理生産用田由申男町画界略番異病発登白百的皇目直相省県真着知石研確示社神私科称移程種究空立第等算管築米紀約紙素細終組経結統絵続総線置美義考者聞職能自舞般良色花若茶落葉"
    "蔵行術表装製複西要見規視親観解言計記設証評試話詳認語説読調論議象費資質起足路身車軍転込近返述追送通造連進運過道達違適選郎部都配酒重野量金鉄録長門開間関降限院除階際集難電非面音響頃頭題額顔類風食館馬験高"
)

_NON_ASCII = re.compile("[^\x00-\x7f]+")
_HALF_WIDTH_RUN = re.compile("[\uff61-\uff9f]+")
# Half-width kana in words: a voiced mark only after kana that can have one; a small kana, ー and ン after another kana.
_HALF_WIDTH_WORDS = re.compile("(?:(?:(?:[ｱｲｴｵﾅ-ﾉﾏ-ﾜ]|[ｳｶ-ﾄ]ﾞ?|[ﾊ-ﾎ][ﾞﾟ]?)[ｧ-ｮ]?[ｯｰﾝ]*){2,}[･｡]?)+")
# C0 without the white space (tab to carriage return) and escape; DEL.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def japanese_plausibility(text: str, with_ascii: bool = False) -> float:
    """Mean weight in [-1, 1] of the first characters that are not ASCII; 0 when there are none.

    `with_ascii` counts ASCII too, for encodings in which a wrong decoding has none of it (UTF-16).
    """
    runs = (match.group() for match in _NON_ASCII.finditer(text))
    sample = "".join(islice(chain.from_iterable(runs), SAMPLE)) if not with_ascii else text[:SAMPLE]
    if not sample:
        return 0.0
    weights = _weights()
    total = 0.0
    for char in sample:
        total += weights.get(char, -1.0)
    for run in _HALF_WIDTH_RUN.findall(sample):
        # Wrong decodings give lone half-width kana, and ､ or ･ at every second place (EUC's lead bytes of kana).
        if len(run) > 1 and _HALF_WIDTH_WORDS.fullmatch(run):
            total += (0.3 if len(run) == 2 else 0.6) * len(run)
            continue
        total += (-1.0 if len(run) == 1 else 0.0 if len(run) == 2 else 0.1) * len(run)
        total -= (run.count("､") + run.count("･")) * 1.0
    return total / len(sample)


def share_of_controls(text: str) -> float:
    """Share of control characters that no text has (white space and escape are text), over all of the text."""
    return len(_CONTROL.findall(text)) / len(text) if text else 0.0


@cache
def _weights() -> dict[str, float]:
    """Character -> weight. Characters that are not listed (rare kanji, other scripts, private use: noise) weigh -1."""
    weights: dict[str, float] = {}
    for first, last, weight in (
        (0x4E00, 0x9FFF, -0.4),
        (0x00A0, 0x04FF, 0.0),  # Latin, Greek, Cyrillic
        (0x2010, 0x203E, 0.3),
        (0x2160, 0x22FF, 0.3),  # Ⅳ → ∞
        (0x2460, 0x266F, 0.3),  # ① ─ ■ ★
        (0x3200, 0x33FF, 0.3),  # ㈱ ㍻
        (0xF900, 0xFA6D, 0.0),
        (0xFF61, 0xFF9F, 0.0),
        (0x3000, 0x301F, 0.8),
        (0x3041, 0x3096, 1.0),
        (0x3099, 0x309E, 0.8),
        (0x30A1, 0x30FE, 0.8),
        (0xFF01, 0xFF5E, 0.6),
        (0xFFE0, 0xFFE6, 0.3),
        (0x1F000, 0x1FAFF, 0.0),
        (0x20, 0x7E, 0.5),
    ):
        weights.update(dict.fromkeys(map(chr, range(first, last + 1)), weight))
    weights.update(dict.fromkeys("\t\r\n", 0.5))
    # JIS level 1: rows 16 to 47.
    for row in range(0xB0, 0xD0):
        weights.update((bytes((row, column)).decode("euc_jp", "ignore"), 0.2) for column in range(0xA1, 0xFF))
    weights.update(dict.fromkeys(_COMMON_KANJI, 0.9))
    return weights
