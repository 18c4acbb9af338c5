import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.characters import BLANKS
from app.text.structure import structure_of
from tests.hostile import CHARACTERS, HOSTILE_TEXTS, LONE_SURROGATES, boundaries

# Pieces that structure is made of, in any order.
PIECES = st.sampled_from(
    [
        *"あ漢アaA1１。、．.！？「」（）(『』《》｜|│├＞> 　\t\n\r・※○■#-―─=,:：",
        "\r\n",
        "\n\n",
        "［＃改ページ］",
        "第３条　",
        "（１）",
        "１　",
        "- 1 -",
        "- 2 -",
        "走れ《はし》",
        "｜本気《マジ》",
        "\n> ",
        "三十六字ほどの長さで折り返した行がここにあり、",
        "| a | b |",
        "From: ",
    ]
)


def check_blocks(text: str) -> None:
    """Every visible character is in exactly one block, and reading loses only the omitted spans."""
    structure = structure_of(text)
    whole = set(boundaries(text))
    position = 0
    for block in structure.blocks:
        assert position <= block.start < block.end <= len(text)
        assert not set(text[position : block.start]) - set(BLANKS)
        # A space with a mark on it is seen.
        assert text[block.start] not in BLANKS or block.start + 1 not in whole
        assert text[block.end - 1] not in BLANKS or block.end - 1 not in whole
        assert {block.start, block.end, *(place for cell in block.cells for place in cell)} <= whole
        assert (block.level > 0) == (block.kind == "heading")
        inside = [block.start, *(place for span in block.omitted for place in span), block.end]
        assert inside == sorted(inside)
        assert all(start < end for start, end in block.omitted)
        bounds = [block.start, *(place for cell in block.cells for place in cell), block.end]
        assert bounds == sorted(bounds)
        position = block.end
    assert not set(text[position:]) - set(BLANKS)

    reading = structure.reading
    omitted = {place for block in structure.blocks for span in block.omitted for place in range(*span)}
    kept = [place for place in range(len(text)) if place not in omitted]
    offsets = kept if reading.offsets is None else reading.offsets.tolist()
    assert offsets == kept
    assert len(reading.text) == len(kept)
    assert all(reading.text[i] in (text[place], " ") for i, place in enumerate(kept))
    for (start, end), block in zip(structure.spans_in_reading(structure.blocks), structure.blocks, strict=True):
        assert reading.text[start:end].splitlines() in ([], [reading.text[start:end]])
        assert all(block.start <= place < block.end for place in offsets[start:end])
    assert structure_of(text) == structure


@pytest.mark.parametrize(
    "text", [*HOSTILE_TEXTS.values(), *LONE_SURROGATES], ids=[*HOSTILE_TEXTS.keys(), "high", "low", "both"]
)
def test_hostile_texts_lose_nothing(text: str) -> None:
    check_blocks(text)


@given(st.text())
def test_any_text_loses_nothing(text: str) -> None:
    check_blocks(text)


@given(st.lists(PIECES | st.sampled_from([*CHARACTERS, *"".join(CHARACTERS), "|", "\t"]), max_size=40).map("".join))
def test_no_block_and_no_cell_begins_or_ends_inside_a_character(text: str) -> None:
    check_blocks(text)


@given(st.lists(PIECES, max_size=60).map("".join))
def test_marks_of_structure_in_any_order_lose_nothing(text: str) -> None:
    check_blocks(text)
