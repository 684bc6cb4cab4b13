"""`python -m train_probe plan.json -o DIR`: train every run of a plan, where only torch and numpy are installed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from curate.errors import answered
from train_probe.plan import COMPILE, read_plan


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when every run has its figures, 1 when one failed or the program has a fault, 2 when the plan or its
    data is invalid."""
    parser = argparse.ArgumentParser(prog="python -m train_probe", description=__doc__)
    parser.add_argument("plan", type=Path, help="the plan: facts, token shards, model size, runs (JSON)")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="DIR", help="where results.json is written (default: beside the plan)"
    )
    parser.add_argument("--processes", type=int, help="processes of one thread each (default: one a core)")
    parser.add_argument("--slots", type=int, help="models side by side in each (default: as many as help and fit)")
    parser.add_argument("--compile", choices=COMPILE, help="compile the steps (default: where the grid repays it)")
    parser.add_argument("--ray", metavar="ADDRESS", help="train on a Ray cluster ('local': one started here)")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="write losses and figures for TensorBoard")
    chosen = parser.parse_args(arguments)
    try:
        plan = read_plan(chosen.plan)
        plan = plan.changed(processes=chosen.processes, slots=chosen.slots, compile=chosen.compile)

        # torch takes seconds to import: not before the plan is known to be valid.
        from train_probe.progress import listeners_of
        from train_probe.train import run_plan

        results = run_plan(plan, chosen.out or chosen.plan.parent, listeners_of(chosen.tensorboard), chosen.ray)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on with the runs that are left", file=sys.stderr)
        return 130
    except Exception as error:
        return answered(error)
    width = max(len(result["arm"]) for result in results)
    print(f"{'arm':{width}}  junk   tag    value bits / parameter")
    for result in results:
        figure = result["value_bits_per_parameter"]
        shown = f"{figure:.3f}" if figure is not None else result["error"]
        print(f"{result['arm']:{width}}  {result['junk_ratio']:.3f}  {result['tag']:6} {shown}")
    return 1 if any("error" in result for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
