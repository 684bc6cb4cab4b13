"""The units that a worker executes: a partition through a stage, and the two halves of a round.

Each names the document in hand by `pulse.hold(key)`, so that one that hangs or kills the worker can be set aside.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from curate.document import Document, Drop, Skipped, Unreadable
from curate.run.account import Account
from curate.run.failpoint import reached
from curate.run.ledger import drop_row, edit_rows, encode_row, quarantine_row
from curate.run.records import bucket_of, by_key, read_section, write_sections
from curate.run.stage import Stage
from curate.run.unit import READING, Outputs, Pulse, Unit, checksum, describe_step
from curate.shards.text import document_from_json, document_to_json, read_lines
from curate.sources import InputError, Partition, read_partition
from curate.step import CorpusStep, Record, Round

LEVEL = 3


def read_documents(path: Path) -> Iterator[Document]:
    """The documents that a stage wrote for one partition."""
    return map(document_from_json, read_lines(path))


def places(documents: Iterable[Document], partition: int) -> Iterator[tuple[int, Document]]:
    for ordinal, document in enumerate(documents):
        yield partition << 32 | ordinal, document


def readable(source: Partition) -> Iterator[Document | Skipped | Unreadable]:
    """A partition's records; a file that cannot be opened, or read on, is one more record that was lost."""
    try:
        yield from read_partition(source)
    except OSError as error:
        yield Unreadable(f"{source.source}/{source.relative}@0", f"the file cannot be read: {error.strerror or error}")


@dataclass
class MapTask(Unit):
    """One partition through one stage. `source` for the first stage, `previous` (a file of documents) for the others.

    `killed` are documents that hung or crashed a worker, with the reason: they are set aside without being touched.
    """

    stage: Stage
    partition: int
    source: Partition | None = None
    limit: int | None = None
    previous: Path | None = None
    reduced: list[Path] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    killed: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"stages/{self.stage.folder}/{self.partition:05d}"

    @property
    def documents_path(self) -> Path:
        return self.root / f"{self.name}.jsonl.zst"

    def configuration(self) -> dict[str, Any]:
        source: dict[str, Any] = {}
        if self.source is not None:
            try:
                source = {"content": checksum(self.source.path), **self.source.describe()}
            except OSError as error:
                source = {"unreadable": str(error), "relative": self.source.relative}
        return {
            "source": source,
            "limit": self.limit,
            "inputs": self.inputs,
            "partition": self.partition,
            "steps": [describe_step(step) for step in self.stage.all_steps],
            "labels": self.stage.labels,
            "killed": sorted(self.killed.items()),
        }

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        for step in self.stage.all_steps:
            step.open()
        ledger_path = self.root / f"ledger/{self.stage.folder}/{self.partition:05d}.jsonl.zst"
        quarantine_path = self.root / f"quarantine/{self.stage.folder}/{self.partition:05d}.jsonl.zst"
        lost: list[Unreadable] = []
        records = {"documents": 0, "characters": 0, "skipped": {}, "unreadable": 0, "unreadable_characters": 0}
        compressor = zstandard.ZstdCompressor(level=LEVEL)
        with outputs.open(ledger_path) as raw_ledger, compressor.stream_writer(raw_ledger, closefd=False) as ledger:

            def on_drop(drop: Drop, label: str) -> None:
                for row in edit_rows(drop.document):
                    ledger.write(encode_row(row))
                ledger.write(encode_row(drop_row(drop, label)))

            account = Account(on_drop)
            documents: Iterator[Document] = self._incoming(account, records, lost, pulse)
            labels = iter(self.stage.labels)
            corpus = self.stage.corpus
            if corpus is not None:
                values = [value for path in self.reduced for _, value in read_section(path, self.partition)]

                def decide(incoming: Iterator[Document]) -> Iterator[Any]:
                    return corpus.decide(places(incoming, self.partition), values, self.partition)

                documents = account.through(next(labels), decide, documents)
            for step, label in zip(self.stage.steps, labels, strict=True):
                documents = account.through(label, step.apply, documents)
            with (
                outputs.open(self.documents_path) as raw,
                zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw, closefd=False) as stream,
            ):
                for document in documents:
                    for row in edit_rows(document):
                        ledger.write(encode_row(row))
                    document.edits = []
                    account.keep(document)
                    stream.write(document_to_json(document))
                    pulse.count(kept=1)
                    pulse.hold(None)
        if lost:
            with outputs.open(quarantine_path) as raw, compressor.stream_writer(raw, closefd=False) as quarantine:
                for item in lost:
                    quarantine.write(encode_row(quarantine_row(item)))
        self._close(account)
        return {
            **account.summary(),
            "records": records,
            "lost": [{"key": item.key, "error": item.error, "bytes": len(item.raw)} for item in lost],
        }

    def _close(self, account: Account) -> None:
        for label, step in zip(self.stage.labels, self.stage.all_steps, strict=True):
            account.steps[label].close(makes_text=step.ends_stage, adds=isinstance(step, CorpusStep))

    def _incoming(
        self, account: Account, records: dict[str, Any], lost: list[Unreadable], pulse: Pulse
    ) -> Iterator[Document]:
        items: Iterable[Document | Skipped | Unreadable]
        if self.source is not None:
            items = readable(self.source)
        else:
            assert self.previous is not None
            items = read_documents(self.previous)
        pulse.hold(READING)
        for item in account.watch.time("read", items):
            if isinstance(item, Document) and item.key in self.killed:
                # A text lost after extraction leaves with its characters; a page lost before has bytes only.
                raw = item.html if item.html is not None else item.text.encode("utf-8", "replace")
                size = len(raw) if item.html is not None else len(item.text)
                self._lose(Unreadable(item.key, self.killed[item.key], raw), size, records, lost)
            elif isinstance(item, Skipped):
                records["skipped"][item.reason] = records["skipped"].get(item.reason, 0) + 1
            elif isinstance(item, Unreadable):
                self._lose(item, len(item.raw), records, lost)
            else:
                if records["documents"] == self.limit:
                    return
                if item.html is not None and not any(step.ends_stage for step in self.stage.steps):
                    raise InputError(f"{item.key} is HTML: the recipe needs `extract` as its first step")
                records["documents"] += 1
                records["characters"] += len(item.text)
                pulse.count(documents=1)
                pulse.hold(item.key)
                yield item
            pulse.hold(READING)

    @staticmethod
    def _lose(item: Unreadable, size: int, records: dict[str, Any], lost: list[Unreadable]) -> None:
        records["unreadable"] += 1
        records["unreadable_characters"] += size
        lost.append(item)


@dataclass
class _RoundUnit(Unit):
    """What both halves of a round share: the step, which of its rounds, and one file of records in sections."""

    folder: str
    step: CorpusStep
    round_number: int
    inputs: list[str]

    @property
    def path(self) -> Path:
        return self.root / f"{self.name}.records"

    def configuration(self) -> dict[str, Any]:
        return {"step": describe_step(self.step), "round": self.round_number, "inputs": self.inputs}

    def sections(self, rounds: Round, pulse: Pulse) -> list[list[Record]]:
        raise NotImplementedError

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        self.step.open()
        sections = self.sections(self.step.rounds()[self.round_number], pulse)
        with outputs.open(self.path) as stream:
            write_sections(stream, sections)
        return {}


@dataclass
class EmitTask(_RoundUnit):
    """The first half of a round: a partition's documents, or a bucket of the round before, to records by bucket."""

    number: int
    buckets: int
    documents: Path | None = None
    previous: list[Path] = field(default_factory=list)

    @property
    def name(self) -> str:
        kind = "documents" if self.documents is not None else "records"
        return f"rounds/{self.folder}/emit-{kind}-{self.number:05d}"

    def configuration(self) -> dict[str, Any]:
        return {**super().configuration(), "buckets": self.buckets}

    def sections(self, rounds: Round, pulse: Pulse) -> list[list[Record]]:
        sections: list[list[Record]] = [[] for _ in range(self.buckets)]
        for key, value in self._emit(rounds, pulse):
            sections[bucket_of(key, self.buckets)].append((key, value))
            reached("inside a round")
        return sections

    def _emit(self, rounds: Round, pulse: Pulse) -> Iterator[Record]:
        if self.documents is not None:

            def incoming() -> Iterator[tuple[int, Document]]:
                assert self.documents is not None
                for place, document in places(read_documents(self.documents), self.number):
                    pulse.hold(document.key)
                    yield place, document

            return rounds.emit_documents(incoming(), self.number)
        return rounds.emit_records(itertools.chain.from_iterable(read_section(path, 0) for path in self.previous))


@dataclass
class ReduceTask(_RoundUnit):
    """The second half of a round: one bucket, grouped by key. The last round's output has a section per partition."""

    bucket: int
    partitions: int
    last: bool
    emitted: list[Path]

    @property
    def name(self) -> str:
        return f"rounds/{self.folder}/reduce-{self.bucket:05d}"

    def configuration(self) -> dict[str, Any]:
        own = {"partitions": self.partitions, "last": self.last, "bucket": self.bucket}
        return {**super().configuration(), **own}

    def sections(self, rounds: Round, pulse: Pulse) -> list[list[Record]]:
        sections: list[list[Record]] = [[] for _ in range(self.partitions if self.last else 1)]
        incoming = itertools.chain.from_iterable(read_section(path, self.bucket) for path in self.emitted)
        for key, values in by_key(incoming):
            reached("while merging")
            for record in rounds.reduce(key, values):
                sections[int.from_bytes(record[0], "big") if self.last else 0].append(record)
        return sections
