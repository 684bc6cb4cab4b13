"""The values of a comparison: its settings, what an arm trains on at a rung, and what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from curate.errors import Refused
from recipes.app.measure.ladder import LADDER
from train_probe.plan import TEXT, TrainingPlan

AGAIN, CONTROL = "A/A", "control"
"""Names of the arms that every comparison adds to those it is given."""

Protocol = Literal["same-compute", "same-budget", "own-size"]
What = Literal["both", "facts", "text"]
"""What is read: facts placed beside each corpus, text that no arm trained on, or both."""


@dataclass(frozen=True)
class Comparison:
    """The settings of a comparison. `exposures` is a ladder, counted in the first corpus, which every seed of every arm
    climbs until it has bracketed one half of the facts; `junk_ratio` is the corpus's share of tokens there.

    `window` grows until it holds the longest text of a fact: texts that training cuts would be scored at positions that
    no training had, and no fact would seem to be stored. The text reading trains on `text_tokens` of each arm, or on
    those of the smallest, with each of `text_seeds`. Raises Refused for an unknown protocol or reading.
    """

    protocol: Protocol = "same-compute"
    people: int = 24
    exposures: tuple[int, ...] = LADDER
    junk_ratio: float = 0.5
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (1.6e-2,)
    frozen: bool = True
    layers: int = 2
    heads: int = 2
    width: int = 48
    batch: int = 2
    window: int = 256
    size: int = 1024
    may_repeat: tuple[str, ...] = ()
    reading: What = "both"
    text_tokens: int = 1_200_000
    text_seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    text_width: int = 32
    text_training: TrainingPlan = TEXT

    def __post_init__(self) -> None:
        for name, allowed in (("protocol", get_args(Protocol)), ("reading", get_args(What))):
            if getattr(self, name) not in allowed:
                raise Refused(f"`{name}` must be one of {', '.join(allowed)}, not {getattr(self, name)!r}")

    def refuse_unread(self, own_facts: str | None) -> None:
        """Raises Refused where facts of the corpora are asked for and no facts are read."""
        if own_facts is not None and self.reading == "text":
            raise Refused(
                "facts of the corpora are read beside injected ones: leave out --own-facts, or --reading text"
            )

    @property
    def text_model(self) -> dict[str, int]:
        """The models of the text reading."""
        return {"layers": self.layers, "heads": self.heads, "width": self.text_width}


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
