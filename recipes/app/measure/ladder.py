"""Where an arm stores half of the facts, with few runs: each seed steps up or down a ladder of exposures until two
neighbouring rungs bracket one half (the up-and-down method, Dixon & Mood, J. Am. Stat. Assoc. 43, 1948)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

LADDER = (16, 21, 28, 38, 50, 67, 89, 119, 158, 211)
"""Exposures, each a third more than the one before: closer rungs would differ by less than seeds do."""

HALF = 0.5

Key = TypeVar("Key", bound=Hashable)


def middle(ladder: Sequence[int]) -> int:
    return sorted(ladder)[len(ladder) // 2]


def lower(ladder: Sequence[int]) -> list[int]:
    """The ladder continued downwards to a single exposure, in steps of at least a third."""
    rungs = sorted(ladder)
    while rungs[0] > 1:
        rungs.insert(0, min(rungs[0] - 1, max(1, round(rungs[0] * 0.75))))
    return rungs


def next_rung(ladder: Sequence[int], stored: Mapping[int, float], start: int) -> int | None:
    """The rung to train at next, given the shares stored at those trained so far; None where one half is bracketed, or
    lies beyond the ladder."""
    if not stored:
        return start
    if all(share >= HALF for share in stored.values()):
        return max((rung for rung in ladder if rung < min(stored)), default=None)
    if stored[max(stored)] < HALF:
        return min((rung for rung in ladder if rung > max(stored)), default=None)
    return None


def climbed(
    ladders: Mapping[Key, tuple[Sequence[int], int]],
    train: Callable[[Sequence[tuple[Key, int]]], Sequence[float | None]],
) -> dict[Key, dict[int, float]]:
    """For every key (an arm and a seed), with its ladder and the rung that it begins at, the shares stored at the rungs
    that were needed to bracket one half.

    `train` trains keys at rungs, all of a round together, and returns the share that each stores; None for a run that
    failed, which ends its key.
    """
    shares: dict[Key, dict[int, float]] = {key: {} for key in ladders}
    climbing = list(ladders)
    while climbing:
        rungs = [(key, rung) for key in climbing if (rung := _next(ladders[key], shares[key])) is not None]
        climbing = []
        for (key, rung), share in zip(rungs, train(rungs) if rungs else (), strict=True):
            if share is not None:
                shares[key][rung] = share
                climbing.append(key)
    return shares


def _next(ladder: tuple[Sequence[int], int], stored: Mapping[int, float]) -> int | None:
    return next_rung(ladder[0], stored, ladder[1])


@dataclass
class Grid:
    """All runs so far of a plan that grows: each round trains the whole plan, so that its files hold every run.
    `train` trains a plan and returns a result for each of its runs."""

    plan: dict[str, Any]
    train: Callable[[dict[str, Any]], list[dict[str, Any]]]
    runs: list[dict[str, Any]] = field(default_factory=list)

    def trained(self, runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The results of these runs, each with the rung that its run names; finished ones are not trained again."""
        self.runs += [run for run in runs if run not in self.runs]
        plain = [{key: value for key, value in run.items() if key != "rung"} for run in self.runs]
        results = self.train(self.plan | {"runs": plain})
        rows = [
            row | ({"rung": run["rung"]} if "rung" in run else {}) for run, row in zip(self.runs, results, strict=True)
        ]
        asked = [rows[self.runs.index(run)] for run in runs]
        # A failed run that stayed in the plan would be trained again in each round.
        self.runs = [run for run, row in zip(self.runs, rows, strict=True) if not row.get("error")]
        return asked
