"""The units of the stages: each piece of an input file, or a lot of small files, goes through every stage.

A unit names the document in hand by `pulse.hold(key)`, so that one that hangs or kills the worker can be set aside.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from curate.document import Document, Drop, Skipped, Unreadable
from curate.places.store import Place
from curate.run.account import Account
from curate.run.ledger import DroppedTexts, drop_row, edit_rows, encode_row, lost_row
from curate.run.lots import Lot, Part, by_turns
from curate.run.measured import MEASURED, Measurements, measured_before
from curate.run.read_notes import count_row, note_read
from curate.run.stage import Stage
from curate.run.unit import (
    ENDING,
    READING,
    Outputs,
    Pulse,
    Unit,
    describe_step,
    files_of,
    library_version,
    reading_of,
)
from curate.shards.records import Sections
from curate.shards.text import document_from_json, document_to_json, read_lines
from curate.sources import WHOLE, InputError, Partition, Piece, Volume, read_partition
from curate.sources.compressed import KEPT, mapped
from curate.sources.formats import FORMATS
from curate.sources.steady import reading, refuse_changed
from curate.step import CorpusStep

LEVEL = 3
DOCUMENTS = ".jsonl.zst"
EVENTS = ".events.zst"
LISTED = 200
"""Lost records that a manifest names; the ledger has all of them."""


def read_documents(place: Place, pulse: Pulse | None = None) -> Iterator[Document]:
    """The documents that a stage wrote for one piece."""
    return map(document_from_json, read_lines(place, None if pulse is None else lambda size: pulse.count(size=size)))


def readable(
    partition: Partition, piece: Piece = WHOLE, pulse: Pulse | None = None, volume: Volume | None = None
) -> Iterator[Any]:
    """A piece's records. Raises CannotBeRead: a file that cannot be opened, or read on, ends the unit, and so the
    run."""
    count = None if pulse is None else lambda size: pulse.count(size=size)
    with reading(partition):
        yield from read_partition(partition, piece, count, volume)


def taken_of(items: Iterable[Any], numbers: Sequence[int]) -> Iterator[Document]:
    """The documents with these numbers, in order, and nothing else."""
    documents = enumerate(item for item in items if isinstance(item, Document))
    for number in numbers:
        yield from itertools.islice((one for place, one in documents if place == number), 1)


def read_with(partition: Partition) -> str:
    """What reads a file, with its version: a file that stopped this may be sound for another."""
    known = FORMATS.get(partition.format)
    library = "datasets" if partition.dataset is not None else (known and known.needs) or "zstandard"
    return ", ".join(f"{name} {library_version(name)}" for name in ("goldsand", library))


def remembering(incoming: Iterator[tuple[int, Document]], memory: Measurements) -> Iterator[tuple[int, Document]]:
    """The documents, each with what an engine knows of it."""
    for ordinal, document in incoming:
        document.memory = memory
        yield ordinal, document


@dataclass
class MapTask(Unit):
    """One lot through one stage. It reads its parts of the input, or `previous`, a file of the documents of all of
    them: `counts` says how many each part has, where the lot has several.

    `killed` are documents that hung or crashed a worker, with the reason: they are set aside unread; a part's
    `whole_key` among them stands for all of its records.
    """

    stage: Stage
    lot: Lot
    keep_dropped: str
    limits: tuple[int | None, ...] = ()
    previous: Place | None = None
    counts: tuple[int, ...] = ()
    reduced: list[Place] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    killed: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"stages/{self.stage.folder}/{self.lot.label}"

    @property
    def reads_input(self) -> bool:
        return self.previous is None

    @property
    def source_read(self) -> str:
        return self.lot.source if self.reads_input else ""

    @property
    def input_file(self) -> str:
        first = self.lot.parts[0].partition.path
        return f"one of {len(self.lot.parts)} files, {first} the first," if self.lot.many else str(first)

    @property
    def documents(self) -> Place:
        return self.root / f"{self.name}{DOCUMENTS}"

    @property
    def events(self) -> Place:
        return self.root / f"{self.name}{EVENTS}"

    def size(self) -> int:
        with contextlib.suppress(OSError):
            if self.previous is not None:
                return self.previous.stat().st_size
            return sum(part.extent for part in self.lot.parts)
        return 0

    def configuration(self) -> dict[str, Any]:
        return {
            **self._source(),
            "inputs": self.inputs,
            "steps": [describe_step(step) for step in self.stage.all_steps],
            "labels": self.stage.labels,
            "keep_dropped": self.texts,
            "killed": sorted(self.killed.items()),
        }

    def _source(self) -> dict[str, Any]:
        """What it reads, and the places of its parts. A corpus step's records identify a document by its place, which
        holds the part's number."""
        sources: list[dict[str, Any]] = []
        if self.previous is None:
            for part in self.lot.parts:
                known = FORMATS.get(part.partition.format)
                described = {**part.partition.describe(), "reader": known.version if known else 1}
                sources.append({"content": part.content, "piece": part.piece.plain(), **described})
        first = self.lot.parts[0]
        number = first.number if self.stage.corpus else None
        if self.lot.many:
            return {"sources": sources, "limits": self.limits, "first": number, "counts": self.counts}
        taken = {} if first.taken is None else {"taken": first.taken}
        return {"source": sources[0] if sources else {}, "limit": self._limit(first), "number": number, **taken}

    def _limit(self, part: Part) -> int | None:
        return self.limits[part.number - self.lot.parts[0].number] if self.limits else None

    @property
    def texts(self) -> str:
        """Of which dropped documents the events hold the text. The ledger chooses among them, so that extraction, which
        is to be done once, leaves more than was asked for: all where that is nothing, else a sample at least."""
        if not self.stage.extracts:
            return self.keep_dropped
        return "all" if self.keep_dropped == "all" or not any(one.drops_texts for one in self.stage.steps) else "sample"

    def expected(self) -> dict[str, Any]:
        none = [0] * len(self.lot.parts)
        by_part = {"documents_by_part": none, "events_by_part": none} if self.lot.many else {}
        return {**super().expected(), "domains": {"kept": {}}, **by_part}

    @property
    def files_read(self) -> list[Path]:
        return files_of(self.stage.all_steps)

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        for step in self.stage.all_steps:
            step.open()
        measures = any(step.measures for step in self.stage.all_steps)
        memory = measured_before(self.root, self.lot.label) if measures else None
        records: dict[str, Any] = {
            "documents": 0,
            "characters": 0,
            "skipped": {},
            "unreadable": 0,
            "unreadable_characters": 0,
            **({"bytes": 0, "bytes_lost": 0, "rows_lost": 0} if self.previous is None else {}),
        }
        lost: list[dict[str, Any]] = []
        kept: list[int] = []
        noted: list[int] = []
        compressor = zstandard.ZstdCompressor(level=LEVEL)
        with (
            outputs.open(self.events) as raw_events,
            compressor.stream_writer(raw_events, closefd=False) as events,
        ):

            def note(row: dict[str, Any]) -> None:
                events.write(encode_row(row))
                noted[-1] += 1

            def on_drop(drop: Drop, label: str) -> None:
                for row in edit_rows(drop.document):
                    note(row)
                text = texts(drop.document.key, label, drop.rule, drop.document.text)
                note(drop_row(drop, label, text))

            def on_loss(item: Unreadable, size: int) -> None:
                records["unreadable"] += 1
                records["unreadable_characters"] += size
                volume.lose(item)
                note(lost_row(item))
                if len(lost) < LISTED:
                    lost.append({"key": item.key, "error": item.error, "bytes": item.lost})

            account = Account(on_drop)
            with (
                outputs.open(self.documents) as raw,
                zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw, closefd=False) as stream,
            ):
                for part, items, values, volume in self._parts(pulse):
                    kept.append(0)
                    noted.append(0)
                    texts = DroppedTexts(self.texts)
                    incoming = self._incoming(part, items, account, records, on_loss, pulse)
                    if memory is not None:
                        incoming = remembering(incoming, memory)
                    for document in self._through(account, incoming, values, part.number):
                        for row in edit_rows(document):
                            note(row)
                        document.edits, document.notes = [], []
                        account.keep(document)
                        stream.write(document_to_json(document))
                        kept[-1] += 1
                        pulse.count(kept=1)
                        pulse.hold(None)
                    if self.previous is None:
                        records["bytes"] += volume.packed
                        records["bytes_lost"] += volume.lost
                        records["rows_lost"] += volume.lost_rows
                        if part.stamp is not None:
                            refuse_changed(part.partition, part.stamp, part.content)
        if memory is not None:
            with outputs.open(self.root / f"{self.name}{MEASURED}") as measured:
                memory.write(measured)
        for label, step in zip(self.stage.labels, self.stage.all_steps, strict=True):
            account.steps[label].close(makes_text=step.ends_stage, adds=isinstance(step, CorpusStep) and not step.edits)
        said = zip(self.stage.labels, (step.notice() for step in self.stage.all_steps), strict=True)
        notices = [f"{label}: {notice}" for label, notice in said if notice]
        by_part = {"documents_by_part": kept, "events_by_part": noted} if self.lot.many else {}
        return {**account.summary(), "records": records, "lost": lost, "notices": notices, **by_part}

    def _parts(self, pulse: Pulse) -> Iterator[tuple[Part, Iterable[Any], Any, Volume]]:
        """Each part with its records, what the rounds of the stage's corpus step say of it, and its bytes."""
        corpus = self.stage.corpus
        reduced = [Sections(path) for path in self.reduced]
        held: Iterator[Iterable[Any]] | None = None
        if self.previous is not None:
            documents = read_documents(self.previous, pulse)
            held = by_turns(documents, self.counts) if self.lot.many else iter([documents])
        for part in self.lot.parts:
            volume = Volume()
            items: Iterable[Document | Skipped | Unreadable]
            if held is not None:
                items = next(held)
            elif part.whole_key in self.killed:
                whole = self._whole(part)
                items, volume.packed = [whole], whole.packed
            else:
                items = readable(part.partition, part.piece, pulse, volume)
                items = items if part.taken is None else taken_of(items, part.taken)
            sections = [(value for _, value in one.read(part.number)) for one in reduced]
            streams = corpus is not None and corpus.streams
            yield part, items, sections if streams else [value for section in sections for value in section], volume

    def _through(
        self, account: Account, incoming: Iterator[tuple[int, Document]], values: Any, number: int
    ) -> Iterator[Document]:
        """The documents of one part that are left after every step of the stage."""
        ordinals: deque[int] = deque()

        def read() -> Iterator[Document]:
            for ordinal, document in incoming:
                if corpus is not None:
                    ordinals.append(ordinal)
                yield document

        documents: Iterator[Document] = read()
        labels = iter(self.stage.labels)
        corpus = self.stage.corpus
        if corpus is not None:

            def decide(arriving: Iterator[Document]) -> Iterator[Any]:
                # A document that was set aside keeps its place, so that no other document gets it.
                placed = ((number << 32 | ordinals.popleft(), document) for document in arriving)
                return corpus.decide(placed, values, number)

            documents = account.through(next(labels), decide, documents)
        for step, label in zip(self.stage.steps, labels, strict=True):
            documents = account.through(label, step.apply, documents)
        return documents

    def _incoming(
        self,
        part: Part,
        items: Iterable[Document | Skipped | Unreadable],
        account: Account,
        records: dict[str, Any],
        on_loss: Any,
        pulse: Pulse,
    ) -> Iterator[tuple[int, Document]]:
        ordinal = -1
        limit = self._limit(part)
        # Of the files of a lot, one that ends the process must be known by its name.
        begun = reading_of(part.whole_key) if self.lot.many and self.previous is None else READING
        pulse.hold(begun)
        if limit == 0:
            return
        for item in account.watch.time("read", items):
            if isinstance(item, Document):
                ordinal += 1
                if self.previous is None:
                    note_read(item, part.partition.format, records)
                if item.key in self.killed:
                    # A text lost after extraction counts its characters; a page lost before has bytes only.
                    raw = item.html if item.html is not None else item.text.encode("utf-8", "replace")
                    size = len(raw) if item.html is not None else len(item.text)
                    on_loss(Unreadable(item.key, self.killed[item.key], raw), size)
                    if ordinal + 1 == limit:
                        return
                    continue
                if item.html is not None and not any(step.ends_stage for step in self.stage.steps):
                    raise InputError(f"{item.key} is HTML: the recipe needs `extract` as its first step")
                records["documents"] += 1
                if self.previous is None:
                    count_row(part.partition.format, records)
                records["characters"] += len(item.text)
                pulse.count(documents=1)
                pulse.hold(item.key)
                yield ordinal, item
                # Reading stops at the last document: what follows depends on where the file was cut.
                if ordinal + 1 == limit:
                    pulse.hold(begun)
                    return
            elif isinstance(item, Skipped):
                records["skipped"][item.reason] = records["skipped"].get(item.reason, 0) + 1
            else:
                on_loss(item, item.lost)
            pulse.hold(begun)
        pulse.hold(ENDING)

    def _whole(self, part: Part) -> Unreadable:
        """A part as one loss: what reads it died of it."""
        with reading(part.partition), mapped(part.partition.path) as data:
            raw = bytes(data[part.piece.start : part.piece.start + KEPT])
        size = 0
        with contextlib.suppress(OSError):
            size = part.extent
        return Unreadable(part.whole_key, self.killed[part.whole_key], raw, size, packed=size)
