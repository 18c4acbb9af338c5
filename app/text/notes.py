"""Lines outside the running text: addresses, dates and signatures of letters and mail, remarks in minutes, colophons.

The rules are for single lines and for runs of lines. This module does not know blocks or sentences.
"""

import re

_NUMBER = "[0-9０-９元一二三四五六七八九十〇零]"
_SPACE = "[ \t\u3000]"
# The most columns of a line that names a person, a place or a day.
MAX_LETTER_COLUMNS = 64
# A line that begins this far to the right is set at the right edge: a date or a sender.
MIN_RIGHT_INDENT = 30
_MAX_SIGNATURE_COLUMNS = 60
_MAX_SIGNATURE_LINES = 12

_ADDRESS = re.compile(
    rf"(?:(?<![仕模多各異有同一王])様|[皆み]な?[さ様]ま?ん?|殿|御中|各{_SPACE}?位|先生)\Z"
    rf"|(?:敬{_SPACE}*具|草{_SPACE}*々|敬{_SPACE}*白|以{_SPACE}*上|かしこ)\Z|\A{_SPACE}*(?:拝啓|前略|謹啓|記)\Z"
)
_DAY = re.compile(
    rf"(?:[0-9０-９]{{4}}|(?:令和|平成|昭和){_SPACE}*{_NUMBER}{{1,3}}){_SPACE}*[年/.．－-]{_SPACE}*{_NUMBER}{{1,3}}"
    rf"(?:{_SPACE}*[月/.．－-]{_SPACE}*{_NUMBER}{{1,3}})?{_SPACE}*(?:月吉)?日?(?:{_SPACE}*[（(].{{1,3}}[）)])?\Z"
)
# The number of a law under its title, and the laws that changed it: 条例第12号, 改正　平成17年12月22日条例第48号.
_ENACTED = re.compile(
    rf"(?:(?:最終|一部|全部)?改正{_SPACE}*)?(?:(?:令和|平成|昭和|大正|明治){_SPACE}*{_NUMBER}{{1,3}}年.{{0,12}}?日?{_SPACE}*)?"
    rf"[^\s、。0-9０-９]{{0,12}}?(?:条例|規則|規程|要綱|要領|法律|政令|省令|府令|告示|訓令)第{_NUMBER}{{1,5}}号\Z"
)
# An organisation over the name of its member in the address of a letter.
_ORGANISATION = re.compile(
    r"\A(?:(?:株式|有限|合同|合資)会社|[（(][株有][）)]|.{0,12}法人)\S|(?:会社|[（(][株有][）)]|[部課係室局店院校所]|大学|協会|組合|銀行|センター|役場)\Z"
)
_NAMED_ADDRESS = re.compile(r"(?<![皆み]な)(?<![皆仕模多各異有同一王])(?:様|殿|御中)\Z")
_SITTING = re.compile(
    rf"(?:午[前後]{_SPACE}*{_NUMBER}{{1,3}}{_SPACE}*時(?:{_SPACE}*{_NUMBER}{{1,3}}{_SPACE}*分)?{_SPACE}*"
    rf"(?:開議|開会|休憩|再開|散会|閉会|延会|閉議|終了){_SPACE}*+)+\Z"
)
_REMARK = re.compile(
    r"[〔［\[][^〔〕［］\[\]]{1,60}[〕］\]]\Z|[（(][^（）()]{0,40}と(?:呼|叫)[ぶび][^（）()]{0,12}[）)]\Z"
    r"|[（(](?:拍手|笑い?|笑声|略|中略|後略|以下略|了|終わり?|完|続く|つづく|以上|(?:起立|挙手|賛成者)[^（）()、。]{0,8}|文責.{0,20})[）)]\Z"
)
# Header lines that only mail has. 宛先 and 件名 are missing here, because a memo has them too.
_SENT = re.compile("From|差出人|送信者|送信日時|Sent|Date|受信日時|Message-ID")
_COLOPHON = re.compile("(?:底本|底本の親本|初出|入力|校正|公開)[：:]")
# The beginning of the last line of a text when that line names the person responsible.
_SIGNED_BY = re.compile("(?:担当|文責|作成|記録|承認|お?問い?合わ?せ先?)(?:者|係)?(?=[\\s：:／/（(])")
# Words and patterns of addresses and telephone numbers.
_CONTACT = re.compile(
    "〒|TEL|Tel|FAX|電話|内線|[Ee]?-?[Mm]ail|メール(?!マガ)|https?://|[A-Za-z0-9]@[A-Za-z0-9]|[0-9]{2,4}-[0-9]{2,4}-[0-9]{3,4}"
)


def is_remark(content: str) -> bool:
    """Whether a line is a remark of the minute taker: 〔市長登壇〕, （拍手）, （「異議なし」と呼ぶ者あり）."""
    return _REMARK.match(content) is not None


def is_sitting(content: str) -> bool:
    """Whether a line of minutes says when a sitting began or ended: 午後０時１４分散会."""
    return content[0] == "午" and _SITTING.match(content) is not None


def is_letter_line(content: str) -> bool:
    """Whether a line of a letter is its addressee, its date, or a word that opens or closes it."""
    return (_ADDRESS.search(content) is not None and "。" not in content) or _DAY.match(content) is not None


def is_enactment(content: str) -> bool:
    """Whether a line under the title of a law is its number, or names a law that changed it."""
    return _ENACTED.match(content) is not None


def is_organisation(content: str, under: str) -> bool:
    """Whether a line names the organisation of the person or department whom the line under it addresses."""
    return _ORGANISATION.search(content) is not None and _NAMED_ADDRESS.search(under) is not None


def is_mail(heads: list[str]) -> bool:
    """Whether head lines belong to mail and not to one memo: they name the sender, or there are several subjects."""
    subjects = sum(head.startswith(("件名", "Subject")) for head in heads)
    return subjects > 1 or any(_SENT.match(head) for head in heads)


def is_colophon(content: str) -> bool:
    """Whether a line names the source of a text and its transcribers, as in Aozora Bunko."""
    return _COLOPHON.match(content) is not None


def is_signed(content: str) -> bool:
    """Whether the last line of a text names the person responsible for it."""
    return _SIGNED_BY.match(content) is not None


def is_signature(lines: list[tuple[str, int]], *, mail: bool) -> bool:
    """Whether a run of lines, each with its columns, is a signature: short, without a sentence, and with an address.

    Args:
        mail: they stand at the end of a mail, where up to three lines need no address.
    """
    if not 0 < len(lines) <= _MAX_SIGNATURE_LINES:
        return False
    if any(columns > _MAX_SIGNATURE_COLUMNS or "。" in content or "、" in content for content, columns in lines):
        return False
    return (mail and len(lines) <= 3) or any(_CONTACT.search(content) for content, _ in lines)
