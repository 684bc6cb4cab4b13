"""Scaling-law fits against published figures: one JSON line. `python tests/bench/scaling_fit.py DATA [--average]`

DATA holds chinchilla_points.csv and olmo_ladder_final.csv. The rule of the intervals was fixed on the
16 runs of 190M to 1B before the runs of 3B, 7B and 13B were read; `coverage` says which of those it holds. `--average`
adds the fit of the averaged Huber error from all 4 500 starts, which takes a minute or two.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

import numpy as np

from train_probe.scaling.fitting import Fit, Objective, fit
from train_probe.scaling.intervals import Worth, bootstrap, worth
from train_probe.scaling.laws import LAWS
from train_probe.scaling.points import Points, points, read_columns

LOSS = "eval/c4_en-validation/CrossEntropyLoss"
SEEN = [f"{size}-{times}xC" for size in ("190M", "370M", "760M", "1B") for times in (1, 2, 5, 10)]


def chinchilla(data: Path) -> Points:
    """The points read off Hoffmann's figure, the five highest left out."""
    columns, rows = read_columns(data / "chinchilla_points.csv")
    return points(columns, LAWS["hoffmann"], rows).without_highest(5)


def ladder(data: Path) -> dict[str, dict[str, str]]:
    """The runs of the OLMo ladder, by name."""
    with (data / "olmo_ladder_final.csv").open() as stream:
        return {row["run"]: row for row in csv.DictReader(stream)}


def chosen(runs: list[dict[str, str]], column: str = LOSS) -> Points:
    """Some runs, as points."""
    names = {"parameters": "parameters", "tokens": "tokens", "loss": column}
    return points({name: [float(run[key]) for run in runs] for name, key in names.items()}, LAWS["hoffmann"])


def of_the_small(data: Path, draws: int = 200) -> Worth:
    """The fit of the 16 runs by squared error, with its intervals."""
    runs = ladder(data)
    return worth(fit(chosen([runs[name] for name in SEEN]), objective=Objective("squared", log=False)), draws)


def large(data: Path) -> dict[str, tuple[float, float, float]]:
    """Parameters, tokens and loss of the runs of 3B, 7B and 13B."""
    return {
        name: (float(run["parameters"]), float(run["tokens"]), float(run[LOSS]))
        for name, run in ladder(data).items()
        if run["size"] in ("3B", "7B", "13B")
    }


def timed(known: Points) -> tuple[Fit, float]:
    fit(known)  # what is imported and compiled on the way is no fit
    began = time.perf_counter()
    return fit(known), time.perf_counter() - began


def main(data: Path, average: bool) -> None:
    made, seconds = timed(chinchilla(data))
    began = time.perf_counter()
    drawn = bootstrap(made, 1000)
    spent = time.perf_counter() - began
    small = of_the_small(data)
    coverage = {}
    errors = []
    for name, (size, tokens, loss) in large(data).items():
        said = small.predict(parameters=size, tokens=tokens)
        coverage[name] = {
            "measured": round(loss, 4), "said": round(said.value, 4), "error": round(said.value / loss - 1, 5),
            "low": round(said.low, 4), "high": round(said.high, 4),
            "held": said.low <= loss <= said.high, "outside": bool(said.outside),
        }  # fmt: skip
        if name in [f"3B-{times}xC" for times in (1, 2, 5, 10)]:
            errors.append(abs(said.value / loss - 1))
    line = {
        **made.parameters,
        "huber_sum": made.sum,
        "status": made.status,
        "seconds": round(seconds, 3),
        "fits_per_s": round(1000 / spent, 1),
        "bootstrap_seconds": round(spent, 1),
        "improved_by_all_starts": f"{drawn.improved} of {drawn.checked}",
        "alpha_range": drawn.interval("alpha"),
        "beta_range": drawn.interval("beta"),
        "ladder_3b_error": float(np.max(errors)),
        "ladder": {**small.fit.parameters, "rmse": small.fit.rmse, "flat": small.flat},
        "coverage": coverage,
    }
    if average:
        stopped = fit(made.points, method="lbfgs", average=True)
        line["averaged"] = {**stopped.parameters, "huber_sum": stopped.sum}
    print(json.dumps(line))


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--average" in sys.argv)
