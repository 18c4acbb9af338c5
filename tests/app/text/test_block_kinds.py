"""What each line of a plain text is: by rule, with the neighbours that decide it."""

import pytest

from app.text.sentences import MAX_SENTENCE_CHARACTERS, split_sentences
from app.text.structure import structure_of
from tests.app.text.kinds import kinds


def sentences(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]


def prose(text: str) -> list[str]:
    """The sentences that a summary may hold."""
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text) if sentence.is_prose]


def test_articles_paragraphs_and_items_of_a_contract_are_clauses() -> None:
    text = (
        "（目的）\n第３条　時間を定める。\n２　次のとおりとする。\n（１）平日\n（２）休日\n　ア　日曜日\n　イ　祝日\n"
    )
    assert kinds(text) == [
        ("heading", "（目的）"),
        ("clause", "第３条　時間を定める。"),
        ("clause", "２　次のとおりとする。"),
        ("clause", "（１）平日"),
        ("clause", "（２）休日"),
        ("clause", "ア　日曜日"),
        ("clause", "イ　祝日"),
    ]


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


def test_a_number_past_lines_that_belong_to_the_one_before_is_one_of_its_series() -> None:
    text = "４　金額　金２千円\n　　　　内訳　材料\n５　保証金　免除\n\n両者は次のとおり契約する。\n"
    assert kinds(text)[2] == ("clause", "５　保証金　免除")


@pytest.mark.parametrize(
    "line", ["(1)は別に定める。", "（ア）から（ウ）までを除く。", "①及び②を除く。", "(1)、(2)を除く。"]
)
def test_a_number_that_is_spoken_of_is_no_mark(line: str) -> None:
    assert kinds(f"次のとおりである。\n{line}\n") == [("paragraph", "次のとおりである。"), ("paragraph", line)]


@pytest.mark.parametrize("line", ["(1)はじめに", "（ア）のどの痛み", "①もちもの"])
def test_a_mark_before_a_word_that_begins_like_a_particle_is_one(line: str) -> None:
    assert kinds(f"次のとおりである。\n{line}\n")[1] == ("clause", line)


@pytest.mark.parametrize("mark", ["・", "- ", "* ", "• ", "✓"])
def test_bullets_are_items(mark: str) -> None:
    assert kinds(f"買うもの\n{mark}卵\n{mark}牛乳。二本。\n") == [
        ("heading", "買うもの"),
        ("list-item", f"{mark}卵"),
        ("list-item", f"{mark}牛乳。二本。"),
    ]


def test_tabs_part_the_cells_of_rows() -> None:
    text = "品名\t数量\t単価\n机\t2\t100\n椅子\t4\t50\n"
    assert kinds(text) == [
        ("table-head", "品名\t数量\t単価"),
        ("table-row", "机\t2\t100"),
        ("table-row", "椅子\t4\t50"),
    ]


def test_messages_of_a_chat_are_prose_and_rows_of_a_timetable_are_not() -> None:
    chat = "20:09\tおさだ\t銃なら4丁持ってます。玉は買わないと\n20:15\tさとう\t集合は9時でしたっけ\n"
    timetable = "9:00\t開会\t大ホール\n9:30\t講演\t2.5 号室\n"
    assert [kind for kind, _ in kinds(chat)] == ["paragraph", "paragraph"]
    assert [kind for kind, _ in kinds(timetable)] == ["table-row", "table-row"]
    assert sentences(chat) == [
        "20:09\tおさだ\t銃なら4丁持ってます。",
        "玉は買わないと",
        "20:15\tさとう\t集合は9時でしたっけ",
    ]


def test_commas_part_the_cells_of_rows_outside_quotation_marks() -> None:
    text = '日付,品名,金額\n2026/4/1,"紙, A4",1200\n2026/4/2,封筒,300\n'
    assert kinds(text) == [
        ("table-head", "日付,品名,金額"),
        ("table-row", '2026/4/1,"紙, A4",1200'),
        ("table-row", "2026/4/2,封筒,300"),
    ]
    row = structure_of(text).blocks[1]
    assert [text[start:end] for start, end in row.cells] == ["2026/4/1", '"紙, A4"', "1200"]


@pytest.mark.parametrize(
    "text",
    [
        "人件費は1,200,000円\n物件費は2,300,000円\n旅費は1,100,000円\n",  # commas inside numbers
        "赤,青,黄がある。\n白,黒,灰がある。\n金,銀,銅がある。\n",  # sentences
        "赤,青,黄\n白,黒,灰\n",  # two lines only
    ],
)
def test_commas_of_numbers_and_of_sentences_part_no_cells(text: str) -> None:
    assert "table-row" not in [kind for kind, _ in kinds(text)]


def test_a_second_table_after_a_blank_line_has_a_head_of_its_own() -> None:
    text = "依頼者    山田    佐藤\n採水    九時    十時\n\n項目    結果    単位\n鉄    0.1    mg\n銅    0.2    mg\n"
    assert kinds(text)[2] == ("table-head", "項目    結果    単位")


def test_a_cell_that_goes_on_below_itself_is_read_in_one_piece() -> None:
    text = (
        "　点検について、毎月の初めに担当者が行う作業を次\nに示す。異常があれば、すぐに係の者へ連絡し、その指\n"
        "を受けること。\n"
        "点滅　　　使い始めて十年の印である。有料の点検を\n　　　　　申し込むこと。\n"
    )
    assert sentences(text)[-2:] == ["点滅　　　使い始めて十年の印である。", "有料の点検を\n　　　　　申し込むこと。"]


def test_values_under_each_other_are_no_cell_that_goes_on() -> None:
    text = "金額　　総額三百円\n　　　　令和七年度　百円\n　　　　令和八年度　二百円\n"
    assert [part for _, part in kinds(text)] == ["金額　　総額三百円", "令和七年度　百円", "令和八年度　二百円"]


def test_what_stands_below_the_text_of_a_numbered_item_belongs_to_it() -> None:
    text = "１．栓を閉める。\n　　回した数を覚えておく。\n２．管を抜く。\n"
    assert kinds(text) == [("clause", "１．栓を閉める。\n　　回した数を覚えておく。"), ("clause", "２．管を抜く。")]
    assert sentences(text) == ["１．栓を閉める。", "回した数を覚えておく。", "２．管を抜く。"]


def test_a_paragraph_that_begins_one_character_in_is_no_part_of_the_item_above() -> None:
    text = "１．栓を閉める。\n　次に管を抜く。\n"
    assert kinds(text) == [("clause", "１．栓を閉める。"), ("paragraph", "次に管を抜く。")]


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


def test_a_sentence_that_begins_in_a_cell_goes_on_below_it() -> None:
    first, rest = "用法　　朝に飲みます。牛乳やジュース", "　　　　と一緒に飲まないでください。"

    assert kinds(f"{first}\n{rest}\n")[0] == ("paragraph", f"{first}\n{rest}")


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


def test_a_first_row_of_a_key_and_its_value_is_no_head() -> None:
    assert [kind for kind, _ in kinds("対象\t全社員\n場所\t会議室\n日時\t4月1日\n")] == ["table-row"] * 3
    assert next(kind for kind, _ in kinds("氏名\t金額\n山田\t1,000円\n佐藤\t900円\n")) == "table-head"


def test_a_short_line_between_a_sentence_and_a_series_is_its_heading() -> None:
    assert kinds("飲用に適しません。\n助言\n1. 使わないでください。\n2. 再検査をしてください。\n")[1] == (
        "heading",
        "助言",
    )


@pytest.mark.parametrize("line", ["理由は次のとおり", "当社が", "対象は以下"])
def test_what_leads_to_the_next_line_is_no_heading(line: str) -> None:
    assert ("heading", line) not in kinds(f"お知らせ\n\n{line}\n・一つ目を申し込む。\n")


def test_a_wrapped_line_that_ends_with_a_particle_goes_on() -> None:
    text = (
        "3-1 自立運転への切り替わり\n停電すると、約10秒以内に自立運転へ切り替わり、表示が青から橙に変\n"
        "わります。この間、パソコンなどは電源が落ちますので、別途ご用意くだ\nさい。医療機器をつながないでください。\n"
        "3-2 使える電力\n同時に使える電力は、EP-98Hが4.0kVA、EP-65Hが\n2.5kVAまでです。\n"
    )
    assert sentences(text)[-1] == "同時に使える電力は、EP-98Hが4.0kVA、EP-65Hが\n2.5kVAまでです。"


@pytest.mark.parametrize("key", ["日付", "日時", "返信先"])
def test_a_date_next_to_the_head_of_a_mail_is_one_of_its_lines(key: str) -> None:
    text = f"差出人: 田中\n{key}: 2024年9月27日\n宛先: 鈴木\n\n承知しました。\n"
    assert kinds(text)[1] == ("furniture", f"{key}: 2024年9月27日")
    assert kinds("日時: 9月27日\n場所: 会議室\n\n集まってください。\n")[0] == ("paragraph", "日時: 9月27日")


def test_lines_of_a_table_of_contents_are_furniture() -> None:
    text = (
        "目次\n1 はじめに ........................ 3\n２．点検の方法　・・・・・・　10\n第３章　故障のとき……１２\n"
        "\n1 はじめに\n本書の目的を述べる。\n"
    )
    assert kinds(text) == [
        ("heading", "目次"),
        ("furniture", "1 はじめに ........................ 3"),
        ("furniture", "２．点検の方法　・・・・・・　10"),
        ("furniture", "第３章　故障のとき……１２"),
        ("heading", "1 はじめに"),
        ("paragraph", "本書の目的を述べる。"),
    ]


def test_a_numbered_line_over_its_first_section_is_a_heading() -> None:
    text = "1. はじめに\n本機の説明です。\n\n2. お手入れ\n2.1 毎日\n中性洗剤で洗います。\n\n3. 仕様\n電源は100Vです。\n"
    assert [content for kind, content in kinds(text) if kind == "heading"] == [
        "1. はじめに",
        "2. お手入れ",
        "2.1 毎日",
        "3. 仕様",
    ]


def test_date_address_and_sender_of_a_letter_are_notes() -> None:
    right = "\u3000" * 20
    text = (
        f"{right}令和７年９月２２日\n保護者の皆様\n{right}北原小学校\n　　　延期のお知らせ\n\n　運動会を延期します。\n"
    )
    assert kinds(text) == [
        ("note", "令和７年９月２２日"),
        ("note", "保護者の皆様"),
        ("note", "北原小学校"),
        ("heading", "延期のお知らせ"),
        ("paragraph", "運動会を延期します。"),
    ]


@pytest.mark.parametrize(
    "remark",
    [
        "〔市長　鈴木一郎君登壇〕",
        "〔「異議なし」と呼ぶ者あり〕",
        "（「議事進行」と呼ぶ者あり）",
        "（拍手）",
        "（起立多数）",
        "午前十時三分開議",
        "午前１１時２３分休憩　　　　　午前１１時３５分再開",
    ],
)
def test_remarks_in_minutes_are_notes(remark: str) -> None:
    text = f"○議長　答弁を求めます。\n　　　{remark}\n○市長　お答えします。\n"
    assert kinds(text)[1] == ("note", remark)


def test_ruby_in_decomposed_kana_is_not_read() -> None:
    assert structure_of("漢字《かんし\u3099》を読む。").reading.text == "漢字を読む。"


def test_ruby_and_notes_of_aozora_are_not_read() -> None:
    text = (
        "［＃７字下げ］一［＃「一」は中見出し］\n　メロスは激怒《げきど》した。｜邪智《じゃち》の王だ。\n"
        "［＃改ページ］\n"
        "［＃ここから２字下げ］メロスには政治がわからぬ。\n底本：「全集3」文庫\n入力：金川\n"
    )
    assert kinds(text) == [
        ("heading", "［＃７字下げ］一［＃「一」は中見出し］"),
        ("paragraph", "メロスは激怒《げきど》した。｜邪智《じゃち》の王だ。"),
        ("note", "［＃改ページ］"),
        ("paragraph", "［＃ここから２字下げ］メロスには政治がわからぬ。"),
        ("note", "底本：「全集3」文庫"),
        ("note", "入力：金川"),
    ]
    reading = structure_of(text).reading.text
    assert reading.split() == [
        "一",
        "メロスは激怒した。邪智の王だ。",
        "メロスには政治がわからぬ。",
        "底本：「全集3」文庫",
        "入力：金川",
    ]


def test_a_last_line_that_names_the_person_responsible_is_a_note() -> None:
    assert kinds("検査を終えました。\n担当 篠塚／検査責任者 袖山\n")[1] == ("note", "担当 篠塚／検査責任者 袖山")


def test_headings_and_furniture_are_never_sentences_of_a_summary() -> None:
    text = (
        "規程集　　　1ページ\n\n第１章　総則\n\n（目的）\n第１条　時間を定める。\n－ １ －\n規程集　　　2ページ\n\n"
        "第２条　休日を定める。\n－ ２ －\n件名: 追伸\n"
    )
    assert prose(text) == ["第１条　時間を定める。", "第２条　休日を定める。"]


def test_a_pause_after_a_full_stop_belongs_to_the_next_sentence() -> None:
    assert sentences("ほかに。……なければ終わります。") == ["ほかに。", "……なければ終わります。"]
    assert sentences("そう。……\nはい。") == ["そう。……", "はい。"]
    assert sentences("「そう。……」と言う。") == ["「そう。……」と言う。"]


def test_a_sentence_of_thousands_of_characters_is_cut_at_clauses_and_says_so() -> None:
    text = "注意は" + "、".join(f"項目{number}を確かめ" for number in range(600)) + "終わる"
    pieces = split_sentences(text)
    assert [piece.cut for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert max(piece.end - piece.start for piece in pieces) <= MAX_SENTENCE_CHARACTERS // 2
    assert {text[piece.end - 1] for piece in pieces[:-1]} == {"、"}
    assert "".join(text[piece.start : piece.end] for piece in pieces) == text


@pytest.mark.timeout(60)  # a fraction of a second each; quadratic time would be minutes
@pytest.mark.parametrize(
    "unit",
    [
        "あ。……",
        'a,",b',
        "a,b,c\n",
        "> \n",
        ">",
        "1. あ。\n   い。\n",
        "あ　　い\n　　　　ん\n",
        "様\n",
        "--\nTEL\n",
        "(1)は、",
        "［＃",
        "午前１時開議",
        "From: a\n田中\n\n",
        "あ（い\n",
    ],
)
def test_long_texts_of_what_kinds_are_asked_of_do_not_hang(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    assert sum(block.end - block.start for block in structure_of(text).blocks) > 0


@pytest.mark.timeout(60)
def test_a_marked_line_of_nothing_but_gaps_does_not_hang() -> None:
    assert kinds("■" + "あ　" * 100_000 + "\n") == [("list-item", "■" + "あ　" * 99_999 + "あ")]


def test_the_number_of_a_law_and_of_its_changes_are_notes_under_its_title() -> None:
    text = "○駐車場条例\n平成９年３月25日\n条例第12号\n改正　平成17年12月22日条例第48号\n（目的）\n第１条　場所。\n"
    assert kinds(text) == [
        ("heading", "○駐車場条例"),
        ("note", "平成９年３月25日"),
        ("note", "条例第12号"),
        ("note", "改正　平成17年12月22日条例第48号"),
        ("heading", "（目的）"),
        ("clause", "第１条　場所。"),
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


def test_a_line_to_cut_along_is_furniture() -> None:
    assert kinds("ご提出ください。\n-------きりとり-------\n氏名を書く。\n")[1] == (
        "furniture",
        "-------きりとり-------",
    )


def test_the_organisation_over_the_name_that_a_letter_addresses_is_a_note() -> None:
    text = "川端商事株式会社\n営業部　佐藤様\n\nお世話になっております。\n十時に伺います。\nよろしくお願いします。\n"
    assert [kind for kind, _ in kinds(text)] == ["note", "note", "paragraph", "paragraph", "paragraph"]


def test_a_title_over_the_readers_whom_a_letter_addresses_is_a_heading() -> None:
    text = "運動会のお知らせ\n保護者の皆様\n\n運動会を開きます。\n校庭です。\n弁当をお持ちください。\n"
    assert [kind for kind, _ in kinds(text)][:2] == ["heading", "note"]


def test_a_lucky_day_is_the_date_of_a_letter() -> None:
    assert kinds("移転しました。\n\n令和７年11月吉日\n")[1] == ("note", "令和７年11月吉日")


def test_different_symbols_are_headings_of_different_levels_and_not_a_list() -> None:
    text = "■ご注意\n\n⚠警告\n●水をかけない\n　火事になります。\n"
    assert [kind for kind, _ in kinds(text)] == ["heading", "heading", "heading", "paragraph"]


def test_the_line_between_two_numbered_headings_is_no_heading() -> None:
    text = "議事録\n\n１．日時\n\n令和７年６月18日から\n\n２．議題\n訓練を行う。\n"
    assert kinds(text)[2] == ("paragraph", "令和７年６月18日から")


def test_wide_angle_brackets_make_a_heading() -> None:
    assert kinds("水を止めます。\n＜お願い＞\n・水をためてください\n")[1] == ("heading", "＜お願い＞")


def test_a_newsletter_between_rules_is_no_signature() -> None:
    assert kinds("━━━━━\n図書館メールマガジン　第52号\n━━━━━\nこんにちは。\n")[1][0] != "note"


def test_all_messages_of_a_chat_are_paragraphs_though_some_have_no_full_stop() -> None:
    text = "20:16\t鈴木\t会場は公園です。\n20:18\t佐藤\t了解しました\n20:31\t鈴木\t[スタンプ]\n"
    assert [kind for kind, _ in kinds(text)] == ["paragraph"] * 3


def test_a_timetable_with_three_columns_is_no_chat() -> None:
    assert [kind for kind, _ in kinds("7:40\t市役所\t1番\n7:50\t病院\t2番\n")] == ["table-row"] * 2


def rows(text: str) -> list[tuple[str, list[str]]]:
    """The kind and the cells of each row."""
    blocks = structure_of(text).blocks
    return [(block.kind, [text[start:end] for start, end in block.cells]) for block in blocks if block.cells]


def test_rows_that_begin_with_their_number_are_rows() -> None:
    text = "No.  内容          担当  期限\n1    手順書の改訂  原田  10/24\n2    部品の手配    林    10/14\n"
    assert rows(text) == [
        ("table-head", ["No.", "内容", "担当", "期限"]),
        ("table-row", ["1", "手順書の改訂", "原田", "10/24"]),
        ("table-row", ["2", "部品の手配", "林", "10/14"]),
    ]


def test_single_spaces_part_the_cells_of_a_row_that_is_then_as_long_as_the_others() -> None:
    text = "勤務　　　始業　　　終業\n日勤　　　午前８時　午後５時\n早番　　　午前６時　　　午後３時\n"
    assert [cells for _, cells in rows(text)] == [
        ["勤務", "始業", "終業"],
        ["日勤", "午前８時", "午後５時"],
        ["早番", "午前６時", "午後３時"],
    ]


def test_lines_with_single_spaces_below_the_head_of_a_table_are_its_rows() -> None:
    text = "名称　　　位置　　　台数\n東口駐車場　東町一丁目　1,200台\n西口駐車場　西町三丁目　850台\n"
    assert rows(text) == [
        ("table-head", ["名称", "位置", "台数"]),
        ("table-row", ["東口駐車場", "東町一丁目", "1,200台"]),
        ("table-row", ["西口駐車場", "西町三丁目", "850台"]),
    ]


def test_columns_with_a_number_in_their_name_have_a_head() -> None:
    text = "停留所   1便    2便\n市役所   7:40   9:20\n病院     7:48   9:28\n"
    assert rows(text)[0] == ("table-head", ["停留所", "1便", "2便"])


def test_rows_of_equal_values_have_no_head() -> None:
    text = "一年   1組    2組\n二年   3組    4組\n三年   5組    6組\n"
    assert [kind for kind, _ in rows(text)] == ["table-row"] * 3


def test_a_gap_inside_a_name_or_a_word_parts_no_cells() -> None:
    text = "市　　長　　　大　橋　　　進　君\n総務部長　　　林　　茂　君\n構　　造　　　木造　　　二階\n"
    assert [cells for _, cells in rows(text)] == [
        ["市　　長", "大　橋　　　進　君"],
        ["総務部長", "林　　茂　君"],
        ["構　　造", "木造", "二階"],
    ]


def test_the_days_of_the_week_are_cells() -> None:
    assert rows("月　　火　　水　　休み\n○　　×　　○　　土日\n")[0][1] == ["月", "火", "水", "休み"]


def test_a_line_of_prose_that_ends_with_a_particle_goes_on_below() -> None:
    text = "先月、返却の遅れた本がありました。期限を\n守ってご返却ください。\n"
    assert kinds(text) == [("paragraph", text.strip())]
