"""What says nothing by itself, line by line, with the sentences that readers keep next to it."""

import pytest

from tests.hostile import HOSTILE_TEXTS
from training.evaluation.scraps import is_scrap

CONTRACT = """賃貸借契約書

第１条（目的物）
　賃貸人は、南洲第二ビルのうち、1階A区画を賃貸する。
第２条　用途
　賃借人は、本貸室をベーカリーとして使用する。

令和８年４月１５日
株式会社　南洲ビルディング
代表取締役　鵜飼　様
"""
NOTICE = """To: 大会実行委員各位 <jikko@example.jp>
件名：会場の変更
釧根市立総合体育館　施工計画書　　　　　　　ページ 3／4

１　日時
　５月３日（土）　午前10時から
２　会場
　市民館　大ホール
３　持ち物
①　上履き
②　筆記用具
・駐車場が足りない 96件
ご意見の多い順
釧根市教育部だより 第3号
■ 申し込み
電話でお申し込みください。
釧根市教育部だより 第4号
- 4 -
＊＊＊
以上
"""
TABLE = """品目\t所在\t担当
机\t2階\t3名

| 行き先 | 備考 |
|---|---|
| 九州 | 25日まで |

種類  場所
本  二階
"""


@pytest.mark.parametrize(
    ("text", "scraps"),
    [
        (
            CONTRACT,
            [
                *("賃貸借契約書", "第１条（目的物）", "第２条　用途", "令和８年４月１５日"),
                *("株式会社　南洲ビルディング", "代表取締役　鵜飼　様"),
            ],
        ),
        (
            NOTICE,
            [
                *("To: 大会実行委員各位 <jikko@example.jp>", "件名：会場の変更"),
                "釧根市立総合体育館　施工計画書　　　　　　　ページ 3／4",
                *("１　日時", "２　会場", "３　持ち物", "釧根市教育部だより 第3号", "■ 申し込み"),
                *("釧根市教育部だより 第4号", "- 4 -", "＊＊＊", "以上"),
            ],
        ),
        (TABLE, ["品目\t所在\t担当", "| 行き先 | 備考 |", "|---|---|"]),
    ],
)
def test_the_scraps_of_a_text(text: str, scraps: list[str]) -> None:
    found, place = [], 0
    for line in text.splitlines(keepends=True):
        sentence = line.strip()
        start = text.index(sentence, place)
        if sentence and is_scrap(text, start, start + len(sentence)):
            found.append(sentence)
        place += len(line)
    assert found == scraps


@pytest.mark.parametrize(
    "sentence",
    [
        "第１条の規定により、賃借人は修繕する。",  # ends like a sentence
        "賃貸人は",  # a part of a line
        "駐車場が足りない 96件",
        "市民館　大ホール",
    ],
)
def test_what_a_summary_may_keep(sentence: str) -> None:
    text = f"お知らせ\n\n{sentence}\n次の行です。\n" if sentence != "賃貸人は" else "お知らせ\n\n賃貸人は貸す\n"
    start = text.index(sentence)
    if sentence == "市民館　大ホール":
        text = "会場は\n市民館　大ホール\nです。"
        start = text.index(sentence)
    assert not is_scrap(text, start, start + len(sentence))


def test_a_passage_over_several_lines_is_no_heading() -> None:
    text = "第１条\n賃貸人は\n貸す"
    assert not is_scrap(text, 0, len(text))


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_any_text_is_looked_at(text: str) -> None:
    assert is_scrap(text, 0, len(text)) in (True, False)
    assert is_scrap("。\n" + text + "\n。", 2, 2 + len(text)) in (True, False)
