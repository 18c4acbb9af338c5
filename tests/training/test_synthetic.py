import re

import pytest

from training.synthetic import MAX_ANSWER, Questioner, make

SENTENCES = [
    "鴨川は、1950年に田辺朔郎が京都市で設立した「琵琶湖疏水」の会社で、高さ3,776メートルの東本願寺を見た。",
    "昭和27年(1952年)にスージーが見せた芸はピアノ弾き、三輪車乗り、食事だったが、翌年には自転車乗りに変わった。",
    "羊羹（ようかん）は近江八幡の名物で、𠮷野家の主人が㍻元年に売り出した。",
    "雄は第1腕を高く掲げ、雌に接近することが知られている。",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_answer_stands_in_the_sentence_and_not_where_it_was_in_the_question(sentence: str) -> None:
    questioner = Questioner(seed=1)
    made = [found for _ in range(40) if (found := questioner.ask(sentence)) is not None]
    assert made
    for question, start, end in made:
        assert 0 <= start < end <= len(sentence)
        assert end - start <= MAX_ANSWER
        assert "。" not in question[:-1]
        assert re.search("[かのはつにるた]?[。？?]?$", question)


def test_every_kind_of_answer_gets_its_question_word() -> None:
    questioner = Questioner(seed=1)
    asked: dict[str, set[str]] = {}
    sentence = "1950年に田辺朔郎が京都で会社をつくった。"
    for _ in range(300):
        found = questioner.ask(sentence)
        if found is None:  # too many words were dropped
            continue
        question, start, end = found
        answer = sentence[start:end]
        words = re.findall("いつ|何年|誰|だれ|何という人物|どこ", question)
        asked.setdefault(answer, set()).update(words)
    assert asked["1950年"] == {"いつ", "何年"}
    assert asked["田辺朔郎"] == {"誰", "だれ", "何という人物"}
    assert asked["京都"] == {"どこ"}


def test_nothing_is_asked_about_a_sentence_that_mecab_cuts_inside_a_character() -> None:
    assert Questioner(seed=1).ask("丁稚羊羹（でっちようかん）は近江八幡の名物である。") is None


def test_nothing_is_asked_about_text_without_nouns() -> None:
    assert Questioner(seed=1).ask("そうして、やがて。") is None


def test_the_same_seed_makes_the_same_questions_with_answers_in_place() -> None:
    paragraphs = [("鴨川", "".join(SENTENCES)), ("", SENTENCES[0])]
    document = make(paragraphs, count=60, seed=3)
    assert document == make(paragraphs, count=60, seed=3)
    assert document != make(paragraphs, count=60, seed=4)
    found = 0
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                (answer,) = qa["answers"]
                start = answer["answer_start"]
                assert paragraph["context"][start : start + len(answer["text"])] == answer["text"]
                found += 1
    assert found > 20
