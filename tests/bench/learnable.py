"""Losses on a chain whose entropy is known, by parameters and tokens: one JSON line.

    python tests/bench/learnable.py --picture docs/results/learnable.svg

A run reads a chain of 16 successors a state, and nothing else; `loss` is on windows that it did not read, `lacks` is
what lies above the entropy of exactly these windows, which is exact. `fit` are the constants of E + A/N^a + B/D^b with
E left free, and how far its E is from the chain's; `known` those of the same form with E given, that is of L - E.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--tokens", type=float, nargs="+", default=[1e5, 3e5, 1e6, 3e6])
    parser.add_argument("--rate", type=float, default=1.6e-2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--out", type=Path, help="where runs are kept")
    parser.add_argument("--picture", type=Path, help="an SVG: loss, and what lies above the entropy")
    given = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(given, given.out or Path(folder))
    if given.picture:
        given.picture.write_text(picture(rows))
    words = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items()}
    print(json.dumps({"rows": rows, **fits(rows), "seconds": round(time.perf_counter() - begun, 1), **words}))


def rows_of(given: argparse.Namespace, out: Path) -> list[dict[str, Any]]:
    from synth.corpus import facts_corpus
    from synth.inject import Inject
    from train_probe.plan import plan_of
    from train_probe.train import run_plan

    # The chain's states are the facts' words; no fact is read.
    facts_corpus(out, Inject(kind="compact", people=20, name_parts=[64, 64], values=64, exposures=1), name=None)
    runs = [
        {
            "arm": str(width),
            "exposures": 0,
            "tokens": int(tokens),
            "junk_kind": "learnable",
            "junk_ratio": 1.0,
            "seed": seed,
            "model": {"width": width},
        }
        for width in given.widths
        for tokens in given.tokens
        for seed in range(given.first_seed, given.first_seed + given.seeds)
    ]
    training = {"batch": given.batch, "window": given.window, "learning_rate": given.rate}
    model = {"layers": 2, "heads": 2}
    plan = {"facts": str(out / "facts"), "useful": None, "model": model, "training": training, "runs": runs}
    results = run_plan(plan_of(plan | {"processes": given.processes}), out / "probe")
    return [
        {
            "width": run["model"]["width"],
            "parameters": row["parameters"],
            "tokens": row["tokens"],
            "seed": run["seed"],
            "loss": round(row["learnable"]["nats_per_token"], 5),
            "entropy": round(row["learnable"]["entropy"], 5),
            "lacks": round(row["learnable"]["nats_per_token"] - row["learnable"]["entropy"], 5),
        }
        for run, row in zip(runs, results, strict=True)
        if not row.get("error")
    ]


def fits(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The closed form with E free and with E known."""
    import numpy as np
    from scipy.optimize import least_squares

    from train_probe.scaling.fitting import fit

    columns = {name: [float(row[name]) for row in rows] for name in ("parameters", "tokens", "loss")}
    free = fit(columns, "hoffmann")
    entropy = sum(row["entropy"] for row in rows) / len(rows)
    size, tokens, lacks = (np.array([row[name] for row in rows]) for name in ("parameters", "tokens", "lacks"))

    def apart(at: Any) -> Any:
        said = np.exp(at[0] - at[1] * np.log(size)) + np.exp(at[2] - at[3] * np.log(tokens))
        return np.log(said) - np.log(np.maximum(lacks, 1e-4))

    made = min(
        (least_squares(apart, [a, 0.5, b, 0.5]) for a in (2.0, 6.0) for b in (3.0, 8.0)), key=lambda one: one.cost
    )
    known = {"A": math.exp(made.x[0]), "alpha": made.x[1], "B": math.exp(made.x[2]), "beta": made.x[3]}
    return {
        "entropy": round(entropy, 5),
        "fit": {name: round(float(value), 4) for name, value in free.parameters.items()} | {"status": str(free.status)},
        "E_apart": round(float(free.parameters["E"]) / entropy - 1, 4),
        "known": {name: round(float(value), 4) for name, value in known.items()}
        | {"rms_log": round(float(np.sqrt(np.mean(made.fun**2))), 4)},
    }


WIDE, HIGH, LEFT = 330, 240, 54


def picture(rows: list[dict[str, Any]]) -> str:
    """Two panels over tokens, a line a width: the loss with the entropy below it, and the loss less the entropy."""
    widths = sorted({row["width"] for row in rows})
    tokens = sorted({row["tokens"] for row in rows})
    entropy = sum(row["entropy"] for row in rows) / len(rows)
    means = {
        (width, count): [row for row in rows if row["width"] == width and row["tokens"] == count]
        for width in widths
        for count in tokens
    }
    means = {key: group for key, group in means.items() if group}
    value = {
        name: {key: sum(row[name] for row in group) / len(group) for key, group in means.items()}
        for name in ("loss", "lacks")
    }
    width = 2 * (WIDE + LEFT + 40)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HIGH + 80}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{width}" height="{HIGH + 80}" fill="white"/>',
    ]
    ends = (math.log(tokens[0]), math.log(tokens[-1]))

    def panel(left: float, title: str, name: str, place: Callable[[float], float], ticks: list[float]) -> None:
        def x(count: float) -> float:
            return left + WIDE * (math.log(count) - ends[0]) / (ends[1] - ends[0])

        parts.append(f'<text x="{left}" y="20" font-size="14">{title}</text>')
        for tick in ticks:
            y = place(tick)
            parts.append(f'<line x1="{left}" x2="{left + WIDE}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        for count in tokens:
            words = f"{count / 1e6:.2g} M"
            parts.append(f'<text x="{x(count):.1f}" y="{HIGH + 55}" text-anchor="middle">{words}</text>')
        for number, one in enumerate(widths):
            colour = f"hsl({30 + 290 * number // max(1, len(widths))},70%,40%)"
            points = [(x(count), place(value[name][one, count])) for count in tokens if (one, count) in means]
            path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
            parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            at, last = points[-1]
            parts.append(f'<text x="{at + 5:.1f}" y="{last + 4:.1f}" fill="{colour}">d {one}</text>')
        parts.append(f'<text x="{left + WIDE / 2}" y="{HIGH + 72}" text-anchor="middle">tokens read</text>')

    losses = value["loss"].values()
    low, high = math.floor(entropy * 5) / 5, math.ceil(max(losses) * 5) / 5

    def linear(one: float) -> float:
        return 35 + HIGH * (high - one) / (high - low)

    steps = [low + (high - low) * number / 5 for number in range(6)]
    panel(LEFT, "loss, nats a token", "loss", linear, [round(one, 2) for one in steps])
    y = linear(entropy)
    parts.append(
        f'<line x1="{LEFT}" x2="{LEFT + WIDE}" y1="{y:.1f}" y2="{y:.1f}" stroke="black" stroke-dasharray="4"/>'
    )
    parts.append(f'<text x="{LEFT + 4}" y="{y - 4:.1f}">entropy {entropy:.3f}</text>')
    lacks = [max(one, 1e-4) for one in value["lacks"].values()]
    bottom, top = math.log10(min(lacks)) - 0.05, math.log10(max(lacks)) + 0.05

    def logarithmic(one: float) -> float:
        return 35 + HIGH * (top - math.log10(max(one, 1e-4))) / (top - bottom)

    ticks = [one for one in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4) if bottom <= math.log10(one) <= top]
    panel(2 * LEFT + WIDE + 40, "loss less the entropy", "lacks", logarithmic, ticks)
    return "".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
