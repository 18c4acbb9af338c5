"""The parts of a page that are read, their kinds, and the cost of hostile pages.

The fixture of LibreOffice is made, in its folder, by `soffice --headless --convert-to "html:HTML (StarWriter)"
minutes.fodt`.
"""

from pathlib import Path

import pytest

from app.errors import UnsafeFile
from app.files.document import Document
from app.files.html import read_html

DATA = Path(__file__).parent / "data"


def _read(html: str | bytes, stated: str | None = None) -> Document:
    return read_html(html.encode() if isinstance(html, str) else html, stated)


def _blocks(html: str | bytes) -> list[tuple[str, str]]:
    document = _read(html)
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def test_a_page_written_by_libreoffice_comes_back_whole() -> None:
    document = _read((DATA / "minutes.html").read_bytes())
    blocks = [(block.kind, document.text[block.start : block.end]) for block in document.blocks]
    assert blocks[1:4] == [
        ("paragraph", "図書館協議会議事録"),
        ("heading", "開会"),
        ("paragraph", "委員長の葛󠄀西𠮷江が開会を告げ、欠席の届けが二件あったと報告した。傍聴は七人である。"),
    ]
    assert ("table-row", "費目\t金額\t") in blocks
    assert ("table-row", "\t今年度\t来年度") in blocks
    assert ("list-item", "夏の間は午前九時とする。") in blocks
    assert document.heading_path(document.text.index("夏の間")) == ("議題", "開館時間の見直し")


def test_scripts_styles_templates_controls_and_hidden_elements_are_no_text() -> None:
    html = (
        "<title>題</title><body><script>if (a<b) x()</script><style>p{}</style><template><p>型</p></template>"
        "<noscript>JavaScript</noscript><select><option>選ぶ</select><textarea>書く</textarea><button>押す</button>"
        "<p hidden>隠す</p><div style='color:red; display : NONE'>隠す</div><svg><text>図</text></svg><!-- 覚え -->"
        "<p>本文</p>"
    )
    assert _blocks(html) == [("paragraph", "本文")]


def test_the_base_text_of_ruby_is_kept_without_a_gap() -> None:
    assert (
        _read("<p><ruby>汐入<rp>（</rp><rt>しおいり</rt><rp>）</rp></ruby>川の<ruby>葦<rt>あし</ruby>。").text
        == "汐入川の葦。"
    )


def test_line_ends_in_the_source_are_spaces_between_latin_words_only() -> None:
    assert (
        _read("<p>日本\n  語の<b>文</b>\r\nと\n<i>斜体</i>と some\n text、\n\tmore").text
        == "日本語の文と斜体と some text、 more"
    )


def test_spaces_of_japanese_and_unbroken_ones_are_kept() -> None:
    assert (
        _read("<p>氏名　　葛󠄀西&nbsp;𠮷江&emsp;様&amp;&#x1f466;&#xD800;").text == "氏名　　葛󠄀西\xa0𠮷江\u2003様&👦\ufffd"
    )


def test_preformatted_text_keeps_its_white_space() -> None:
    assert _read("<pre>\n  一\n    二  三\n</pre><p>後").text == "一\n    二  三\n\n後"


def test_a_break_is_a_line_end() -> None:
    assert _read("<p>一行目 <br>\n 二行目<br/>三行目").text == "一行目\n二行目\n三行目"


def test_blocks_end_where_elements_do_also_without_end_tags() -> None:
    html = "前<h1>題<small>副</small></h1>中<p>段一<p>段二<div>箱<div>内</div>後</div>"
    html += "<ul><li>甲<ul><li>子</ul><li>乙</ul><dl><dt>語<dd>意味</dl>"
    assert _blocks(html) == [
        ("paragraph", "前"), ("heading", "題副"), ("paragraph", "中"), ("paragraph", "段一"), ("paragraph", "段二"),
        ("paragraph", "箱"), ("paragraph", "内"), ("paragraph", "後"), ("list-item", "甲"), ("list-item", "子"),
        ("list-item", "乙"), ("list-item", "語"), ("list-item", "意味"),
    ]  # fmt: skip


def test_headings_have_levels() -> None:
    assert [block.level for block in _read("<h1>一</h1><h3>三</h3><h6>六</h6>").blocks] == [1, 3, 6]


@pytest.mark.parametrize("named", ['id="gnav"', 'class="wide breadcrumb"', 'id="global-navi"', 'class="page_top"'])
def test_parts_that_an_id_or_a_class_calls_navigation_or_foot_are_furniture(named: str) -> None:
    html = f"<div {named}><ul><li>トップ</li></ul></div><p>九時に開く。</p><div class=footers><p>問合せ先</p></div>"

    assert _blocks(html) == [("furniture", "トップ"), ("paragraph", "九時に開く。"), ("paragraph", "問合せ先")]


def test_navigation_headers_and_footers_of_the_page_are_furniture_and_asides_notes() -> None:
    html = (
        "<header><h1>市の広報</h1><p>毎月一日</p></header><nav><h2>目次</h2><a>一</a></nav>"
        "<div role='search'>探す</div>"
        "<main><article><header><h2>記事</h2><p>記者</p></header><p>本文</p><footer>出典</footer></article>"
        "<aside><p>余談</p></aside></main><footer><p>© 市</p><table><tr><td>電話<td>１</table></footer>"
    )
    assert _blocks(html) == [
        ("heading", "市の広報"), ("furniture", "毎月一日"), ("furniture", "目次"), ("furniture", "一"),
        ("furniture", "探す"), ("heading", "記事"), ("paragraph", "記者"), ("paragraph", "本文"), ("paragraph", "出典"),
        ("note", "余談"), ("furniture", "© 市"), ("furniture", "電話 １"),
    ]  # fmt: skip


def test_merged_cells_stand_once_and_columns_stay_below_each_other() -> None:
    html = (
        "<table><caption>料金</caption><thead><tr><th rowspan=2>区分<th colspan=2>円</thead>"
        "<tr><td>平日<td>休日<tr><td>大人<td>300<td><p>400</p><p>（税込）</p></table>"
    )
    document = _read(html)
    assert [document.text[block.start : block.end] for block in document.blocks] == [
        "料金", "区分\t円\t", "\t平日\t休日", "大人\t300\t400 （税込）"
    ]  # fmt: skip
    cells = document.blocks[2].cells
    assert [document.text[start:end] for start, end in cells] == ["", "平日", "休日"]


def test_struck_out_text_is_left_out_with_a_warning() -> None:
    document = _read("<p>大人<del>1,980円</del><ins>980円</ins>、締切は<s>9月30日</s>10月15日。<strike> </strike></p>")
    assert document.text == "大人980円、締切は10月15日。"
    assert document.warnings == ("Text that is struck out was not read.",)
    assert _read("<p>大人<s> </s>980円</p>").warnings == ()


def test_raised_and_lowered_digits_stay_so_and_marks_of_notes_are_no_text() -> None:
    html = (
        "<p>2.8×10<sup>10</sup>立方メートル、H<sub>2</sub>O、1<sup>st</sup>、30名<sup>2</sup>、"
        '城<sup class="reference"><a href="#cite-1">[1]</a></sup>。<a href="#n"><sup>2</sup></a></p>'
    )
    assert _read(html).text == "2.8×10¹⁰立方メートル、H₂O、1st、30名²、城。"


@pytest.mark.parametrize(
    ("mark", "back"),
    [
        ('<a href="#f" epub:type="noteref">1</a>', '<a href="#r" role="doc-backlink">↩</a>'),
        ('<a href="notes.xhtml#f" role="doc-noteref" class="ref">*1</a>', '<a epub:type="backlink" href="#r">戻る</a>'),
    ],
)
def test_links_to_notes_and_back_are_no_text(mark: str, back: str) -> None:
    html = f"<p>田辺朔郎{mark}である。</p><aside>二十一歳。{back}</aside>"
    assert _blocks(html) == [("paragraph", "田辺朔郎である。"), ("note", "二十一歳。")]


@pytest.mark.parametrize(
    "rows",
    [
        "<thead><tr><td>品名<td>色</thead>",
        "<tr><th>品名<th>色",
    ],
    ids=["thead", "th"],
)
def test_the_head_of_a_table_is_marked_by_its_element(rows: str) -> None:
    html = f"<table>{rows}<tr><th>皿<td>白<tr><td>碗<td>黒</table>"
    assert _blocks(html) == [("table-head", "品名\t色"), ("table-row", "皿\t白"), ("table-row", "碗\t黒")]


@pytest.mark.parametrize(
    "html",
    [
        "<table><tr><td>一<tr><td>二</table>",
        "<table role=presentation><tr><td>一<td>二</table>",
        "<table><tr><td><table><tr><td>一</table><td>二</table>",
    ],
    ids=["one column", "said to be none", "tables inside"],
)
def test_a_table_that_lays_out_a_page_is_no_table(html: str) -> None:
    assert _blocks(html) == [("paragraph", "一"), ("paragraph", "二")]


@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [
        ('<meta charset="Shift_JIS">', "cp932"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=EUC-JP">', "euc_jp"),
        ('<?xml version="1.0" encoding="EUC-JP"?><html>', "euc_jp"),
        ("<meta charset=iso-2022-jp>", "iso2022_jp"),
        ("", "cp932"),
        ("<meta charset=utf-16>", "utf-8"),
    ],
)
def test_the_charset_is_the_declared_one_or_what_the_bytes_are(declaration: str, encoding: str) -> None:
    document = _read(f"{declaration}<p>日本語の文章です。</p>".encode(encoding))
    assert (document.text, document.warnings) == ("日本語の文章です。", ())


def test_a_wrong_declaration_is_said() -> None:
    document = _read("<meta charset=euc-jp><p>これは日本語の文章です。</p>".encode())
    assert document.text == "これは日本語の文章です。"
    assert document.warnings == ("The stated charset 'euc-jp' is wrong: the bytes are utf-8 and were read as such.",)


def test_the_charset_of_the_content_type_counts_before_the_declaration() -> None:
    assert _read("<meta charset=utf-8><p>日本語の文章です。</p>".encode("cp932"), "shift_jis").warnings == ()


def test_a_million_nested_elements_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(UnsafeFile, match="more than 10,000 elements open inside each other"):
        _read("<div>" * 1_000_000)


def test_nine_thousand_nested_elements_are_read() -> None:
    assert _read("<div>" * 9_000 + "底").text == "底"


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<",
        "<!--",
        "<script>",
        "<table>" * 2_000,
        "</p>" * 50_000,
        "<p " + "a=1 " * 50_000 + ">",
        "&" * 50_000,
    ],
    ids=["empty", "open tag", "open comment", "open script", "tables", "end tags", "attributes", "entities"],
)
def test_bytes_that_are_hardly_html_have_hardly_any_text(html: str) -> None:
    assert _read(html).text in ("", "<", html)


def test_a_span_of_a_billion_columns_is_cut() -> None:
    assert len(_read("<table><tr><td colspan=99999999>広い<td>隣</table>").blocks[0].cells) == 101


@pytest.mark.parametrize(
    "heading",
    [
        '<h2><button class="accordion-button" aria-expanded="false">休館日はいつですか。</button></h2>',
        "<dt><span><button>休館日はいつですか。</button></span></dt>",
    ],
)
def test_the_headings_of_an_accordion_are_read_though_they_are_buttons(heading: str) -> None:
    assert "休館日はいつですか。" in _read(f"{heading}<p>月曜日です。</p>").text


def test_a_drawing_of_many_elements_is_not_deep() -> None:
    assert _read("<svg>" + '<path d="M0 0"/>' * 20_000 + "</svg><p>本文").text == "本文"
    with pytest.raises(UnsafeFile, match="more than 10,000 elements"):
        _read("<svg>" + "<g>" * 20_000 + "</svg><p>本文")


def test_a_page_without_headings_has_those_that_numbers_show_and_clauses_and_notes() -> None:
    html = "<p><b>１．申込方法</b><p>窓口で申し込む。<p>第２条　手数料は無料とする。<p>※郵送はできない。"
    html += "<p>・印鑑<p>&copy; 2020 町"

    assert _blocks(html) == [
        ("heading", "１．申込方法"),
        ("paragraph", "窓口で申し込む。"),
        ("clause", "第２条　手数料は無料とする。"),
        ("note", "※郵送はできない。"),
        ("list-item", "・印鑑"),
        ("furniture", "© 2020 町"),
    ]


def test_a_page_with_headings_has_no_others() -> None:
    html = "<h1>手続き</h1><h2>申込</h2><p>１．方法<p>窓口で申し込む。"

    assert [block.kind for block in _read(html).blocks] == ["heading", "heading", "paragraph", "paragraph"]


def test_typed_text_is_read_as_plain_text_and_code_as_it_is() -> None:
    typed = "<pre>\n件名：日程\n差出人：山田\n\n・弁当\n１　鍵を返す。\n</pre><pre><code># a\nb = 1</code></pre>"

    assert _blocks(typed) == [
        ("furniture", "件名：日程"),
        ("furniture", "差出人：山田"),
        ("list-item", "・弁当"),
        ("clause", "１　鍵を返す。"),
        ("paragraph", "# a\nb = 1"),
    ]


def test_the_quoted_mail_in_an_answer_is_a_note() -> None:
    html = (
        '<p>承知。<blockquote type="cite">明日は？</blockquote><blockquote class="a gmail_quote">今日は？</blockquote>'
    )
    html += "<blockquote>引用です。</blockquote>"

    assert _blocks(html)[1:] == [("note", "明日は？"), ("note", "今日は？"), ("paragraph", "引用です。")]


def test_lines_of_several_kinds_in_one_paragraph_are_a_paragraph() -> None:
    html = "<p>From: 佐藤<br>Subject: 見積</p><p>件名：見積の件<br>納期は六月末です。</p><p>１．概要<br>※次の項</p>"

    assert [kind for kind, _ in _blocks(html)] == ["furniture", "paragraph", "paragraph"]
