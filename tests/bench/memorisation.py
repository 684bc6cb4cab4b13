"""What a finished `goldsand probe memory` or `goldsand probe calibration` shows of what was asked of it before.

    goldsand probe memory -o OUT --set probe.facts.seed=100 --set 'probe.seeds=[100, 101, 102]'
    python tests/bench/memorisation.py OUT

Prints a JSON line for each question of docs/results/memorisation.md and docs/results/calibration.md; of
`goldsand probe memory-pages`, for each arm of docs/results/memorisation-pages.md.
"""

from __future__ import annotations

import itertools
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from recipes.app.measure.memory import at_accuracy, checkpoints, evaluations
from recipes.app.measure.statistics import interval

MIXED, BLOCKS = "all mixed", "eight blocks of people"
ONCE, AGAIN = "each page once", "a hundredth of the pages again and again"


def rounded(value: Any, digits: int = 3) -> Any:
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, list):
        return [rounded(one, digits) for one in value]
    return {key: rounded(one, digits) for key, one in value.items()} if isinstance(value, dict) else value


def of_arm(rows: list[dict[str, Any]], arm: str, exposures: int) -> list[dict[str, Any]]:
    return [row for row in rows if row["arm"] == arm and row["exposures"] == exposures]


def heat_map(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds at the checkpoints that end a block."""
    found: dict[str, Any] = {"question": "heat map", "seeds": len(rows)}
    for key in ("token_match", "full_match", "loss_bits"):
        table = []
        for place, count in enumerate(checkpoints(rows[0])):
            if count % 6:
                continue
            chunks = [evaluations(row, "memorisation")[place][1]["chunks"] for row in rows]
            table.append([statistics.fmean(one[key] for one in column) for column in zip(*chunks, strict=True)])
        found[key] = table
    match = found["token_match"]
    diagonal = [match[one][one] for one in range(len(match))]
    others = {
        (one, other): match[one][other] for one in range(len(match)) for other in range(len(match)) if one != other
    }
    older = {place: value for place, value in others.items() if place[1] < place[0] - 1}
    ahead = {place: value for place, value in others.items() if place[1] > place[0]}
    found |= {
        "least_diagonal": min(diagonal),
        "most_other": max(others.values()),
        "just_before": [match[one][one - 1] for one in range(1, len(match))],
        "older_most": max(older.values()),
        "older_mean": statistics.fmean(older.values()),
        "not_yet_read_most": max(ahead.values()),
        "not_yet_read_mean": statistics.fmean(ahead.values()),
        "holds": min(diagonal) >= 0.95 and max(others.values()) <= 0.15,
    }
    return found


def counterfactual(rows: list[dict[str, Any]]) -> dict[str, Any]:
    by_seed = {row["seed"]: row["evaluations"]["counterfactual"] for row in rows if row.get("half") == 0}
    told: dict[str, Any] = {"question": "counterfactual memorisation", "value_bits": {}, "name_bits": {}}
    for kind in ("value_bits", "name_bits"):
        for place, one in enumerate(next(iter(by_seed.values()))):
            seeds = [found[place] for found in by_seed.values()]
            told[kind][one["exposures"]] = {
                who: [[seed[who][kind]["mean"], seed[who][kind]["error"]] for seed in seeds]
                for who in ("shown", "nobody")
            }
    last = told["value_bits"][max(told["value_bits"])]
    told["holds"] = all(abs(mean) <= 2 * error for mean, error in last["nobody"]) and all(
        mean > 20 for mean, _ in last["shown"]
    )
    return told


def foretelling(rows: list[dict[str, Any]]) -> dict[str, Any]:
    told = {row["seed"]: row["evaluations"]["memorisation"]["course"]["foretold"] for row in rows}
    six = [one for lines in told.values() for one in lines if one["exposures"] == 6]
    rises = [
        all((a["recall"] or 0) <= (b["recall"] or 0) for a, b in itertools.pairwise(lines)) for lines in told.values()
    ]
    holds = all(one["precision"] is not None and one["precision"] > one["base_rate"] for one in six) and all(rises)
    return {"question": "foretelling", "by_seed": told, "holds": holds}


def above_the_base_rate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Precision less base rate at each checkpoint, over the seeds in which something was memorised there."""
    told = {row["seed"]: row["evaluations"]["memorisation"]["course"]["foretold"] for row in rows}
    found: dict[str, Any] = {"question": "foretelling, once more", "by_seed": told}
    for place, count in enumerate(checkpoints(rows[0])[:-1]):
        here = [one[place] for one in told.values() if one[place]["precision"] is not None]
        if len(here) > 1:
            one = interval([line["precision"] - line["base_rate"] for line in here])
            found[f"above at {count}"] = {"seeds": len(here), "mean": one.mean, "low": one.low, "high": one.high}
    return found


def course(rows: list[dict[str, Any]]) -> dict[str, Any]:
    counts = checkpoints(rows[0])
    scores = {}
    for place, count in enumerate(counts):
        held = [evaluations(row, "memorisation")[place][1]["distribution"] for row in rows]
        scores[count] = [sum(tenth) for tenth in zip(*held, strict=True)]
    tables = [row["evaluations"]["memorisation"]["course"]["correlation"] for row in rows]
    mean = [
        [
            statistics.fmean(known) if (known := [one[a][b] for one in tables if one[a][b] is not None]) else None
            for b in range(len(counts))
        ]
        for a in range(len(counts))
    ]
    return {"question": "distribution and correlations", "checkpoints": counts, "scores": scores, "correlation": mean}


def pages(rows: list[dict[str, Any]], arm: str) -> dict[str, Any]:
    """Of an arm that reads pages, means over seeds: a table [checkpoint][chunk] of each figure; at the checkpoints that
    leave chunks unread, what the chunk just read has more than those; scores by tenth, correlations, and what is
    foretold, by seed."""
    told = [[one for _, one in evaluations(row, "memorisation")] for row in of_arm(rows, arm, 10)]
    found: dict[str, Any] = {"arm": arm, "seeds": len(told)}
    for key in ("full_match", "token_match", "forced_match", "loss_bits"):
        tables = [[[chunk[key] for chunk in one["chunks"]] for one in seed] for seed in told]
        found[key] = [
            [statistics.fmean(cells) for cells in zip(*lines, strict=True)] for lines in zip(*tables, strict=True)
        ]
        more = [
            seed[at][at] - statistics.fmean(seed[at][at + 1 :]) for seed in tables for at in range(len(seed[0]) - 1)
        ]
        found[f"{key}_just_read_more_than_unread"] = [
            statistics.fmean(more), statistics.stdev(more) / math.sqrt(len(more))
        ]  # fmt: skip
    last = found["token_match"][-1], found["full_match"][-1]
    found["token_match_at_the_last"], found["full_match_at_the_last"] = map(statistics.fmean, last)
    found["token_match_by_checkpoint"] = [statistics.fmean(line) for line in found["token_match"]]
    found["full_match_by_checkpoint"] = [statistics.fmean(line) for line in found["full_match"]]
    found["most_full_match"] = max(map(max, found["full_match"]))
    found["distribution"] = [
        [sum(tenth) for tenth in zip(*(one["distribution"] for one in at), strict=True)]
        for at in zip(*told, strict=True)
    ]
    courses = [row["evaluations"]["memorisation"]["course"] for row in of_arm(rows, arm, 10)]
    tables = [one["correlation"] for one in courses]
    known = [[table[at][at + 1] for table in tables if table[at][at + 1] is not None] for at in range(9)]
    found["correlation"] = tables
    found["correlation_of_neighbours"] = [statistics.fmean(one) if one else None for one in known]
    found["correlation_of_first_and_last"] = [table[0][-1] for table in tables]
    return found | {"foretold": [one["foretold"] for one in courses]}


def slope(points: list[tuple[float, float]]) -> float:
    """The least-squares slope of y on x."""
    x, y = (statistics.fmean(column) for column in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


def outcome(values: list[float]) -> dict[str, Any]:
    one = interval(values)
    said = "holds" if one.high < 0 else "reversed" if one.low > 0 else "not shown"
    return {"slopes": values, "mean": one.mean, "interval": [one.low, one.high], "outcome": said}


def calibration(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sizes = sorted({row["parameters"] for row in rows})
    seeds = sorted({row["seed"] for row in rows})
    at_half = {(row["parameters"], row["seed"]): at_accuracy(row, 0.5) for row in rows}
    said: list[dict[str, Any]] = []
    for key in ("unseen_confidence", "ece"):
        points = {
            seed: [(math.log2(size), at_half[size, seed][key]) for size in sizes if at_half[size, seed]]  # type: ignore[index]
            for seed in seeds
        }
        slopes = [slope(one) for one in points.values() if len(one) > 1]
        said.append({"question": f"{key} by size at half of the answers"} | outcome(slopes))
    said.append(
        {
            "question": "at half of the answers",
            "by_size": {
                size: {
                    key: statistics.fmean(known[key] for known in there)
                    for key in (
                        "exposures",
                        "ece",
                        "ece_of_calibrated",
                        "confidence",
                        "unseen_confidence",
                        "unseen_kl_bits",
                        "brier",
                    )
                }
                if (there := [one for seed in seeds if (one := at_half[size, seed])])
                else None
                for size in sizes
            },
        }
    )
    more: dict[int, Any] = {}
    floor: dict[int, list[Any]] = {}
    course: dict[int, Any] = {}
    for size in sizes:
        of_size = [row for row in rows if row["parameters"] == size]
        told = [evaluations(row, "calibration") for row in of_size]
        one = interval([seed[-1][1]["unseen"]["confidence"] - seed[0][1]["unseen"]["confidence"] for seed in told])
        more[size] = [one.mean, one.low, one.high]
        floor[size] = [
            [count, found["seen"]["ece"], found["seen"]["ece_of_calibrated_most"]]
            for seed in told
            for count, found in seed
            if found["seen"]["accuracy"] >= 0.99
        ]
        course[size] = {
            count: {
                f"{who}_{key}": statistics.fmean(seed[place][1][who][key] for seed in told)
                for who, keys in (
                    ("seen", ("accuracy", "confidence", "ece", "ece_of_calibrated", "brier")),
                    ("unseen", ("accuracy", "confidence", "kl_bits")),
                )
                for key in keys
            }
            for place, (count, _) in enumerate(told[0])
        }
    said.append(
        {"question": "confidence about people never seen: last less first", "by_size": more,
         "holds": all(low > 0 for _, low, _ in more.values())}
    )  # fmt: skip
    below = {size: [sum(ece <= most for _, ece, most in one), len(one)] for size, one in floor.items()}
    said.append({"question": "floor where all is stored: checkpoints at it, of how many", "by_size": below})
    said.append({"question": "course", "by_size": course})
    return said


def main(*folders: Path) -> None:
    """Prints what the finished probes in the folders, of other seeds each, show together."""
    results = [row for folder in folders for row in json.loads((folder / "results.json").read_text())]
    rows = [row for row in results if not row.get("error")]
    told: list[dict[str, Any]] = []
    if any(row["arm"] == BLOCKS for row in rows):
        halves = [row for row in rows if row.get("halves") and row["exposures"] == 48]
        told = [
            heat_map(of_arm(rows, BLOCKS, 48)),
            counterfactual(halves),
            foretelling(of_arm(rows, MIXED, 12)),
            course(of_arm(rows, MIXED, 48)),
        ]
    elif any(row["arm"] == ONCE for row in rows):
        told = [pages(rows, ONCE), pages(rows, AGAIN)]
    elif "calibration" in rows[0]["evaluations"]:
        told = calibration(rows)
    else:
        told = [above_the_base_rate(of_arm(rows, MIXED, 16))]
    for line in told:
        print(json.dumps(rounded(line)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
