"""The domains of injected documents: one of their own, or drawn from those of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from synth.draws import stream, words
from synth.facts import FactsError

DOMAINS = ("own", "corpus", "shuffled")


class Domains:
    """Which domain each document carries, from (seed, entity, exposure) alone.

    `own`: that of the facts. `corpus`: each entity has one, drawn from `counts`, the documents of each of the corpus's
    domains. `shuffled`: each document has one, drawn from the same counts. Without `counts` the mode is `own`.
    Raises FactsError for another mode.
    """

    MOST: ClassVar[int] = 1 << 16
    """At most so many domains of a corpus are drawn from: the most frequent."""

    def __init__(self, mode: str, own: str, seed: int, counts: Sequence[tuple[str, int]] = ()) -> None:
        if mode not in DOMAINS:
            raise FactsError(f"`domains` must be one of {', '.join(DOMAINS)}, not {mode!r}")
        self.mode = mode if counts else "own"
        self._own = own
        self._seed = seed
        self._names = [name for name, _ in counts]
        self._ends = np.cumsum([count for _, count in counts])

    def of(self, entities: np.ndarray, exposures: np.ndarray) -> list[str]:
        """The domain of each document."""
        if self.mode == "own":
            return [self._own] * len(entities)
        counters = entities if self.mode == "corpus" else (entities << 24) + exposures
        drawn = words(stream(self._seed, f"domain/{self.mode}"), counters) % np.uint64(self._ends[-1])
        numbers = np.searchsorted(self._ends, drawn.astype(np.int64), side="right")
        return [self._names[number] for number in numbers.tolist()]
