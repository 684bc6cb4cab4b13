"""Word lists by language: a file for each in a folder, found whole, or anywhere where no spaces are; wrong ones."""

from pathlib import Path

import pytest

from curate.document import Document, Drop
from curate.filters import Safety

LISTS = {
    "en": "casino\nonline betting\n",
    "de": "Glücksspiel\nWette\n",
    "fr": "loterie\n",
    "fr-CA-u-sd-caqc": "gageure\n",
    "zh": "赌场\n下注\nsm\n",
    "th": "คาสิโน\nพนัน\n",
    "ru": "казино\nставки\n",
    "fil": "sugal\n",
    "README.md": "# lists\n",
    "LICENSE": "free\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "lists"
    root.mkdir()
    for name, text in LISTS.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def judged(rule: Safety, text: str, language: str | None) -> Drop | Document:
    rule.open()
    metadata = {} if language is None else {"language": language}
    return next(iter(rule.apply([Document("k", text, metadata=metadata)])))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("language", "text", "density"),
    [
        ("en", "Online betting in a casino near you", 3 / 7),
        ("de", "Die Wette ist ein Glücksspiel", 2 / 5),
        ("fr", "la loterie et la gageure", 2 / 5),
        ("ru", "Казино и ставки", 2 / 3),
        ("tl", "ang sugal dito", 1 / 3),
        ("zh", "他们在赌场下注", 2 / 4),
        ("zh-Hant", "他们在赌场下注", 2 / 4),
        ("th", "เล่นพนันในคาสิโน", None),
    ],
)
def test_a_document_is_held_to_the_list_of_its_language(
    folder: Path, language: str, text: str, density: float | None
) -> None:
    rule = Safety(words=str(folder), language="own", min_distinct=1)
    found = judged(rule, text, language)
    assert isinstance(found, Drop) and found.rule == "unsafe_words"
    if density is not None:
        assert found.value == pytest.approx(density)
    for other in ("en", "de", "zh", "th", "ru", "sv", None):
        if not language.startswith(str(other)):
            assert isinstance(judged(rule, text, other), Document), other


def test_entries_are_whole_words_where_there_are_words(folder: Path) -> None:
    rule = Safety(words=str(folder), language="own", min_distinct=1, max_density=0.001)
    assert isinstance(judged(rule, "Die Wetterlage und die Glücksspielbehörde", "de"), Document)
    assert isinstance(judged(rule, "казиношный", "ru"), Document)
    assert isinstance(judged(rule, "这是 small 的 plasma 屏幕", "zh"), Document)
    assert isinstance(judged(rule, "这是SM的屏幕", "zh"), Drop)


def test_different_entries_are_counted_in_every_script(folder: Path) -> None:
    two = Safety(words=str(folder), language="own", min_distinct=2)
    assert isinstance(judged(two, "他们在赌场的赌场", "zh"), Document)
    assert isinstance(judged(two, "他们在赌场下注", "zh"), Drop)


def test_one_language_may_be_named_and_one_file_serves_any(folder: Path) -> None:
    assert not Safety(words=str(folder), language="zh", min_distinct=1)("他们在赌场下注")
    assert not Safety(words=str(folder / "zh"), language="zh", min_distinct=1)("他们在赌场下注")
    assert not Safety(words=str(folder / "de"), language="de", min_distinct=1)("Die Wette gilt")
    assert Safety(words=str(folder), min_distinct=1)("Die Wette gilt, 他们在赌场下注")
    spam = "Best online casino! Poker, Roulette and SLOTS for all of you, with a jackpot today."
    own = Safety(language="own")
    assert isinstance(judged(own, spam, "en"), Drop) and isinstance(judged(own, spam, "de"), Document)


def test_a_list_beside_a_run_is_read_again(folder: Path) -> None:
    rule = Safety(words=str(folder), language="own", min_distinct=1)
    assert isinstance(judged(rule, "Die Lotterie", "de"), Document)
    (folder / "de").write_text("Lotterie\n", encoding="utf-8")
    assert isinstance(judged(rule, "Die Lotterie", "de"), Drop)


def test_wrong_folders_and_lists_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"safety: words: there is no file or folder .*absent"):
        Safety(words=str(tmp_path / "absent"))
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match=r"bare holds no list"):
        Safety(words=str(tmp_path / "bare"))
    with pytest.raises(ValueError, match=r"has no list for language 'sv'; it has: de en fr ru th tl zh"):
        Safety(words=str(folder), language="sv")
    with pytest.raises(ValueError, match=r"safety: language: 'xq' is not a known language"):
        Safety(words=str(folder), language="xq")
    with pytest.raises(ValueError, match=r"the built-in list is English; name a list for language 'de'"):
        Safety(language="de")
    (folder / "zz").write_text("word\n")
    with pytest.raises(ValueError, match=r"zz is not named by a language code"):
        Safety(words=str(folder), language="own")
    (folder / "zz").rename(folder / "german")
    with pytest.raises(ValueError, match=r"german is not named by a language code"):
        Safety(words=str(folder), language="own")
    (folder / "german").unlink()
    (folder / "ja").write_bytes("日本".encode("shift-jis"))
    with pytest.raises(ValueError, match=r"ja is not a text in UTF-8"):
        Safety(words=str(folder), language="own")
    (folder / "ja").write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"ja holds no word"):
        Safety(words=str(folder), language="own")
