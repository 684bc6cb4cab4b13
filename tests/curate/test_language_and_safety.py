"""Language identification, and the rule of unsafe words."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.document import Document, Drop
from curate.filters import Language, Safety
from curate.filters.language import _NOT_FOR_CLD2
from curate.text.languages import PY3LANGID_CODES, PYCLD2_CODES

ENGLISH = "The bridge over the river was built by people who lived in the valley, and it still stands today."
GERMAN = "Die Brücke über den Fluss wurde von den Menschen gebaut, die im Tal lebten, und sie steht noch heute."
FRENCH = "Le pont sur la rivière a été construit par les gens qui vivaient dans la vallée, et il est encore debout."


def test_other_languages_end_as_language() -> None:
    assert Language()(ENGLISH)
    assert (Language()(GERMAN).rule, Language()(GERMAN).value) == ("language", "de")
    assert Language(keep=["de", "fr"])(FRENCH)


def test_a_low_score_ends_as_language_score_and_equality_does_too() -> None:
    document = Document(key="k", text=ENGLISH)
    list(Language().apply([document]))
    assert Language(min_score=1.0)(ENGLISH).rule == "language_score"
    assert 0.65 < document.metadata["language_score"] <= 1


def test_a_text_is_asked_at_its_beginning_middle_and_end() -> None:
    def told(text: str, **parameters: object) -> tuple[str, str, float]:
        document = Document(key="k", text=text)
        (outcome,) = Language(**parameters).apply([document])  # type: ignore[arg-type]
        rule = outcome.rule if isinstance(outcome, Drop) else ""
        return rule, document.metadata["language"], document.metadata["language_share"]

    english, german, french = ((one + " ") * 60 for one in (ENGLISH, GERMAN, FRENCH))
    # An English beginning of 5 000 characters and ten times as much German.
    rule, language, share = told(english[:5000] + german * 9)
    assert (rule, language) == ("language", "de") and 0.3 < share < 0.4
    rule, language, share = told(english * 9 + german * 5)
    assert (rule, language) == ("", "en") and 0.6 < share < 0.7
    assert told(english * 9 + german * 5, min_share=0.9)[0] == "language_share"
    assert told(english * 9 + german * 5, min_share=0.9, keep=["en", "de"]) == ("", "en", 1.0)
    # One third each: no language has half of the text.
    assert told(english + german + french)[0] in ("language", "language_share")
    assert told(english + german + french, min_share=0, keep=["en", "de", "fr"])[0] == ""
    # A short text is one place, with the score that it had.
    assert told(ENGLISH) == ("", "en", 1.0) and told("12 !?")[1:] == ("und", 0.0)
    assert told(english, characters=200)[1] == "en"
    # The beginning alone, as before; five places tell fifths.
    assert told(english[:5000] + german * 9, places=1) == ("", "en", 1.0)
    assert 0.15 < told(english[:3000] + german * 9, places=5)[2] < 0.25
    whole = Language(places=1, characters=10**9)
    assert whole._places(german * 9) == [german * 9], "one question, as the peers ask it"


def test_the_share_can_be_tried_at_other_thresholds() -> None:
    checks = {check.rule: check for check in Language().checks(Document(key="k", text=(ENGLISH + " ") * 60))}
    share = checks["language_share"]
    assert (share.value, share.threshold, share.limit, share.side, share.failed) == (
        1.0,
        0.5,
        "min_share",
        "under",
        False,
    )


def test_every_document_carries_its_language() -> None:
    documents = [Document(key="a", text=ENGLISH), Document(key="b", text=GERMAN), Document(key="c", text="12 !?")]
    outcomes = list(Language().apply(documents))
    assert [isinstance(outcome, Drop) for outcome in outcomes] == [False, True, True]
    assert [document.metadata["language"] for document in documents] == ["en", "de", "und"]
    assert documents[2].metadata["language_score"] == 0


def test_the_known_codes_are_those_of_the_model() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    assert sorted(LanguageIdentifier.from_model_file(MODEL_FILE).labels) == sorted(PY3LANGID_CODES)


@pytest.mark.parametrize(("keep", "message"), [(["eng"], "did you mean 'en'"), ("en", r"\[en\]"), ([], "list")])
def test_a_code_that_does_not_exist_is_an_error(keep: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Language(keep=keep)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "\n", "\ud800", "x" * 1_000_000, "\x00a", "A\ud800B " * 1000])
def test_any_text_gets_a_language(text: str) -> None:
    assert Language()(text).keep in (True, False)
    assert Language(identifier="pycld2")(text).keep in (True, False)


def test_cld2_decides_where_it_is_asked_for() -> None:
    pycld2 = pytest.importorskip("pycld2")
    rule = Language(identifier="pycld2")
    assert rule(ENGLISH) and rule(GERMAN).value == "de" and Language(identifier="pycld2", keep=["fr"])(FRENCH)
    names = set(pycld2.DETECTED_LANGUAGES)
    assert {code for name, code in pycld2.LANGUAGES if name in names} == set(PYCLD2_CODES)
    # Its score is the share of the text: half English, half Japanese is neither above 0.65.
    assert rule(ENGLISH + "川にかかる橋は谷に住む人々によって建てられ、今日もまだ立っている。" * 2).rule == "language"
    with pytest.raises(ValueError, match="did you mean 'zh-Hant'"):
        Language(identifier="pycld2", keep=["zh-Hans"])


def test_no_code_point_stops_cld2() -> None:
    pycld2 = pytest.importorskip("pycld2")
    refused = []
    for code in range(0x110000):
        # The edges of every plane and of what is refused, and some of the rest.
        if (
            code < 0x400
            or 0xD7F0 <= code < 0xE010
            or 0xFDC0 <= code < 0xFE00
            or code & 0xFFFF >= 0xFFF0
            or not code % 97
        ):
            try:
                pycld2.detect(_NOT_FOR_CLD2.sub(" ", f"a{chr(code)}b"))
            except pycld2.error:
                refused.append(code)
    assert refused == []


def test_a_model_and_another_identifier_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "lid.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="exclude each other"):
        Language(model=str(tmp_path / "lid.bin"), identifier="pycld2")


def test_a_fasttext_model_decides_where_one_is_given(tmp_path: Path) -> None:
    fasttext = pytest.importorskip("fasttext")
    lines = [
        f"__label__{code} {text}" for code, text in [("en", ENGLISH), ("de", GERMAN), ("fr", FRENCH)] for _ in range(50)
    ]
    (tmp_path / "train.txt").write_text("\n".join(lines), encoding="utf-8")
    model = fasttext.train_supervised(str(tmp_path / "train.txt"), epoch=20, thread=1, dim=8, verbose=0)
    model.save_model(str(tmp_path / "lid.bin"))
    rule = Language(model=str(tmp_path / "lid.bin"))
    assert rule(ENGLISH.replace(", ", ",\n\r\n"))
    assert rule(GERMAN).value == "de"
    assert rule("\ud800 the bridge").keep in (True, False)
    assert rule.resources() == [tmp_path / "lid.bin"]
    with pytest.raises(ValueError, match="'es'"):
        Language(model=str(tmp_path / "lid.bin"), keep=["es"])


def test_a_model_that_is_missing_or_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.ftz"):
        Language(model=str(tmp_path / "absent.ftz"))
    (tmp_path / "text.ftz").write_text("no model")
    with pytest.raises(ValueError, match=r"text\.ftz"):
        Language(model=str(tmp_path / "text.ftz"))


def test_pages_made_of_listed_words_are_unsafe_and_mentions_are_not() -> None:
    spam = "Best online casino! Poker, Roulette and SLOTS for all of you, with a jackpot today."
    assert Safety()(spam).rule == "unsafe_words"
    assert Safety()(ENGLISH + " A casino stands beside it. " + ENGLISH * 5)
    assert Safety(min_distinct=9)(spam)
    assert Safety(max_density=None)(spam)


def test_the_density_is_listed_words_over_words(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# ours\nred car\nblue\n", encoding="utf-8")
    verdict = Safety(words=str(tmp_path / "words.txt"), min_distinct=2, max_density=0.3)("a Red car is blue today ok")
    assert verdict.value == pytest.approx(3 / 7)
    assert Safety(words=str(tmp_path / "words.txt"), min_distinct=2, max_density=0.3)("a red bus is blue today ok")


def test_an_edited_list_is_read_again(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("red\n")
    rule = Safety(words=str(words), min_distinct=1)
    assert not rule("a red car")
    words.write_text("green\n")
    assert rule("a red car")


def test_wrong_lists_are_told_with_their_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.txt"):
        Safety(words=str(tmp_path / "absent.txt"))
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"empty\.txt"):
        Safety(words=str(tmp_path / "empty.txt"))
