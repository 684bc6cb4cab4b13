"""What the initialisation and rates by width do: one JSON line.

    python tests/bench/initialisation.py                                 # records, alone and in junk; biographies
    python tests/bench/initialisation.py --pages OUT --tasks pages text  # facts beside pages of a finished run; text
    python tests/bench/initialisation.py --most 1000 --tasks capacity    # bits a parameter at 100 and 1000 exposures

Every task at every width, number of layers, initialisation and learning rate, with the same seeds. For facts a row has
the exposures at which half of them are stored, read from the course of one run (a cosine flatters it: rows compare
settings), its mean and its standard deviation over seeds, both of the logarithm; `stuck` is the share of seeds that
store less than a twentieth at the end. For text it has the loss on held-out pages in nats a token. `best_rate` is the
vertex of a parabola through the best rate and its neighbours, over the logarithm of the rate.
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

COMPACT = {"kind": "compact", "people": 100, "name_parts": [64, 64], "attributes": 4, "values": 32}
CAPACITY = {"kind": "compact", "people": 400, "name_parts": [64, 64], "attributes": 8, "values": 64}
PEOPLE = {"kind": "people", "people": 24, "frozen": True}
TASKS: dict[str, dict[str, Any]] = {
    "records": {"facts": COMPACT, "training": {"batch": 8}, "most": 136},
    "junk": {"facts": COMPACT, "training": {"batch": 8}, "most": 272, "junk_kind": "endless", "junk_ratio": 0.5},
    "biographies": {"facts": PEOPLE, "training": {"batch": 2, "window": 256}, "most": 136},
    "pages": {"facts": PEOPLE, "training": {"batch": 2, "window": 256}, "most": 136, "junk_ratio": 0.5},
    "capacity": {"facts": CAPACITY, "training": {"batch": 16}, "most": 100},
    "text": {"facts": PEOPLE, "training": {"batch": 16, "window": 128}, "most": 0},
}
RATES = {
    "gpt2": [1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2],
    "fan-in": [4e-3, 8e-3, 1.6e-2, 3.2e-2, 6.4e-2],
}
FACTOR = 2**0.25  # between the exposures at which a run is scored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["records", "junk", "biographies"])
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--layers", type=int, nargs="+", default=[2])
    parser.add_argument("--initialisations", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--rates", type=float, nargs="+", help="instead of five of each initialisation")
    parser.add_argument("--architecture", default="gpt2")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--most", type=int, help="exposures, instead of those of the task")
    parser.add_argument("--tokens", type=int, default=300_000, help="of a model that reads text")
    parser.add_argument("--pages", type=Path, help="a finished run")
    given = parser.parse_args()
    begun = time.perf_counter()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for task in given.tasks:
            rows += rows_of(task, given, Path(folder) / task)
    words = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items()}
    print(json.dumps({"rows": rows, "seconds": round(time.perf_counter() - begun, 1), **words}))


def rows_of(task: str, given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    one = TASKS[task]
    most = given.most or one["most"]
    plan = world(task, given.pages, folder, max(1, most))
    ladder = sorted(
        {round(4 * FACTOR**n) for n in range(60) if 4 * FACTOR**n < most} | ({100} if most > 100 else set())
    )
    cells = [
        (layers, width, initialisation, rate)
        for layers in given.layers
        for width in given.widths
        for initialisation in given.initialisations
        for rate in given.rates or RATES[initialisation]
    ]
    runs = []
    for layers, width, initialisation, rate in cells:
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            run = {"arm": f"{layers}, {width}, {initialisation}, {rate}", "exposures": most, "seed": seed}
            run["junk_kind"] = one.get("junk_kind", "none")
            if task == "text":
                run |= {"tokens": given.tokens, "junk_kind": "shards", "junk_shards": "pages", "junk_ratio": 1.0}
            elif task == "pages":
                run |= {"junk_kind": "shards", "junk_shards": "pages", "windows": "mixed"}
            if "junk_ratio" in one:
                run["junk_ratio"] = one["junk_ratio"]
            heads = 2 if width < 128 else 4
            model = {"layers": layers, "heads": heads, "width": width, "architecture": given.architecture}
            run["model"] = model | {"initialisation": initialisation}
            run["training"] = one["training"] | {"learning_rate": rate, "evaluate_exposures": ladder}
            runs.append(run)
    results = run_plan(plan_of(plan | {"runs": runs}), folder / "out", Printer())
    rows = []
    for layers, width, initialisation, rate in cells:
        own = [row for row in results if row["arm"] == f"{layers}, {width}, {initialisation}, {rate}"]
        figures = measured(task, [row for row in own if not row.get("error")])
        figures["failed"] = sum(1 for row in own if row.get("error"))
        rows.append(
            {"task": task, "layers": layers, "width": width, "initialisation": initialisation, "rate": rate} | figures
        )
    return summed_up(rows)


def world(task: str, pages: Path | None, folder: Path, most: int) -> dict[str, Any]:
    """A plan with the facts of a task and, where it needs them, pages."""
    from recipes.app.measure.corpora import Entry, open_corpus, shared_vocabulary, write_set
    from recipes.app.measure.held_out import HeldOut
    from synth.corpus import facts_corpus
    from synth.inject import Inject

    inject = Inject(**TASKS[task]["facts"], exposures=most)
    plan: dict[str, Any] = {"useful": None, "facts": str(folder / "facts")}
    if task not in ("pages", "text"):
        facts_corpus(folder, inject, name=None)
        return plan
    if pages is None:
        raise SystemExit(f"{task}: name a finished run with --pages")
    entry = Entry("pages", open_corpus("pages", pages))
    held_out = HeldOut.of([entry])
    (entry,) = held_out.entries
    placed = inject.placed()
    texts = (document.text for document in placed.documents(0, inject.people))
    vocabulary = shared_vocabulary(entry.corpus, texts, inject.domain, None, 1024)
    write_set(entry.corpus.documents(), vocabulary, folder / "tokens" / "pages")
    write_set(iter(held_out.texts[0].pages), vocabulary, folder / "tokens" / "held-out")
    facts_corpus(folder, inject, name=None, vocabulary=vocabulary, used=vocabulary.size)
    plan["junk_shards"] = {"pages": str(folder / "tokens" / "pages")}
    plan["held_out_text"] = {"pages": str(folder / "tokens" / "held-out")}
    return plan


def measured(task: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of one row, over seeds."""
    if not results:
        return {}
    if task == "text":
        losses = [row["text"]["pages"]["nats_per_token"] for row in results]
        return {"loss": round(statistics.fmean(losses), 4), "sd": round(spread(losses), 4)}
    logs, stuck, at_100, at_end = [], 0, [], []
    for row in results:
        most = row["max_value_bits_per_parameter"]
        course = {point["exposures"]: point for point in row["curve"]} | {row["exposures"]: row}
        shares = {exposures: max(0.0, point["value_bits_per_parameter"] / most) for exposures, point in course.items()}
        half = crossing(shares)
        stuck += shares[row["exposures"]] < 0.05
        logs.append(math.log(half if half is not None else row["exposures"] * FACTOR))
        at_100.append(course[100]["clipped"]["bits_per_parameter"] if 100 in course else math.nan)
        at_end.append(row["clipped"]["bits_per_parameter"])
    figures = {
        "half": round(math.exp(statistics.fmean(logs)), 1),
        "sd": round(spread(logs), 3),
        "stuck": round(stuck / len(results), 2),
        "share": round(
            statistics.fmean(
                max(0.0, row["value_bits_per_parameter"] / row["max_value_bits_per_parameter"]) for row in results
            ),
            3,
        ),
        "bits_a_parameter": round(statistics.fmean(at_end), 4),
    }
    if not math.isnan(at_100[0]) and results[0]["exposures"] > 100:
        figures["bits_a_parameter_at_100"] = round(statistics.fmean(at_100), 4)
    return figures


def crossing(shares: dict[int, float]) -> float | None:
    """Where the share of the facts last rises above one half."""
    from recipes.app.measure.statistics import half_exposures

    half = half_exposures(shares)
    return None if half.sense == ">" else half.exposures


def spread(values: list[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def summed_up(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for all rates of a setting: the best one's figures, every rate's, and the rate at the vertex."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in ("task", "layers", "width", "initialisation")), []).append(row)
    summed = []
    for group in groups.values():
        key = "loss" if group[0]["task"] == "text" else "half"
        sound = [row for row in group if key in row]
        if not sound:
            continue
        values = [row[key] if key == "loss" else math.log(row[key]) - row["share"] for row in sound]
        at = min(range(len(sound)), key=values.__getitem__)
        best = math.log(sound[at]["rate"])
        if 0 < at < len(sound) - 1:
            low, middle, high = values[at - 1 : at + 2]
            step = math.log(sound[at + 1]["rate"]) - best
            best += step * (low - high) / 2 / max(low + high - 2 * middle, 1e-9)
        by_rate = {str(row["rate"]): [row[key], row["sd"]] for row in sound}
        summed.append(sound[at] | {"best_rate": round(math.exp(best), 5), "by_rate": by_rate})
    return summed


if __name__ == "__main__":
    main()
