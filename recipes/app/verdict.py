"""What a comparison says: each arm against the first, the controls, and the decision in words."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recipes.app.arms import AGAIN, CONTROL
from recipes.app.compare import Comparison, Rung
from recipes.app.corpora import Tokenised
from recipes.app.evidence import (
    Arm,
    Interval,
    arms_of,
    holm,
    interval,
    multiplier,
    p_value,
    seeds_needed,
    smallest_effect,
)

FLOOR, CEILING = 0.05, 0.95
"""Shares of the facts stored, below and above which a ratio says nothing."""


@dataclass(frozen=True)
class Difference:
    """An arm against the first: paired over seeds at one rung. `kind` is a ratio (of logarithms) or a difference of
    shares; `p` is two-sided, corrected by Holm where there are several arms."""

    arm: str
    kind: str
    effect: Interval
    p: float
    needed: int | None
    smallest: float


def difference(one: Arm, base: Arm, rung: int) -> Difference:
    """What an arm stores against `base` at a rung."""
    seeds = sorted(set(one.stored[rung]) & set(base.stored[rung]))
    pairs = [(one.stored[rung][seed], base.stored[rung][seed]) for seed in seeds]
    ratio = all(value > FLOOR for pair in pairs for value in pair)
    values = [math.log(a / b) if ratio else a - b for a, b in pairs]
    found = interval(values)
    return Difference(
        one.name,
        "ratio" if ratio else "difference",
        found,
        p_value(values),
        seeds_needed(values),
        smallest_effect(values),
    )


def report(
    asked: Comparison,
    corpora: Sequence[Tokenised],
    rungs: Sequence[Rung],
    rates: dict[str, float],
    results: list[dict[str, Any]],
    tokenizer: str,
    own_facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The comparison's figures and its decision."""
    arms = arms_of(results, key="rung")
    first = corpora[0].name
    lost = [one.name for one in corpora if one.name not in arms]
    if lost or AGAIN not in arms or CONTROL not in arms:
        raise ValueError(
            f"all runs of {', '.join(lost) or 'a control'} failed: {[r.get('error') for r in results][-1]}"
        )
    base = arms[first]
    # Where the facts are half known there is most to see.
    rung = min(asked.exposures, key=lambda count: abs(_mean([arms[one.name] for one in corpora], count) - 0.5))
    others = [arms[one.name] for one in corpora[1:]]
    differences = [difference(arm, base, rung) for arm in others]
    corrected = holm([one.p for one in differences])
    differences = [dataclasses.replace(one, p=p) for one, p in zip(differences, corrected, strict=True)]
    again, control = difference(arms[AGAIN], base, rung), difference(arms[CONTROL], base, arms[CONTROL].runs[0]["rung"])
    verdict = _verdict(asked, base, others, differences, again, control, rung)
    return {
        "protocol": asked.protocol,
        "asked": dataclasses.asdict(asked),
        "tokenizer": tokenizer,
        "rung": rung,
        "verdict": verdict,
        "corpora": [
            dataclasses.asdict(one) | {"rate": rates[one.name], "half": str(arms[one.name].mean_half()),
                                       "multiplier": dataclasses.asdict(multiplier(arms[one.name], base))}
            for one in corpora
        ],
        "rungs": [dataclasses.asdict(one) for one in rungs],
        "stored": {name: arm.stored for name, arm in arms.items()},
        "text": {name: _text(arm, rung) for name, arm in arms.items() if rung in arm.stored},
        "differences": [_plain(one) for one in differences],
        "own_facts": own_facts,
        "again": _plain(again),
        "control": _plain(control),
        "parameters": results[0]["parameters"],
        "tokens": sum(row["tokens"] or 0 for row in results),
        "seconds": sum(row["seconds"] or 0.0 for row in results),
        "results": results,
    }  # fmt: skip


def _verdict(
    asked: Comparison,
    base: Arm,
    others: Sequence[Arm],
    differences: Sequence[Difference],
    again: Difference,
    control: Difference,
    rung: int,
) -> list[str]:
    """The decision in words, a sentence for each arm; why there is none, where there is none."""
    everything = [base, *others]
    if all(_mean(everything, count) > CEILING for count in asked.exposures):
        return ["undecided: nearly all facts are stored in every corpus; ask for fewer exposures or more people"]
    if all(_mean(everything, count) < FLOOR for count in asked.exposures):
        most = max(asked.exposures)
        return [
            f"undecided: nothing is stored at {most} exposures of {asked.people} people; the probe is too small or too"
            f" seldom shown: ask for at least {4 * most} exposures, or for half of the people"
        ]
    if again.effect.decided:
        return [
            "undecided: the first corpus differs from itself in another shuffle, so differences are not to be trusted"
        ]
    if not (control.effect.decided and control.effect.high < 0):
        return ["undecided: the control (7/8 endless junk) was not found to be worse, so nothing finer can be seen"]
    said = []
    for one in differences:
        better = "more" if one.effect.mean > 0 else "less"
        size = (
            f"{math.exp(one.effect.mean):.2f} times as much"
            if one.kind == "ratio"
            else f"{one.effect.mean:+.2f} of all"
        )
        if one.p < 0.05:
            said.append(f"'{one.arm}' stores {better} than '{base.name}': {size} at rung {rung} (p = {one.p:.2g})")
        else:
            seeds = f"about {one.needed - len(asked.seeds)} more seeds" if one.needed else "many more seeds"
            said.append(
                f"cannot tell '{one.arm}' from '{base.name}' at rung {rung}: {seeds} would decide a difference of this"
                f" size; so many seeds see {_size(one)}"
            )
    return said


def _size(one: Difference) -> str:
    if not math.isfinite(one.smallest):
        return "none with one seed"
    return f"{math.exp(one.smallest):.2f} times and more" if one.kind == "ratio" else f"{one.smallest:.2f} and more"


def _mean(arms: Sequence[Arm], rung: int) -> float:
    return statistics.fmean(value for arm in arms for value in arm.stored[rung].values())


def _text(arm: Arm, rung: int) -> dict[str, float]:
    """Mean loss on each held-out text of an arm's models at a rung, in nats a token."""
    rows = [row for row in arm.runs if row["rung"] == rung]
    return {name: statistics.fmean(row["text"][name]["nats_per_token"] for row in rows) for name in rows[0]["text"]}


def _plain(one: Difference) -> dict[str, Any]:
    return dataclasses.asdict(one) | {"low": one.effect.low, "high": one.effect.high, "decided": one.p < 0.05}
