"""Texts that break readers of Japanese, by name. Every part of the service that takes text must survive all of them."""

import regex

HOSTILE_TEXTS: dict[str, str] = {
    "empty": "",
    "spaces": "   ",
    "full-width spaces": "\u3000\u3000",
    "only newlines": "\n\r\n\n",
    "only invisible": "\u200b\ufeff\u200d\u2060",
    "NUL": "東京\x00京都。\x00",
    "control characters": "a\x01b\x1b[31m赤\x7f\x85。",
    "CRLF": "一行目。\r\n二行目。\r三行目。\r\n",
    "line separators": "一\u2028二\u2029三\x0b四\x0c五",
    "cut inside a character": "でっうか",
    "cut inside a character in brackets": "丁稚羊羹（でっちようかん）は近江の菓子である。",
    "combining voiced marks": "か\u3099き\u3099く\u3099は\u309aひ\u309a。",
    "half-width kana": "ｶﾞｷﾞｸﾞﾊﾟﾋﾟｱﾞ｡ﾃﾞｽ｡",
    "stray voiced marks": "\u3099あ゛ﾞﾟ",
    "kanji of plane 2": "𠮷野家で𩸽を食べ𠮟られた。",
    "variation selectors": "葛\U000e0100城市と葛\U000e0101飾区、辻\ufe00。",
    "compatibility characters": "㍻㌔㈱①Ⅷ㎏ﬁ㋿。…‥",
    "longest expansion": "ﷺﷺ",
    "full-width letters": "ＡＢＣ１２３！？",
    "kaomoji": "すごい(´・ω・｀)！m(_ _)m ＼(^o^)／｡ﾟ(ﾟ´Д｀ﾟ)ﾟ｡ｷﾀ━━━(ﾟ∀ﾟ)━━━!!",
    "emoji": "家族👨‍👩‍👧‍👦と👍🏽と🇯🇵と❤️と1️⃣。",
    "zero-width": "東\u200b京\u200d都\ufeff庁\u2060舎\xad。",
    "Arabic": "これは اللغة العربية です。",
    "right-to-left marks": "\u202e東京\u202c\u200fعربي\u200e。",
    "Hangul and jamo": "한국어 한글 ᄀᄁ ﾡￂ。",
    "Thai and Devanagari": "ภาษาไทย हिन्दी क्षि។",
    "many marks": "z" + "\u0301\u0316" * 500 + "。",
    "only marks": "\u0301\u0316\u3099" * 100,
    "special tokens": "[CLS]東京[SEP]京都[MASK][UNK][PAD]</s><s>",
    "the marker of SentencePiece": "▁東京▁▁京都▁",
    "format directives": "%ps,%pe %m\\n %s {0} ; EOS\nEOS\n",
    "regular expression": "[a-z]+(x|y)*?\\d{2,}$^「$1」。",
    "unbalanced brackets": "未閉「の括弧。次の（文。また次。）さらに』。" * 3,
    "deep brackets": "（「" * 300 + "あ。" + "」）" * 300,
    "one character": "あ",
    "one character, often": "あ" * 5_000,
    "one letter, often": "a" * 5_000,
    "one stop, often": "。" * 5_000,
    "no punctuation": "東京都は関東地方に位置し人口が多い" * 300,
    "wrapped lines": (
        "\u3000東京都の庁舎で開かれた会議には、多くの委員が出席し\nた。次回は秋に開く。議題はまだ決まっておらず、事務\n"
        "を担う課が整える。\n"
    ),
    "page furniture inside a sentence": (
        "庁舎で開かれた会議には、多くの委員が出席しており、\n議題は決まっておらず、事務を担う課が整えることとさ\n\n"
        "　　　　－ １ －\n\nれている。次回の日程は、委員の都合を聞いた上で、秋\nに決める。\n\n　　　　－ ２ －\n"
    ),
    "mail quotes": "> > 前の\n> >\n> 次の行\n>\n返事。\n>>>>\n＞ 全角\n>",
    "ruby and markup": "｜青空《あおぞら》の吾輩《わがはい》《》｜《》［＃改ページ］［＃「［＃」の※［＃二の字］］［＃",
    "ruled table": "┌──┬──┐\n│項目│値　│\n├──┼──┤\n││１　│\n└──┴──┘\n|||\n| a | b\n\t\tc\t\n",
    "private use and unassigned": "\ue000\uf8ff\U000f0000\u0378\uffff。",
    "mathematical letters": "𝐀𝒷𝕮𝟙。",
}

# Characters as readers see them, of one code point or more: grapheme clusters.
CHARACTERS = (
    *"あ漢aé1。、「」（ \u3000\n",
    "\r\n",
    "𠮷",
    "葛\U000e0100",
    "辻\ufe00",
    "。\ufe00",
    "か\u3099",
    "は\u309a",
    "ｶﾞ",
    "ﾊﾟ",
    "e\u0301\u0316",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "👍🏽",
    "👨\u200d👩\u200d👧",
    "🇯🇵",
    "🏴\U000e0067\U000e0062\U000e007f",
    "각",
    "क्षि",
    "\u200b",
    "\ufeff",
)


def boundaries(text: str) -> list[int]:
    """The places between the characters that a reader sees, the ends of the text included."""
    return [0, *(match.end() for match in regex.finditer(r"\X", text))]


LONE_SURROGATES = ("\ud800", "東京\udfff都", "\udc00\ud800")
