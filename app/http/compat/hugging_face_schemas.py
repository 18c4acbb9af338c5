"""The requests that Hugging Face's inference clients send and the answers that they parse, for the three tasks.

`null` means that an option is not set: clients in JavaScript send it. Options without effect say why in their
description; an option that is not named here is refused. This module does not know the service.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from app.schemas import MAX_ANSWER_TOKENS, MAX_TOP_K, Text, Texts, at_most_one
from app.types import Task


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class QaInputs(_Part):
    """One question about one text."""

    question: Text
    context: Text


class TextInputs(_Part):
    """A text, or a pair of texts, as the pipelines of transformers take it."""

    text: Text
    text_pair: Text | None = None


class QaParameters(_Part):
    """Options of `InferenceClient.question_answering`."""

    top_k: int | None = Field(default=None, ge=1, le=MAX_TOP_K, description="More than 1 gives a list.")
    max_answer_len: int | None = Field(default=None, ge=1, le=MAX_ANSWER_TOKENS, description="Tokens of an answer.")
    doc_stride: int | None = Field(default=None, ge=0, description="Tokens that two windows share: `window_overlap`.")
    handle_impossible_answer: bool | None = Field(
        default=None, description='True lets "no answer" stand among the answers, as the empty text.'
    )
    align_to_words: bool | None = Field(
        default=None, description="No effect: Japanese has no words between spaces to widen an answer to."
    )
    max_question_len: int | None = Field(default=None, ge=1, description="No effect: a question is never cut.")
    max_seq_len: int | None = Field(default=None, ge=1, description="No effect: windows are as long as the model's.")


class ClassifyParameters(_Part):
    """Options of `InferenceClient.text_classification`."""

    top_k: int | None = Field(default=None, ge=1)
    function_to_apply: Literal["softmax"] | None = Field(default=None, description="Scores are always a softmax.")


class Lengths(_Part):
    """The fields of `generate_parameters`: nothing is generated, so they are the lengths of `/summarize`."""

    model_config = ConfigDict(json_schema_extra=at_most_one("max_sentences", "ratio", "max_characters"))

    max_sentences: int | None = Field(default=None, ge=1)
    ratio: float | None = Field(default=None, gt=0, le=1)
    max_characters: int | None = Field(default=None, ge=1)
    diversity: float = Field(default=0.0, ge=0, le=1)


class SummarizeParameters(_Part):
    """Options of `InferenceClient.summarization`."""

    generate_parameters: Lengths | None = None
    clean_up_tokenization_spaces: bool | None = Field(
        default=None, description="No effect: a summary is made of the text's own sentences."
    )
    truncation: Literal["do_not_truncate", "longest_first", "only_first", "only_second"] | None = Field(
        default=None, description="No effect: no text is ever cut off."
    )


class Options(_Part):
    """The options that older clients always send; none has an effect."""

    use_cache: bool | None = None
    wait_for_model: bool | None = None
    use_gpu: bool | None = None


def _branch(value: Any) -> str:
    return "<many>" if isinstance(value, list) else "<pair>" if isinstance(value, dict) else "<one>"


_NOT_EMPTY = Field(json_schema_extra={"minItems": 1})  # the service refuses it together with lists that are too long

_TextOrPair = Annotated[
    Annotated[Text, Tag("<one>")] | Annotated[TextInputs, Tag("<pair>")],
    Discriminator(lambda value: "<pair>" if isinstance(value, dict) else "<one>"),
]
_TextsOrPairs = Annotated[
    Annotated[Text, Tag("<one>")]
    | Annotated[TextInputs, Tag("<pair>")]
    | Annotated[list[_TextOrPair], _NOT_EMPTY, Tag("<many>")],
    Discriminator(_branch),
]
_Questions = Annotated[
    Annotated[QaInputs, Tag("<one>")] | Annotated[list[QaInputs], _NOT_EMPTY, Tag("<many>")],
    Discriminator(lambda value: "<many>" if isinstance(value, list) else "<one>"),
]


class _Payload(_Part):
    options: Options | None = None


class QaPayload(_Payload):
    """Hugging Face's payload for question answering."""

    inputs: _Questions
    parameters: QaParameters | None = None


class ClassifyPayload(_Payload):
    """Hugging Face's payload for text classification."""

    inputs: _TextsOrPairs
    parameters: ClassifyParameters | None = None


class SummarizePayload(_Payload):
    """Hugging Face's payload for summarization."""

    inputs: Texts
    parameters: SummarizeParameters | None = None


class HuggingFaceAnswer(BaseModel):
    """An answer as Hugging Face gives it. No answer is the empty text at 0."""

    answer: str
    score: float
    start: int
    end: int


class HuggingFaceLabel(BaseModel):
    """A label as Hugging Face gives it."""

    label: str
    score: float


class HuggingFaceSummary(BaseModel):
    """A summary as Hugging Face gives it."""

    summary_text: str


PAYLOADS: dict[Task, type[BaseModel]] = {
    "qa": QaPayload,
    "classify": ClassifyPayload,
    "summarize": SummarizePayload,
}
ANSWERS: dict[Task, Any] = {
    "qa": HuggingFaceAnswer | list[HuggingFaceAnswer] | list[list[HuggingFaceAnswer]],
    "classify": list[list[HuggingFaceLabel]],
    "summarize": list[HuggingFaceSummary],
}
