"""Damages every format that is read, at random, and counts what comes of it.

    python tests/bench/mutants.py [--minutes 20] [--mutants N] [--from 0] [--only FORMAT ...]
    python tests/bench/mutants.py --only FORMAT --seed N --show

Of each format two sound sets of files are made. Each mutant is a copy of the first with some damage (`tests/damage.py`:
of bytes, of what a file says, of which files there are, some of it from the second set), read in a process of its own
as a command reads it. Prints one JSON line; for each format `mutants`, and of them

- `refused`: what was wrong was said (exit code 2 or 3), or a loss was counted that covers it;
- `alike`: the answer is that of the sound files;
- `unchecked`: another answer, where nobody wrote down what the file was: it is somebody else's (a model, a recipe, a
  plain text), or it was said that nobody can check it;
- `silently_different`: another answer without a word;
- `tracebacks`: a fault of the program;
- `crashes`: the process died, and a run over such an input dies of it too;
- `hangs`: 30 s of a processor, or two minutes.

The last four must be 0; `seeds` are those of the mutants that went wrong. `--show` prints what was done to one mutant,
and what its reader said.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "bench"), str(TESTS), str(TESTS.parent)]
sys.path += [str(TESTS / room) for room in ("curate", "synth", "train_probe", "recipes")]

from mutation import OUTCOMES, WRONG, Bench, Format  # noqa: E402


def formats() -> dict[str, Format]:
    import mutated_inputs
    import mutated_models
    import mutated_probes
    import mutated_recipes
    import mutated_runs

    parts = (mutated_inputs, mutated_runs, mutated_probes, mutated_recipes, mutated_models)
    return {name: one for part in parts for name, one in part.FORMATS.items()}


def counted(bench: Bench, first: int, most: int, until: float) -> dict[str, Any]:
    """Counts of mutants from a number on, until there are so many or it is so late."""
    counts: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
    bad: dict[str, list[int]] = {}
    number = first
    while number < first + most and (time.monotonic() < until or number == first):
        outcome, _, _ = bench.mutant(number)
        counts[outcome] += 1
        if outcome in WRONG:
            bad.setdefault(outcome, []).append(number)
        number += 1
    return {"mutants": number - first, **counts, "seeds": {kind: some[:20] for kind, some in bad.items()}}


def main() -> None:
    known = formats()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--mutants", type=int, default=10**9, help="of each format, at most")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the number of the first mutant")
    parser.add_argument("--only", nargs="*", choices=list(known), default=list(known))
    parser.add_argument("--seed", type=int, help="this mutant alone")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    first, most = (options.first, options.mutants) if options.seed is None else (options.seed, 1)
    counts: dict[str, Any] = {}
    benches: list[Bench] = []
    end = time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        for place, name in enumerate(options.only):
            left = len(options.only) - place
            begun = time.monotonic()
            until = begun + (end - begun) / left
            bench = Bench(name, known[name], Path(folder) / name, benches)
            benches.append(bench)
            if options.show:
                for number in range(first, first + min(most, 1000)):
                    outcome, done, said = bench.mutant(number)
                    print(f"{name} {number}: {outcome}: {done}\n  {said.text}")
                continue
            counts[name] = counted(bench, first, most, until)
            print(name, counts[name], file=sys.stderr, flush=True)
    if not options.show:
        print(json.dumps(counts))


if __name__ == "__main__":
    main()
