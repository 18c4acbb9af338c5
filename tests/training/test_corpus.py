import gzip
import json
from pathlib import Path

from tests.training.conftest import livedoor_archive, squad, write_json
from training.corpus import corpus_texts, dedupe, texts_under
from training.data import in_held_out_split


def test_the_corpus_holds_no_held_out_document(tmp_path: Path) -> None:
    questions = {
        "京都": [("千年の都。", [("何年?", "千年")]), ("鴨川。", [("川は?", "鴨川")])],
        "大阪": [("大阪城がある。", [("城は?", "大阪城")])],
    }
    write_json(tmp_path / "jaquad" / "train" / "1.json", squad(questions))
    article = {"category": "BDS", "paragraphs": [{"sentences": ["寺は古い。", "山にある。"]}, {"heading": "歴史"}]}
    articles = [article | {"id": name} for name in ("BDS00001", "BDS00021")]  # the second is held out
    (tmp_path / "kyoto").mkdir()
    lines = "".join(json.dumps(one) + "\n" for one in articles)
    (tmp_path / "kyoto" / "articles.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    livedoor_archive(tmp_path / "livedoor" / "ldcc.tar.gz", {"text/a/a-1.txt": "\n\n本文".encode()})
    assert not in_held_out_split("a-1.txt", 10)

    wanted = [
        "千年の都。",
        "鴨川。",
        "大阪城がある。",
        "何年?",
        "川は?",
        "城は?",
        "寺は古い。山にある。\n歴史",
        "本文",
    ]
    assert list(corpus_texts(tmp_path)) == wanted
    (tmp_path / "more.txt").write_text("甲\n\n乙\n", encoding="utf-8")
    assert list(texts_under([tmp_path / "more.txt", tmp_path])) == ["甲\n", "乙\n", *wanted]


def test_dedupe_keeps_the_order() -> None:
    assert list(dedupe("abacb")) == ["a", "b", "c"]
