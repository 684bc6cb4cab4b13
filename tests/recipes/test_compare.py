"""Comparisons: protocols in tokens, decisions on results whose truth is known, refusals, and one small one for real."""

import dataclasses
import functools
import json
import math
import random
from pathlib import Path

import pytest

from curate.document import Document
from curate.shards.text import write_text_shard
from curate.shards.vocabulary import build_vocabulary
from recipes.app.measure.arms import entries_of
from recipes.app.measure.asked import AGAIN, CONTROL, Comparison, Rung
from recipes.app.measure.compare import compare, run_comparison
from recipes.app.measure.corpora import ArmRendering, Entry, Tokenised, open_corpus
from recipes.app.measure.ladder import Grid
from recipes.app.measure.protocol import carried_out, rungs_of
from recipes.app.measure.statistics import holm, p_value
from recipes.app.measure.verdict import report
from recipes.app.report.comparison import write_page

ASKED = Comparison(
    reading="facts", people=10, exposures=(10, 20, 40), may_repeat=("one", "two"), seeds=(0, 1, 2), rates=(1e-3, 4e-3)
)


def tokenised(name: str, tokens: int, used: int | None = None) -> Tokenised:
    return Tokenised(name, name, Path(name), 100, tokens, used or tokens)


def test_same_budget_gives_all_the_same():
    asked = dataclasses.replace(ASKED, protocol="same-budget")
    rungs = rungs_of(asked, [tokenised("a", 50_000), tokenised("b", 90_000, 50_000)], 1000.0)
    assert {(one.exposures, one.junk_ratio) for one in rungs} == {(10, 0.5), (20, 0.5), (40, 0.5)}
    assert rungs[-1].repeats == pytest.approx(40_000 / 50_000)


def test_own_size_passes_each_corpus_once():
    asked = dataclasses.replace(ASKED, protocol="own-size")
    for one in rungs_of(asked, [tokenised("a", 50_000), tokenised("b", 90_000)], 1000.0):
        assert one.repeats == pytest.approx(1.0) and one.exposures == one.rung


def test_same_compute_shows_the_facts_of_a_smaller_corpus_more_often():
    """Corpus b is what is left of a after half was dropped; both hold the facts as often in one pass."""
    asked = dataclasses.replace(ASKED, protocol="same-compute")
    by = {
        (one.arm, one.rung): one for one in rungs_of(asked, [tokenised("a", 100_000), tokenised("b", 50_000)], 1000.0)
    }
    for rung in ASKED.exposures:
        a, b = by["a", rung], by["b", rung]
        assert (a.exposures, a.junk_ratio) == (rung, pytest.approx(0.5))
        total = rung * 1000 / 0.5
        # a: its share of 1/2 at every rung means 100 exposures in one pass; b: the same 100 in a pass of 150 000.
        assert b.exposures == round(total / (50_000 + 100_000) * 100)
        assert b.exposures * 1000 / (1 - b.junk_ratio) == pytest.approx(total)


def test_a_corpus_that_would_repeat_often_is_refused_unless_it_is_named():
    """At the rung where all begin; rungs above it that repeat too often are no part of the ladder."""
    corpora = [tokenised("big", 500_000), tokenised("small", 4_000)]
    asked = dataclasses.replace(ASKED, protocol="same-budget")
    with pytest.raises(ValueError, match=r"'small' has 4,000 tokens and would be repeated 5\.0 times at rung 20"):
        rungs_of(asked, corpora, 1000.0)
    named = rungs_of(dataclasses.replace(asked, may_repeat=("small",)), corpora, 1000.0)
    assert [(one.arm, one.rung) for one in named] == [(a, b) for b in (10, 20, 40) for a in ("big", "small")]
    shorter = rungs_of(asked, [corpora[0], tokenised("small", 5_000)], 1000.0)
    assert [one.rung for one in shorter] == [10, 10, 20, 20]


def corpus(folder: Path, documents: int, seed: int) -> Path:
    draw = random.Random(seed)
    words = [f"{a}{b}" for a in ("stone", "river", "cloud", "green", "paper") for b in ("side", "way", "er", "ly", "")]
    (folder / "text").mkdir(parents=True)
    texts = (" ".join(draw.choices(words, k=300)) + "." for _ in range(documents))
    pages = (Document(key=f"{folder.name}/{n}", text=text, source="s") for n, text in enumerate(texts))
    injected = [Document(key="facts/0", text="Nobody was born.", source="facts", protected=True)]
    with (folder / "text" / "00000.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, [*pages, *injected])
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpora")
    build_vocabulary(kind="bpe", texts=["the river side of the green cloud"], size=300).save(root / "tokenizer.json")
    return [corpus(root / name, count, seed) for name, count, seed in (("one", 150, 0), ("two", 160, 1), ("few", 5, 2))]


def entries(folders):
    return [Entry(path.name, open_corpus(path.name, path)) for path in folders]


def trainer(middles: dict[str, float], noise: float = 0.02, seed: int = 0):
    """In place of training: an arm stores half of the facts at its own middle, give or take; runs of one seed share
    what their seed does to them."""

    def train(plan, out):
        rows = []
        for run in plan["runs"]:
            draw = random.Random(f"{seed}/{run['seed']}/{run['arm']}/{run['exposures']}")
            shared = random.Random(f"{seed}/{run['seed']}").gauss(0, 0.1)
            rate = run["training"]["learning_rate"]
            middle = middles[run["arm"]] * math.exp(shared + draw.gauss(0, noise)) * (1 if rate == 4e-3 else 5)
            share = 1 / (1 + (middle / run["exposures"]) ** 2)
            rows.append(
                {
                    "arm": run["arm"], "seed": run["seed"], "exposures": run["exposures"], "learning_rate": rate,
                    "value_bits_per_parameter": 0.3 * share, "max_value_bits_per_parameter": 0.3, "parameters": 1000,
                    "tokens": 10, "seconds": 1.0, "text": {name: {"nats_per_token": 2.0} for name in ("one", "two")},
                }
            )  # fmt: skip
        return rows

    return train


def decided(train):
    """What a comparison decides, without texts and tokens, which take most of its time."""
    asked = dataclasses.replace(ASKED, protocol="same-budget")
    corpora = [tokenised("one", 90_000), tokenised("two", 90_000)]
    rungs = rungs_of(asked, corpora, 1000.0)
    return report(
        asked, corpora, carried_out(asked, corpora, rungs, Grid({}, functools.partial(train, out=Path()))), ""
    )


MIDDLES = {"one": 20.0, "two": 20.0, AGAIN: 20.0, CONTROL: 80.0}


def test_a_real_difference_is_decided_with_its_size(folders, tmp_path):
    asked = dataclasses.replace(ASKED, protocol="same-budget")
    corpora = entries(folders[:2])
    train = trainer(MIDDLES | {"two": 30.0})
    found = compare(corpora, tmp_path, asked, tokenizer=folders[0].parent / "tokenizer.json", train=train)
    (line,) = found["verdict"]
    assert (
        line.startswith("facts: 'two' is worse than 'one': half of the facts at 1.") and "times the exposures" in line
    )
    (first, second) = found["corpora"]
    assert first["rate"] == second["rate"] == 4e-3
    assert second["multiplier"]["value"] == pytest.approx(1.5, rel=0.1)
    assert second["multiplier"]["low"] > 1.3 and second["multiplier"]["high"] < 1.8
    assert found["control"]["high"] < 0 and not found["again"]["decided"]
    assert {"one", "two", AGAIN} <= set(found["text"]) and found["rung"] == 20
    assert found["control"]["rung"] == next(one for one in asked.exposures if one >= float(first["half"]))
    assert {row["learning_rate"] for row in found["results"]} == {4e-3}


def test_the_control_keeps_to_the_protocol():
    """7/8 junk: in the same compute an eighth of the tokens are facts, where one half were; else as many exposures."""
    corpora = [tokenised("one", 90_000), tokenised("two", 90_000)]
    for protocol, share in (("same-compute", 0.25), ("same-budget", 1.0)):
        asked = dataclasses.replace(ASKED, protocol=protocol, rates=(4e-3,))
        grid = Grid({}, functools.partial(trainer(MIDDLES), out=Path()))
        outcome = carried_out(asked, corpora, rungs_of(asked, corpora, 1000.0), grid)
        controls = [row for row in outcome.results if row["arm"] == CONTROL]
        assert len(controls) == 3
        assert all(row["exposures"] == share * row["rung"] for row in controls)


def test_a_difference_where_an_arm_never_comes_to_half_is_one_of_shares():
    """A little more than half at the top of the ladder against hardly any: no ratio can be given, but a sign."""
    found = decided(trainer(MIDDLES | {"two": 300.0}))
    (line,) = found["verdict"]
    assert line.startswith("'two' is worse than 'one': -0.") and "of all facts stored at rung 40" in line
    assert found["differences"][0]["kind"] == "shares" and found["corpora"][1]["half"] == "> 40"


def test_no_difference_is_not_decided_and_says_how_many_seeds_would():
    found = decided(trainer(MIDDLES | {"two": 20.4}, noise=0.05))
    assert found["verdict"][0].startswith("cannot tell 'two' from 'one': half of the facts at 0.99 (0.93 to 1.04)")
    assert "more seeds" in found["verdict"][0] and "see" in found["verdict"][0]


@pytest.mark.parametrize(
    ("middles", "said"),
    [
        ({AGAIN: 60.0, "two": 60.0}, "differs from itself in another shuffle"),
        ({CONTROL: 10.0}, "the control (7/8 endless junk) was not found to be worse"),
        (dict.fromkeys(MIDDLES, 0.5), "half of the facts and more are stored in every corpus at 10 exposures"),
        (dict.fromkeys(MIDDLES, 2000.0), "nothing is stored at 40 exposures of 10 people"),
        (dict.fromkeys(MIDDLES, 60.0), "less than half of the facts is stored at 40 exposures of 10 people"),
        ({"one": 60.0, AGAIN: 60.0}, "'one' stores less than half of the facts"),
    ],
)
def test_why_nothing_is_decided(middles, said):
    (line,) = decided(trainer(MIDDLES | middles))["verdict"]
    assert line.startswith("undecided: ") and said in line


def test_the_same_corpus_twice_is_decided_about_once_in_twenty():
    corpora = [tokenised("one", 9000), tokenised("two", 9000)]
    rungs = [Rung(one.name, count, count, 0.5, 1.0) for count in ASKED.exposures for one in corpora]
    asked = dataclasses.replace(ASKED, rates=(4e-3,))
    decided = 0
    for seed in range(200):
        train = trainer(MIDDLES, 0.1, seed)
        outcome = carried_out(asked, corpora, rungs, Grid({}, functools.partial(train, out=Path())))
        decided += report(asked, corpora, outcome, "")["differences"][0]["decided"]
    assert decided <= 19  # 10 expected; more than 19 of 200 happens once in 500 times


def test_corrections_for_several_arms_are_those_of_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]
    assert p_value([1.0, 2.0, 3.0]) == pytest.approx(0.0742, abs=1e-4)  # t = 3.464 with 2 degrees of freedom
    assert p_value([1.0]) == 1.0 and p_value([2.0, 2.0]) == 0.0


def test_unfit_corpora_are_refused(folders, tmp_path):
    one, _, few = folders
    with pytest.raises(ValueError, match=r"few holds [345] documents to train on: too few"):
        compare(entries([one, few]), tmp_path, ASKED)
    with pytest.raises(ValueError, match="at least two corpora"):
        compare(entries([one]), tmp_path, ASKED)
    with pytest.raises(ValueError, match="leave out --own-facts, or --reading text"):
        compare(entries(folders[:2]), tmp_path, dataclasses.replace(ASKED, reading="text"), own="found")
    with pytest.raises(ValueError, match="two corpora without rendered domains"):
        tagged = [dataclasses.replace(each, rendering=ArmRendering("special")) for each in entries(folders[:2])]
        compare(tagged, tmp_path, dataclasses.replace(ASKED, reading="text"))
    other = corpus(tmp_path / "elsewhere" / "one", 30, 7)
    assert len({each.corpus.name for each in entries_of([str(one), str(other)], tmp_path)}) == 2
    with pytest.raises(ValueError, match="holds no text of a finished run"):
        entries_of([str(tmp_path)], tmp_path)
    with pytest.raises(ValueError, match="two arms have the name 'one'"):
        entries_of([str(one), str(one)], tmp_path)


def test_a_small_comparison_for_real(folders, tmp_path):
    """Mechanics, not evidence: nothing is learnt at these exposures, and it says so."""
    asked = Comparison(
        people=4, exposures=(2, 4), seeds=(0, 1), rates=(4e-3,), layers=1, width=16, batch=2, text_tokens=20_000,
        text_seeds=(0, 1), text_width=16,
    )  # fmt: skip
    found = run_comparison(entries(folders[:2]), tmp_path, asked)
    text, facts = found["verdict"]
    assert text.startswith("text: against 'one', 'two' ") and facts.startswith("facts: undecided: nothing is stored")
    written = json.loads((tmp_path / "compare.json").read_text())
    assert written["tokenizer"] == found["tokenizer"] and len(written["results"]) == 2 * 3
    assert {row["parameters"] for row in found["results"]} == {found["parameters"]}
    by_arm = {row["arm"]: row for row in found["results"] if row["seed"] == 0 and row["rung"] == 4}
    assert by_arm["one"]["value_nats"] != by_arm[AGAIN]["value_nats"]
    assert all(0 < loss < 8 for text in found["text"].values() for loss in text.values())
    page = write_page(found, tmp_path).read_text()
    assert "one against two" in page and "no evidence above this scale" in page
