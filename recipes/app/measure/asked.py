"""The values of a comparison: its settings, what an arm trains on at a rung, and what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from curate.errors import Refused
from recipes.app.measure.ladder import LADDER

AGAIN, CONTROL = "A/A", "control"
"""Names of the arms that every comparison adds to those it is given."""

Protocol = Literal["same-compute", "same-budget", "own-size"]


@dataclass(frozen=True)
class Comparison:
    """The settings of a comparison. `exposures` is a ladder, counted in the first corpus, which every seed of every arm
    climbs until it has bracketed one half of the facts; `junk_ratio` is the corpus's share of tokens there.

    `window` grows until it holds the longest text of a fact: texts that training cuts would be scored at positions that
    no training had, and no fact would seem to be stored. Raises Refused for an unknown protocol.
    """

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
            raise Refused(f"`protocol` must be one of {', '.join(get_args(Protocol))}, not {self.protocol!r}")


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
    count, and the rungs that they were trained at."""

    start: int
    rates: dict[str, float]
    results: list[dict[str, Any]]
    rungs: list[Rung]
