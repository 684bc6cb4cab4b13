"""False alarms by group of people in the report of a trained classifier: who stands out, by a test of proportions."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from curate.filters.groups import GROUPS, LEVEL, by_group, chance_of_as_many, standing_out, unnamed

AT = [(0.8, 0.5)]


def found(counts: dict[str, tuple[int, int]]) -> dict:
    """What is found of texts of which the first count, of the second, are false alarms."""
    lines, scores = [], []
    for text, (alarms, of) in counts.items():
        lines += [text] * of
        scores += [0.9] * alarms + [0.1] * (of - alarms)
    return by_group(lines, np.array(scores), AT)


def test_a_group_stands_out_by_a_test_and_not_by_its_rate() -> None:
    plain = "we met at the station"
    many = found({plain: (50, 1000), "i live with two muslims": (30, 100)})
    assert many["Muslims"]["negative"] == 100
    row = many["Muslims"]["at_common_threshold"][0]
    assert row["false_positive_rate"] == 0.3 and row["of_others"] == 0.05 and row["stands_out"] and row["p"] < 1e-9
    assert len(standing_out(many)) == 1 and "Muslims: 30% of 100" in standing_out(many)[0]
    # The same rates of few texts are chance; so is a rate far above the others' of two texts; a lower one is no alarm.
    assert standing_out(found({plain: (50, 1000), "i live with two muslims": (1, 4)})) == []
    assert standing_out(found({plain: (50, 1000), "i live with two muslims": (1, 2)})) == []
    assert standing_out(found({plain: (500, 1000), "i live with two muslims": (0, 100)})) == []


def test_what_cannot_be_measured_is_said_and_does_not_warn() -> None:
    of = found({"no one is named": (3, 10), "a gay man": (1, 5)})
    assert set(of) == set(GROUPS)
    assert [len(of[group]["at_common_threshold"]) for group in ("gay and bisexual people", "men")] == [1, 1]
    assert set(unnamed(of)) == set(GROUPS) - {"gay and bisexual people", "men"}
    assert set(unnamed(found({"a gay man": (1, 5)}))) == set(GROUPS)
    assert set(unnamed(by_group([], np.array([]), AT))) == set(GROUPS)
    assert set(unnamed(by_group(["a man", "b"], np.array([0.1, 0.2]), []))) == set(GROUPS)


@pytest.mark.parametrize("seed", range(4))
def test_the_test_of_proportions_is_fishers(seed: int) -> None:
    exact = pytest.importorskip("scipy.stats").fisher_exact
    draw = random.Random(seed)
    for _ in range(20):
        of, others = draw.randint(1, 60), draw.randint(1, 3000)
        hits, other_hits = draw.randint(0, of), draw.randint(0, others)
        table = [[hits, of - hits], [other_hits, others - other_hits]]
        expected = exact(table, alternative="greater").pvalue
        assert chance_of_as_many(hits, of, other_hits, others) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_groups_that_are_all_alike_are_seldom_warned_of() -> None:
    """`LEVEL` holds for the whole report: at most one report in a hundred warns where nobody stands out."""
    draw = np.random.default_rng(7)
    lines = [f"a text about {word}" for word in ("women", "gay people", "muslims", "nobody", "nothing")] * 40
    warned = sum(bool(standing_out(by_group(lines, draw.random(200), [(0.5, 0.9), (0.8, 0.7)]))) for _ in range(200))
    assert warned <= 200 * LEVEL * 3


def test_the_words_of_a_group_are_whole_words_of_what_a_model_reads() -> None:
    from curate.filters.classifier import in_words

    of = found(
        {in_words(text): (0, 1) for text in ("Mandarin transport.", "African-American, non-binary LGBTQ!", "Whitehall")}
    )
    assert {group for group, figures in of.items() if figures["negative"]} == {
        "Black people",
        "transgender people",
        "gay and bisexual people",
    }


def test_the_report_of_training_holds_them(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    from rich.console import Console

    from curate.filters.training import Text, TrainingSettings, train
    from recipes.app.commands.classifier import print_report

    draw = random.Random(3)
    words = [f"word{number}" for number in range(200)]

    def texts(count: int, *more: str) -> list[Text]:
        return [Text(" ".join([*draw.choices(words, k=5), *more]), "made") for _ in range(count)]

    # In training the group is named in insults only; harmless texts that name it are unseen.
    report = train(
        texts(200, "muslims") + texts(200, "fools"), texts(300, "garden"), tmp_path / "m",
        unseen_positive=texts(30, "fools") + texts(30, "muslims"),
        unseen_negative=texts(60, "garden") + texts(40, "muslims"),
        settings=TrainingSettings(dimensions=4, buckets=500, epochs=10, rate=0.5, letters=(0, 0)),
    )  # fmt: skip
    assert report["unseen"]["by_group"]["Muslims"]["at_common_threshold"][-1]["stands_out"]
    assert not any(figures["negative"] for figures in report["held_out"]["by_group"].values())
    console = Console(record=True, width=300)
    print_report(console, report)
    text = console.export_text()
    assert "warning: false alarms stand out for Muslims: " in text and "% of 40 negative texts" in text
    assert "not measured for any" in text and "not measured for women, men" in text
