"""The units (tasks) that publish a run: text, ledger, reports, facts; `publish_tokens.py` has those of token sets.

There is one output file for each input file, however that was cut into parts, or shared a lot with others.
`publish_order.py` says which unit comes when.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson

from curate.document import Document
from curate.places.store import Place, local_copy
from curate.run.ledger import read_rows, write_ledger
from curate.run.lots import by_turns
from curate.run.stage_outputs import Published
from curate.run.tasks import EVENTS, read_documents
from curate.run.unit import Outputs, Pulse, Unit, describe_step, files_of, library_version
from curate.shards.records import Sections, read_section
from curate.step import CorpusStep, Injection, Rule

SMALL = 64 << 20
"""Bytes of documents of a lot above which its outputs do not wait in memory."""


def sizes(files: Iterable[Place]) -> int:
    """Bytes of the files that exist."""
    total = 0
    for one in files:
        with contextlib.suppress(OSError):
            total += one.stat().st_size
    return total


def chained(files: Iterable[Place], pulse: Pulse | None = None) -> Iterator[Document]:
    """The documents of several files, one after the other."""
    return (document for one in files for document in read_documents(one, pulse))


@dataclass
class FilesTask(Unit):
    """What publishes input files from what the stages left of them: one shard for each file. `removed` are rules whose
    documents go from what earlier stages left, too."""

    files: Published
    removed: Sequence[Rule] = field(default=(), kw_only=True)

    @property
    def many(self) -> bool:
        return bool(self.files.counts)

    def size(self) -> int:
        return sizes(self.files.places)

    def configuration(self) -> dict[str, Any]:
        own: dict[str, Any] = {"inputs": self.files.content}
        if self.removed:
            own["removed"] = [describe_step(rule) for rule in self.removed]
        return {**own, "counts": self.files.counts} if self.many else own

    @property
    def files_read(self) -> list[Path]:
        return files_of(self.removed)

    def is_removed(self, document: Document) -> bool:
        if document.protected:
            return False
        return any(check.failed for rule in self.removed for check in rule.checks(document))

    @contextlib.contextmanager
    def opened(self, outputs: Outputs, name: str) -> Iterator[BinaryIO]:
        """One output; those of a lot are written whole, unless documents were moved there and it is large."""
        if self.many and self.size() < SMALL:
            content = io.BytesIO()
            yield content
            outputs.put(self.root / name, content.getvalue())
        else:
            with outputs.open(self.root / name) as stream:
                yield stream

    def each(self, pulse: Pulse) -> Iterator[tuple[int, Iterator[Document]]]:
        """The documents of each file, under its number."""
        documents = chained(self.files.places, pulse)
        held = by_turns(documents, self.files.counts[0]) if self.many else iter([documents])
        return ((number, self._left(own)) for number, own in enumerate(held, self.files.number))

    def _left(self, documents: Iterator[Document]) -> Iterator[Document]:
        return (one for one in documents if not self.is_removed(one)) if self.removed else documents


@dataclass
class TextTask(FilesTask):
    """The part of some input files in the finished corpus as JSONL.zst."""

    domain: str

    @property
    def name(self) -> str:
        return f"text/{self.files.label}"

    def configuration(self) -> dict[str, Any]:
        # `layout` is raised when shards are written otherwise: 2, frames carry a checksum.
        own = {"domain": self.domain, "layout": 2, "zstandard": library_version("zstandard")}
        return {**super().configuration(), **own}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.text import shard_compressor, write_text_shard

        total: Counter[str] = Counter()
        compressor = shard_compressor()
        for number, documents in self.each(pulse):
            with self.opened(outputs, f"text/{number:05d}.jsonl.zst") as stream:
                total.update(write_text_shard(stream, documents, self.domain, compressor))
        return dict(total)


@dataclass
class LedgerTask(FilesTask):
    """The ledger of some input files: the events of all stages, and the bytes of what could not be read.

    `source` are the files' names in keys: one, those of a group of pages, or of each file of a lot; `stages` are those
    of the files of events.
    """

    source: list[str]
    stages: list[str]
    keep_dropped: str

    @property
    def name(self) -> str:
        return f"ledger/{self.files.label}"

    def configuration(self) -> dict[str, Any]:
        return {
            **super().configuration(),
            "source": self.source,
            # Rows name their stage: the same events under another stage name make another ledger.
            "units": self._units(),
            "keep_dropped": self.keep_dropped,
            "zstandard": library_version("zstandard"),
        }

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        counts: dict[str, Counter[str]] = {}
        for number, events in enumerate(self._events(pulse), self.files.number):
            with (
                self.opened(outputs, f"ledger/{number:05d}.parquet") as ledger,
                self.opened(outputs, f"quarantine/{number:05d}.jsonl.zst") as quarantine,
            ):
                for stage, by_event in write_ledger(events, ledger, quarantine, self.keep_dropped).items():
                    counts.setdefault(stage, Counter()).update(by_event)
        return {"events": counts, "source": self.source, "units": self._units()}

    def _events(self, pulse: Pulse) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """The events of each file, by stage."""
        held = [read_rows(place, lambda size: pulse.count(size=size)) for place in self.files.places]
        by_file: Iterable[Sequence[Iterator[Any]]] = [held]
        if self.many:
            by_file = zip(*map(by_turns, held, self.files.counts), strict=True)
        for own in by_file:
            yield (
                (stage, self._without_text(row)) for stage, rows in zip(self.stages, own, strict=True) for row in rows
            )

    def _without_text(self, row: dict[str, Any]) -> dict[str, Any]:
        """An event, without the text of a document that was removed."""
        if self.removed and row.get("text") is not None:
            document = Document(row["key"], "", url=row["url"], domain=row["domain"])
            return {**row, "text": None} if self.is_removed(document) else row
        return row

    def _units(self) -> list[str]:
        return [
            f"{stage}/{place.name.removesuffix(EVENTS)}"
            for stage, place in zip(self.stages, self.files.places, strict=True)
        ]


@dataclass
class ReportTask(Unit):
    """The report of a corpus step, as JSON in a folder with the step's name."""

    inputs: list[str]
    step: CorpusStep
    label: str
    reduced: list[Place]
    parts: int

    @property
    def name(self) -> str:
        return f"{self.step.name}/{self.label}"

    @property
    def files_read(self) -> list[Path]:
        return files_of([self.step])

    def configuration(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "step": describe_step(self.step)}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        files = map(Sections, self.reduced)
        sections = (one.read(part) for one in files for part in range(self.parts))
        report = self.step.report(value for section in sections for _, value in section)
        with outputs.open(self.root / f"{self.name}.json") as stream:
            stream.write(orjson.dumps(report, option=orjson.OPT_INDENT_2))
        return {}


@dataclass
class FactsTask(Unit):
    """The ground truth of what was injected, and the token spans to score it on."""

    inputs: list[str]
    step: Injection
    vocabulary: Place | None
    token_sets: dict[str, Place]
    count_used: bool
    placed: list[Place]

    @property
    def name(self) -> str:
        return "facts/facts"

    @property
    def files_read(self) -> list[Path]:
        return files_of([self.step])

    def configuration(self) -> dict[str, Any]:
        # 2: the files are bound to each other and to the token sets.
        return {"inputs": self.inputs, "layout": 2, "step": describe_step(self.step)}

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        from curate.shards.tokens import TokenShards

        values = [value for path in self.placed for _, value in read_section(path, 0)]
        with outputs.scratch(self.root / "facts") as scratch, contextlib.ExitStack() as stack:
            sets = {name: stack.enter_context(local_copy(folder)) for name, folder in self.token_sets.items()}
            used = None
            if self.count_used and sets:
                used = int(np.logical_or.reduce([TokenShards.open(shards).used() for shards in sets.values()]).sum())
            vocabulary = stack.enter_context(local_copy(self.vocabulary)) if self.vocabulary else None
            self.step.write_facts(scratch, vocabulary, used, values, sets)
        return {}
