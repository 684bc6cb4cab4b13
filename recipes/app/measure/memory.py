"""What checkpoints remember, across checkpoints and across runs: from what `evaluate` kept beside each run.

Scores of one run at two checkpoints are correlated; an early checkpoint foretells which sequences the last one holds
(`train_probe/memorize.py`); and where runs were shown random halves of the people, counterfactual memorisation is what
a model knows of somebody because it was shown them (Zhang et al., arXiv 2112.12938). Formulas: docs/memory.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
KINDS = ("value_bits", "name_bits")


def remembered(out: Path, results: Sequence[Row]) -> None:
    """Add to the results of a probe's finished runs what their folders tell of several checkpoints: to `memorisation`
    the `course` of scores, and, in each of the runs that are shown all halves of the people, `counterfactual`.

    Raises PlanError where a run's evaluations are missing, or not what was written.
    """
    found = [row for row in results if "memorisation" in (row.get("evaluations") or {})]
    if not found:
        return
    from train_probe.memorize import course
    from train_probe.records import RunRecord

    kept = {
        row["run"]: {
            count: RunRecord(out / "runs" / row["run"]).evaluated(count)["memorisation"]["each"]
            for count in checkpoints(row)
        }
        for row in found
    }
    for row in found:
        row["evaluations"]["memorisation"]["course"] = course(kept[row["run"]])
    for rows in _whole_splits(found):
        told = [
            counterfactual([kept[row["run"]][count] for row in rows]) | {"exposures": count}
            for count in checkpoints(rows[0])
        ]
        for row in rows:
            row["evaluations"]["counterfactual"] = told


def checkpoints(row: Row) -> list[int]:
    """The exposures at which a run was evaluated, the last of them its own."""
    return [*(one["exposures"] for one in row["curve"] if "evaluations" in one), row["exposures"]]


def evaluations(row: Row, name: str) -> list[tuple[int, dict[str, Any]]]:
    """The exposures of each checkpoint of a run, and what the evaluation of a name found there."""
    last = (row.get("evaluations") or {}).get(name)
    if row.get("error") or last is None:
        return []
    on_the_way = [(one["exposures"], one["evaluations"][name]) for one in row["curve"] if "evaluations" in one]
    return [*on_the_way, (row["exposures"], last)]


def _whole_splits(found: Sequence[Row]) -> list[list[Row]]:
    """Runs that differ in the half they are shown alone, where all halves are there."""
    groups: dict[tuple[Any, ...], dict[int, Row]] = {}
    for row in found:
        if row.get("halves"):
            key = tuple(
                row[name] for name in ("halves", "exposures", "seed", "learning_rate", "parameters", "junk_ratio")
            )
            groups.setdefault(key, {}).setdefault(row["half"], row)
    return [[by_half[half] for half in sorted(by_half)] for by_half in groups.values() if _whole(by_half)]


def _whole(by_half: dict[int, Row]) -> bool:
    return len(by_half) == next(iter(by_half.values()))["halves"]


def counterfactual(each: Sequence[Row]) -> dict[str, Any]:
    """Counterfactual memorisation at one checkpoint, from every half's losses of each person: in bits, the mean over
    the models that were shown a person less the mean over those that were not, over people; `nobody` is the same of
    people in no half, who are put into halves by the same rule and shown to no model: 0 but for chance."""
    found: dict[str, Any] = {"shown": _difference([(one["people"], one["shown"]) for one in each])}
    if all("held_out" in one and one.get("held_out_shown") for one in each):
        found["nobody"] = _difference([(one["held_out"], one["held_out_shown"]) for one in each])
    return found


def _difference(models: Sequence[tuple[Row, list[int]]]) -> dict[str, Any]:
    person = np.array(models[0][0]["person"])
    shown = np.array([np.isin(person, members) for _, members in models])
    found: dict[str, Any] = {"people": len(person)}
    for kind in KINDS:
        bits = -np.array([losses[kind] for losses, _ in models])
        seen = (bits * shown).sum(0) / shown.sum(0)
        unseen = (bits * ~shown).sum(0) / (~shown).sum(0)
        gained = seen - unseen
        found[kind] = {
            "mean": float(gained.mean()),
            "error": float(gained.std(ddof=1) / math.sqrt(len(gained))) if len(gained) > 1 else None,
            "least": float(gained.min()),
            "most": float(gained.max()),
        }
    return found


def at_accuracy(row: Row, accuracy: float) -> dict[str, float] | None:
    """What calibration says of a run where it first answers this share of what it was shown: ECE and confidence on
    people seen, confidence on people unseen, between the two checkpoints around it; None where it is not passed."""
    before: tuple[float, dict[str, float]] | None = None
    for count, one in evaluations(row, "calibration"):
        here = {"exposures": float(count), "ece": one["seen"]["ece"], "confidence": one["seen"]["confidence"]}
        here |= {"ece_of_calibrated": one["seen"]["ece_of_calibrated"], "brier": one["seen"]["brier"]}
        if "unseen" in one:
            here |= {"unseen_confidence": one["unseen"]["confidence"], "unseen_kl_bits": one["unseen"]["kl_bits"]}
        reached = one["seen"]["accuracy"]
        if reached >= accuracy:
            if before is None:
                return None
            part = (accuracy - before[0]) / (reached - before[0])
            return {name: before[1][name] + part * (value - before[1][name]) for name, value in here.items()}
        before = reached, here
    return None
