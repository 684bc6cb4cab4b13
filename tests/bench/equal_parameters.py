"""Architectures at equal parameters, near capacity: one JSON line.

    python tests/bench/equal_parameters.py --widths 12 24 --exposures 100      # is a gated MLP better, by size?
    python tests/bench/equal_parameters.py --widths 12 --exposures 1000        # and by exposures
    python tests/bench/equal_parameters.py --widths 12 --batch 4               # and by steps
    python tests/bench/equal_parameters.py --question depth --widths 24        # 1, 2, 4 and 8 layers

Each size has as many people as give R_max about 3.1, so that no model can know everything. A row is one model at one
rate: bits a parameter of each seed; `best` has the rate whose mean over seeds is highest, and the ratio to the plain
model's best (of depth: of two layers), paired by seed, with its 95 % interval. With --out runs are kept, and finished
ones not trained again.
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

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

QUESTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "gated": {
        "plain": {},
        "gated": {"architecture": "gpt2_gated"},
        "no MLP": {"architecture": "gpt2_no_mlp"},
        "quarter": {"architecture": "gpt2_quarter"},
        "llama, tied": {"architecture": "llama", "tied": True},
    },
    "depth": {
        "2 layers": {"layers": 2},
        "1 layer": {"layers": 1},
        "4 layers": {"layers": 4},
        "8 layers": {"layers": 8},
    },
}
"""The models of each question, the first of which the others are compared with."""
RATES = {"fan-in": [4e-3, 8e-3, 1.6e-2], "gpt2": [4e-3, 8e-3, 1.6e-2]}
NAMES, VALUES = [64, 128], {"attributes": 8, "values": 64}
VOCABULARY = sum(NAMES) + 64 + 2
LOAD = 3.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--question", choices=QUESTIONS, default="gated")
    parser.add_argument("--models", nargs="+", help="instead of all of the question's; the first is always there")
    parser.add_argument("--widths", type=int, nargs="+", default=[12, 24])
    parser.add_argument("--exposures", type=int, nargs="+", default=[100])
    parser.add_argument("--initialisations", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--rates", type=float, nargs="+", help="instead of three of each initialisation")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--facts-seed", type=int, default=2)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--out", type=Path, help="where runs are kept")
    given = parser.parse_args()
    begun = time.perf_counter()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for width in given.widths:
            rows += rows_of(width, given, (given.out or Path(folder)) / f"{given.question}-{width}")
    words = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items()}
    print(json.dumps({"rows": rows, "best": best(rows), "seconds": round(time.perf_counter() - begun, 1), **words}))


def people_of(width: int) -> int:
    """People whose names and values are LOAD bits a parameter of the plain model."""
    from train_probe.architecture import architecture

    bits = LOAD * architecture("gpt2", 2, 2, width).parameters(VOCABULARY)
    people = 100
    while people * (math.log2(math.prod(NAMES) / people) + 48) < bits:
        people += 10
    return people


def rows_of(width: int, given: argparse.Namespace, out: Path) -> list[dict[str, Any]]:
    from recipes.app.measure.probe import run_probe
    from recipes.app.recipe.load import Loaded
    from recipes.app.recipe.schema import Probe, Recipe

    models = QUESTIONS[given.question]
    first = next(iter(models))
    arms = []
    for name, model in models.items():
        if given.models and name not in (first, *given.models):
            continue
        for kind in given.initialisations:
            base = f"{first}; {kind}"
            own = {"initialisation": kind, "width": width if name == first else f"equal P to {base}"}
            rates = given.rates or RATES[kind]
            arms.append({"arm": f"{name}; {kind}", "model": model | own, "learning_rates": rates})
    facts = {"kind": "compact", "people": people_of(width), "name_parts": NAMES, "exposures": 1000} | VALUES
    probe = Probe(
        facts=facts | {"seed": given.facts_seed},
        drawn=True,
        training={"batch": given.batch},
        exposures=given.exposures,
        seeds=list(range(given.first_seed, given.first_seed + given.seeds)),
        arms=arms,
    )
    results = run_probe(Loaded(Recipe(name=given.question, probe=probe), [], out, {}), out, processes=given.processes)
    rows = []
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in results:
        groups.setdefault((row["arm"], row["exposures"], row["learning_rate"]), []).append(row)
    for (arm, exposures, rate), group in groups.items():
        sound = [row for row in group if not row.get("error")]
        model, _, kind = arm.partition("; ")
        line = {"base_width": width, "model": model, "initialisation": kind, "exposures": exposures, "rate": rate}
        line |= {"batch": given.batch, "failed": len(group) - len(sound)}
        if sound:
            line |= {
                "parameters": sound[0]["parameters"],
                "people": sound[0]["people"],
                "most": round(sound[0]["max_bits_per_parameter"], 3),
                "steps": sound[0]["steps"],
                "seeds": [row["seed"] for row in sound],
                "R": [round(row["bits_per_parameter"], 4) for row in sound],
            }
        rows.append(line)
    return rows


def best(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each model at each size, exposures and initialisation the best rate, against that of the first model."""
    from recipes.app.measure.statistics import interval

    groups: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if "R" in row:
            at = groups.setdefault((row["base_width"], row["exposures"], row["initialisation"]), {})
            if row["model"] not in at or statistics.fmean(row["R"]) > statistics.fmean(at[row["model"]]["R"]):
                at[row["model"]] = row
    found = []
    for (width, exposures, kind), models in groups.items():
        base = next(iter(models.values()))
        others = dict(zip(base["seeds"], base["R"], strict=True))
        for name, row in models.items():
            line = {"base_width": width, "exposures": exposures, "initialisation": kind, "model": name}
            line |= {key: row[key] for key in ("rate", "parameters", "steps")}
            line["R"] = round(statistics.fmean(row["R"]), 4)
            pairs = [(one, others[seed]) for seed, one in zip(row["seeds"], row["R"], strict=True) if seed in others]
            if row is not base and pairs and min(map(min, pairs)) > 0:
                mean = interval([math.log(one / other) for one, other in pairs])
                line["times"] = round(math.exp(mean.mean), 3)
                if mean.count > 1:
                    line["low"], line["high"] = (round(math.exp(end), 3) for end in (mean.low, mean.high))
            found.append(line)
    return found


if __name__ == "__main__":
    main()
