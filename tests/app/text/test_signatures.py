"""Signatures of mail, with and without a head of mail, a rule and a quoted mail around them."""

from tests.app.text.kinds import kinds

MAIL = """件名: 打合せの件
差出人: 田中

鈴木様

お世話になっております。
火曜の十時でお願いします。

田中 太郎
株式会社例示 営業部

> 差出人: 鈴木
>
> 来週の打合せは、火曜でいかがでしょうか。
>
> 鈴木
"""


def test_heads_addresses_and_signatures_of_mail_are_known() -> None:
    assert kinds(MAIL) == [
        ("furniture", "件名: 打合せの件"),
        ("furniture", "差出人: 田中"),
        ("note", "鈴木様"),
        ("paragraph", "お世話になっております。"),
        ("paragraph", "火曜の十時でお願いします。"),
        ("note", "田中 太郎"),
        ("note", "株式会社例示 営業部"),
        ("furniture", "> 差出人: 鈴木"),
        ("furniture", ">"),
        ("paragraph", "> 来週の打合せは、火曜でいかがでしょうか。"),
        ("furniture", ">"),
        ("note", "> 鈴木"),
    ]


def test_a_signature_with_an_address_after_a_rule_needs_no_head_of_mail() -> None:
    text = "ご確認ください。\n--\n田中 太郎\n株式会社例示\nTEL 03-1234-5678\n"
    assert kinds(text)[1:] == [
        ("furniture", "--"),
        ("note", "田中 太郎"),
        ("note", "株式会社例示"),
        ("note", "TEL 03-1234-5678"),
    ]


def test_a_signature_after_a_rule_ends_at_the_quoted_mail_below() -> None:
    text = (
        "承知しました。\n\n-- \n鈴木一郎\n株式会社オオゾラ 営業二課\nTEL: 045-987-6543\n\n"
        "2024年9月27日(金) 17:42 田中 <tanaka@example.jp>:\n\n> 鈴木様\n>\n> 単価は次のとおりです。\n"
    )
    assert kinds(text)[2:5] == [
        ("note", "鈴木一郎"),
        ("note", "株式会社オオゾラ 営業二課"),
        ("note", "TEL: 045-987-6543"),
    ]


def test_lines_after_a_rule_without_an_address_are_no_signature() -> None:
    assert kinds("ご確認ください。\n----------\n持ち物\n筆記用具\n")[2:] == [
        ("paragraph", "持ち物"),
        ("paragraph", "筆記用具"),
    ]
