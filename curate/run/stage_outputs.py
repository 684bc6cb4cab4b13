"""The outputs of a run's stages, for its publication: files and manifests by stage and by input file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import xxhash

from curate.places.store import Place
from curate.run.stage import Stage
from curate.run.tasks import DOCUMENTS, EVENTS, Part
from curate.run.unit import content_of
from curate.sources import Partition
from curate.step import Injection, Step


@dataclass(frozen=True)
class StageOutputs:
    """The outputs of a run's stages: by stage, the files of documents and of events and the manifests of all parts;
    and the records of its rounds, with the digests of the first part's."""

    steps: Sequence[Step]
    stages: Sequence[Stage]
    sources: list[str]
    parts: Sequence[Part]
    documents: list[list[Place]] = field(default_factory=list)
    events: list[list[Place]] = field(default_factory=list)
    manifests: list[list[dict[str, Any]]] = field(default_factory=list)
    reduced: list[tuple[list[Place], list[str]]] = field(default_factory=list)

    @property
    def injection(self) -> Injection | None:
        return next((step for step in self.steps if isinstance(step, Injection)), None)

    def stage_of(self, source: str) -> int:
        """The number of the stage that a rendering reads: that of `extract`, or the last."""
        if source == "extract":
            return next((stage.number for stage in self.stages if "extract" in stage.labels), 0)
        return len(self.stages) - 1

    def stage_with(self, step: Step) -> int:
        """The number of the stage that carries out a corpus step."""
        return next(stage.number for stage in self.stages if stage.corpus is step)

    def files(self, stage: int) -> Iterator[tuple[int, list[Place], list[str]]]:
        """For each input file: its number, the documents of its parts after a stage, and content."""
        for number, members in self._members():
            places = [self.documents[stage][part] for part in members]
            yield number, places, content_of((self.manifests[stage][part] for part in members), DOCUMENTS)

    def all_events(self) -> Iterator[tuple[int, list[str], list[tuple[str, Place]], list[str]]]:
        """For each input file: its number, its names in keys, the events of all stages by stage, and content."""
        for number, members in self._members():
            places = [(stage.folder, self.events[stage.number][part]) for stage in self.stages for part in members]
            manifests = (self.manifests[stage.number][part] for stage in self.stages for part in members)
            partition = self.parts[members[0]].partition
            names = [relative for _, relative in partition.files] or [partition.relative]
            yield number, [f"{partition.source}/{name}" for name in names], places, content_of(manifests, EVENTS)

    def _members(self) -> Iterator[tuple[int, list[int]]]:
        """The input files, and the numbers of each one's parts."""
        for number, group in itertools.groupby(self.parts, key=lambda part: part.partition_number):
            yield number, [part.number for part in group]


def label_of(partition: Partition) -> str:
    """A name for an input file in the output folder, which does not depend on the other files."""
    path = f"{partition.source}/{partition.relative}"
    readable_part = re.sub(r"[^A-Za-z0-9_-]+", "-", path)[:60].strip("-")
    return f"{readable_part}-{xxhash.xxh3_64_hexdigest(path.encode('utf-8', 'surrogatepass'))[:10]}"
