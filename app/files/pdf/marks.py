"""How the lines of a Japanese document begin: clauses, chapters, items of a list. And how sentences end."""

import re
import unicodedata

_NUMBER = "[0-9０-９一二三四五六七八九十百千〇]+"
_CHAPTER = re.compile(f"第{_NUMBER}(編|部|章|節|款|目)(?:の{_NUMBER})?(?=$|[\\s　:：])")
_ARTICLE = re.compile(f"第{_NUMBER}(条|項|号)(?:の{_NUMBER})*(?=$|[\\s　（(、])")
_ARTICLE_TITLE = re.compile(f"第{_NUMBER}条(?:の{_NUMBER})*[\\s　]*[（(][^）)]{{1,40}}[）)]")
_ITEM = re.compile(
    "[（(](?:[0-9０-９]{1,3}|[一二三四五六七八九十]{1,3}|[ア-ンa-zA-Zａ-ｚi-x])[)）]"
    "|[①-⑳㋐-㋾⑴-⒇]"
    "|[・･•●○◯◆◇■□▶►※✓➢][\\s　]?"
    "|[-–*＊][\\s　]"
    "|[0-9０-９]{1,3}(?:[.．][0-9０-９]{1,2})*[.．、)）\\s　](?![0-9０-９])"
    "|[一二三四五六七八九十]{1,3}[　、．.]"
    "|[ア-ン][　、．.)）]"
)
_NUMBERED = re.compile(
    "[0-9０-９]{1,2}(?:[.．－-][0-9０-９]{1,2})*[.．、\\s　](?![0-9０-９])|[一二三四五六七八九十]{1,2}[　、．]"
)
_SENTENCE_END = re.compile('[。．！？!?.][」』）)】〕］\\]”"]*$')
# What may not begin a line (JIS X 4051), and what may not end one.
_NOT_FIRST = frozenset(
    "、。，．・：；？！‼⁇⁈⁉」』）］｝〕〉》】〙〗〟’”»,.:;?!)]}ーぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ々〻ゝゞヽヾ…‥〜％%°℃"
)
_NOT_LAST = frozenset("「『（［｛〔〈《【〘〖〝‘“«([{")
_CHAPTER_RANKS = {"編": 1, "部": 1, "章": 2, "節": 3, "款": 4, "目": 5}
_ARTICLE_RANK = 6


def chapter_rank(text: str) -> int:
    """The rank of a numbered heading, 1 the highest (第１編), 0 for a text that is none."""
    if chapter := _CHAPTER.match(text):
        return _CHAPTER_RANKS[chapter[1]]
    return _ARTICLE_RANK if _ARTICLE_TITLE.fullmatch(text) else 0


def number_depth(text: str) -> int:
    """How many numbers a text begins with: 1 for ３．, 2 for ３．１, 0 for none."""
    number = _NUMBERED.match(text)
    return len(re.findall("[0-9０-９]+|[一二三四五六七八九十]+", number[0])) if number else 0


def begins_item(text: str) -> bool:
    return bool(_ITEM.match(text))


def begins_part(text: str) -> bool:
    """Whether a text begins as a clause, a chapter or an item of a list does."""
    return bool(_CHAPTER.match(text) or _ARTICLE.match(text) or _ITEM.match(text))


def unbreakable_width(text: str) -> float:
    """The width, in em, of what must stand together at the start of a line: a word or a character, and its marks."""
    at = 0
    while at < len(text) - 1 and text[at] in _NOT_LAST:
        at += 1
    while at < len(text) - 1 and is_latin(text[at]) and is_latin(text[at + 1]) and not text[at + 1].isspace():
        at += 1
    at += 1
    while at < len(text) and text[at] in _NOT_FIRST:
        at += 1
    return sum(0.5 if is_latin(character) else 1.0 for character in text[:at])


def is_latin(character: str) -> bool:
    """Whether words of such characters are separated by spaces: no kana, kanji, or full-width form."""
    return unicodedata.east_asian_width(character) not in "WF" and not "\u3000" <= character <= "\u30ff"


def ends_sentence(text: str) -> bool:
    return bool(_SENTENCE_END.search(text))
