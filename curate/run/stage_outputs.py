"""The outputs of a run's stages, for its publication: files and manifests by stage and by input file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import xxhash

from curate.places.store import Place
from curate.run.lots import Lot, Part
from curate.run.stage import Stage
from curate.run.tasks import DOCUMENTS, EVENTS
from curate.run.unit import content_of
from curate.sources import Partition
from curate.step import Injection, Step


@dataclass(frozen=True)
class Published:
    """Input files whose shards one unit publishes: one, from the parts into which it was cut, or all of a lot.

    `number` is that of the first. `places` hold the documents after a stage, or, with the folder's name, the events of
    all stages; `counts` says, for each place, how many of them each file of a lot has.
    """

    number: int
    places: list[Place]
    content: list[str]
    counts: tuple[tuple[int, ...], ...] = ()

    @property
    def label(self) -> str:
        """Names its unit: two lots with the same first file and another last one are two units."""
        last = self.number + len(self.counts[0]) - 1 if self.counts else self.number
        return f"{self.number:05d}" if last == self.number else f"{self.number:05d}-{last:05d}"


def kept_characters(manifest: Mapping[str, Any]) -> int:
    """Of the documents that a unit of a stage left."""
    return sum(characters for _, characters in manifest["domains"]["kept"].values())


def kept_count(manifest: Mapping[str, Any]) -> int:
    """How many documents a unit of a stage left."""
    return sum(documents for documents, _ in manifest["domains"]["kept"].values())


@dataclass(frozen=True)
class StageOutputs:
    """The outputs of a run's stages: by stage, the files of documents and of events and the manifests of all lots;
    and the records of its rounds, with the digests of the first part's."""

    steps: Sequence[Step]
    stages: Sequence[Stage]
    sources: list[str]
    lots: Sequence[Lot]
    documents: list[list[Place]] = field(default_factory=list)
    events: list[list[Place]] = field(default_factory=list)
    manifests: list[list[dict[str, Any]]] = field(default_factory=list)
    reduced: list[tuple[list[Place], list[str]]] = field(default_factory=list)

    @property
    def parts(self) -> list[Part]:
        return [part for lot in self.lots for part in lot.parts]

    @property
    def injection(self) -> Injection | None:
        return next((step for step in self.steps if isinstance(step, Injection)), None)

    def stage_of(self, source: str) -> int:
        """The number of the stage that a rendering reads: that of `extract`, or the last."""
        if source == "extract":
            return next((stage.number for stage in self.stages if "extract" in stage.labels), 0)
        return len(self.stages) - 1

    def widest(self, sources: Iterable[str]) -> int:
        """The first of the stages that renderings of these sources read, which has the most text."""
        return min(self.stage_of(source) for source in sources)

    def characters(self, stage: int) -> int:
        """Of all documents after a stage."""
        return sum(map(kept_characters, self.manifests[stage]))

    def stage_with(self, step: Step) -> int:
        """The number of the stage that carries out a corpus step."""
        return next(stage.number for stage in self.stages if stage.corpus is step)

    def counts(self, lot: int) -> tuple[int, ...]:
        """How many documents the last stage left of each part of a lot; empty for a lot of one."""
        return tuple(self.manifests[-1][lot]["documents_by_part"]) if self.lots[lot].many else ()

    def files(self, stage: int) -> Iterator[Published]:
        """The documents of all input files after a stage."""
        for members in self._members():
            manifests = [self.manifests[stage][lot] for lot in members]
            places = [self.documents[stage][lot] for lot in members]
            yield self._published(members, places, content_of(manifests, DOCUMENTS), manifests, "documents_by_part")

    def all_events(self) -> Iterator[tuple[Published, list[str], list[str]]]:
        """The events of all input files, by stage; the names of the files in keys; and the stage of each place."""
        for members in self._members():
            units = [(stage, lot) for stage in self.stages for lot in members]
            manifests = [self.manifests[stage.number][lot] for stage, lot in units]
            places = [self.events[stage.number][lot] for stage, lot in units]
            published = self._published(members, places, content_of(manifests, EVENTS), manifests, "events_by_part")
            partitions = {part.partition_number: part.partition for lot in members for part in self.lots[lot].parts}
            names = [
                f"{partition.source}/{name}"
                for partition in partitions.values()
                for name in [relative for _, relative in partition.files] or [partition.relative]
            ]
            yield published, names, [stage.folder for stage, _ in units]

    def _published(
        self, members: list[int], places: list[Place], content: list[str], manifests: list[dict[str, Any]], counts: str
    ) -> Published:
        lot = self.lots[members[0]]
        by_part = tuple(tuple(manifest[counts]) for manifest in manifests) if lot.many else ()
        return Published(lot.parts[0].partition_number, places, content, by_part)

    def _members(self) -> Iterator[list[int]]:
        """The numbers of the lots that are published together: those of one input file, or one lot of many."""
        numbers = [lot.parts[0].partition_number for lot in self.lots]
        for _, group in itertools.groupby(range(len(self.lots)), key=numbers.__getitem__):
            yield list(group)


def label_of(partition: Partition) -> str:
    """A name for an input file in the output folder, which does not depend on the other files."""
    path = f"{partition.source}/{partition.relative}"
    readable_part = re.sub(r"[^A-Za-z0-9_-]+", "-", path)[:60].strip("-")
    return f"{readable_part}-{xxhash.xxh3_64_hexdigest(path.encode('utf-8', 'surrogatepass'))[:10]}"
