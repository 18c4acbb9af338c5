"""Headings of plain text: by their mark, their shape or their place, and lines that are none."""

import pytest

from app.text.structure import structure_of
from tests.app.text.kinds import kinds, sentences


def test_a_numbered_line_over_prose_is_a_heading() -> None:
    assert kinds("1 適用\n本書は全社に適用する。\n2 用語\n用語は次に定める。\n") == [
        ("heading", "1 適用"),
        ("paragraph", "本書は全社に適用する。"),
        ("heading", "2 用語"),
        ("paragraph", "用語は次に定める。"),
    ]


def test_a_numbered_line_with_a_full_stop_inside_is_no_heading() -> None:
    text = "ア　清掃　火曜から土曜（祝日を除く。翌日は行う）\n　毎朝行う。\n"
    assert kinds(text)[0] == ("clause", "ア　清掃　火曜から土曜（祝日を除く。翌日は行う）")


def test_a_title_with_its_number_at_the_right_edge_is_a_heading() -> None:
    text = "水質検査成績書　　　　　　第 W25-3308 号\n依頼者　　農事組合\n採水　　　十一月四日\n"
    assert kinds(text)[0] == ("heading", "水質検査成績書　　　　　　第 W25-3308 号")


def test_a_word_with_equal_space_between_its_characters_is_a_heading_over_others() -> None:
    assert kinds("判　　決\n\n　　　主　　　文\n１　請求を棄却する。\n原告　　甲　野\n氏　名\n") == [
        ("heading", "判　　決"),
        ("heading", "主　　　文"),
        ("clause", "１　請求を棄却する。"),
        ("paragraph", "原告　　甲　野"),
        ("paragraph", "氏　名"),
    ]


def test_the_parts_of_a_judgment_are_headings_above_its_numbers() -> None:
    text = "第１　請求\n主文と同じである。\n第２　当裁判所の判断\n１　争点について\n証拠がある。\n"
    text += "第３ 回の会議は夏に開く。\n"
    blocks = structure_of(text).blocks

    assert [(block.level, text[block.start : block.end]) for block in blocks if block.kind == "heading"] == [
        (1, "第１　請求"),
        (1, "第２　当裁判所の判断"),
        (2, "１　争点について"),
    ]


def test_an_item_of_an_agenda_is_a_heading_over_its_text_and_no_heading_in_a_list() -> None:
    text = "第１号議案　令和６年度決算の件\n承認された。\n\n議案第５号　規約の変更\n議案第６号　役員の選任\n\n"
    text += "議案第７号　補正額は三億円。町の全域が対象である。\n"

    assert kinds(text) == [
        ("heading", "第１号議案　令和６年度決算の件"),
        ("paragraph", "承認された。"),
        ("clause", "議案第５号　規約の変更"),
        ("clause", "議案第６号　役員の選任"),
        ("clause", "議案第７号　補正額は三億円。町の全域が対象である。"),
    ]


def test_names_below_the_date_of_minutes_are_no_headings() -> None:
    names = "　　　　　　　　みどり管理組合\n　　　　　　　　　議長　　　　山田太郎　㊞\n"
    text = f"　以上を決議した。\n\n　令和７年５月３１日\n{names}"

    assert kinds(text)[1:3] == [("note", "令和７年５月３１日"), ("paragraph", "みどり管理組合")]


def test_a_title_and_a_line_under_it_are_two_headings_over_wrapped_text() -> None:
    text = (
        "温水洗浄便座　ラクシャワ　Ｒ型\n取扱説明書（保証書別添）\n\n　お使いの機種は、便座の右うしろのラベ\n"
        "ルで確かめられます。本書では、脱臭のあ\nる機種の図で説明します。図は実際の物と\n異なることがあります。\n\nつかいかた\n・ふたを開ける\n"
    )
    assert kinds(text)[:2] == [
        ("heading", "温水洗浄便座　ラクシャワ　Ｒ型"),
        ("heading", "取扱説明書（保証書別添）"),
    ]


def test_the_one_line_under_a_marked_heading_is_no_heading() -> None:
    text = "盆踊り\n\n■日時\n8月2日（土）17時\n■場所\n若葉公園の広場\n■参加費\n無料\n■問い合わせ\n自治会の事務局\n"
    assert [line for kind, line in kinds(text) if kind == "heading"] == [
        "盆踊り", "■日時", "■場所", "■参加費", "■問い合わせ"
    ]  # fmt: skip


def test_a_short_line_between_a_sentence_and_a_series_is_its_heading() -> None:
    assert kinds("飲用に適しません。\n助言\n1. 使わないでください。\n2. 再検査をしてください。\n")[1] == (
        "heading",
        "助言",
    )


@pytest.mark.parametrize("line", ["理由は次のとおり", "当社が", "対象は以下"])
def test_what_leads_to_the_next_line_is_no_heading(line: str) -> None:
    assert ("heading", line) not in kinds(f"お知らせ\n\n{line}\n・一つ目を申し込む。\n")


def test_a_numbered_line_over_its_first_section_is_a_heading() -> None:
    text = "1. はじめに\n本機の説明です。\n\n2. お手入れ\n2.1 毎日\n中性洗剤で洗います。\n\n3. 仕様\n電源は100Vです。\n"
    assert [content for kind, content in kinds(text) if kind == "heading"] == [
        "1. はじめに",
        "2. お手入れ",
        "2.1 毎日",
        "3. 仕様",
    ]


def test_a_circle_over_other_lines_is_a_heading_and_before_a_speech_or_in_a_list_none() -> None:
    text = "会議録\n\n○欠席議員（１名）\n７番　木村　昇君\n○議長　開会します。\n○対象　会員\n○会費　無料\n"
    assert kinds(text)[1:] == [
        ("heading", "○欠席議員（１名）"),
        ("paragraph", "７番　木村　昇君"),
        ("paragraph", "○議長　開会します。"),
        ("paragraph", "○対象　会員"),
        ("paragraph", "○会費　無料"),
    ]


def test_a_title_that_begins_with_a_date_is_a_heading() -> None:
    text = "2026年3月期　決算短信\n2025年11月7日\n売上高は次のとおりです。\n百億円となりました。\n"
    assert kinds(text)[0] == ("heading", "2026年3月期　決算短信")


@pytest.mark.parametrize("first", ["監査委員告示第11号", "○山田 一1)、鈴木 二2)", "2024年11月改訂（第3版）"])
def test_a_number_is_a_title_at_the_beginning_and_authors_and_dates_are_none(first: str) -> None:
    kind, _ = kinds(f"{first}\n監査の結果\n次のとおり公表する。\n以下に述べる。\n")[0]

    assert (kind == "heading") is first.endswith("号")


@pytest.mark.parametrize("rule", ["━", "=", "－", "＊"])
def test_a_title_between_rules_is_a_heading_without_them(rule: str) -> None:
    text = f"こんにちは。\n{rule * 3}【１】お知らせ{rule * 12}\n休館します。\n"
    structure = structure_of(text)

    assert [block.kind for block in structure.blocks] == ["paragraph", "heading", "paragraph"]
    assert sentences(text) == ["こんにちは。", "【１】お知らせ", "休館します。"]


def test_a_title_over_the_readers_whom_a_letter_addresses_is_a_heading() -> None:
    text = "運動会のお知らせ\n保護者の皆様\n\n運動会を開きます。\n校庭です。\n弁当をお持ちください。\n"
    assert [kind for kind, _ in kinds(text)][:2] == ["heading", "note"]


def test_different_symbols_are_headings_of_different_levels_and_not_a_list() -> None:
    text = "■ご注意\n\n⚠警告\n●水をかけない\n　火事になります。\n"
    assert [kind for kind, _ in kinds(text)] == ["heading", "heading", "heading", "paragraph"]


def test_the_line_between_two_numbered_headings_is_no_heading() -> None:
    text = "議事録\n\n１．日時\n\n令和７年６月18日から\n\n２．議題\n訓練を行う。\n"
    assert kinds(text)[2] == ("paragraph", "令和７年６月18日から")


def test_wide_angle_brackets_make_a_heading() -> None:
    assert kinds("水を止めます。\n＜お願い＞\n・水をためてください\n")[1] == ("heading", "＜お願い＞")
