"""Languages that resemble each other: one threshold for the group."""

import pytest

from curate.document import Document
from curate.filters import Language
from curate.filters.language import GROUPS

CROATIAN = (
    "Svatko ima pravo na slobodno kretanje i boravak unutar granica bilo koje države. Svatko ima pravo napustiti bilo "
    "koju zemlju, uključujući i svoju vlastitu, i vratiti se u svoju zemlju."
)
SERBIAN = (
    "Svako ima pravo na slobodu kretanja i izbora stanovanja u granicama pojedine države. Svako ima pravo da napusti "
    "svaku zemlju, uključujući svoju vlastitu, i da se vrati u svoju zemlju."
)
CYRILLIC = "Свако има право на слободу кретања и избора становања у границама поједине државе и на сваку земљу."
MALAY = "Setiap orang berhak kepada kebebasan bergerak dan bermastautin di dalam sempadan sesebuah negara."
INDONESIAN = "Setiap orang berhak atas kebebasan bergerak dan berdiam di dalam batas-batas setiap negara."


def kept(text: str, *keep: str, alike: bool = False) -> bool:
    return bool(Language(keep=list(keep), alike=alike)(text))


@pytest.mark.parametrize("text", [CROATIAN, SERBIAN, CYRILLIC])
def test_a_group_that_is_kept_is_kept(text: str) -> None:
    assert kept(text, "hr", "bs", "sr")
    assert all(kept(text, code, alike=True) for code in ("bs", "sr") if text != CYRILLIC)
    assert not kept(text, "sl", alike=True)


def test_the_score_is_that_of_the_group() -> None:
    for text in (CROATIAN, SERBIAN, MALAY, INDONESIAN):
        document = Document("k", text)
        list(Language().checks(document))
        assert document.metadata["language_score"] > 0.9
        assert any(document.metadata["language"] in group for group in GROUPS)


def test_without_a_switch_the_other_languages_of_a_group_are_other_languages() -> None:
    named = Document("k", MALAY)
    list(Language().checks(named))
    other = {"ms": "id", "id": "ms"}[named.metadata["language"]]
    assert kept(MALAY, named.metadata["language"]) and not kept(MALAY, other) and kept(MALAY, other, alike=True)
    assert not kept("This text is English, and so it is in no group of other languages at all.", "id", alike=True)


def test_places_in_several_languages_of_a_group_are_in_one() -> None:
    step = Language(keep=["hr", "bs", "sr"])
    asked = [("hr", 0.9, 30), ("bs", 0.9, 40), ("sr", 0.9, 20), ("en", 0.99, 80)]
    assert step._judged(asked) == ("bs", pytest.approx(0.9), pytest.approx(90 / 170))
    assert Language(keep=["en"])._judged(asked)[0] == "en"
