"""Whether small models order kinds of junk as larger ones do: one JSON line.

    python tests/bench/transfer_facts.py --work FOLDER [--widths 16 32 64 128]

The facts are the same at every width (series A), so that load falls as models grow; or (`--load`, series B) there are
as many people as make the load the same. Each corpus of `transfer_facts.yaml` is one arm; its figure is the logarithm
of the exposures to half of the facts over those of no junk, for each seed. The criteria, written down before the first
run, stand in docs/results/transfer-facts.md. The same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).with_suffix(".yaml")
BASE = "no junk"
APART = 2.0
"""Standard errors by which two corpora must differ to be told apart."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", nargs="+", type=int, default=[16, 32, 64, 128])
    parser.add_argument("--load", type=float, help="bits of all values for each parameter; people follow from it")
    parser.add_argument("--work", type=Path, required=True, help="a folder to keep")
    given = parser.parse_args()
    began = time.perf_counter()
    sizes = [measured(width, given.load, given.work) for width in sorted(given.widths)]
    line: dict[str, Any] = {"load": given.load, "sizes": sizes, "agreement": agreement(sizes)}
    print(json.dumps(line | {"seconds": round(time.perf_counter() - began, 1)}))


def measured(width: int, load: float | None, work: Path) -> dict[str, Any]:
    """What every corpus takes at one width."""
    from recipes.app.measure.statistics import arms_of, log_halves
    from recipes.app.recipe.load import load as load_recipe

    out = work / f"{'A' if load is None else f'B-{load}'}-{width}"
    changes = [f"probe.model.width={width}"]
    if load is not None:
        changes.append(f"probe.facts.people={people_at(width, load)}")
    command = [sys.executable, "-m", "recipes.app.start", "probe", str(RECIPE), "-o", str(out)]
    subprocess.run([*command, *[word for one in changes for word in ("--set", one)]], check=True, stdout=sys.stderr)
    rows = json.loads((out / "results.json").read_text())
    ladder = load_recipe(str(RECIPE)).recipe.probe.exposures
    halves = {name: log_halves(arm, ladder) for name, arm in arms_of(rows).items()}
    base = halves[BASE]
    return {
        "width": width,
        "parameters": rows[0]["parameters"],
        "people": people_at(width, load) if load is not None else 100,
        "exposures": {name: [round(2.718281828459045**one, 2) for one in arm.values()] for name, arm in halves.items()},
        "multiplier": {
            name: [round(arm[seed] - base[seed], 4) for seed in sorted(arm.keys() & base.keys())]
            for name, arm in halves.items()
            if name != BASE
        },
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "tokens": sum(row["tokens"] for row in rows),
    }


def people_at(width: int, load: float) -> int:
    """People whose values (4 of 5 bits each) are so many bits for each parameter of a model of this width."""
    from train_probe.architecture import architecture

    built = architecture("gpt2", layers=2, heads=2, width=width)
    return max(8, round(load * built.parameters(VOCABULARY) / 20))


VOCABULARY = 230
"""Tokens of the compact records, about: names, values and marks."""


def agreement(sizes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each smaller size against the largest: Kendall's tau of the mean multipliers, no junk as 0 among them; and of
    the pairs that the largest tells apart the share ordered alike, and those far from 0 that are reversed. Of the
    largest by itself: tau between halves of its seeds."""
    top = sizes[-1]["multiplier"]
    found = []
    for one in sizes[:-1]:
        small = one["multiplier"]
        pairs = [(a, b) for a, b in combinations(top, 2) if _apart(top[a], top[b])]
        alike = [(_mean(small[a]) - _mean(small[b])) * (_mean(top[a]) - _mean(top[b])) > 0 for a, b in pairs]
        far = [
            (a, b)
            for a, b in combinations(top, 2)
            if min(abs(_mean(top[a]) - _mean(top[b])), abs(_mean(small[a]) - _mean(small[b]))) > 0.4
            and (_mean(small[a]) - _mean(small[b])) * (_mean(top[a]) - _mean(top[b])) < 0
        ]
        found.append(
            {
                "parameters": [one["parameters"], sizes[-1]["parameters"]],
                "tau": round(_tau(_means(small), _means(top)), 3),
                "pairs": len(pairs),
                "alike": round(sum(alike) / len(pairs), 3) if pairs else None,
                "reversed": far,
            }
        )
    first, second = ({name: seeds[place::2] for name, seeds in top.items()} for place in (0, 1))
    return [*found, {"ceiling_tau": round(_tau(_means(first), _means(second)), 3)}]


def _mean(values: list[float]) -> float:
    return statistics.fmean(values)


def _means(multipliers: dict[str, list[float]]) -> list[float]:
    return [0.0, *map(_mean, multipliers.values())]


def _apart(one: list[float], other: list[float]) -> bool:
    errors = [statistics.variance(each) / len(each) if len(each) > 1 else 0.0 for each in (one, other)]
    return abs(_mean(one) - _mean(other)) > APART * sum(errors) ** 0.5


def _tau(one: list[float], other: list[float]) -> float:
    signs = [_sign(a - b) * _sign(c - d) for (a, c), (b, d) in combinations(zip(one, other, strict=True), 2)]
    return sum(signs) / len(signs)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


if __name__ == "__main__":
    main()
