"""Knowledge density as a rule: what it measures, and does not tell, is said in docs/results/density.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from curate.document import Document
from curate.step import Check, Rule, param, under
from curate.text.density import facts_of


@dataclass(frozen=True)
class KnowledgeDensity(Rule):
    """Too few numbers, dates, names and definitions for the length of the text. A limit of 0 or None is off.

    For English. A cheap reading of facts stated in sentences; it is no judgement of quality.
    """

    name: ClassVar[str] = "knowledge_density"
    shaping: ClassVar[tuple[str, ...]] = ()
    zero_is_off: ClassVar[bool] = True

    min_density: float | None = param(
        0.01, "fewest different words of facts for each word", source="ours, not published", ge=0, le=1
    )

    def checks(self, document: Document) -> Iterator[Check]:
        if self.min_density:
            yield under("too_few_facts", facts_of(document.signals).density, self.min_density, "min_density")
