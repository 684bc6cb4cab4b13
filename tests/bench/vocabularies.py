"""Exposures to half of the facts by size of the vocabulary, beside the bits of a perfect model: one JSON line.

    python tests/bench/vocabularies.py --work FOLDER [--sizes 300 1024 4096]

The same biographies (100 invented people, one text each, frozen) as byte-level BPE of each size, trained on the texts;
models of 2 layers of width 32, whose parameters grow with the vocabulary, as their tokens shrink. The same command goes
on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).with_suffix(".yaml")
PEOPLE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[300, 1024, 4096])
    parser.add_argument("--work", type=Path, required=True, help="a folder to keep")
    given = parser.parse_args()
    began = time.perf_counter()
    rows = [measured(size, given.work) for size in given.sizes]
    print(json.dumps({"people": PEOPLE, "sizes": rows, "seconds": round(time.perf_counter() - began, 1)}))


def measured(size: int, work: Path) -> dict[str, Any]:
    """What a model takes of the facts in a vocabulary of this size."""
    from recipes.app.measure.statistics import arms_of, log_halves
    from recipes.app.recipe.load import load

    ladder = load(str(RECIPE)).recipe.probe.exposures
    facts, out = work / f"facts-{size}", work / f"probe-{size}"
    goldsand = [sys.executable, "-m", "recipes.app.start"]
    if not facts.exists():
        people = ["--count", str(PEOPLE), "--exposures", str(max(ladder)), "--frozen", "--size", str(size)]
        subprocess.run([*goldsand, "synth", "people", *people, "-o", str(facts)], check=True, stdout=sys.stderr)
    subprocess.run(
        [*goldsand, "probe", str(RECIPE), "--corpus", str(facts), "-o", str(out)], check=True, stdout=sys.stderr
    )
    rows = json.loads((out / "results.json").read_text())
    (arm,) = arms_of(rows).values()
    one = rows[0]
    return {
        "vocabulary": size,
        "parameters": one["parameters"],
        "tokens_of_a_text": round(one["tokens"] / one["exposures"] / PEOPLE, 1),
        "value_bits_of_a_perfect_model": round(one["max_value_bits_per_parameter"] * one["parameters"], 2),
        "exposures_to_half": [round(math.exp(half), 1) for half in log_halves(arm, ladder).values()],
        "stored": {count: [round(share, 3) for share in seeds.values()] for count, seeds in arm.stored.items()},
        "seconds": round(sum(row["seconds"] for row in rows), 1),
    }


if __name__ == "__main__":
    main()
