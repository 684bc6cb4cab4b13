"""Exposures to half of the facts by schedule and batch, at the best of the rates: what docs/results/schedules.md says.

`goldsand probe schedules -o PROBE`, then `python tests/bench/schedules.py PROBE`: one JSON line. `half`: exposures, the
geometric mean over seeds; `smallest`: the fewest steps and records of McCandlish et al. (arXiv 1812.06162),
(S / S_min - 1) (E / E_min - 1) = 1, and the batch at which both cost twice their least.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from recipes.app.measure.statistics import stored_share

PEOPLE = 48


def half(rungs: dict[int, float]) -> float:
    """Exposures at which half is stored: between the two rungs around it, straight over the logarithm; the lowest rung
    where that stores half already."""
    below = max((one for one, share in rungs.items() if share < 0.5), default=None)
    above = min((one for one, share in rungs.items() if share >= 0.5 and one > (below or 0)), default=None)
    if below is None or above is None:
        return float(min(rungs)) if below is None else math.inf
    part = (0.5 - rungs[below]) / (rungs[above] - rungs[below])
    return math.exp(math.log(below) + part * math.log(above / below))


def hyperbola(batches: list[int], halves: list[float]) -> dict[str, float]:
    """The least steps and records by a scan over both, and the error of the logarithm of exposures."""
    records = np.array(halves) * PEOPLE
    steps = records / np.array(batches)
    best = (math.inf, 0.0, 0.0)
    for fewest in np.geomspace(records.min() / 4, records.min(), 200, endpoint=False):
        for least in np.geomspace(steps.min() / 20, steps.min(), 200, endpoint=False):
            # E by the batch: E = E_min + B S_min, of which both equations are forms.
            foretold = fewest + np.array(batches) * least
            error = float(np.sqrt(np.mean(np.log(foretold / records) ** 2)))
            best = min(best, (error, float(fewest), float(least)))
    error, fewest, least = best
    return {
        "records": round(fewest), "steps": round(least, 1), "critical_batch": round(fewest / least, 1),
        "rms_log_error": round(error, 4),
    }  # fmt: skip


def main(probe: Path) -> dict[str, Any]:
    """The figures of a finished probe of the recipe `schedules`."""
    results = json.loads((probe / "results.json").read_text())
    rungs: defaultdict[Any, dict[int, float]] = defaultdict(dict)
    for row in results:
        schedule = row["arm"].split("training.schedule ")[1].split(",")[0]
        rungs[schedule, row["batch"], row["learning_rate"], row["seed"]][row["exposures"]] = stored_share(row)
    rates: defaultdict[Any, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (schedule, batch, rate, _), found in rungs.items():
        rates[schedule, batch][rate].append(half(found))
    best = {}
    for key, by_rate in rates.items():
        means = {rate: float(np.exp(np.mean(np.log(seeds)))) for rate, seeds in by_rate.items()}
        rate = min(means, key=means.__getitem__)
        best[key] = (round(means[rate], 2), rate, [round(one, 2) for one in by_rate[rate]])
    schedules = sorted({schedule for schedule, _ in best})
    batches = sorted({batch for _, batch in best})
    return {
        "at_most": sorted({f"{one[0]} {one[1]}" for one, found in rungs.items() if min(found.values()) >= 0.5}),
        "runs": len(results), "seconds": round(sum(row["seconds"] for row in results), 1),
        "half": {f"{schedule} {batch}": best[schedule, batch] for schedule in schedules for batch in batches},
        "smallest": {one: hyperbola(batches, [best[one, batch][0] for batch in batches]) for one in schedules},
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
