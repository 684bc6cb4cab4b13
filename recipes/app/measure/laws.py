"""The laws of knowledge capacity (Allen-Zhu & Li, arXiv 2404.05405) on small models: one file says what is trained and
what would count as shown, before anything is trained; this carries it out and judges it by that file alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
from pydantic import Field, field_validator, model_validator

from curate.errors import Refused
from curate.places.store import write_atomically
from curate.plain_yaml import NotPlain, read
from recipes.app.measure.begun import begin
from recipes.app.measure.law_figures import FIGURES, Asked, Found, Unknown, bits_of, mean_bits
from recipes.app.measure.probe import run_probe
from recipes.app.recipe.declared import Strict
from recipes.app.recipe.load import BUILT_IN, Loaded
from recipes.app.recipe.schema import Probe, Recipe
from train_probe.alone import alone_in

LAWS = BUILT_IN / "laws" / "laws.yaml"
"""The file that the command reads."""

GPU = LAWS.with_name("laws-gpu.yaml")
"""The one of `--gpu`."""

FINISHED = ("laws.json", "report.html")
"""What stands for finished laws in their folder; the first makes them finished."""

HOLDS, DIRECTION, NOT_SHOWN, REVERSED = "holds", "in direction", "not shown", "reversed"
OUTCOMES = (HOLDS, DIRECTION, NOT_SHOWN, REVERSED)
"""Three outcomes: the last two are one, not shown, in which the sign is told where the runs tell it."""


class Criterion(Strict):
    """A figure, and the values at which a law holds, or shows in direction. Ranges include their ends."""

    figure: str
    part: str = Field(description="the part whose arms it is of")
    arms: list[str] = Field(min_length=1)
    against: str | None = Field(None, description="the part of `base`; empty: the same")
    base: list[str] = Field([], description="the arms to compare with")
    bits: int = Field(8, description="of rounded weights")
    holds: tuple[float, float]
    direction: tuple[float, float] | None = Field(None, description="empty: that of `holds`")
    decided: bool = Field(False, description="whether the interval must exclude 1, whichever range holds")
    seen: str = Field(description="after which figures it was set")

    @field_validator("figure")
    @classmethod
    def _is_known(cls, figure: str) -> str:
        if figure not in FIGURES:
            raise Refused(f"there is no figure '{figure}'; there are: {', '.join(FIGURES)}")
        return figure

    def outcome(self, found: Found) -> str:
        """What a figure says of the law."""
        if found.value is None:
            return NOT_SHOWN
        if self.decided and not (found.low is not None and found.high is not None and not found.low <= 1 <= found.high):
            return NOT_SHOWN
        for words, limits in ((HOLDS, self.holds), (DIRECTION, self.direction or self.holds)):
            if limits[0] <= found.value <= limits[1]:
                return words
        return REVERSED if self.decided and (found.value > 1) != (self.holds[1] > 1) else NOT_SHOWN


class Law(Strict):
    """A result of the paper under one initialisation of the weights."""

    result: int = Field(ge=1, le=12)
    under: str = Field(description="the initialisation, or what else distinguishes this trial of the result")
    says: str = Field(description="what the paper says")
    expected: bool = Field(True, description="whether it was expected to show, before the runs")
    criteria: list[Criterion] = Field(min_length=1)

    @property
    def parts(self) -> set[str]:
        """The parts that its figures are of."""
        return {one.part for one in self.criteria} | {one.against for one in self.criteria if one.against}


class QuickPart(Strict):
    """What `--quick` trains of a part."""

    seeds: int = Field(2, ge=1)
    arms: list[str] = Field([], description="empty: all")


class Part(Strict):
    """A probe, whose seeds and facts are those of the file."""

    seeds: int = Field(3, ge=1, description="how many seeds, from the first one on")
    quick: QuickPart | None = None
    probe: Probe


class Book(Strict):
    """The file of laws. `trial` is what the rates were chosen by, on other seeds and facts."""

    name: str
    seed_from: int = Field(ge=0)
    facts_seed: int = Field(ge=0)
    quick: list[int] = Field(description="the results that `--quick` asks for")
    trial: list[str]
    parts: dict[str, Part]
    laws: list[Law]

    @model_validator(mode="after")
    def _names_what_there_is(self) -> Book:
        for law in self.laws:
            for one in law.criteria:
                for part, arms in ((one.part, one.arms), (one.against or one.part, one.base)):
                    if part not in self.parts:
                        raise Refused(f"result {law.result}: there is no part '{part}'")
                    there = [arm.arm for arm in self.parts[part].probe.arms]
                    if unknown := [arm for arm in arms if arm not in there]:
                        raise Refused(f"result {law.result}: part '{part}' has no arm '{unknown[0]}'")
        return self


@dataclasses.dataclass(frozen=True)
class Judged:
    """A criterion's figure and what it says."""

    criterion: Criterion
    found: Found
    outcome: str


def read_book(path: Path = LAWS) -> tuple[Book, str]:
    """The file of laws, and its sha256. Raises Refused where it cannot be used."""
    try:
        content = path.read_bytes()
        return Book.model_validate(read(content.decode())), hashlib.sha256(content).hexdigest()
    except (OSError, UnicodeDecodeError, NotPlain) as error:
        raise Refused(f"{path}: {error}") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise Refused(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def run_laws(
    out: Path,
    quick: bool = False,
    seed_from: int | None = None,
    facts_seed: int | None = None,
    book: Path | None = None,
    say: Callable[[str], None] = lambda message: None,
    **how: Any,
) -> dict[str, Any]:
    """Train what the file asks for and is not trained yet, and judge it; writes, and returns, `laws.json`.

    `how` (`processes`, `slots`, `compile`) changes figures by rounding alone, which long runs enlarge; `say` is called
    with the name of each part. Raises Refused.
    """
    book = LAWS if book is None else book
    of, digest = read_book(book)
    first = of.seed_from if seed_from is None else seed_from
    facts = of.facts_seed if facts_seed is None else facts_seed
    with alone_in(out):
        begin(out, FINISHED)
        write_atomically(out / "laws.yaml", book.read_bytes())
        rows: dict[str, list[dict[str, Any]]] = {}
        for name, part in of.parts.items():
            if quick and part.quick is None:
                continue
            say(name)
            probe = _probe_of(part, quick, first, facts)
            recipe = Loaded(Recipe(name=plain(name), probe=probe), [], out, {})
            rows[name] = run_probe(recipe, out / "parts" / plain(name), **how)
        asked = [law for law in of.laws if not quick or (law.result in of.quick and law.parts <= rows.keys())]
        sound = [row for part in rows.values() for row in part if not row.get("error")]
        told = {
            "name": of.name,
            "criteria_sha256": digest,
            "quick": quick,
            "seed_from": first,
            "facts_seed": facts,
            "as_registered": first == of.seed_from and facts == of.facts_seed and not quick,
            "seconds": round(sum(row["seconds"] for row in sound)),
            "tokens": sum(row["tokens"] for row in sound),
            "laws": [_law(law, rows) for law in asked],
            "trial": of.trial,
            "parts": {name: _lines(part) for name, part in rows.items()},
        }
        write_atomically(out / "laws.json", json.dumps(told, indent=1).encode())
    return told


def plain(name: str) -> str:
    """A part's name as that of a recipe and a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _probe_of(part: Part, quick: bool, first: int, facts_seed: int) -> Probe:
    """The part's probe with the file's seeds, and its facts drawn from another one than the trials'."""
    count, arms = part.seeds, part.probe.arms
    if quick and part.quick is not None:
        count = min(count, part.quick.seeds)
        arms = [arm for arm in arms if not part.quick.arms or arm.arm in part.quick.arms]
    facts = (part.probe.facts or {}) | {"seed": facts_seed}
    return part.probe.model_copy(update={"facts": facts, "seeds": list(range(first, first + count)), "arms": arms})


def outcome_of(outcomes: Sequence[str]) -> str:
    """A law's outcome: it holds where all its criteria do."""
    for worst in (REVERSED, NOT_SHOWN, DIRECTION):
        if worst in outcomes:
            return worst
    return HOLDS


def _law(law: Law, rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    judged = [_judged(one, rows) for one in law.criteria]
    return {
        "result": law.result,
        "under": law.under,
        "says": law.says,
        "expected": law.expected,
        "outcome": outcome_of([one.outcome for one in judged]),
        "criteria": [
            {
                "figure": one.criterion.figure,
                "words": FIGURES[one.criterion.figure][0],
                **one.criterion.model_dump(include={"part", "arms", "against", "base", "bits", "decided", "seen"}),
                "holds": _range(one.criterion.holds),
                "direction": _range(one.criterion.direction or one.criterion.holds),
                **dataclasses.asdict(one.found),
                "outcome": one.outcome,
            }
            for one in judged
        ],
    }


def _range(limits: tuple[float, float]) -> list[float | None]:
    """A range without the ends that are no limits, for JSON."""
    return [end if math.isfinite(end) and abs(end) < 1e6 else None for end in limits]


def _judged(one: Criterion, rows: Mapping[str, list[dict[str, Any]]]) -> Judged:
    try:
        asked = Asked(_runs(rows, one.part, one.arms), _runs(rows, one.against or one.part, one.base), one.bits)
        found = FIGURES[one.figure][1](asked)
    except Unknown as error:
        found = Found(None, why=str(error))
    return Judged(one, found, one.outcome(found))


def _runs(rows: Mapping[str, list[dict[str, Any]]], part: str, arms: Sequence[str]) -> tuple[list[dict[str, Any]], ...]:
    """The runs of each arm. Raises Unknown where one was not trained, or failed at a seed: a mean without it would be
    of other seeds."""
    found = []
    for arm in arms:
        runs = [row for row in rows.get(part, []) if row["arm"] == arm]
        if not runs or any(row.get("error") for row in runs):
            raise Unknown(f"{arm}: {'a run failed' if runs else 'not trained'}")
        found.append(runs)
    return tuple(found)


def _lines(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each arm measured: every rate and every seed, raw and clipped."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["arm"], row["exposures"], row["learning_rate"]), []).append(row)
    lines = []
    for (arm, exposures, rate), group in groups.items():
        sound = [row for row in group if not row.get("error")]
        line: dict[str, Any] = {"arm": arm, "exposures": exposures, "rate": rate, "failed": len(group) - len(sound)}
        if sound:
            first = sound[0]
            line |= {
                "architecture": first["architecture"],
                "parameters": first["parameters"],
                "people": first["people"],
                "batch": first["batch"],
                "junk_ratio": round(first["junk_ratio"], 4),
                "load": round(first["max_value_bits_per_parameter"], 3),
                "most": round(first["max_bits_per_parameter"], 3),
                "seeds": [row["seed"] for row in sound],
                "R": [round(bits_of(row), 4) for row in sound],
                "mean": round(mean_bits(sound), 4),
                "clipped": [round(row["clipped"]["bits_per_parameter"], 4) for row in sound],
                "value_share": [
                    round(row["value_bits_per_parameter"] / row["max_value_bits_per_parameter"], 4) for row in sound
                ],
                "rounded": {
                    f"{kind} {width}": round(mean_bits(sound, key, int(width)), 4)
                    for key, kind in (("quantized", "int"), ("gptq", "gptq"))
                    for width in first.get(key) or {}
                },
            }
        lines.append(line)
    return lines
