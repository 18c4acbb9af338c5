"""What one training step reads: crops, questions without an answer, classes, sentences to keep, and shares of sets."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.text.tokenizer import Tokenizer
from tests.hostile import HOSTILE_TEXTS
from tests.training.conftest import reading_file, squad, write_json, write_jsonl
from training.config import ConfigError, DataSet, FinetuneConfig
from training.data import DataError, SummaryExample, held_out_by_text, held_out_summaries, in_held_out_split
from training.finetune.examples import TrainingSequence, build_mixture, labelled_split

LONG = "".join(f"{place}は{number}にある。" for number, place in enumerate("駅寺城川山町村島森橋"))
QUESTIONS = [("駅はどこにあるか", "0"), ("城はどこか", "城は2にある"), ("橋はどこにあるか", "9"), ("ないか", "")]


def _config(*sets: dict[str, Any], **changes: Any) -> FinetuneConfig:
    """A run over these sets; a key that is not given is that of SQuAD JSON named d.json in 30 tokens."""
    common: dict[str, Any] = {"reader": "squad", "data": "d.json", "max_tokens": 30}
    whole = tuple(DataSet(**(common | one)) for one in sets or ({},))
    values: dict[str, Any] = {"task": "qa", "tokenizer": "t", "segmenter": "none", "normaliser": "none", "sets": whole}
    return FinetuneConfig(**(values | changes))


def _texts_of(tokenizer: Tokenizer, characters: str) -> dict[int, str]:
    """Token id -> character, of a tokenizer whose tokens are characters."""
    return {int(tokenizer.encode(character).ids[0]): character for character in characters}


def _read(sequence: TrainingSequence, tokenizer: Tokenizer) -> str:
    """The context that a sequence shows, without its question."""
    characters = _texts_of(tokenizer, "0123456789はどこにあるか。駅寺城川山町村島森橋")
    ids = sequence.document.input_ids[sequence.document.question_length : -1].tolist()
    return "".join(characters[token] for token in ids)


def test_the_target_of_every_crop_is_the_answer(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"places": [(LONG, QUESTIONS), (LONG[:12], [QUESTIONS[0]])]}))
    (source,) = build_mixture(_config(), tmp_path, character_tokenizer).sources
    assert source.size == 5
    characters = _texts_of(character_tokenizer, LONG)
    rng = np.random.default_rng(3)
    starts = set()
    for index, (question, answer) in enumerate([*QUESTIONS, QUESTIONS[0]]):
        for _ in range(40):
            sequence = source.draw(index, rng)
            document, target = sequence.document, sequence.target
            assert len(document.input_ids) <= 30
            assert document.question_length == len(question) + 2
            if not answer:
                continue
            read = document.input_ids[target.start : target.end + 1].tolist()
            assert "".join(characters[token] for token in read) == answer
            assert target.start >= document.question_length
            starts.add((index, target.start))
    assert len(starts) > 12  # the crops differ


def test_a_question_without_an_answer_is_learned_with_the_null_answer(
    tmp_path: Path, character_tokenizer: Tokenizer
) -> None:
    write_json(tmp_path / "d.json", squad({"places": [(LONG, [("ないか", "")])]}))
    (source,) = build_mixture(_config(), tmp_path, character_tokenizer).sources
    rng = np.random.default_rng(3)
    sequences = [source.draw(0, rng) for _ in range(20)]
    assert {(sequence.target.start, sequence.target.end) for sequence in sequences} == {(0, 0)}  # [CLS]
    assert {len(sequence.document.input_ids) for sequence in sequences} == {30}
    crops = {_read(sequence, character_tokenizer) for sequence in sequences}
    assert len(crops) > 5
    assert all(crop in LONG for crop in crops)


def test_a_share_of_the_questions_is_put_to_another_text(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    texts = ["駅は0にある。", "寺は1にある。"]
    write_json(tmp_path / "d.json", squad({"t": [(text, [("どこか", text[2])]) for text in texts]}))
    (source,) = build_mixture(_config({"unrelated_share": 0.5}), tmp_path, character_tokenizer).sources
    rng = np.random.default_rng(0)
    drawn = [source.draw(0, rng) for _ in range(400)]
    seen = Counter((_read(sequence, character_tokenizer), sequence.target.start > 0) for sequence in drawn)
    assert seen.keys() == {(texts[0], True), (texts[1], False)}
    assert 160 < seen[texts[1], False] < 240


def test_questions_about_one_text_have_no_other_text_to_be_put_to(
    tmp_path: Path, character_tokenizer: Tokenizer
) -> None:
    write_json(tmp_path / "d.json", squad({"t": [(LONG, QUESTIONS)]}))
    with pytest.raises(DataError) as caught:
        build_mixture(_config({"unrelated_share": 0.5}), tmp_path, character_tokenizer)
    assert str(caught.value) == ("d.json asks about one text only; unrelated_share needs questions about at least two.")


def test_a_share_of_the_questions_is_put_to_the_text_without_the_answers_sentence(
    tmp_path: Path, character_tokenizer: Tokenizer
) -> None:
    text = "駅は0にある。寺は1にある。城は2にある。"
    write_json(tmp_path / "d.json", squad({"t": [(text, [("どこか", "1"), ("どこか", "にある")])]}))
    (source,) = build_mixture(_config({"removed_share": 0.5}), tmp_path, character_tokenizer).sources
    rng = np.random.default_rng(0)
    drawn = [source.draw(0, rng) for _ in range(100)]
    seen = Counter((_read(sequence, character_tokenizer), sequence.target.start > 0) for sequence in drawn)
    assert seen.keys() == {(text, True), ("駅は0にある。城は2にある。", False)}
    assert 30 < seen[text, True] < 70
    # An answer that other sentences give too still stands in the text: nothing is taken out.
    assert {_read(source.draw(1, rng), character_tokenizer) for _ in range(40)} == {text}


def test_a_removed_sentence_leaves_none_of_the_right_answers(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    """Answers of a reading set are alternatives: a text that still holds one leaves no question unanswered."""
    text = "駅は0にある。寺は1にある。城は2にある。"
    reading_file(tmp_path / "d" / "1.txt", text, ["Q: どこか", "A: 1", "A: 2"])
    config = _config({"reader": "reading-set", "data": "d", "removed_share": 1.0})
    (source,) = build_mixture(config, tmp_path, character_tokenizer).sources
    rng = np.random.default_rng(0)
    assert {_read(source.draw(0, rng), character_tokenizer) for _ in range(20)} == {text}


def test_a_crop_around_a_removed_sentence_shows_what_stood_next_to_it(
    tmp_path: Path, character_tokenizer: Tokenizer
) -> None:
    write_json(tmp_path / "d.json", squad({"t": [(LONG, [("城はどこ", "2")])]}))
    (source,) = build_mixture(_config({"removed_share": 1.0}), tmp_path, character_tokenizer).sources
    rng = np.random.default_rng(0)
    crops = [_read(source.draw(0, rng), character_tokenizer) for _ in range(60)]
    assert all("城" not in crop for crop in crops)
    assert len(set(crops)) > 5
    # The full stop before the gap is in every crop, and what follows it is what followed the sentence.
    assert all(crop.endswith("1にある。") or "。川" in crop for crop in crops)


def test_a_text_that_is_one_sentence_is_asked_as_it_is(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"t": [("駅は0にある。", [("どこか", "0")])]}))
    (source,) = build_mixture(_config({"removed_share": 1.0}), tmp_path, character_tokenizer).sources
    sequence = source.draw(0, np.random.default_rng(0))
    assert (_read(sequence, character_tokenizer), sequence.target.start) == ("駅は0にある。", 7)


def test_words_of_the_question_get_a_type_of_their_own(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"places": [("駅は0。", [("駅は", "0")])]}))
    rng = np.random.default_rng(0)
    marked = build_mixture(_config(), tmp_path, character_tokenizer).sources[0].draw(0, rng)
    assert marked.document.token_type_ids.tolist() == [0, 0, 0, 0, 2, 2, 1, 1, 1]
    plain = build_mixture(_config(question_overlap=False), tmp_path, character_tokenizer).sources[0].draw(0, rng)
    assert plain.document.token_type_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]


def test_the_same_seed_draws_the_same(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"places": [(LONG, QUESTIONS)]}))
    (source,) = build_mixture(_config(), tmp_path, character_tokenizer).sources
    first, second = ([source.draw(1, rng).target.start for _ in range(9)] for rng in map(np.random.default_rng, (4, 4)))
    assert first == second


def test_hostile_contexts_and_questions(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")
    paragraphs = [(f"{text}東京都。", [("首都は?", "東京"), (text, "東京")]) for text in HOSTILE_TEXTS.values()]
    write_json(tmp_path / "d.json", squad({"hostile": paragraphs}))
    asked = {"max_tokens": 40, "unrelated_share": 0.2, "removed_share": 0.4}
    config = _config(asked, normaliser="nfkc", segmenter="mecab-jumandic")
    (source,) = build_mixture(config, tmp_path, tokenizer).sources
    assert source.size > len(HOSTILE_TEXTS)  # of the long questions some leave no room
    tokyo = set(tokenizer.encode("東京都").ids.tolist())
    rng = np.random.default_rng(1)
    answered = 0
    for index in range(source.size):
        sequence = source.draw(index, rng)
        document, target = sequence.document, sequence.target
        assert len(document.input_ids) <= 40
        if target.end == 0:
            continue
        answered += 1
        assert document.question_length <= target.start <= target.end < len(document.input_ids) - 1
        assert tokyo & set(document.input_ids[target.start : target.end + 1].tolist()) or target.end == target.start
    assert answered > source.size / 4


def test_classes_and_crops(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    records: list[object] = [{"text": LONG, "label": "B"}, {"text": "駅", "label": "A"}]
    write_jsonl(tmp_path / "d.jsonl", records)
    config = _config({"reader": "labelled", "data": "d.jsonl", "held_out_percent": 0}, task="classify")
    mixture = build_mixture(config, tmp_path, character_tokenizer)
    assert mixture.labels == ("A", "B")
    rng = np.random.default_rng(0)
    drawn = [[mixture.sources[0].draw(index, rng) for _ in range(20)] for index in range(2)]
    assert [{sequence.target.label for sequence in sequences} for sequences in drawn] == [{1}, {0}]
    assert {len(sequence.document.input_ids) for sequence in drawn[0]} == {30}
    assert len({sequence.document.input_ids.tobytes() for sequence in drawn[0]}) > 3
    assert [len(sequence.document.input_ids) for sequence in drawn[1]] == [3] * 20


MARKED = "一 駅のこと\n\n駅は0にある。寺は1にある。城は2にある。\n\n・山は4にある。\n・川は3にある。\n"


def test_sentences_to_keep(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    """One document over two windows: a heading, which never counts, three sentences and two items."""
    reading_file(tmp_path / "d" / "1.txt", MARKED, ["Q: ないか", "A: -", "S: 寺は1に", "S: 川は3", "S: 一 駅のこと"])
    reading_file(tmp_path / "d" / "2.txt", "印のない文書。", ["Q: ないか", "A: -"])
    config = _config({"reader": "reading-set", "data": "d"}, task="summarize")
    (source,) = build_mixture(config, tmp_path, character_tokenizer).sources
    sequences = [source.draw(index, np.random.default_rng(0)) for index in range(source.size)]
    assert [len(sequence.target.starts) for sequence in sequences] == [3, 3]
    for sequence in sequences:
        at_markers = sequence.document.input_ids[sequence.target.starts]
        assert at_markers.tolist() == [character_tokenizer.cls_id] * 3
    types = [s.document.token_type_ids[s.target.starts].tolist() for s in sequences]
    assert types == [[2, 0, 0], [0, 1, 1]]
    assert [sequence.target.kept.tolist() for sequence in sequences] == [[1, 0, 1], [0, 0, 1]]
    assert [sequence.target.weights.tolist() for sequence in sequences] == [[0, 1, 1], [1, 1, 1]]
    plain = build_mixture(config.model_copy(update={"sentence_types": False}), tmp_path, character_tokenizer)
    assert not any(plain.sources[0].draw(n, np.random.default_rng(0)).document.token_type_ids.any() for n in range(2))


def test_an_epoch_reads_its_share_of_every_set(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    for name, text in (("a", "駅は0。"), ("b", "寺は1。")):
        questions = [(f"{'駅寺城川山町村島森橋'[n]}か", text[2]) for n in range(10)]
        write_json(tmp_path / f"{name}.json", squad({"t": [(text, questions)]}))
    config = _config({"data": "a.json", "share": 0.4}, {"data": "b.json", "share": 2.5})
    mixture = build_mixture(config, tmp_path, character_tokenizer)
    assert mixture.size == 4 + 25

    def epoch(seed: int) -> list[bytes]:
        return [sequence.document.input_ids.tobytes() for sequence in mixture.epoch(np.random.default_rng(seed))]

    counts = Counter(epoch(0))
    drawn = list(mixture.epoch(np.random.default_rng(0)))
    of_a = [s.document.input_ids.tobytes() for s in drawn if _read(s, character_tokenizer) == "駅は0。"]
    assert len(of_a) == 4 == len(set(of_a))
    of_b = Counter({ids: count for ids, count in counts.items() if ids not in of_a})
    assert sorted(of_b.values()) == [2] * 5 + [3] * 5  # twice each, then half of them again
    assert epoch(0) == epoch(0) != epoch(1)
    assert set(epoch(0)) != set(epoch(1))  # another four of the first set
    first = [index for index, sequence in enumerate(drawn) if _read(sequence, character_tokenizer) == "駅は0。"]
    assert first != sorted(range(4)), "the sets are mixed, not one after the other"


def test_a_run_over_a_share_of_the_texts_reads_those_of_a_smaller_share_and_more(
    tmp_path: Path, character_tokenizer: Tokenizer
) -> None:
    texts = [f"{place}は{number}にある。" for place in "駅寺城川山町村島森橋" for number in range(10)]
    write_jsonl(tmp_path / "l.jsonl", [{"text": text, "label": text[0]} for text in texts])
    write_json(tmp_path / "d.json", squad({"t": [(text, [("どこか", text[2]), ("ないか", "")]) for text in texts]}))
    for number, text in enumerate(texts):
        reading_file(tmp_path / "r" / f"{number}.txt", text, [f"S: {text}"])
    labelled = {"reader": "labelled", "data": "l.jsonl", "held_out_percent": 0}
    marked = {"reader": "reading-set", "data": "r"}
    for task, one, of_a_text in (("qa", {}, 2), ("classify", labelled, 1), ("summarize", marked, 1)):
        read: list[set[bytes]] = []
        for share in (0.25, 0.5, 1.0):
            config = _config({**one, "texts_share": share}, task=task)
            (source,) = build_mixture(config, tmp_path, character_tokenizer).sources
            rng = np.random.default_rng(3)
            read.append({source.draw(index, rng).document.input_ids.tobytes() for index in range(source.size)})
        assert read[0] < read[1] < read[2], task
        assert len(read[2]) == of_a_text * len(texts), task
        assert (len(read[0]), len(read[1])) == (of_a_text * 29, of_a_text * 45), task


def test_sets_of_different_classes_are_not_learned_together(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": "駅", "label": "A"}])
    write_jsonl(tmp_path / "b.jsonl", [{"text": "駅", "label": "B"}])
    sets = [{"reader": "labelled", "data": f"{name}.jsonl", "held_out_percent": 0} for name in "ab"]
    with pytest.raises(ConfigError, match=r"b\.jsonl has other classes than a\.jsonl"):
        build_mixture(_config(*sets, task="classify"), tmp_path, character_tokenizer)


def test_a_set_that_gives_nothing_is_an_error(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"t": [("駅は0。", [("駅はどこか", "0")])]}))
    for one, said in (
        ({"max_tokens": 8}, r"8, texts_share = 1\.0 and share = 1\.0"),
        ({"share": 0.1}, r"30, texts_share = 1\.0 and share = 0\.1"),
    ):
        usable = 0 if "max_tokens" in one else 1
        with pytest.raises(
            DataError, match=rf"d\.json gives no training example .* = {said} \(usable examples: {usable}\)"
        ):
            build_mixture(_config(one), tmp_path, character_tokenizer)


def test_a_reader_that_does_not_fit_the_task(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    for task, reader in (
        *(("qa", "livedoor"), ("classify", "squad"), ("classify", "reading-set"), ("summarize", "labelled")),
        *(("summarize", "kyoto-leads"), ("qa", "nonsense")),
    ):
        with pytest.raises(ConfigError, match=f"{reader!r} has no examples for the task {task!r}"):
            build_mixture(_config({"reader": reader}, task=task), tmp_path, character_tokenizer)


def test_questions_without_room_at_this_length_are_counted(
    tmp_path: Path, character_tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    long_answer = LONG[:12]
    write_json(tmp_path / "d.json", squad({"t": [(LONG, [("どこか", LONG[0]), ("どこまでか", long_answer)])]}))
    mixture = build_mixture(_config({"max_tokens": 30}), tmp_path, character_tokenizer)
    assert mixture.size == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "d.json: 1 of 2 questions are left out: question and answer take more than half of max_tokens = 30, or their "
        "place in the text has no tokens."
    )


def test_texts_stay_in_their_part_whatever_stands_before_them(tmp_path: Path) -> None:
    rows = [{"text": str(n), "label": "A"} for n in range(100)] * 2
    parts = labelled_split("labelled", write_jsonl(tmp_path / "a.jsonl", rows), 10)
    training, held_out = ({example.text for example in part} for part in parts)
    assert not training & held_out
    moved = labelled_split("labelled", write_jsonl(tmp_path / "b.jsonl", [{"text": "新", "label": "B"}, *rows]), 10)
    assert [{example.text for example in part} - {"新"} for part in moved] == [training, held_out]


def test_summaries_stay_in_their_part_whatever_stands_before_them(tmp_path: Path) -> None:
    rows = [{"text": f"{n}である。", "summary": "要"} for n in range(60)]
    before = held_out_summaries("summaries", write_jsonl(tmp_path / "a.jsonl", rows), 10)
    after = held_out_summaries("summaries", write_jsonl(tmp_path / "b.jsonl", [*rows[30:], *rows[:30]]), 10)
    assert 0 < len(before) < 60
    assert set(after) == set(before)


def test_splits_share_no_document(tmp_path: Path) -> None:
    texts = write_jsonl(tmp_path / "l.jsonl", [{"text": str(n), "label": "A"} for n in range(200)])
    training, held_out = labelled_split("labelled", texts, 10)
    assert {example.text for example in held_out} == {str(n) for n in range(200) if held_out_by_text(str(n), 10)}
    assert len(training) + len(held_out) == 200
    lead, body = {"sentences": ["導入" * 20]}, {"sentences": ["甲。"] * 8}
    articles: list[object] = [
        {"id": str(n), "category": "BDS", "paragraphs": [lead, {"heading": "h"}, body]} for n in range(200)
    ]
    articles += [
        {"id": "short lead", "category": "BDS", "paragraphs": [{"sentences": ["短い"]}, {"heading": "h"}, body]},
        {"id": "short body", "category": "BDS", "paragraphs": [lead, {"heading": "h"}, {"sentences": ["甲。"] * 6}]},
        {"id": "empty", "category": "BDS", "paragraphs": []},
    ]
    kyoto = write_jsonl(tmp_path / "k.jsonl", articles)
    of_ids = sum(in_held_out_split(str(n), 10) for n in range(200))
    assert held_out_summaries("kyoto-leads", kyoto, 10) == [SummaryExample(("甲。",) * 8, "導入" * 20)] * of_ids
    categories = labelled_split("kyoto-categories", kyoto, 10)
    assert len(categories[0]) + len(categories[1]) == 202  # a text without characters has no class to learn


def test_one_class_is_nothing_to_learn(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    file = write_jsonl(tmp_path / "d.jsonl", [{"text": "駅", "label": "A"}] * 2)
    one = {"reader": "labelled", "data": "d.jsonl", "held_out_percent": 0}
    with pytest.raises(DataError) as caught:
        build_mixture(_config(one, task="classify"), tmp_path, character_tokenizer)
    assert str(caught.value) == f"All texts of {file} have the class 'A'; a classifier needs at least two classes."


def test_labels_are_balanced_over_what_an_epoch_reads_of_all_sets(
    tmp_path: Path, character_tokenizer: Tokenizer
) -> None:
    for name, labels in (("a", "xxxy"), ("b", "xyyyyyyy")):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"text": "駅", "label": label} for label in labels])
    sets = [
        {"reader": "labelled", "data": f"{name}.jsonl", "held_out_percent": 0, "share": share}
        for name, share in (("a", 1.0), ("b", 0.5))
    ]
    for given in (sets, sets[::-1]):
        mixture = build_mixture(_config(*given, task="classify", class_balance=1.0), tmp_path, character_tokenizer)
        assert mixture.label_weights is not None
        # 3 + 0.5 texts of x, 1 + 3.5 of y.
        assert mixture.label_weights.tolist() == pytest.approx([4 / 3.5, 4 / 4.5])


def test_rare_labels_count_more_the_more_balance_is_asked_for(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    texts: list[object] = [{"text": "駅", "label": label} for label in "aaaaaaaabb"]
    write_jsonl(tmp_path / "d.jsonl", texts)

    def weights(balance: float) -> list[float] | None:
        one = {"reader": "labelled", "data": "d.jsonl", "held_out_percent": 0}
        config = _config(one, task="classify", class_balance=balance)
        found = build_mixture(config, tmp_path, character_tokenizer).label_weights
        return None if found is None else found.tolist()

    assert weights(0.0) is None
    assert weights(1.0) == [0.625, 2.5]  # every class counts as if all had five texts
    assert weights(0.5) == pytest.approx([0.625**0.5, 2.5**0.5])
