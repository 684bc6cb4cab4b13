"""Whether half of the facts may be read from the course of one run: one JSON line.

    python tests/bench/crossing.py            # some minutes on 2 cores

Compact facts in junk of several kinds and shares. For each arm against the facts alone: the logarithm of the ratio of
exposures to half of the facts, once from trainings that each go to the end of their schedule (as `goldsand compare`
climbs), once from where one run at a constant rate crosses one half. Written down before: the crossing may replace the
climb where, over at least eight pairs, the slope of one on the other is within .1 of 1 and its intercept within .03.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

FACTS = {"kind": "compact", "people": 100, "name_parts": [64, 64], "attributes": 4, "values": 32}
LADDER = (4, 5, 7, 9, 12, 16, 21, 28, 38, 50, 67, 89, 119)
ARMS: dict[str, dict[str, Any]] = {
    "facts alone": {},
    **{f"endless {share:.2f}": {"junk_kind": "endless", "junk_ratio": share} for share in (0.25, 0.5, 0.6667, 0.75)},
    **{f"learnable {share}": {"junk_kind": "learnable", "junk_ratio": share} for share in (0.5, 0.75)},
    "repetitive 0.5": {"junk_kind": "repetitive", "junk_ratio": 0.5, "junk_people": 100},
    **{f"tagged {x}": {"junk_kind": "endless", "junk_ratio": x, "tag": "useful"} for x in (0.5, 0.75)},
}


def main() -> None:
    from recipes.app.measure.ladder import climbed
    from recipes.app.measure.statistics import half_exposures, stored_share
    from synth.corpus import facts_corpus
    from synth.inject import Inject
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=300)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.6e-2, 8e-3], help="of the run that is crossed")
    given = parser.parse_args()
    begun = time.perf_counter()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        facts_corpus(folder, Inject(**FACTS, exposures=max(LADDER)), name=None)
        base = {"facts": str(folder / "facts"), "useful": None, "model": {"layers": 2, "heads": 2, "width": 32}}

        def trained(runs: list[dict[str, Any]], **training: Any) -> list[dict[str, Any]]:
            plan = base | {"runs": runs, "training": {"batch": 8, "learning_rate": 1.6e-2} | training}
            return run_plan(plan_of(plan), folder / "out", Printer())

        tokens = 0

        def climb(wanted: Any) -> list[float]:
            nonlocal tokens
            rows = trained([{"arm": arm, "seed": seed, "exposures": n, **ARMS[arm]} for (arm, seed), n in wanted])
            tokens += sum(row["tokens"] for row in rows)
            return [stored_share(row) for row in rows]

        start = LADDER[len(LADDER) // 2]
        climbs = climbed({(arm, seed): (LADDER, start) for arm in ARMS for seed in seeds}, climb)
        halves = {key: math.log(half_exposures(stored).exposures) for key, stored in climbs.items()}
        line: dict[str, Any] = {"climb": {"tokens": tokens, "half": means(halves, ARMS, seeds)}}
        fine = sorted({round(4 * 2 ** (step / 4)) for step in range(20)} & set(range(4, max(LADDER))))
        for rate in given.rates:
            runs = [{"arm": arm, "seed": seed, "exposures": max(LADDER), **ARMS[arm]} for arm in ARMS for seed in seeds]
            rows = trained(runs, final_rate=1.0, learning_rate=rate, evaluate_exposures=fine)
            crossed = {}
            for row in rows:
                curve = {one["exposures"]: stored_share(row | one) for one in row["curve"]}
                crossed[row["arm"], row["seed"]] = math.log(
                    half_exposures(curve | {max(LADDER): stored_share(row)}).exposures
                )
            line[f"crossing at {rate}"] = {
                "tokens": sum(row["tokens"] for row in rows), "half": means(crossed, ARMS, seeds),
                **fitted(halves, crossed, list(ARMS), seeds),
            }  # fmt: skip
    print(json.dumps(line | {"seconds": round(time.perf_counter() - begun, 1)} | vars(given)))


def means(halves: dict[tuple[str, int], float], arms: Any, seeds: range) -> dict[str, float]:
    return {arm: round(math.exp(statistics.fmean(halves[arm, seed] for seed in seeds)), 1) for arm in arms}


def fitted(
    climbs: dict[tuple[str, int], float], crossed: dict[tuple[str, int], float], arms: list[str], seeds: range
) -> dict[str, Any]:
    """The line through the pairs' log ratios, and the standard deviations over seeds of both."""
    alone, *others = arms
    ratio = {
        name: [[halves[arm, seed] - halves[alone, seed] for seed in seeds] for arm in others]
        for name, halves in (("climb", climbs), ("crossed", crossed))
    }
    x, y = (np.mean(ratio[name], axis=1) for name in ("climb", "crossed"))
    slope, intercept = np.polyfit(x, y, 1)
    spread = {f"sd_{name}": round(float(np.mean(np.std(ratio[name], axis=1, ddof=1))), 4) for name in ratio}
    off = float(np.sqrt(np.mean((y - x) ** 2)))
    line = {"slope": round(float(slope), 3), "intercept": round(float(intercept), 3), "rms": round(off, 3)}
    return {"pairs": len(others)} | line | spread


if __name__ == "__main__":
    main()
