"""What each line of a plain text is: by rule, with the neighbours that decide it."""

import pytest

from app.text.sentences import MAX_SENTENCE_CHARACTERS, split_sentences
from app.text.structure import structure_of
from tests.app.text.kinds import kinds, sentences


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


def test_what_stands_below_the_text_of_a_numbered_item_belongs_to_it() -> None:
    text = "１．栓を閉める。\n　　回した数を覚えておく。\n２．管を抜く。\n"
    assert kinds(text) == [("clause", "１．栓を閉める。\n　　回した数を覚えておく。"), ("clause", "２．管を抜く。")]
    assert sentences(text) == ["１．栓を閉める。", "回した数を覚えておく。", "２．管を抜く。"]


def test_a_paragraph_that_begins_one_character_in_is_no_part_of_the_item_above() -> None:
    text = "１．栓を閉める。\n　次に管を抜く。\n"
    assert kinds(text) == [("clause", "１．栓を閉める。"), ("paragraph", "次に管を抜く。")]


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


def test_a_line_to_cut_along_is_furniture() -> None:
    assert kinds("ご提出ください。\n-------きりとり-------\n氏名を書く。\n")[1] == (
        "furniture",
        "-------きりとり-------",
    )


def test_the_organisation_over_the_name_that_a_letter_addresses_is_a_note() -> None:
    text = "川端商事株式会社\n営業部　佐藤様\n\nお世話になっております。\n十時に伺います。\nよろしくお願いします。\n"
    assert [kind for kind, _ in kinds(text)] == ["note", "note", "paragraph", "paragraph", "paragraph"]


def test_a_lucky_day_is_the_date_of_a_letter() -> None:
    assert kinds("移転しました。\n\n令和７年11月吉日\n")[1] == ("note", "令和７年11月吉日")


def test_a_newsletter_between_rules_is_no_signature() -> None:
    assert kinds("━━━━━\n図書館メールマガジン　第52号\n━━━━━\nこんにちは。\n")[1][0] != "note"


def test_all_messages_of_a_chat_are_paragraphs_though_some_have_no_full_stop() -> None:
    text = "20:16\t鈴木\t会場は公園です。\n20:18\t佐藤\t了解しました\n20:31\t鈴木\t[スタンプ]\n"
    assert [kind for kind, _ in kinds(text)] == ["paragraph"] * 3


def test_a_line_of_prose_that_ends_with_a_particle_goes_on_below() -> None:
    text = "先月、返却の遅れた本がありました。期限を\n守ってご返却ください。\n"
    assert kinds(text) == [("paragraph", text.strip())]
