"""The values of a comparison: its settings, what an arm trains on at a rung, and what was trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from curate.errors import Refused
from recipes.app.measure.coins import CoinOf
from recipes.app.measure.judged import TWO_LOOKS, Judged, Rule
from recipes.app.measure.ladder import LADDER
from train_probe.plan import TEXT, TrainingPlan

CONTROL, ALONE = "control", "no pages"
"""Names of the arms that every comparison adds to those it is given: one that must be found to be worse, and the facts
without any page."""
CONTROL_SEEDS = 4
"""Seeds, at most, of the arms that are added."""
TEXT_SEEDS = 2
"""Seeds of the text reading for each seed of the facts: its runs are short, and twice as many of half the tokens find
more damage for the same work (docs/results/reading.md)."""
COHORTS = 16
"""Seeds, in whole multiples, for which people are drawn at once: so more seeds are more people, and the same first
ones."""

Protocol = Literal["same-budget", "same-compute", "own-size"]
What = Literal["both", "facts", "text"]
"""What is read: facts placed beside each corpus, text that no arm trained on, or both."""

AS_GOOD = (math.log(0.87), math.log(1.15))
"""Differences of the logarithm of half that are as good as none: about the difference that whole recipes make."""
AS_GOOD_TEXT = (-0.01, 0.01)
"""The same in bits a byte: what a tenth of broken pages costs is about half of it (docs/results/reading.md)."""


@dataclass(frozen=True)
class Comparison:
    """The settings of a comparison. `exposures` is a ladder, counted in the first corpus, which every seed of every arm
    climbs until it has bracketed one half of the facts; `junk_ratio` is the corpus's share of tokens there.

    Each of `seeds` seeds, from `seed_from` on, has other people, pages in another order, and other coins; `more` seeds
    are added for arms that are undecided then. `facts_seed` draws the people (None: `seed_from`), `load` their number:
    bits of all values a parameter. A batch holds windows of facts and of pages alike, so that equal tokens are equal
    steps. `window` grows until it holds the longest text of a fact: texts that training cuts would be scored at
    positions that no training had, and no fact would seem to be stored. The text reading trains on `text_tokens` of
    each arm. Raises Refused for an unknown protocol, reading or coin.
    """

    protocol: Protocol = "same-budget"
    coin: CoinOf = "pages"
    people: int = 24
    load: float | None = None
    exposures: tuple[int, ...] = LADDER
    junk_ratio: float = 0.5
    seeds: int = 6
    more: int = 6
    seed_from: int = 0
    facts_seed: int | None = None
    rates: tuple[float, ...] = (1.4e-2,)
    frozen: bool = True
    layers: int = 2
    heads: int = 2
    width: int = 48
    batch: int = 4
    window: int = 256
    size: int = 1024
    may_repeat: tuple[str, ...] = ()
    reading: What = "both"
    text_tokens: int = 600_000
    text_width: int = 32
    text_training: TrainingPlan = TEXT

    def __post_init__(self) -> None:
        if not 0 < self.junk_ratio < 1:
            raise Refused(f"the corpus's share of the tokens must lie between 0 and 1, not {self.junk_ratio:g}")
        for name, allowed in (("protocol", Protocol), ("reading", What), ("coin", CoinOf)):
            if getattr(self, name) not in get_args(allowed):
                raise Refused(f"`{name}` must be one of {', '.join(get_args(allowed))}, not {getattr(self, name)!r}")

    def refuse_unread(self, own_facts: str | None) -> None:
        """Raises Refused where facts of the corpora are asked for and no facts are read."""
        if own_facts is not None and self.reading == "text":
            raise Refused(
                "facts of the corpora are read beside injected ones: leave out --own-facts, or --reading text"
            )

    @property
    def first_seeds(self) -> tuple[int, ...]:
        """The seeds that every arm has."""
        return tuple(range(self.seed_from, self.seed_from + self.seeds))

    @property
    def more_seeds(self) -> tuple[int, ...]:
        """Those that undecided arms have too."""
        return tuple(range(self.seed_from + self.seeds, self.seed_from + self.seeds + self.more))

    def text_seeds(self, more: bool = False) -> tuple[int, ...]:
        """The seeds of the text reading, or those that its undecided arms have too."""
        first = self.seed_from + TEXT_SEEDS * (self.seeds if more else 0)
        return tuple(range(first, first + TEXT_SEEDS * (self.more if more else self.seeds)))

    @property
    def control_seeds(self) -> tuple[int, ...]:
        """Those of the arms that are added."""
        return (self.first_seeds + self.more_seeds)[:CONTROL_SEEDS]

    @property
    def trial_seeds(self) -> tuple[int, ...]:
        """Those on which a learning rate is chosen, which no arm has."""
        last = self.seed_from + self.seeds + self.more
        return tuple(range(last, last + self.seeds)) if len(self.rates) > 1 else ()

    @property
    def cohorts(self) -> int:
        """Seeds for which people are drawn."""
        return -(-(self.seeds + self.more + len(self.trial_seeds)) // COHORTS) * COHORTS

    def people_of(self, seed: int) -> tuple[int, int]:
        """The first and past the last of the people whose facts a seed's models are shown."""
        first = (seed - self.seed_from) * self.people
        return first, first + self.people

    def rule(self, margin: tuple[float, float], least_spread: float) -> Rule:
        """How differences are judged."""
        return Rule(TWO_LOOKS if self.more else 0.05, margin, least_spread)

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
    """What was trained: the rung at which every arm began, the learning rate of all, the results of all runs that
    count, the rungs that they were trained at, the ladder of each arm; the control beside the first corpus, and the
    answers, where that comes to half of the facts on its ladder."""

    start: int
    rate: float
    results: list[dict[str, Any]]
    rungs: list[Rung]
    ladders: dict[str, list[int]]
    control: dict[str, Any] | None
    judged: list[Judged]
