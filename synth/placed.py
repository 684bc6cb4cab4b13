"""Facts in their places: the documents that are added to a corpus, in their order, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curate.document import Document
from synth.codes import RECORDS
from synth.domains import Domains
from synth.exposures import Schedule
from synth.facts import FactTable
from synth.kinds import writer_of

SOURCE = "inject"
"""The source of every document of facts."""


@dataclass(frozen=True)
class Placed:
    """A table, the order in which its entities appear, and the domains that their documents carry."""

    table: FactTable
    schedule: Schedule
    domains: Domains

    @property
    def total(self) -> int:
        """Documents in all."""
        return self.schedule.total

    def documents(self, begin: int, end: int) -> Iterator[Document]:
        """Injected documents `begin` to `end` of all, in their order."""
        writer = writer_of(self.table)
        step = 1 << 14
        for first in range(begin, end, step):
            entities, exposures = self.schedule.between(first, min(first + step, end))
            domains = self.domains.of(entities, exposures)
            texts = writer.texts(entities, exposures)
            for entity, exposure, domain, text in zip(
                entities.tolist(), exposures.tolist(), domains, texts, strict=True
            ):
                metadata = {"kind": self.table.kind, "entity": entity, "exposure": exposure}
                if self.table.kind not in RECORDS:
                    metadata["language"] = "en"
                yield Document(
                    key=f"{SOURCE}/{entity}@{exposure}",
                    text=text,
                    domain=domain,
                    source=SOURCE,
                    metadata=metadata,
                    protected=True,
                )
