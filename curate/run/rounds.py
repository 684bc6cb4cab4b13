"""The units of a corpus step's rounds: records are emitted by part or bucket, sorted, and reduced by key.

Neither half holds all its records in memory: buffers are written when they grow, sorted records are spilled and merged.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.places.failpoint import reached
from curate.places.store import Place, working_folder
from curate.run.tasks import read_documents
from curate.run.unit import READING, Outputs, Pulse, Unit, describe_step, files_of
from curate.shards.records import BUDGET, SectionWriter, bucket_of, by_key, in_order, read_section
from curate.step import CorpusStep, Record, Round


@dataclass
class _RoundUnit(Unit):
    """What both halves of a round share: the step, which of its rounds, and one file of records in sections."""

    folder: str
    step: CorpusStep
    round_number: int
    inputs: list[str]

    @property
    def path(self) -> Place:
        return self.root / f"{self.name}.records"

    @property
    def sections(self) -> int:
        raise NotImplementedError

    @property
    def budget(self) -> int:
        """Bytes of records that wait in memory: as much as a frame may hold when they are read again."""
        return BUDGET

    @property
    def files_read(self) -> list[Path]:
        return files_of([self.step])

    def configuration(self) -> dict[str, Any]:
        return {"step": describe_step(self.step), "round": self.round_number, "inputs": self.inputs}

    def expected(self) -> dict[str, Any]:
        return {**super().expected(), "sections": ["not done"] * self.sections}

    def records(self, one: Round, pulse: Pulse) -> Iterator[tuple[int, Record]]:
        """Records with their sections."""
        raise NotImplementedError

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        self.step.open()
        one = self.step.rounds()[self.round_number]
        with outputs.open(self.path) as stream:
            writer = SectionWriter(stream, self.sections, self.budget)
            for section, record in self.records(one, pulse):
                writer.add(section, record)
            digests = writer.close()
        return {"sections": digests, "notes": one.notes()}


@dataclass
class EmitTask(_RoundUnit):
    """The first half of a round: a part's documents, or a bucket of the round before, to records by bucket."""

    number: int
    label: str
    buckets: int
    documents: Place | None = None
    previous: Place | None = None
    killed: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        kind = "documents" if self.documents is not None else "records"
        return f"rounds/{self.folder}/emit-{kind}-{self.label}"

    @property
    def sections(self) -> int:
        return self.buckets

    def size(self) -> int:
        with contextlib.suppress(OSError):
            if self.documents is not None:
                return self.documents.stat().st_size
        return 0

    def configuration(self) -> dict[str, Any]:
        own = {"buckets": self.buckets, "number": self.number, "killed": sorted(self.killed)}
        return {**super().configuration(), **own}

    def records(self, one: Round, pulse: Pulse) -> Iterator[tuple[int, Record]]:
        if self.documents is not None:
            emitted = one.emit_documents(self._incoming(self.documents, pulse), self.number)
        else:
            assert self.previous is not None
            emitted = one.emit_records(read_section(self.previous, 0))
        for record in emitted:
            yield bucket_of(record[0], self.buckets), record
            reached("inside a round")

    def _incoming(self, documents: Place, pulse: Pulse) -> Iterator[tuple[int, Document]]:
        pulse.hold(READING)
        for ordinal, document in enumerate(read_documents(documents, pulse)):
            if document.key not in self.killed:
                pulse.count(documents=1)
                pulse.hold(document.key)
                yield self.number << 32 | ordinal, document
                pulse.count(kept=1)
            pulse.hold(READING)
        pulse.hold(None)


@dataclass
class ReduceTask(_RoundUnit):
    """The second half of a round: one bucket, grouped by key. The last round's output has a section for each part."""

    bucket: int
    parts: int
    last: bool
    emitted: list[Place]
    files: tuple[int, ...] = ()
    buckets: int = 1

    @property
    def name(self) -> str:
        return f"rounds/{self.folder}/reduce-{self.bucket:05d}"

    @property
    def sections(self) -> int:
        return self.parts if self.last else 1

    def configuration(self) -> dict[str, Any]:
        own: dict[str, Any] = {"sections": self.sections, "last": self.last, "bucket": self.bucket}
        if self.files:
            own["files"] = self.files
        return {**super().configuration(), **own}

    @property
    def budget(self) -> int:
        # The merge of the buckets of a step that streams holds a frame of each.
        return max(1 << 16, BUDGET // self.buckets) if self.last and self.step.streams else BUDGET

    def records(self, one: Round, pulse: Pulse) -> Iterator[tuple[int, Record]]:
        if one.moves:
            one.files = self.files
        incoming = itertools.chain.from_iterable(read_section(path, self.bucket) for path in self.emitted)
        with working_folder(self.root) as scratch:
            if one.streams:
                one.scratch = scratch
            for key, values in by_key(in_order(incoming, scratch), one.streams):
                reached("while merging")
                for record in one.reduce(key, values):
                    yield int.from_bytes(record[0], "big") if self.last else 0, record
