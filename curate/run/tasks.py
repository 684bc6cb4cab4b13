"""The units of the stages: an input file is cut into pieces, and each piece goes through every stage.

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
from curate.run.made_of import NOT_READ
from curate.run.measured import MEASURED, Measurements, measured_before
from curate.run.read_notes import note_read
from curate.run.stage import Stage
from curate.run.unit import CUTTING, ENDING, READING, Outputs, Pulse, Unit, describe_step, files_of, library_version
from curate.shards.records import read_section
from curate.shards.text import document_from_json, document_to_json, read_lines
from curate.sources import WHOLE, InputError, Partition, Piece, Volume, read_partition
from curate.sources.compressed import KEPT, mapped
from curate.sources.content import size_of
from curate.sources.formats import FORMATS
from curate.sources.steady import Stamp, changed, content_now, reading, refuse_changed, stamp_of
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
class CutTask(Unit):
    """The checksum of one input file, and where it is cut so that several workers can read it."""

    label: str
    partition: Partition
    split: int
    _content: str = field(default="", init=False)

    @property
    def name(self) -> str:
        return f"inputs/{self.label}"

    @property
    def reads_input(self) -> bool:
        return True

    @property
    def input_file(self) -> str:
        return str(self.partition.path)

    def size(self) -> int:
        with contextlib.suppress(OSError):
            return size_of(self.partition)
        return 0

    def configuration(self) -> dict[str, Any]:
        self._content = content_now(self.partition)
        return {"source": self.partition.describe(), "content": self._content, "split": self.split}

    def run(self, pulse: Pulse) -> dict[str, Any]:
        """The manifest, with the stamp (not kept on disk) by which later units of this run know the file again."""
        before = stamp_of(self.partition)
        manifest = super().run(pulse)
        refuse_changed(self.partition, before, manifest["content"])
        return {**manifest, "stamp": before}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.sources.split import cut

        pieces = [WHOLE]
        pulse.hold(CUTTING)
        with reading(self.partition):
            pieces = cut(self.partition, self.split) if self.split else pieces
        pulse.count(size=self.size())
        content = content_now(self.partition)
        if content != self._content:
            raise changed(str(self.partition.path))
        return {
            "content": content,
            "pieces": [[piece.start, piece.end, piece.position] for piece in pieces],
        }

    def expected(self) -> dict[str, Any]:
        # The places of the cuts are known after reading only; their number follows from the size.
        number = max(1, self.size() // self.split) if self.split else 1
        return {**super().expected(), "content": NOT_READ, "pieces": [[0, None, 0]] * number}


@dataclass(frozen=True)
class Part:
    """One piece of one input file, as the stages see it. `label` names it in the folder, `number` counts all parts.

    `taken` are the numbers of those of its documents that are read, in a run over a sample; None: all.
    """

    number: int
    label: str
    partition: Partition
    piece: Piece
    partition_number: int
    content: str
    stamp: Stamp | None = None
    taken: tuple[int, ...] | None = None


@dataclass
class MapTask(Unit):
    """One part through one stage. It reads its piece of the input, or `previous`, a file of documents.

    `killed` are documents that hung or crashed a worker, with the reason: they are set aside unread; the part's
    `whole_key` among them stands for all of its records.
    """

    stage: Stage
    part: Part
    keep_dropped: str
    limit: int | None = None
    previous: Place | None = None
    reduced: list[Place] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    killed: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"stages/{self.stage.folder}/{self.part.label}"

    @property
    def reads_input(self) -> bool:
        return self.previous is None

    @property
    def input_file(self) -> str:
        return str(self.part.partition.path)

    @property
    def whole_key(self) -> str:
        """Names all that the part holds, where it is lost as a whole."""
        return f"{self.part.partition.prefix}@{self.part.piece.start}/file"

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
            piece = self.part.piece
            if piece.end is not None:
                return piece.end - piece.start
            return size_of(self.part.partition) - piece.start
        return 0

    def configuration(self) -> dict[str, Any]:
        piece = self.part.piece
        source: dict[str, Any] = {}
        if self.previous is None:
            source = {
                "content": self.part.content,
                "piece": [piece.start, piece.end, piece.position],
                **self.part.partition.describe(),
                "reader": FORMATS[self.part.partition.format].version if self.part.partition.format in FORMATS else 1,
            }
        return {
            "source": source,
            "limit": self.limit,
            "inputs": self.inputs,
            "steps": [describe_step(step) for step in self.stage.all_steps],
            "labels": self.stage.labels,
            # A corpus step's records identify a document by its place, which holds the part's number.
            "number": self.part.number if self.stage.corpus else None,
            "keep_dropped": self.texts,
            "killed": sorted(self.killed.items()),
            **({"taken": self.part.taken} if self.part.taken is not None else {}),
        }

    @property
    def texts(self) -> str:
        """Of which dropped documents the events hold the text. The ledger chooses among them, so that extraction, which
        is to be done once, leaves more than was asked for: all where that is nothing, else a sample at least."""
        if not self.stage.extracts:
            return self.keep_dropped
        return "all" if self.keep_dropped == "all" or not any(one.drops_texts for one in self.stage.steps) else "sample"

    def expected(self) -> dict[str, Any]:
        return {**super().expected(), "domains": {"kept": {}}}

    @property
    def files_read(self) -> list[Path]:
        return files_of(self.stage.all_steps)

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        for step in self.stage.all_steps:
            step.open()
        texts = DroppedTexts(self.texts)
        measures = any(step.measures for step in self.stage.all_steps)
        memory = measured_before(self.root, self.part.label) if measures else None
        records: dict[str, Any] = {
            "documents": 0,
            "characters": 0,
            "skipped": {},
            "unreadable": 0,
            "unreadable_characters": 0,
        }
        lost: list[dict[str, Any]] = []
        volume = Volume()
        compressor = zstandard.ZstdCompressor(level=LEVEL)
        with (
            outputs.open(self.events) as raw_events,
            compressor.stream_writer(raw_events, closefd=False) as events,
        ):

            def on_drop(drop: Drop, label: str) -> None:
                for row in edit_rows(drop.document):
                    events.write(encode_row(row))
                text = texts(drop.document.key, label, drop.rule, drop.document.text)
                events.write(encode_row(drop_row(drop, label, text)))

            def on_loss(item: Unreadable, size: int) -> None:
                records["unreadable"] += 1
                records["unreadable_characters"] += size
                volume.lose(item)
                events.write(encode_row(lost_row(item)))
                if len(lost) < LISTED:
                    lost.append({"key": item.key, "error": item.error, "bytes": item.lost})

            account = Account(on_drop)
            incoming = self._incoming(account, records, on_loss, pulse, volume)
            documents = self._through(account, remembering(incoming, memory) if memory else incoming)
            with (
                outputs.open(self.documents) as raw,
                zstandard.ZstdCompressor(level=LEVEL).stream_writer(raw, closefd=False) as stream,
            ):
                for document in documents:
                    for row in edit_rows(document):
                        events.write(encode_row(row))
                    document.edits, document.notes = [], []
                    account.keep(document)
                    stream.write(document_to_json(document))
                    pulse.count(kept=1)
                    pulse.hold(None)
        if self.previous is None:
            records |= {"bytes": volume.packed, "bytes_lost": volume.lost, "rows_lost": volume.lost_rows}
            if self.part.stamp is not None:
                refuse_changed(self.part.partition, self.part.stamp, self.part.content)
        if memory is not None:
            with outputs.open(self.root / f"{self.name}{MEASURED}") as kept:
                memory.write(kept)
        for label, step in zip(self.stage.labels, self.stage.all_steps, strict=True):
            account.steps[label].close(makes_text=step.ends_stage, adds=isinstance(step, CorpusStep) and not step.edits)
        said = zip(self.stage.labels, (step.notice() for step in self.stage.all_steps), strict=True)
        notices = [f"{label}: {notice}" for label, notice in said if notice]
        return {**account.summary(), "records": records, "lost": lost, "notices": notices}

    def _through(self, account: Account, incoming: Iterator[tuple[int, Document]]) -> Iterator[Document]:
        """The documents that are left after every step of the stage."""
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
            number = self.part.number
            sections = [(value for _, value in read_section(path, number)) for path in self.reduced]
            values = sections if corpus.streams else [value for section in sections for value in section]

            def decide(arriving: Iterator[Document]) -> Iterator[Any]:
                # A document that was set aside keeps its place, so that no other document gets it.
                placed = ((number << 32 | ordinals.popleft(), document) for document in arriving)
                return corpus.decide(placed, values, number)

            documents = account.through(next(labels), decide, documents)
        for step, label in zip(self.stage.steps, labels, strict=True):
            documents = account.through(label, step.apply, documents)
        return documents

    def _incoming(
        self, account: Account, records: dict[str, Any], on_loss: Any, pulse: Pulse, volume: Volume
    ) -> Iterator[tuple[int, Document]]:
        items: Iterable[Document | Skipped | Unreadable]
        if self.previous is None and self.whole_key in self.killed:
            items = [self._whole()]
            volume.packed = self.size()
        elif self.previous is None:
            items = readable(self.part.partition, self.part.piece, pulse, volume)
            items = items if self.part.taken is None else taken_of(items, self.part.taken)
        else:
            items = read_documents(self.previous, pulse)
        ordinal = -1
        pulse.hold(READING)
        if self.limit == 0:
            return
        for item in account.watch.time("read", items):
            if isinstance(item, Document):
                ordinal += 1
                if self.previous is None:
                    note_read(item, records)
                if item.key in self.killed:
                    # A text lost after extraction counts its characters; a page lost before has bytes only.
                    raw = item.html if item.html is not None else item.text.encode("utf-8", "replace")
                    size = len(raw) if item.html is not None else len(item.text)
                    on_loss(Unreadable(item.key, self.killed[item.key], raw), size)
                    if ordinal + 1 == self.limit:
                        return
                    continue
                if item.html is not None and not any(step.ends_stage for step in self.stage.steps):
                    raise InputError(f"{item.key} is HTML: the recipe needs `extract` as its first step")
                records["documents"] += 1
                records["characters"] += len(item.text)
                pulse.count(documents=1)
                pulse.hold(item.key)
                yield ordinal, item
                # Reading stops at the last document: what follows depends on where the file was cut.
                if ordinal + 1 == self.limit:
                    pulse.hold(READING)
                    return
            elif isinstance(item, Skipped):
                records["skipped"][item.reason] = records["skipped"].get(item.reason, 0) + 1
            else:
                on_loss(item, item.lost)
            pulse.hold(READING)
        pulse.hold(ENDING)

    def _whole(self) -> Unreadable:
        """The part as one loss: what reads it died of it."""
        with reading(self.part.partition), mapped(self.part.partition.path) as data:
            raw = bytes(data[self.part.piece.start : self.part.piece.start + KEPT])
        size = self.size()
        return Unreadable(self.whole_key, self.killed[self.whole_key], raw, size, packed=size)
