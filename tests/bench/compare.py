"""How often a comparison is right: one JSON line.

    python tests/bench/compare.py                     # 20 sets of seeds, some minutes on 2 cores

Compact facts in endless junk, in sets of seeds that share nothing. `aa_undecided` is the share of sets in which junk at
1/2 is not told from other junk at 1/2; `ab_right` that in which 1/2 is found better than 3/4: as `goldsand compare`
decides, by the exposures to half of the facts that every seed climbs to, paired over seeds, at 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "train_probe")]


def main() -> None:
    from probe_world import World

    from recipes.app.measure.ladder import climbed
    from recipes.app.measure.statistics import arms_of, stored_share
    from recipes.app.measure.verdict import difference
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of a set")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--exposures", type=int, nargs="+", default=[8, 11, 15, 20, 27, 36, 48, 64, 85])
    parser.add_argument("--rate", type=float, default=1.6e-2)
    given = parser.parse_args()
    arms = {
        "half": {"junk_ratio": 0.5},
        "half again": {"junk_ratio": 0.5, "shuffle": 1},
        "three quarters": {"junk_ratio": 0.75},
    }
    start = given.exposures[len(given.exposures) // 2]
    results = []
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        world = World(
            Path(folder) / "world", people=given.people, exposures=max(given.exposures), parts=(64, 64), values=4,
            pool=32, words=16,
        )  # fmt: skip

        def train(wanted):
            common = {"junk_kind": "endless", "training": {"learning_rate": given.rate}}
            runs = [
                {"arm": arm, "seed": seed, "exposures": rung, **arms[arm], **common} for (arm, seed), rung in wanted
            ]
            model = {"layers": 2, "heads": 2, "width": 32}
            plan = world.plan(runs, model=model, training={"batch": 8}, processes=None)
            rows = run_plan(plan_of(plan), Path(folder) / "out", Printer())
            results.extend(rows)
            return [stored_share(row) for row in rows]

        keys = [(arm, seed) for seed in range(given.sets * given.seeds) for arm in arms]
        climbed(given.exposures, keys, start, train)
    undecided = right = 0
    halves = {name: [] for name in arms}
    for number in range(given.sets):
        seeds = range(number * given.seeds, (number + 1) * given.seeds)
        found = arms_of([row for row in results if row["seed"] in seeds])
        for name, arm in found.items():
            halves[name].append(arm.mean_half().exposures)
        undecided += not difference(found["half again"], found["half"], start).effect.decided
        worse = difference(found["three quarters"], found["half"], start)
        right += worse.effect.decided and not worse.better
    print(
        json.dumps(
            {
                "aa_undecided": undecided / given.sets,
                "ab_right": right / given.sets,
                "seconds": round(time.perf_counter() - begun, 1),
                "tokens": sum(row["tokens"] for row in results),
                "runs": len(results),
                "half_of_the_facts_at": {name: round(sum(found) / len(found), 1) for name, found in halves.items()},
                **vars(given),
            }
        )
    )


if __name__ == "__main__":
    main()
