"""What each rule set does, its parameters, and what it does with texts nobody meant it for."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import fields

import pytest

from curate.document import Document, Drop
from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition
from curate.step import Rule, Step
from curate.text.reading import repeated_gram_characters, top_gram_characters
from curate.text.signals import TextSignals
from curate.text.words import word_table

RULES: list[Step] = [GopherRepetition(), GopherQuality(), C4(), C4(require_end_mark=True), FineWeb()]
PROSE = " ".join(
    f"The {noun} of the valley was {adjective} and people have come to see it with care."
    for noun, adjective in [
        ("river", "wide"),
        ("bridge", "old"),
        ("mill", "small"),
        ("church", "bright"),
        ("road", "long"),
    ]
)


def test_prose_is_kept_by_all_rule_sets() -> None:
    text = PROSE.replace(". ", ".\n")
    assert all(step(text) for step in (GopherQuality(), C4(), FineWeb()))


def test_a_drop_tells_rule_value_and_threshold() -> None:
    verdict = GopherQuality(min_words=30)("text")
    assert (verdict.keep, verdict.rule, verdict.value, verdict.threshold) == (False, "gopher_short_doc", 1, 30)


def test_equality_with_a_threshold_passes() -> None:
    text = "the end of it " * 10
    assert GopherQuality(min_words=40)(text).rule != "gopher_short_doc"
    assert GopherQuality(min_words=41)(text).rule == "gopher_short_doc"


@pytest.mark.parametrize("off", [0, None])
def test_a_limit_of_zero_or_none_is_off(off: int | None) -> None:
    for kind in (GopherQuality, GopherRepetition):
        limits = {item.name: off for item in fields(kind) if item.name not in ("stop_words", "language")}
        assert kind(**limits)("#" * 20 + "\n\n" + "#" * 20)


def test_every_limit_of_the_gopher_rules_is_published_and_bounded() -> None:
    for kind in (GopherQuality, GopherRepetition, FineWeb):
        for item in fields(kind):
            assert item.metadata["doc"]
            assert item.metadata["source"], item.name


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("one line.\n\nsame\n\nsame\n\nsame", "dup_para_frac"),
        ("short\n\nother\n\nthing\n\nwide\n\n" + 2 * ("a long paragraph of the text" + "\n\n"), "dup_para_char_frac"),
        ("same\nsame\nsame\nother", "dup_line_frac"),
        ("a b a b a b a b a b", "top_2_gram"),
        ("", "empty"),
    ],
)
def test_repetition_is_named(text: str, rule: str) -> None:
    assert GopherRepetition()(text).rule == rule


def test_n_gram_signals_equal_a_count_by_hand() -> None:
    import random

    draw = random.Random(3)
    for size in (1, 4, 5, 11, 60, 400):
        for vocabulary in (["a"], ["a", "aa", "aaa"], ["x", "yy", "z", "it", "river", "é"]):
            signals = TextSignals(" ".join(draw.choice(vocabulary) for _ in range(size)))
            for n in range(2, 11):
                if size >= n:
                    assert signals.top_gram_characters(n) == top_gram_characters(signals.words, n)
                if n >= 5:
                    assert signals.repeated_gram_characters(n) == repeated_gram_characters(signals.words, n)


def test_n_grams_are_compared_as_words_without_spaces() -> None:
    import random

    draw = random.Random(4)
    pieces = ["in", "to", "into", "a", "an", "other", "another", "n", "é", "日本", "x" * 20]
    for _ in range(300):
        run = draw.choices(pieces, k=draw.randint(5, 14))
        joined = "".join(run)
        cuts = sorted(draw.sample(range(1, len(joined)), min(draw.randint(4, 12), len(joined) - 1)))
        again = [joined[a:b] for a, b in zip([0, *cuts], [*cuts, len(joined)], strict=True)]
        text = " ".join([*draw.choices(pieces, k=draw.choice([0, 3, 200])), *run, *draw.choices(pieces, k=3), *again])
        signals = TextSignals(text, table=word_table("spaces"))
        for n in range(5, 11):
            assert signals.repeated_gram_characters(n) == repeated_gram_characters(text.split(), n)


def test_c4_rewrites_the_text_as_its_kept_lines() -> None:
    menu = "Home\nThis page needs JavaScript to run well.\nWe use cookies on all of these pages.\n"
    verdict = C4()(menu + PROSE.replace("small", "small [12]") + "\n" + "x" * 1001 + " is a long word")
    assert verdict
    assert verdict.text == PROSE.replace("small", "small ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (PROSE + "\nthis is { code }", "curly_bracket"),
        (PROSE + "\nHere is Lorem Ipsum for you", "lorem_ipsum"),
        ("Only one sentence stands here.", "too_few_sentences"),
    ],
)
def test_c4_drops_pages_by_name(text: str, rule: str) -> None:
    assert C4()(text).rule == rule


def test_c4_looks_for_braces_only_in_lines_that_survived_so_far() -> None:
    assert C4()(PROSE + "\n{ two").keep
    assert C4(require_end_mark=True)(PROSE + "\nthis is { code }").keep


def test_c4_drops_pages_with_a_listed_word(tmp_path) -> None:
    words = tmp_path / "bad.txt"
    words.write_text("bad phrase\nmill\n", encoding="utf-8")
    verdict = C4(bad_words=str(words))(PROSE)
    assert (verdict.rule, verdict.value) == ("document_removed_with_badwords", "mill")
    assert C4(bad_words=str(words))(PROSE.replace("mill", "windmills"))


def test_a_missing_or_empty_word_list_is_told_with_its_path(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"absent\.txt"):
        C4(bad_words=str(tmp_path / "absent.txt"))
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ValueError, match=r"empty\.txt"):
        C4(bad_words=str(tmp_path / "empty.txt")).open()


def test_fineweb_names_menus_and_repeats() -> None:
    line = "This line of the text is long enough and it ends in a full stop."
    assert FineWeb()("menu\nlist\nhome").rule == "line_punct_ratio"
    assert FineWeb()("One.\nTwo.\nThree.").rule == "short_line_ratio"
    assert FineWeb()(f"{line}\n{line}").rule == "char_dup_ratio"
    assert FineWeb()(line + "\n" * 6).rule == "list_ratio"
    assert FineWeb()(" \n ").rule == "empty"


def test_protected_documents_pass_every_rule_untouched() -> None:
    for step in RULES:
        document = Document(key="k", text="{", protected=True)
        assert list(step.apply([document])) == [document]
        assert document.text == "{"


def test_an_edit_ends_the_life_of_the_signals() -> None:
    document = Document(key="k", text="Menu\n" + PROSE)
    before = document.signals
    kept = next(C4().apply([document]))
    assert not isinstance(kept, Drop)
    assert kept.signals is not before
    assert kept.edits == [("c4", len(PROSE) + 5, len(PROSE))]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        "\n" * 1_000_000,
        "#!?… " * 100_000,
        "\ud800 \udfff word. " * 50_000,
        "the same again " * 100_000,
        "{[(<" * 25_000,
        "[1" * 500_000,
        "\x00" * 100_000,
        ")" * 100_000,
    ],
    ids=["one word", "newlines", "symbols", "surrogates", "repeats", "brackets", "citations", "nulls", "marks"],
)
def test_hostile_texts_get_a_verdict_in_linear_time(text: str) -> None:
    started = time.process_time()
    for step in RULES:
        assert step(text).keep in (True, False)  # type: ignore[operator]
    assert time.process_time() - started < 30


@pytest.mark.parametrize("text", ["", " ", "\n", "\ud800", "…", "\u2028"])
def test_nothing_divides_by_zero_when_all_minimums_are_off(text: str) -> None:
    bare: list[Rule] = [
        GopherQuality(min_words=0, min_stop_words=0, min_alphabetic_words=None),
        GopherQuality(min_words=None),
        GopherRepetition(),
        FineWeb(),
    ]
    for rule in bare:
        rule(text)
    C4(min_sentences=None)(text)


def test_importing_the_filters_is_light() -> None:
    code = (
        "import sys; import curate.filters, curate.text.signals;"
        "from curate.filters import GopherQuality, Language, Safety;"
        "print([m for m in ('numpy', 'fasttext', 'py3langid', 'spacy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
