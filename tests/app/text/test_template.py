import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, processors

from app.errors import BrokenModel
from app.text.template import Frame, Template, bert_template, template_of
from app.text.tokenizer import Tokenizer

VOCABULARY = {"<s>": 0, "</s>": 1, "[CLS]": 2, "[SEP]": 3, "[UNK]": 4, "<cls>": 5, "<sep>": 6, "山": 7}

Lists = tuple[list[list[int]], list[list[int]], list[int]]


def word_level(processor: object = None) -> tokenizers.Tokenizer:
    pieces = tokenizers.Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if processor is not None:
        pieces.post_processor = processor
    return pieces


def lists(frame: Frame) -> Lists:
    return [ids.tolist() for ids in frame.ids], [types.tolist() for types in frame.types], list(frame.text_types)


def both(template: Template) -> tuple[Lists, Lists]:
    return lists(template.single), lists(template.pair)


def by_template(single: str, pair: str) -> object:
    special = [(token, number) for token, number in VOCABULARY.items() if token != "山"]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)


def test_the_template_of_bert() -> None:
    found = template_of(word_level(by_template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")))

    assert both(found) == (([[2], [3]], [[0], [0]], [0]), ([[2], [3], [3]], [[0], [0], [1]], [0, 1]))
    assert both(bert_template(2, 3)) == both(found)


def test_the_template_of_roberta_has_two_separators_and_one_type() -> None:
    found = template_of(word_level(processors.RobertaProcessing(("</s>", 1), ("<s>", 0))))

    assert both(found) == (([[0], [1]], [[0], [0]], [0]), ([[0], [1, 1], [1]], [[0], [0, 0], [0]], [0, 0]))


def test_special_tokens_are_those_of_the_template_even_if_the_vocabulary_has_others() -> None:
    """ModernBERT-ja has <cls> and <sep>, and uses neither."""
    tokenizer = Tokenizer(
        word_level(by_template("<s> $A </s>", "<s> $A </s> <s>:1 $B:1 </s>:1")), normaliser="none", segmenter="none"
    )

    assert lists(tokenizer.template.pair) == ([[0], [1, 0], [1]], [[0], [0, 1], [1]], [0, 1])
    assert (tokenizer.cls_id, tokenizer.sep_id) == (0, 1)


def test_a_model_with_one_token_type_gets_no_other() -> None:
    processor = by_template("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
    tokenizer = Tokenizer(word_level(processor), normaliser="none", segmenter="none", token_types=1)

    assert lists(tokenizer.template.pair) == ([[2], [3], [3]], [[0], [0], [0]], [0, 0])


def test_without_a_post_processor_the_template_is_that_of_bert() -> None:
    tokenizer = Tokenizer(word_level(), normaliser="none", segmenter="none")

    assert both(tokenizer.template) == both(bert_template(2, 3))


@pytest.mark.parametrize(
    ("single", "pair", "message"),
    [
        ("$A </s>", "$A </s> $B </s>", "no special token before a text"),
        ("<s> $A", "<s> $A $B", "no special token between two texts"),
    ],
)
def test_a_template_that_lacks_a_token_is_refused(single: str, pair: str, message: str) -> None:
    with pytest.raises(BrokenModel, match=message):
        template_of(word_level(by_template(single, pair)))


def test_a_tokenizer_without_any_token_has_no_template() -> None:
    with pytest.raises(BrokenModel, match="no token for any text"):
        template_of(tokenizers.Tokenizer(models.BPE()))
