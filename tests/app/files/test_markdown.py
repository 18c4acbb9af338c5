"""Markdown's text without its markup: the parts that are kept, and no mark can stand in an answer."""

import pytest

from app.files.document import Document
from app.files.markdown import read_markdown


def _blocks(text: str) -> list[tuple[str, str]]:
    document = read_markdown(text)
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("これは**重要**な*点*です。", "これは重要な点です。"),
        ("これは**「重要」**です。**注意。**次へ。", "これは「重要」です。注意。次へ。"),
        ("[案内](http://example.jp/a_b \"題\")と<http://example.jp>と![図](a.png)。", "案内とhttp://example.jpと。"),
        ("`a * b`と``c ` d``", "a * bとc ` d"),
        ("大人は~~1,980円~~980円", "大人は980円"),
        ("10<sup>6</sup>とCO<sub>2</sub>と<del>旧</del>新", "10⁶とCO₂と新"),
        ("１行目の\n２行目 and\nmore", "１行目の２行目 and more"),
        ("上\\\n下  \n底", "上\n下\n底"),
        ("&amp; &lt; \\* \\# 2 * 3 * 4", "& < * # 2 * 3 * 4"),
        ("<ruby>汐入<rt>しおいり</rt></ruby>川<br>の<b>岸</b>", "汐入川\nの岸"),
        ("snake_case_name と __init__", "snake_case_name と init"),
        ("設定はMY__CONFIG__KEYで、関数__init__を呼ぶ", "設定はMY__CONFIG__KEYで、関数__init__を呼ぶ"),
        (r"\*\*注\*\*と**「A&amp;B」**は", "**注**と「A&B」は"),
        ("葛󠄀城と𠮷野と👨‍👩‍👧とｶﾞ", "葛󠄀城と𠮷野と👨‍👩‍👧とｶﾞ"),
    ],
)  # fmt: skip
def test_markup_inside_a_paragraph_is_no_text(source: str, text: str) -> None:
    assert read_markdown(source).text == text


def test_headings_lists_quotes_tables_and_code_are_known_as_what_they_are() -> None:
    source = """---
title: 手引き
---
# 大見出し #

段落。

中見出し
--------

1. 一つ目
2. 二つ目

   その続き
   - 子

> 引用文。

| 区分 | 料金 |
|:-----|-----:|
| 大人 | **300** |

```python
x = "**y**"
```

<!-- 覚え書き -->
<table><tr><td>甲<td>乙</table>

* * *

本文[^1]。

[^1]: 注釈です。
"""
    assert _blocks(source) == [
        ("furniture", "title: 手引き"), ("heading", "大見出し"), ("paragraph", "段落。"), ("heading", "中見出し"),
        ("list-item", "1. 一つ目"), ("list-item", "2. 二つ目"), ("list-item", "その続き"), ("list-item", "子"),
        ("paragraph", "引用文。"), ("table-head", "区分\t料金"), ("table-row", "大人\t300"),
        ("paragraph", 'x = "**y**"'), ("table-row", "甲\t乙"), ("paragraph", "本文。"), ("note", "注釈です。"),
    ]  # fmt: skip
    document = read_markdown(source)
    assert [block.level for block in document.blocks if block.kind == "heading"] == [1, 2]
    assert document.heading_path(document.text.index("子")) == ("大見出し", "中見出し")


def test_struck_out_text_is_named_in_a_warning() -> None:
    assert read_markdown("~~旧~~新").warnings == ("Text that is struck out was not read.",)


def test_text_that_is_nested_too_deep_is_named_in_a_warning() -> None:
    document = read_markdown(">" * 150 + " 底\n\n上\n")
    assert document.text == "上"
    assert document.warnings == ("Text that is nested more than 100 levels deep was not read.",)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\n\n",
        "#",
        "[" * 5_000,
        "*" * 5_000,
        "`" * 5_000,
        "<" * 5_000,
        "|" * 500 + "\n|-|",
        "- " * 5_000,
        "![" * 2_000,
    ],
    ids=["empty", "lines", "mark", "brackets", "stars", "ticks", "angles", "pipes", "bullets", "pictures"],
)
def test_hostile_markup_gives_a_document(source: str) -> None:
    assert isinstance(read_markdown(source), Document)
