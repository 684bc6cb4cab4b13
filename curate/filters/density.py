"""Knowledge density as a rule: docs/results/density.md says what it measures, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from curate.document import Document
from curate.step import Check, Rule, param, under
from curate.text.density import facts_of


@dataclass(frozen=True)
class KnowledgeDensity(Rule):
    """Drops a text with too few numbers, dates, names and definitions for its length. A limit of 0 or None is off.

    For English. A cheap measure of facts stated in sentences; it does not judge quality.
    """

    name: ClassVar[str] = "knowledge_density"
    shaping: ClassVar[tuple[str, ...]] = ()
    zero_is_off: ClassVar[bool] = True

    min_density: float | None = param(
        0.01, "least number of distinct fact words per word", source="ours, not published", ge=0, le=1
    )

    def checks(self, document: Document) -> Iterator[Check]:
        if self.min_density:
            yield under("too_few_facts", facts_of(document.signals).density, self.min_density, "min_density")
