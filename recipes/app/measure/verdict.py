"""The result of a comparison's facts: each arm against a coin of its size, the arms that were added, and the decision
in words."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from recipes.app.measure.asked import ALONE, Comparison, Outcome
from recipes.app.measure.carried import by_facts
from recipes.app.measure.coins import Arm, first_of
from recipes.app.measure.corpora import Tokenised
from recipes.app.measure.judged import FEWEST, Judged, beside
from recipes.app.measure.protocol import failure, halves_of
from recipes.app.measure.statistics import FLOOR, ArmResults, arms_of, beyond


def report(
    asked: Comparison,
    arms: Sequence[Arm],
    corpora: Sequence[Tokenised],
    outcome: Outcome,
    tokenizer: str,
    value_bits: float,
    lengths: Mapping[str, tuple[float, float]] | None = None,
    own_facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The comparison's figures and its decision; `value_bits` are those of one person's values, `lengths` the mean and
    the largest page of each arm."""
    results = outcome.results
    found = arms_of(results, key="rung")
    lost = [arm.name for arm in arms if arm.name not in found]
    if lost:
        failed = [row for row in results if row.get("error")]
        raise failure(f"all runs of {', '.join(lost)} failed: {failed[-1]['error']}", failed)
    first = first_of(arms).name
    values, rule = halves_of(results, outcome.ladders, asked)
    shown = beside(values, arms, first, rule)
    parameters = next(row["parameters"] for row in results if not row.get("error"))
    load = asked.people * value_bits / parameters
    return {
        "protocol": asked.protocol,
        "asked": dataclasses.asdict(asked),
        "tokenizer": tokenizer,
        "rung": outcome.start,
        "first": first,
        "rate": outcome.rate,
        "confidence": rule.confidence,
        "margin": [math.exp(bound) for bound in rule.margin],
        "verdict": _verdict(asked, arms, found, outcome, parameters, load),
        "corpora": [dataclasses.asdict(one) for one in corpora],
        "arms": [
            dataclasses.asdict(arm) | {
                "lengths": (lengths or {}).get(arm.name),
                "half": str(found[arm.name].mean_half()),
                "off": sum(map(len, beyond(found[arm.name], outcome.ladders[arm.name]))),
                "seeds": len(found[arm.name].seeds),
                "value_bits_per_parameter": _bits(found[arm.name], outcome.start),
                "beside": dataclasses.asdict(shown[arm.name]) if arm.name in shown else None,
            }
            for arm in arms
        ],
        "rungs": [dataclasses.asdict(one) for one in outcome.rungs],
        "stored": {name: arm.stored for name, arm in found.items()},
        "text": {name: _text(arm, outcome.start) for name, arm in found.items() if outcome.start in arm.stored},
        "judged": [dataclasses.asdict(one) for one in outcome.judged],
        "own_facts": own_facts,
        "control": outcome.control,
        "alone": None if ALONE not in found else _alone(found[ALONE], found[first]),
        "parameters": parameters,
        "load": load,
        "tokens": sum(row["tokens"] or 0 for row in results),
        "seconds": sum(row["seconds"] or 0.0 for row in results),
        "results": results,
    }  # fmt: skip


def _verdict(
    asked: Comparison,
    arms: Sequence[Arm],
    found: Mapping[str, ArmResults],
    outcome: Outcome,
    parameters: int,
    load: float,
) -> list[str]:
    """The decision in words, a sentence for each arm; or the reason why the comparison is undecided."""
    everything = [found[arm.name] for arm in arms]
    base, senses = found[first_of(arms).name], {arm.mean_half().sense for arm in everything}
    if senses == {"<"}:
        return [
            f"undecided: half of the facts and more are stored in every corpus at {min(asked.exposures)} exposures; ask"
            " for fewer exposures or more people"
        ]
    if senses == {">"}:
        most = max(max(arm.stored) for arm in everything)
        share = max(statistics.fmean(arm.stored.get(most, {0: 0.0}).values()) for arm in everything)
        return [
            f"undecided: {'nothing' if share < FLOOR else 'less than half of the facts'} is stored at {most} exposures"
            f" of {asked.people} people; the models are too small or see the facts too seldom: ask for at least"
            f" {4 * most} exposures, or for half of the people"
        ]
    if base.mean_half().sense != "=":
        side, other = ("less", "more") if base.mean_half().sense == ">" else ("more", "fewer")
        return [
            f"undecided: '{base.name}' stores {side} than half of the facts at all exposures asked; ask for {other}"
        ]
    if max((one.seeds for one in outcome.judged), default=0) < FEWEST:
        return [f"undecided: fewer than {FEWEST} seeds decide nothing"]
    if outcome.control is None or not outcome.control["worse"]:
        return [
            "undecided: the control (look-alike junk in place of the pages) was not found to be worse, so no smaller"
            " difference can be seen"
        ]
    of = {arm.name: arm for arm in arms}
    unit = "compute" if asked.protocol == "same-compute" else "exposures"
    measured = f"measured at {parameters / 1e6:.2g}M parameters, {by_facts(load)}"
    lines = []
    for one in outcome.judged:
        off = [_off(found[name], outcome.ladders[name]) for name in (one.arm, one.against)]
        p = f"p = {one.p:.2g}; " if one.answer in ("better", "worse") else ""
        lines.append(f"{_sentence(one, of, base.name, unit)}{''.join(off)} ({p}{measured})")
    return lines


def _sentence(one: Judged, of: Mapping[str, Arm], first: str, unit: str) -> str:
    against = opponent(of[one.against], first)
    name = subject(of[one.arm], first)
    effect = f"half of the facts at {times(one)} times its {unit}"
    if one.answer in ("better", "worse"):
        return f"{name} is {one.answer} than {against}: {effect}"
    if one.answer == "alike":
        return f"{name} is as good as {against}: {effect}"
    if one.seeds < FEWEST:
        return f"{name} cannot be told from {against}: {one.seeds} seeds decide nothing; ask for at least {FEWEST}"
    return (
        f"{name} cannot be told from {against}: {effect}; {one.seeds} seeds would have found"
        f" {math.exp(one.smallest):.2f} times and more, or as much less"
    )


def subject(arm: Arm, first: str) -> str:
    """An arm as a sentence names it."""
    return f"'{arm.name}'" + (f", cut by a coin to the size of '{first}'," if arm.kept < 1 else "")


def opponent(arm: Arm, first: str) -> str:
    """What an arm is judged against, as a sentence names it."""
    return f"a coin of its size ({arm.kept:.0%} of '{first}')" if arm.is_coin else f"'{arm.name}'"


def times(one: Judged | Mapping[str, Any]) -> str:
    """A ratio of exposures with its interval."""
    figures = dataclasses.asdict(one) if isinstance(one, Judged) else one
    mean, low, high = (math.exp(min(figures[name], 700)) for name in ("mean", "low", "high"))
    return f"{mean:.2f} ({low:.2f} to {high:.2f})" if math.isfinite(figures["low"]) else f"{mean:.2f} (too few seeds)"


def _off(arm: ArmResults, ladder: Sequence[int]) -> str:
    """What a sentence adds about seeds without a half on the ladder."""
    never, sooner = beyond(arm, ladder)
    words = ""
    if never:
        words += f"; {len(never)} of {len(arm.seeds)} seeds of '{arm.name}' never reached half: a rung above the ladder"
    if sooner:
        words += f"; {len(sooner)} of {len(arm.seeds)} seeds of '{arm.name}' passed it at once: a rung below the ladder"
    return words


def _alone(arm: ArmResults, base: ArmResults) -> dict[str, Any]:
    """The facts without any page: their half, and as a part of that of the first corpus, where both have one."""
    half, other = arm.mean_half(), base.mean_half()
    both = half.sense == other.sense == "="
    return {"half": str(half), "times": half.exposures / other.exposures if both else None}


def _bits(arm: ArmResults, rung: int) -> float | None:
    """Mean value bits per parameter of an arm's models at a rung; a model that guesses worse than chance counts as
    0."""
    rows = [row for row in arm.runs if row["rung"] == rung]
    return statistics.fmean(max(0.0, row["value_bits_per_parameter"]) for row in rows) if rows else None


def _text(arm: ArmResults, rung: int) -> dict[str, float]:
    """Mean loss on each held-out text of an arm's models at a rung, in nats a token."""
    rows = [row for row in arm.runs if row["rung"] == rung]
    return {name: statistics.fmean(row["text"][name]["nats_per_token"] for row in rows) for name in rows[0]["text"]}
