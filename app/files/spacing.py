"""White space of sources whose line ends mean nothing (HTML, Markdown): none between Japanese characters."""

import re

_WIDE = "\u2e80-\u312f\u3190-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
_LINE_END_IN_JAPANESE = re.compile(rf"(?<=[{_WIDE}])[ \t]*[\r\n][ \t\r\n]*(?=[{_WIDE}])")
_SPACES = re.compile(r"[ \t\r\n\f]+")


def collapsed(text: str) -> str:
    """The text with its white space as a browser shows it: one space, or nothing at a line end in Japanese text.

    The rules are those of https://drafts.csswg.org/css-text-4/#line-break-transform; ideographic and no-break spaces
    stay.
    """
    return _SPACES.sub(" ", _LINE_END_IN_JAPANESE.sub("", text))
