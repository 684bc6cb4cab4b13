"""What `goldsand laws` finds, and what it costs: one JSON line.

    python tests/bench/laws.py --quick
    python tests/bench/laws.py --out laws        # a folder that is kept; what is trained there is not trained again

`seconds` are of the processor, of this process and those that trained; `wall` is less where runs were kept. `r1000` and
`r100` are bits a parameter by P, means over seeds of the default initialisation, `r1000_gpt2` and `r100_gpt2` of the
papers'; `int8_loss` is the most that eight bits cost an arm, as a share.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]


def main() -> None:
    from recipes.app.measure.laws import run_laws
    from recipes.app.report.laws import write_laws_page

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed-from", type=int)
    parser.add_argument("--facts-seed", type=int)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--out", type=Path, help="where runs are kept")
    given = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = given.out or Path(folder)
        told = run_laws(out, given.quick, given.seed_from, given.facts_seed, processes=given.processes)
        write_laws_page(told, out)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    line = {
        "seconds": round(sum(one.ru_utime + one.ru_stime for one in used)),
        "wall": round(time.perf_counter() - begun),
        "tokens": told["tokens"],
        "criteria_sha256": told["criteria_sha256"],
        "seed_from": told["seed_from"],
        **measured(told),
        "outcomes": {f"{law['result']}, {law['under']}": law["outcome"] for law in told["laws"]},
    }
    print(json.dumps(line))


def measured(told: dict[str, Any]) -> dict[str, Any]:
    """R by P of the parts that results 1 and 4 are of, and what int8 costs there."""
    lines = {part: [one for one in told["parts"].get(part, []) if "R" in one] for part in ("after 1000", "after 100")}
    figures: dict[str, Any] = {}
    for name, part in (("r1000", "after 1000"), ("r100", "after 100")):
        for of, mark in (("", False), ("_gpt2", True)):
            figures[name + of] = {
                str(one["parameters"]): one["mean"]
                for one in lines[part]
                if ("gpt2" in one["arm"]) == mark and "few" not in one["arm"]
            }
    lost = [1 - one["rounded"]["int 8"] / one["mean"] for part in lines.values() for one in part]
    return figures | {"int8_loss": round(max(lost), 4) if lost else None}


if __name__ == "__main__":
    main()
