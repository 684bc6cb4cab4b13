"""Comparisons: protocols in tokens, decisions on results whose truth is known, refusals, and one small one for real."""

import dataclasses
import functools
import json
import math
import random
from pathlib import Path

import pytest

from curate.document import Document
from curate.errors import Refused
from curate.shards.text import write_text_shard
from curate.shards.vocabulary import build_vocabulary
from recipes.app.measure.arms import entries_of
from recipes.app.measure.asked import ALONE, CONTROL, Comparison
from recipes.app.measure.coins import Arm
from recipes.app.measure.compare import compare, run_comparison
from recipes.app.measure.corpora import ArmRendering, Entry, Tokenised, open_corpus
from recipes.app.measure.ladder import Grid
from recipes.app.measure.protocol import Training, rungs_of
from recipes.app.measure.verdict import report
from recipes.app.report.comparison import write_page
from recipes.app.report.shapes import read_comparison
from train_probe.inputs import read_inputs
from train_probe.plan import plan_of
from train_probe.train import run_name

ASKED = Comparison(
    reading="facts", people=10, exposures=(10, 14, 20, 28, 40), seeds=6, more=0, rates=(4e-3,),
)  # fmt: skip
ONE, TWO = Arm("one", "one", "one"), Arm("two", "two", "two", against="one")


def tokenised(name: str, tokens: int) -> Tokenised:
    return Tokenised(name, name, Path(name), 100, tokens, tokens)


def arm(name: str, **more) -> Arm:
    return Arm(name, name, name, **more)


def test_same_budget_gives_all_the_same():
    asked = dataclasses.replace(ASKED, protocol="same-budget")
    rungs = rungs_of(asked, [arm("a"), arm("b")], [tokenised("a", 50_000), tokenised("b", 90_000)], 1000.0)
    assert {(one.exposures, one.junk_ratio) for one in rungs} == {(count, 0.5) for count in ASKED.exposures}
    assert [one.repeats for one in rungs[-2:]] == pytest.approx([40_000 / 50_000, 40_000 / 90_000])


def test_own_size_passes_each_corpus_once():
    asked = dataclasses.replace(ASKED, protocol="own-size")
    for one in rungs_of(asked, [arm("a"), arm("b")], [tokenised("a", 50_000), tokenised("b", 90_000)], 1000.0):
        assert one.repeats == pytest.approx(1.0) and one.exposures == one.rung


def test_same_compute_shows_the_facts_of_a_smaller_corpus_more_often():
    """Corpus b is what is left of a after half was dropped; both hold the facts as often in one pass. So does a coin
    of its size."""
    asked = dataclasses.replace(ASKED, protocol="same-compute")
    coin = Arm("coin", "a", "a", kept=0.5)
    corpora = [tokenised("a", 100_000), tokenised("b", 50_000)]
    by = {(one.arm, one.rung): one for one in rungs_of(asked, [arm("a"), arm("b"), coin], corpora, 1000.0)}
    for rung in ASKED.exposures:
        a, b = by["a", rung], by["b", rung]
        assert (a.exposures, a.junk_ratio) == (rung, pytest.approx(0.5))
        total = rung * 1000 / 0.5
        # a: its share of 1/2 at every rung means 100 exposures in one pass; b: the same 100 in a pass of 150 000.
        assert b.exposures == round(total / (50_000 + 100_000) * 100)
        assert b.exposures * 1000 / (1 - b.junk_ratio) == pytest.approx(total)
        assert dataclasses.replace(by["coin", rung], arm="b") == b


def test_a_corpus_that_would_repeat_often_is_refused_unless_it_is_named():
    """At the rung where all begin; rungs above it that repeat too often are no part of the ladder."""
    corpora = [tokenised("big", 500_000), tokenised("small", 4_000)]
    asked = dataclasses.replace(ASKED, protocol="same-budget")
    arms = [arm("big"), arm("small", against="coin"), Arm("coin", "big", "big", kept=0.008)]
    with pytest.raises(ValueError, match=r"'small' has 4,000 tokens and would be repeated 5\.0 times at rung 20"):
        rungs_of(asked, arms, corpora, 1000.0)
    named = rungs_of(dataclasses.replace(asked, may_repeat=("small",)), arms, corpora, 1000.0)
    assert [(one.arm, one.rung) for one in named] == [(a, b) for b in ASKED.exposures for a in ("big", "small", "coin")]
    # Its own ladder ends where it would repeat too often, and no other arm's does.
    shorter = rungs_of(asked, arms[:2], [corpora[0], tokenised("small", 5_000)], 1000.0)
    assert [one.rung for one in shorter if one.arm == "small"] == [10, 14, 20]
    assert [one.rung for one in shorter if one.arm == "big"] == list(ASKED.exposures)


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


def trainer(middles: dict[str, float], noise: float = 0.03, seed: int = 0):
    """In place of training: an arm stores half of the facts at its own middle, give or take; runs of one seed share
    what their seed does to them."""

    def train(plan, out):
        rows = []
        for run in plan["runs"]:
            of_seed = f"{seed}/{run['seed']}"
            of_arm = random.Random(f"{of_seed}/{run['arm']}").gauss(0, noise)
            shared = random.Random(of_seed).gauss(0, 0.1)
            rate = run["training"]["learning_rate"]
            middle = middles[run["arm"]] * math.exp(shared + of_arm) * (1 if rate == 4e-3 else 1.4)
            share = 1 / (1 + (middle / run["exposures"]) ** 4)
            rows.append(
                {
                    "arm": run["arm"], "seed": run["seed"], "exposures": run["exposures"], "learning_rate": rate,
                    "value_bits_per_parameter": 0.3 * share, "max_value_bits_per_parameter": 0.3, "parameters": 1000,
                    "tokens": 10, "seconds": 1.0, "text": {name: {"nats_per_token": 2.0} for name in ("one", "two")},
                }
            )  # fmt: skip
        return rows

    return train


MIDDLES = {"one": 20.0, "two": 20.0, CONTROL: 80.0, ALONE: 6.0}


def decided(train, asked=ASKED, arms=(ONE, TWO)):
    """What a comparison decides, without texts and tokens, which take most of its time."""
    corpora = [tokenised(one.name, 90_000) for one in arms if one.shards == one.name]
    rungs = rungs_of(asked, arms, corpora, 1000.0)
    grid = Grid({}, functools.partial(train, out=Path()))
    return report(asked, arms, corpora, Training(asked, arms, corpora, rungs, grid).carried_out(), "", 40.0)


def compared(corpora: list[Entry], out: Path) -> tuple[dict, list[dict]]:
    """A comparison in which 'two' is worse, and the plans that were trained."""
    plans: list[dict] = []

    def train(plan, where):
        plans.append(plan)
        return trainer(MIDDLES | {"two": 27.0, "tagged": 27.0})(plan, where)

    return compare(corpora, out, ASKED, train=train), plans


@pytest.fixture(scope="module")
def of_two(folders, tmp_path_factory):
    """One of two corpora, and its folder: it writes facts and tokens, which takes most of a test's time."""
    out = tmp_path_factory.mktemp("two")
    return out, *compared(entries(folders[:2]), out)


def test_a_real_difference_is_decided_with_its_size(of_two):
    out, found, _ = of_two
    (line,) = found["verdict"]
    assert line.startswith(
        "facts: 'two', cut by a coin to the size of 'one', is worse than 'one': half of the facts at 1."
    )
    assert "times its exposures (p = " in line
    assert "value bits to learn a parameter, inside the loads (0.0047 to 0.066)" in line or "outside the loads" in line
    assert line.endswith("pages, and larger models: unknown)")
    (answer,) = found["judged"]
    assert math.exp(answer["mean"]) == pytest.approx(1.35, rel=0.05) and answer["answer"] == "worse"
    assert math.exp(answer["low"]) > 1.2 and math.exp(answer["high"]) < 1.5
    assert answer["free"] == 5 and answer["seeds"] == 6
    assert found["control"]["worse"] and set(found["control"]["stored"]) == {0, 1, 2, 3}
    assert {"one", "two"} <= set(found["text"]) and found["rung"] == 20
    assert found["alone"]["times"] == pytest.approx(0.3, rel=0.1)
    # Every seed has people of its own, the same for all arms.
    assert json.loads((out / "corpora" / "facts" / "facts.json").read_text())["people"] == 16 * 10


def test_an_arm_is_judged_by_its_coin_and_shown_beside_the_first_corpus():
    """Under a protocol that favours what is smaller, the coin takes the favour away."""
    arms = (ONE, arm("two", against="coin of 50%"), Arm("coin of 50%", "one", "one", kept=0.5))
    found = decided(trainer(MIDDLES | {"two": 14.0, "coin of 50%": 14.0}), arms=arms)
    assert found["verdict"][0].startswith("'two' is as good as a coin of its size (50% of 'one'): half of the facts at")
    by_name = {one["name"]: one for one in found["arms"]}
    assert math.exp(by_name["two"]["beside"]["mean"]) == pytest.approx(0.7, rel=0.05)
    assert by_name["two"]["beside"]["high"] < 0 and by_name["one"]["beside"] is None


def test_more_seeds_are_trained_where_an_arm_is_undecided_and_nowhere_else():
    asked = dataclasses.replace(ASKED, more=6)
    arms = (ONE, TWO, arm("three", against="one"))
    middles = MIDDLES | {"two": 23.0, "three": 40.0}
    found = decided(trainer(middles, noise=0.12), asked, arms)
    seeds = {one["name"]: one["seeds"] for one in found["arms"]}
    assert seeds == {"one": 12, "two": 12, "three": 6}
    assert found["confidence"] == pytest.approx(0.9706)


def test_renderings_of_the_same_pages_are_pairs_with_a_noise_of_their_own():
    arms = (ONE, TWO, Arm("tagged", "tagged", "one", against="one", paired=True))

    def train(plan, out):
        """Noise by pages: arms of the same pages share it."""
        pages = [run | {"arm": "one"} if run["arm"] == "tagged" else run for run in plan["runs"]]
        rows = trainer(MIDDLES, noise=0.2)({"runs": pages}, out)
        again = trainer(MIDDLES | {"tagged": 20.0}, noise=0.01, seed=5)
        for row, run in zip(rows, plan["runs"], strict=True):
            row["arm"] = run["arm"]
            if run["arm"] == "tagged":
                own = again({"runs": [run]}, out)[0]["value_bits_per_parameter"]
                row["value_bits_per_parameter"] += (own - row["value_bits_per_parameter"]) * 0.02 + 0.006
        return rows

    found = {one["arm"]: one for one in decided(train, arms=arms)["judged"]}
    assert found["tagged"]["paired"] and not found["two"]["paired"]
    assert found["tagged"]["spread"] < found["two"]["spread"] / 3 and found["tagged"]["free"] == 5
    assert found["tagged"]["answer"] == "better" and found["two"]["answer"] == "undecided"


def test_the_control_has_as_many_tokens():
    """7/8 junk: an eighth of the tokens are facts, where one half were."""
    for protocol in ("same-compute", "same-budget"):
        found = decided(trainer(MIDDLES), dataclasses.replace(ASKED, protocol=protocol))
        assert len(found["control"]["stored"]) == 4
        assert found["control"]["exposures"] == round(0.25 * found["control"]["rung"])


def test_a_seed_that_never_comes_to_half_counts_as_a_rung_above_the_ladder_and_is_said():
    found = decided(trainer(MIDDLES | {"two": 300.0}))
    (line,) = found["verdict"]
    assert (
        line.startswith("'two' is worse than 'one': half of the facts at 2.")
        and "6 of 6 seeds of 'two' never reached half: a rung above the ladder" in line
    )
    values = [row for row in found["arms"] if row["name"] == "two"]
    assert values[0]["off"] == 6 and values[0]["half"] == "> 40"


def test_no_difference_says_what_these_seeds_would_have_found():
    found = decided(trainer(MIDDLES | {"two": 21.5}, noise=0.2))
    assert found["verdict"][0].startswith("'two' cannot be told from 'one': half of the facts at")
    assert "6 seeds would have found 1." in found["verdict"][0]
    assert found["verdict"][0].count("more seeds") == 0
    few = decided(trainer(MIDDLES | {"two": 60.0}), dataclasses.replace(ASKED, seeds=2))
    assert few["verdict"] == ["undecided: fewer than 3 seeds decide nothing"] and few["judged"][0]["p"] == 1
    one = decided(trainer(MIDDLES | {"two": 60.0}), dataclasses.replace(ASKED, seeds=1, more=6))
    assert one["judged"][0]["answer"] == "worse" and len(one["control"]["stored"]) == 4


@pytest.mark.parametrize(
    ("middles", "said"),
    [
        ({CONTROL: 2.0}, "the control (look-alike junk in place of the pages) was not found to be worse"),
        (dict.fromkeys(MIDDLES, 0.5), "half of the facts and more are stored in every corpus at 10 exposures"),
        (dict.fromkeys(MIDDLES, 2000.0), "nothing is stored at 40 exposures of 10 people"),
        (dict.fromkeys(MIDDLES, 60.0), "less than half of the facts is stored at 40 exposures of 10 people"),
        ({"one": 60.0}, "'one' stores less than half of the facts at all exposures asked; ask for more"),
        ({"one": 4.0}, "'one' stores more than half of the facts at all exposures asked; ask for fewer"),
    ],
)
def test_why_nothing_is_decided(middles, said):
    (line,) = decided(trainer(MIDDLES | middles))["verdict"]
    assert line.startswith("undecided: ") and said in line


def test_an_answer_that_was_decided_stays_at_the_second_look():
    """Another arm is undecided, whose seeds and noise would change it."""
    asked = dataclasses.replace(ASKED, more=6)
    arms = (ONE, TWO, arm("three", against="one"))
    for seed in range(8):
        middles = MIDDLES | {"two": 23.5, "three": 22.0}
        first = decided(trainer(middles, noise=0.08, seed=seed), dataclasses.replace(asked, more=0), arms)
        both = decided(trainer(middles, noise=0.08, seed=seed), asked, arms)
        for one, two in zip(first["judged"], both["judged"], strict=True):
            if one["p"] < 0.0294:
                assert two["answer"] == one["answer"] and two["seeds"] == 6


def test_a_run_that_failed_leaves_its_seed_without_a_half():
    train = trainer(MIDDLES | {"two": 30.0})

    def failing(plan, out):
        rows = train(plan, out)
        for row in rows:
            if row["arm"] == "two" and row["seed"] < 2 and row["exposures"] == 28:
                row["error"] = "the loss was nan"
        return rows

    found = decided(failing)
    (answer,) = found["judged"]
    assert answer["seeds"] == 4 and "never reached half" not in found["verdict"][0]
    assert math.exp(answer["mean"]) == pytest.approx(1.5, rel=0.07)


def test_the_rate_is_chosen_once_for_all_arms_on_seeds_that_no_arm_has():
    found = decided(trainer(MIDDLES), dataclasses.replace(ASKED, rates=(1e-3, 4e-3)))
    assert found["rate"] == 4e-3 and {row["learning_rate"] for row in found["results"]} == {4e-3}
    assert {row["seed"] for row in found["results"]} == set(range(6))
    assert dataclasses.replace(ASKED, rates=(1e-3, 4e-3)).trial_seeds == tuple(range(6, 12))


def test_what_must_not_move_an_answer(of_two, folders, tmp_path):
    """Another arm, a rendering among them, changes nothing that the others train on: their run ids say so."""

    def trained(plans):
        plan = plan_of(plans[-1])
        inputs = read_inputs(plan)
        return {run_name(plan, run, inputs) for run in plan.runs if run.arm in ("one", "two", CONTROL, ALONE)}

    _, _, plans = of_two
    two = entries(folders[:2])
    tagged = dataclasses.replace(two[1], name="tagged", rendering=ArmRendering("special"))
    assert trained(plans) == trained(compared([*two, tagged], tmp_path)[1])


def test_unfit_corpora_are_refused(folders, tmp_path):
    one, _, few = folders
    with pytest.raises(ValueError, match=r"few holds [345] documents to train on: too few"):
        compare(entries([one, few]), tmp_path, ASKED)
    with pytest.raises(ValueError, match="at least two corpora"):
        compare(entries([one]), tmp_path, ASKED)
    with pytest.raises(ValueError, match="--may-repeat three: there is no such arm; there are one, two"):
        compare(entries(folders[:2]), tmp_path, dataclasses.replace(ASKED, may_repeat=("three",)))
    with pytest.raises(ValueError, match="share of the tokens must lie between 0 and 1, not 0"):
        dataclasses.replace(ASKED, junk_ratio=0.0)
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


@pytest.mark.usefixtures("trained_here")
def test_a_small_comparison_for_real(folders, tmp_path):
    """Mechanics, not evidence: nothing is learnt at these exposures, and it says so."""
    asked = Comparison(
        people=4, exposures=(2, 4), seeds=2, more=0, rates=(4e-3,), layers=1, width=16, batch=2, text_tokens=20_000,
        text_width=16,
    )  # fmt: skip
    found = run_comparison(entries(folders[:2]), tmp_path, asked, tokenizer=folders[0].parent / "tokenizer.json")
    *_, text, facts = found["verdict"]
    assert text.startswith("text: against 'one', 'two', cut by") and facts.startswith(
        "facts: undecided: nothing is stored"
    )
    written = json.loads((tmp_path / "compare.json").read_text())
    assert read_comparison(tmp_path)["verdict"] == found["verdict"]
    (tmp_path / "edited").mkdir()
    (tmp_path / "edited" / "compare.json").write_text(json.dumps(written | {"first": "another"}))
    with pytest.raises(Refused, match=r"compare\.json is not what the comparison wrote"):
        read_comparison(tmp_path / "edited")
    assert (
        written["tokenizer"] == found["tokenizer"] and len(written["results"]) == 2 * 2 + 4
    )  # and the facts alone, at two rungs
    assert {row["parameters"] for row in found["results"]} == {found["parameters"]}
    by_arm = {row["arm"]: row for row in found["results"] if row["seed"] == 0 and row["rung"] == 4}
    assert by_arm["one"]["value_nats"] != by_arm["two"]["value_nats"]
    assert all(0 < loss < 8 for text in found["text"].values() for loss in text.values())
    page = write_page(found, tmp_path).read_text()
    assert "one against two" in page and "value bits to learn a parameter" in page
