"""The result of a comparison: each arm against the first, the controls, and the decision in words."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curate.errors import Refused
from recipes.app.measure.asked import AGAIN, CONTROL, Comparison, Outcome
from recipes.app.measure.corpora import Tokenised
from recipes.app.measure.protocol import failure
from recipes.app.measure.statistics import (
    FLOOR,
    ArmResults,
    Interval,
    arms_of,
    holm,
    interval,
    log_times,
    multiplier,
    p_value,
    seeds_needed,
    smallest_effect,
)


@dataclass(frozen=True)
class Difference:
    """An arm against another, paired over seeds. `kind` is "times": the logarithm of its rung of half of the facts over
    the other's, where the ladder brackets one half for every seed of both; or "shares": the difference of the shares of
    the facts that both store at `rung`. `p` is two-sided, corrected by Holm where there are several arms."""

    arm: str
    kind: str
    effect: Interval
    p: float
    needed: int | None
    smallest: float
    rung: int | None = None

    @property
    def better(self) -> bool:
        return (self.effect.mean < 0) == (self.kind == "times")

    def words(self, unit: str) -> str:
        """The effect in words; `unit` is what a rung counts."""
        size, low, high = map(self.size, (self.effect.mean, self.effect.low, self.effect.high))
        effect = f"{size} ({low} to {high})" if math.isfinite(self.effect.half_width) else f"{size} (one seed)"
        if self.kind == "times":
            return f"half of the facts at {effect} times the {unit}"
        return f"{effect} of all facts stored at rung {self.rung}"

    def size(self, value: float) -> str:
        """An effect as a person reads it."""
        return f"{math.exp(min(value, 700)):.2f}" if self.kind == "times" else f"{value:+.2f}"


def difference(one: ArmResults, base: ArmResults, rung: int, shares: bool = False) -> Difference:
    """An arm against `base`: in exposures to half of the facts where the ladder brackets them, else, or with `shares`,
    in the shares stored at `rung`. Raises Refused where no seed has both."""
    times = [] if shares else log_times(one, base)
    stored, by_base = one.stored.get(rung, {}), base.stored.get(rung, {})
    values = times or [stored[seed] - by_base[seed] for seed in sorted(stored.keys() & by_base.keys())]
    if not values:
        raise Refused(f"'{one.name}' and '{base.name}' have no seed in common: runs of them failed")
    kind = "times" if times else "shares"
    figures = interval(values), p_value(values), seeds_needed(values), smallest_effect(values)
    return Difference(one.name, kind, *figures, rung=None if times else rung)


def report(
    asked: Comparison,
    corpora: Sequence[Tokenised],
    outcome: Outcome,
    tokenizer: str,
    own_facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The comparison's figures and its decision."""
    results, rung = outcome.results, outcome.start
    arms = arms_of(results, key="rung")
    first = corpora[0].name
    lost = [name for name in (*(one.name for one in corpora), AGAIN) if name not in arms]
    if lost:
        failed = [row for row in results if row.get("error")]
        raise failure(f"all runs of {', '.join(lost)} failed: {failed[-1]['error']}", failed)
    base = arms[first]
    others = [arms[one.name] for one in corpora[1:]]
    differences = [difference(arm, base, rung) for arm in others]
    corrected = holm([one.p for one in differences])
    differences = [dataclasses.replace(one, p=p) for one, p in zip(differences, corrected, strict=True)]
    again = difference(arms[AGAIN], base, rung)
    control = None
    if CONTROL in arms:
        control = difference(arms[CONTROL], base, arms[CONTROL].runs[0]["rung"], shares=True)
    verdict = _verdict(asked, base, others, differences, again, control)
    return {
        "protocol": asked.protocol,
        "asked": dataclasses.asdict(asked),
        "tokenizer": tokenizer,
        "rung": rung,
        "verdict": verdict,
        "corpora": [
            dataclasses.asdict(one) | {"rate": outcome.rates[one.name], "half": str(arms[one.name].mean_half()),
                                       "value_bits_per_parameter": _bits(arms[one.name], rung),
                                       "multiplier": dataclasses.asdict(multiplier(arms[one.name], base))}
            for one in corpora
        ],
        "rungs": [dataclasses.asdict(one) for one in outcome.rungs],
        "stored": {name: arm.stored for name, arm in arms.items()},
        "text": {name: _text(arm, rung) for name, arm in arms.items() if rung in arm.stored},
        "differences": [_plain(one) for one in differences],
        "own_facts": own_facts,
        "again": _plain(again),
        "control": None if control is None else _plain(control),
        "parameters": results[0]["parameters"],
        "tokens": sum(row["tokens"] or 0 for row in results),
        "seconds": sum(row["seconds"] or 0.0 for row in results),
        "results": results,
    }  # fmt: skip


def _verdict(
    asked: Comparison,
    base: ArmResults,
    others: Sequence[ArmResults],
    differences: Sequence[Difference],
    again: Difference,
    control: Difference | None,
) -> list[str]:
    """The decision in words, a sentence for each arm; or the reason why the comparison is undecided."""
    unit = "compute" if asked.protocol == "same-compute" else "exposures"
    everything = [base, *others]
    senses = {arm.mean_half().sense for arm in everything}
    if senses == {"<"}:
        fewest = min(min(arm.stored) for arm in everything)
        return [
            f"undecided: half of the facts and more are stored in every corpus at {fewest} exposures; ask for fewer"
            " exposures or more people"
        ]
    if senses == {">"}:
        most = max(max(arm.stored) for arm in everything)
        share = max(_mean(arm, most) for arm in everything)
        return [
            f"undecided: {'nothing' if share < FLOOR else 'less than half of the facts'} is stored at {most} exposures"
            f" of {asked.people} people; the models are too small or see the facts too seldom: ask for at least"
            f" {4 * most} exposures, or for half of the people"
        ]
    if again.effect.decided:
        return [
            f"undecided: '{base.name}' differs from itself in another shuffle ({again.words(unit)}), so no"
            " difference can be trusted"
        ]
    if control is None:
        return [f"undecided: '{base.name}' stores less than half of the facts at all {unit} asked; ask for more"]
    if not (control.effect.decided and control.effect.high < 0):
        return [
            "undecided: the control (7/8 endless junk) was not found to be worse, so no smaller difference can be seen"
            f" ({control.words(unit)})"
        ]
    said = []
    for one in differences:
        effect = one.words(unit)
        if one.p < 0.05:
            better = "better" if one.better else "worse"
            said.append(f"'{one.arm}' is {better} than '{base.name}': {effect} (p = {one.p:.2g})")
        else:
            seeds = f"about {one.needed - len(asked.seeds)} more seeds" if one.needed else "many more seeds"
            said.append(
                f"cannot tell '{one.arm}' from '{base.name}': {effect}; {seeds} would decide a difference of this size;"
                f" {len(asked.seeds)} seeds can show {_smallest(one)}"
            )
    return said


def _smallest(one: Difference) -> str:
    if not math.isfinite(one.smallest):
        return "no difference"
    return f"{one.size(one.smallest)}{' times' if one.kind == 'times' else ''} and more"


def _mean(arm: ArmResults, rung: int) -> float:
    return statistics.fmean(arm.stored.get(rung, {0: 0.0}).values())


def _bits(arm: ArmResults, rung: int) -> float | None:
    """Mean value bits per parameter of an arm's models at a rung; a model that guesses worse than chance counts as
    0."""
    rows = [row for row in arm.runs if row["rung"] == rung]
    return statistics.fmean(max(0.0, row["value_bits_per_parameter"]) for row in rows) if rows else None


def _text(arm: ArmResults, rung: int) -> dict[str, float]:
    """Mean loss on each held-out text of an arm's models at a rung, in nats a token."""
    rows = [row for row in arm.runs if row["rung"] == rung]
    return {name: statistics.fmean(row["text"][name]["nats_per_token"] for row in rows) for name in rows[0]["text"]}


def _plain(one: Difference) -> dict[str, Any]:
    return dataclasses.asdict(one) | {"low": one.effect.low, "high": one.effect.high, "decided": one.p < 0.05}
