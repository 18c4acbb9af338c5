"""Inputs of a batch in the encodings of real files, and files that do not consist of lines."""

import codecs
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from app.bulk.lines import Place, read_lines
from app.bulk.output import Paths
from app.bulk.source import Source
from app.errors import InvalidInput

BODIES: list[dict[str, Any]] = [
    {"id": number, "text": f"第{number}の文書です。吾輩は猫である。名前はまだ無い。①㈱髙"} for number in range(1, 6)
]
LINES = "".join(json.dumps(body, ensure_ascii=False) + "\n" for body in BODIES)


def _written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_bytes(data)
    return path


def _read(path: Path, max_bytes: int = 10_000) -> list[tuple[int, bytes | None]]:
    with Source.open(path) as source:
        return [(line.number, line.body) for line in read_lines(source.pieces(max_bytes + 2), Place(), max_bytes)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("cp932", b""),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
    ],
)
def test_lines_are_the_same_in_every_encoding(encoding: str, mark: bytes, line_end: str, tmp_path: Path) -> None:
    path = _written(tmp_path, mark + LINES.replace("\n", line_end).encode(encoding))
    assert [(number, json.loads(body or b"")) for number, body in _read(path)] == list(enumerate(BODIES, 1))


@pytest.mark.parametrize("encoding", ["euc_jp", "iso2022_jp"])
def test_lines_of_older_systems(encoding: str, tmp_path: Path) -> None:
    lines = LINES.replace("①㈱髙", "")
    path = _written(tmp_path, lines.encode(encoding))
    assert [body.decode() for _, body in _read(path) if body] == lines.splitlines()


def test_characters_with_the_byte_of_a_line_end_end_no_line(tmp_path: Path) -> None:
    body = json.dumps({"text": "\u0a0a\u0a00\u010a\u000d"}, ensure_ascii=False)
    for encoding, mark in (("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE)):
        path = _written(tmp_path, mark + f"{body}\n{body}".encode(encoding))
        assert _read(path) == [(1, body.encode()), (2, body.encode())]


def test_blank_lines_and_marks_between_lines_mean_nothing(tmp_path: Path) -> None:
    path = _written(
        tmp_path, b'\n \xef\xbb\xbf{"a": 1}\n\r\n\t \n\xef\xbb\xbf{"b": 2}\r\n\n\n'.replace(b" \xef", b"\xef")
    )
    assert _read(path) == [(2, b'{"a": 1}'), (5, b'{"b": 2}')]


def test_a_line_that_is_not_of_the_encoding_fails_alone(tmp_path: Path) -> None:
    good = LINES.splitlines()[0]
    path = _written(tmp_path, b"\n".join([good.encode("cp932")] * 3 + [b'{"text": "\x81 "}'] + [good.encode("cp932")]))
    assert _read(path) == [(1, good.encode()), (2, good.encode()), (3, good.encode()), (4, b'{"text": "\x81 "}'),
                           (5, good.encode())]  # fmt: skip
    wide = codecs.BOM_UTF16_LE + f"{good}\n".encode("utf-16-le")
    assert _read(_written(tmp_path, wide + b"\x00\xd8\n\x00a\x00")) == [
        (1, good.encode()),
        (2, b"\xed\xa0\x80"),
        (3, b"a"),
    ]
    assert _read(_written(tmp_path, wide + b"a\x00\n\x00b")) == [(1, good.encode()), (2, b"a"), (3, b"\xed\xbf\xbf")]


def test_a_long_line_is_never_held_whole(tmp_path: Path) -> None:
    for encoding, mark in (("utf-16-le", codecs.BOM_UTF16_LE), ("cp932", b"")):
        text = '{"text": "' + "長い行。" * 100_000 + '"}\n{"text": "短"}\n'
        with Source.open(_written(tmp_path, mark + text.encode(encoding))) as source:
            assert max(map(len, source.pieces(1000))) <= 2 << 20
            lines = list(read_lines(source.pieces(1002), Place(), 1000))
        assert [line.body for line in lines] == [None, '{"text": "短"}'.encode()]


def test_a_run_goes_on_at_the_same_place_in_every_encoding(tmp_path: Path) -> None:
    with Source.open(_written(tmp_path, codecs.BOM_UTF16_LE + f"\n{LINES}".encode("utf-16-le"))) as source:
        lines = list(read_lines(source.pieces(1000), Place(), 1000))
        for number, line in enumerate(lines, 1):
            assert list(read_lines(source.pieces(1000), line.end, 1000)) == lines[number:]
        assert [line.end.requests for line in lines] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (json.dumps(BODIES, ensure_ascii=False).encode(), "holds one JSON array; IN is JSONL: one JSON object on each"),
        (json.dumps(BODIES, indent=2).encode(), "holds one JSON array"),
        (b"\xef\xbb\xbf\n[\n" + LINES.encode(), "holds one JSON array"),
        (json.dumps(BODIES * 20_000).encode(), "holds one JSON array"),
        (json.dumps(BODIES, indent=2).encode("utf-16"), "holds one JSON array"),
        (json.dumps(BODIES[0], indent=2).encode(), "holds a JSON object over several lines"),
        (gzip.compress(LINES.encode(), mtime=0), "is a file packed with gzip; IN is JSONL"),
        (b"PK\x03\x04" + bytes(100), "is an office file or another zip archive; IN is JSONL"),
        (b"%PDF-1.7\n1 0 obj\n", "is a PDF; IN is JSONL"),
        (b"{\\rtf1\\ansi a\n}", "is an RTF document; IN is JSONL"),
        (bytes(range(256)) * 10, "holds binary data; IN is JSONL"),
    ],
)  # fmt: skip
def test_a_file_without_lines_is_refused_before_any_line_is_read(data: bytes, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        _read(_written(tmp_path, data))


def test_a_line_with_an_array_fails_alone(tmp_path: Path) -> None:
    assert _read(_written(tmp_path, b'[1]\n{"a": 1}\n' + b"[" * 9000)) == [
        (1, b"[1]"), (2, b'{"a": 1}'), (3, b"[" * 9000),
    ]  # fmt: skip


def test_streams_are_no_inputs_and_no_outputs(tmp_path: Path) -> None:
    for name in ("-", "/dev/null"):
        with pytest.raises(InvalidInput, match="file"), Source.open(Path(name)):
            pass
        with pytest.raises(InvalidInput, match="OUT must be"):
            Paths.next_to(Path(name))


def test_no_two_outputs_share_a_file() -> None:
    names = ["run_v1.0", "run_v1.1", "run", "run.jsonl", "run.tar.gz", ".run", "第一.回"]
    of_each = [Paths.next_to(Path(name)) for name in names]
    files = [file for paths in of_each for file in (paths.answers, paths.errors, paths.progress)]
    assert len(set(files)) == 3 * len(names)
    assert of_each[0] == Paths(
        Path("run_v1.0"), Path("run_v1.0.errors.jsonl"), Path("run_v1.0.progress.json")
    )  # fmt: skip
    for file in files:
        if file.name not in names:
            with pytest.raises(InvalidInput, match="another run's side file"):
                Paths.next_to(file)
