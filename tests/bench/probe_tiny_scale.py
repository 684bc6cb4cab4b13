"""Junk and domain tokens at the demo's scale, over seeds and learning rates: one JSON line for each run.

    python tests/bench/probe_tiny_scale.py --seeds 0 1 2 --learning-rates 2e-3 > lines.jsonl

Each seed is a population and a training seed at once, so nothing is shared between seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "train_probe")]

from probe_world import JUNK_ARMS, tiny_scale  # noqa: E402


def lines(
    seed: int,
    rates: list[float],
    arms: list[dict[str, Any]],
    *,
    people: int = 400,
    exposures: int = 150,
    heads: int = 2,
    batch: int = 8,
    warmup: float = 0.05,
    window: int = 512,
    weight_decay: float = 0.01,
) -> Iterator[dict[str, Any]]:
    """Results of every arm at every learning rate, for one seed, in a vocabulary that also holds 1 024 page tokens."""
    from train_probe.plan import plan_of
    from train_probe.train import run_plan

    training = {"batch": batch, "warmup": warmup, "window": window, "weight_decay": weight_decay}
    with tempfile.TemporaryDirectory() as folder:
        world = tiny_scale(Path(folder), seed, people=people, exposures=exposures)
        for rate in rates:
            for arm in arms:
                run = arm | {"exposures": exposures, "seed": seed, "training": {"learning_rate": rate}}
                content = world.plan(
                    [run], model={"layers": 2, "heads": heads, "width": 32, "initialisation": "gpt2"}, training=training
                )
                (result,) = run_plan(plan_of(content), Path(folder) / "out")
                yield result | {"population_seed": seed, "heads": heads} | training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[2e-3])
    parser.add_argument("--arms", type=int, nargs="+", default=[0, 1, 2], help="numbers of arms, 0 to 3")
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--exposures", type=int, default=150)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--warmup", type=float, default=0.05)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    chosen = vars(parser.parse_args())
    seeds, rates = chosen.pop("seeds"), chosen.pop("learning_rates")
    arms = [JUNK_ARMS[number] for number in chosen.pop("arms")]
    for seed in seeds:
        for result in lines(seed, rates, arms, **chosen):
            result.pop("shards")
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
