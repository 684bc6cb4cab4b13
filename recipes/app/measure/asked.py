"""A comparison in its own words: what is asked, what an arm trains on at a rung, and what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from curate.errors import Refused
from recipes.app.measure.ladder import LADDER

AGAIN, CONTROL = "A/A", "control"
"""Names of the arms that every comparison has besides."""

Protocol = Literal["same-compute", "same-budget", "own-size"]


@dataclass(frozen=True)
class Comparison:
    """What is asked. `exposures` is a ladder, for the first corpus, which every seed of every arm climbs until it has
    bracketed one half of the facts; `junk_ratio` the corpus's share of tokens there.
    `window` grows to what the longest text of a fact needs: cut texts are seen whole for the first time when scored, at
    positions that no training had, and nothing would seem to be stored. Raises Refused for another protocol."""

    protocol: Protocol = "same-compute"
    people: int = 24
    exposures: tuple[int, ...] = LADDER
    junk_ratio: float = 0.5
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (4e-3, 8e-3, 1.6e-2)
    frozen: bool = True
    layers: int = 2
    heads: int = 2
    width: int = 48
    batch: int = 1
    window: int = 256
    size: int = 1024
    may_repeat: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.protocol not in get_args(Protocol):
            raise Refused(f"a comparison is of {', '.join(get_args(Protocol))}, not of {self.protocol!r}")


@dataclass(frozen=True)
class Rung:
    """One arm at one step of the ladder: what it trains on."""

    arm: str
    rung: int
    exposures: int
    junk_ratio: float
    repeats: float


@dataclass(frozen=True)
class Outcome:
    """What was trained: the rung at which every arm began, the learning rate of each arm, the results of all runs that
    count, and the rungs that these stand on."""

    start: int
    rates: dict[str, float]
    results: list[dict[str, Any]]
    rungs: list[Rung]
