"""How often a comparison's answers are right, in simulation: one JSON line a row.

    python tests/bench/judged.py                    # 2 000 comparisons a row, about 20 minutes on 2 cores
    python tests/bench/judged.py --trials 200 --rows "equal*"

The project's own climb, looks, variances, tests and answers, with a stand-in for training: the share of the facts that
a run stores is a logistic function of its exposures, whose middle is moved by the arm, by the seed, by both (the noise,
as the standard deviation of a pair) and by the run. `wrong` is the share of comparisons in which an arm is said to
differ from a coin that it equals, or to be better where it is worse; `found` that in which a true difference is;
`alike` that in which an arm is said to be as good. `pooled` is what `wrong` would be if renderings of the same pages
were pooled with arms of other pages.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import math
import multiprocessing
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

SEED, RUN, STEEPNESS, TOP = 0.06, 0.02, 12.0, 0.97
"""Standard deviations of what a seed and a run add to the logarithm of half, the slope of a share over it, the largest
share: about those of the comparisons in docs/results/compare.md."""
HALF, SAME_PAGES = 58.0, 0.02


@dataclasses.dataclass(frozen=True)
class Row:
    """A kind of comparison: true multiples of the coin for each arm, and how noisy training is."""

    name: str
    noise: float
    effects: tuple[float, ...] = (1.0,)
    tagged: tuple[float, ...] = ()
    seeds: int = 6
    more: int = 6
    tails: bool = False


ROWS = [
    *(Row(f"equal, noise {noise}", noise) for noise in (0.04, 0.12, 0.17, 0.24)),
    *(Row(f"equal, {arms} arms", 0.12, (1.0,) * arms) for arms in (2, 3, 5)),
    *(Row(f"equal, {seeds} seeds, one look", 0.12, seeds=seeds, more=0) for seeds in (3, 4, 6, 8, 12)),
    Row("equal, 3 and 3 seeds", 0.12, seeds=3, more=3),
    Row("equal, heavy tails and dips", 0.12, tails=True),
    Row("equal, 3 arms, heavy tails and dips", 0.12, (1.0,) * 3, tails=True),
    *(Row(f"equal, two tagged arms, {seeds} seeds", 0.12, (1.0,), (1.0, 1.0), seeds, 0) for seeds in (5, 6)),
    Row("equal, two tagged arms, two looks", 0.12, (1.0,), (1.0, 1.0)),
    *(Row(f"times {x}, noise {sd}", sd, (x,)) for x in (0.66, 0.8, 0.9) for sd in (0.04, 0.12, 0.17, 0.24)),
    *(Row(f"times {x}, 5 seeds, one look, noise 0.17", 0.17, (x,), seeds=5, more=0) for x in (0.66, 0.8)),
    Row("times 1.15, noise 0.04", 0.04, (1.15,)),
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--rows", default="*", help="names of rows, with * and ?")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for row in ROWS:
            if fnmatch.fnmatch(row.name, given.rows):
                begun = time.perf_counter()
                work = [(row, number) for number in range(given.trials)]
                print(json.dumps(summed_up(row, pool.starmap(trial, work, chunksize=25), begun)), flush=True)


def trial(row: Row, number: int) -> dict[str, Any]:
    """One comparison: the answer for each arm and tagged arm, and whether the control was lost."""
    from recipes.app.measure.asked import Comparison
    from recipes.app.measure.coins import Arm
    from recipes.app.measure.corpora import Tokenised
    from recipes.app.measure.judged import judged
    from recipes.app.measure.ladder import Grid
    from recipes.app.measure.protocol import Training, halves_of, rungs_of
    from recipes.app.measure.verdict import report

    asked = Comparison(reading="facts", seeds=row.seeds, more=row.more)
    names = [f"arm {k}" for k in range(len(row.effects))]
    arms = [Arm("raw", "raw", "raw")]
    arms += [Arm(name, name, name, against=f"coin of {name}") for name in names]
    arms += [Arm(f"tagged {k}", f"tagged {k}", "raw", against="raw", paired=True) for k in range(len(row.tagged))]
    arms += [Arm(f"coin of {name}", "raw", "raw", kept=0.6) for name in names]
    corpora = [Tokenised(arm.name, arm.corpus, Path(arm.name), 100, 10**9, 10**9) for arm in arms if arm.kept == 1]
    rungs = rungs_of(asked, arms, corpora, 3700.0)
    half = dict.fromkeys((arm.name for arm in arms), HALF)
    half |= {name: HALF * times for name, times in zip(names, row.effects, strict=True)}
    half |= {f"tagged {k}": HALF * times for k, times in enumerate(row.tagged)} | {"control": 200.0, "no pages": 17.0}
    outcome = Training(
        asked, arms, corpora, rungs, Grid({}, lambda plan: trained(row, number, half, plan))
    ).carried_out()
    found = report(asked, arms, corpora, outcome, "", 47.6)
    values, rule = halves_of(outcome.results, outcome.ladders, asked)
    mixed = judged(values, [dataclasses.replace(arm, paired=False) for arm in arms], rule)
    lost = found["control"] is None or not found["control"]["worse"]
    return {
        "answers": {one.arm: one.answer for one in outcome.judged},
        "mixed": {one.arm: one.answer for one in mixed},
        "spread": next((one.spread for one in outcome.judged if not one.paired), math.nan),
        "lost": lost,
        "looks": max(arm["seeds"] for arm in found["arms"]) > row.seeds,
        "tokens": sum(run["exposures"] for run in outcome.results) * 2 * 3700.0,
    }


def trained(row: Row, number: int, half: dict[str, float], plan: dict[str, Any]) -> list[dict[str, Any]]:
    """In place of training: what each run of a plan stores."""
    rows = []
    for run in plan["runs"]:
        of_seed = f"{number}/{run['seed']}"
        pages = "raw" if run["arm"].startswith("tagged") else run["arm"]
        middle = math.log(half[run["arm"]]) + random.Random(of_seed).gauss(0, SEED)
        middle += noise(random.Random(f"{of_seed}/{pages}"), row) / math.sqrt(2)
        if pages != run["arm"]:
            middle += random.Random(f"{of_seed}/{run['arm']}").gauss(0, SAME_PAGES)
        own = random.Random(f"{of_seed}/{run['arm']}/{run['exposures']}")
        middle += own.gauss(0, RUN)
        share = TOP / (1 + math.exp(-STEEPNESS * (math.log(run["exposures"]) - middle)))
        if row.tails and own.random() < 0.05:
            share /= 2  # a dip
        rows.append(
            {"arm": run["arm"], "seed": run["seed"], "exposures": run["exposures"], "learning_rate": 0.01,
             "value_bits_per_parameter": share, "max_value_bits_per_parameter": 1.0, "parameters": 105_744,
             "tokens": 1, "seconds": 0.0, "text": {}}
        )  # fmt: skip
    return rows


def noise(draw: random.Random, row: Row) -> float:
    """A normal deviate of the row's noise; or one of Student's t with 3 degrees of freedom, of the same spread."""
    if not row.tails:
        return draw.gauss(0, row.noise)
    chi = sum(draw.gauss(0, 1) ** 2 for _ in range(3)) / 3
    return row.noise * draw.gauss(0, 1) / math.sqrt(chi) / math.sqrt(3)


def summed_up(row: Row, trials: list[dict[str, Any]], begun: float) -> dict[str, Any]:
    truth = {f"arm {k}": times for k, times in enumerate(row.effects)}
    truth |= {f"tagged {k}": times for k, times in enumerate(row.tagged)}
    right = {name: "better" if times < 1 else "worse" for name, times in truth.items()}

    def wrong(answers: dict[str, str]) -> bool:
        return any(
            answers.get(name)
            in (("better", "worse") if times == 1 else ({"better": "worse"}.get(right[name], "better"),))
            for name, times in truth.items()
        )

    def share(values: list[bool]) -> float:
        return round(statistics.fmean(values), 4)

    figures: dict[str, Any] = {"row": row.name, "trials": len(trials)}
    figures["wrong"] = share([wrong(one["answers"]) for one in trials])
    if row.tagged:
        figures["pooled"] = share([wrong(one["mixed"]) for one in trials])
    if any(times != 1 for times in row.effects):
        figures["found"] = share([one["answers"].get("arm 0") == right["arm 0"] for one in trials])
    return figures | {
        "alike": share([one["answers"].get("arm 0") == "alike" for one in trials]),
        "control_lost": share([one["lost"] for one in trials]),
        "second_look": share([one["looks"] for one in trials]),
        "spread": round(statistics.fmean(one["spread"] for one in trials if one["spread"] == one["spread"]), 4),
        "million_tokens": round(statistics.fmean(one["tokens"] for one in trials) / 1e6, 1),
        "seconds": round(time.perf_counter() - begun, 1),
    }


if __name__ == "__main__":
    main()
