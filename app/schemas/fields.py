"""The values that the fields of requests may hold: texts, names of models, ids.

Messages name the field, what is wrong and what is allowed; they never repeat a text. This module does not know
endpoints.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.text.characters import SURROGATE

MAX_ID_CHARACTERS = 255

OffsetUnit = Literal["codepoint", "utf16"]

# Invisible characters: white space, controls, and characters without width. The class means the same in the regular
# expressions of JSON Schema, Python and Rust, so characters past U+FFFF are written as themselves.
_UNSEEN = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
_NO_NUL = r"[^\u0000]*"
# The texts that the validators below and the tokenizer take, for the OpenAPI schema: clients can check before they
# send.
TEXT_PATTERN = f"^{_NO_NUL}[^{_UNSEEN}]{_NO_NUL}$"


def _characters(text: str) -> str:
    """Refuse code points that are no characters of a text: NUL and lone surrogates."""
    if "\0" in text:
        raise PydanticCustomError("text", "holds a NUL character (U+0000); only text is allowed")
    if not text.isascii() and (match := SURROGATE.search(text)):
        raise PydanticCustomError(
            "text",
            "holds a lone surrogate (U+{code}) at character {position}; only Unicode characters are allowed",
            {"code": f"{ord(match.group()):04X}", "position": match.start()},
        )
    return text


def _not_blank(text: str) -> str:
    if not text or text.isspace():
        raise PydanticCustomError("text", "must hold at least one character that is not white space")
    return _characters(text)


Text = Annotated[str, AfterValidator(_not_blank), Field(json_schema_extra={"minLength": 1, "pattern": TEXT_PATTERN})]
ModelName = Annotated[
    str,
    Field(min_length=1, max_length=100, json_schema_extra={"pattern": f"^{_NO_NUL}$"}),
    AfterValidator(_characters),
]
Texts = Annotated[
    Annotated[Text, Tag("<one>")] | Annotated[list[Text], Field(min_length=1), Tag("<many>")],
    Discriminator(lambda value: "<many>" if isinstance(value, list) else "<one>"),
]


DocumentId = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID_CHARACTERS, json_schema_extra={"pattern": f"^{_NO_NUL}$"}),
    AfterValidator(_characters),
]


def at_most_one(*names: str) -> JsonDict:
    """For the OpenAPI schema: at most one of these fields has a value."""
    return {"anyOf": [{"properties": {other: {"type": "null"} for other in names if other != name}} for name in names]}


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    model: ModelName | None = Field(
        default=None, description="Name of the model, as in /info. Without it, the first model of the task by name."
    )
