"""Runs over a few documents of each source, and what they took: what an estimate is extrapolated from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from curate.places.store import files_below
from curate.run.corpus import CorpusRun
from curate.run.folder import OutputFolder
from curate.run.local import LocalEngine
from curate.run.sample import Sample, draw, joined
from curate.run.stage_outputs import StageOutputs, kept_characters, kept_count
from curate.run.unit import Unit
from curate.sources import Partition
from curate.step import CorpusStep, Injection
from recipes.app.recipe.document_count import SourceCount, partitions_by_source

PLACES = 8
"""Places of the input from which a rehearsal takes its documents: each is a unit, which takes time of its own."""

LONGEST = 3.0
"""Seconds that the documents of a source take in a rehearsal, about, where there are so many."""

BUCKETS = 2
"""Units of a round in a rehearsal: each takes time of its own."""

MOST = 1200
"""Documents of a rehearsal."""

SOME, LEAST = 60, 12
"""Documents of each source in a longer rehearsal, and in any."""

ROW = 200
"""Characters of text that a document's rows in the ledger and the records of rounds weigh as much as."""

INJECTED = 2000
"""Documents that the rehearsal of an injection adds."""


Call = tuple[str, int]
"""A group of units: its label, and how many groups before it have the same."""


class Timed:
    """An engine that notes how many units each group has, and how long they take, in seconds of one worker: by the
    clock, and `worked` of a processor, which is steadier than a clock's in what is over in a moment."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self.workers = engine.workers
        self.seconds: dict[Call, float] = {}
        self.worked: dict[Call, float] = {}
        self.units: dict[Call, int] = {}
        self._labels: Counter[str] = Counter()

    def map(self, label: str, tasks: Sequence[Unit], on_kill: Any = None) -> list[dict[str, Any]]:
        call = (label, self._labels[label])
        self._labels[label] += 1
        self.units[call] = len(tasks)
        began, before = time.perf_counter(), self._engine.processor_seconds
        manifests = self._engine.map(label, tasks, on_kill)
        self.seconds[call] = (time.perf_counter() - began) * max(1, min(self.workers, len(tasks)))
        self.worked[call] = self._engine.processor_seconds - before
        return manifests


@dataclass
class SourceRehearsed:
    """What a source's documents took: how many there were, their bytes, the seconds of reading them and of all else,
    and what was left of them by the first stage, in characters."""

    documents: int = 0
    bytes: int = 0
    reading: float = 0.0
    working: float = 0.0
    characters: int = 0


@dataclass
class Rehearsal(CorpusRun):
    """A run over a few documents."""

    seconds: dict[Call, float] = field(default_factory=dict)
    worked: dict[Call, float] = field(default_factory=dict)
    units: dict[Call, int] = field(default_factory=dict)
    by_source: dict[str, SourceRehearsed] = field(default_factory=dict)
    size: int = 0
    peak: int = 0
    read: int = 0
    rendered: int = 0
    sizes: dict[str, dict[int, int]] = field(default_factory=dict)
    kept: dict[str, float] = field(default_factory=dict)

    def rehearse(self, engine: LocalEngine) -> Rehearsal:
        with OutputFolder(self.out) as folder:
            timed = Timed(engine)
            outputs, _ = self.work(folder, timed)
            self.peak = engine.peak_memory
        self.seconds, self.worked, self.units = timed.seconds, timed.worked, timed.units
        self._note(outputs, timed)
        self.size = sum(path.stat().st_size for path in files_below(self.out))
        return self

    def _note(self, outputs: StageOutputs, timed: Timed) -> None:
        for part in outputs.parts:
            one = self.by_source.setdefault(part.partition.source, SourceRehearsed())
            one.bytes += sum(self.sizes[part.label][number] for number in part.taken or ())
        for lot, manifest in zip(outputs.lots, outputs.manifests[0], strict=True):
            one = self.by_source[lot.source]
            one.documents += manifest["records"]["documents"]
            reading = manifest["seconds"].get("read", 0.0)
            one.reading += reading
            one.working += sum(manifest["seconds"].values()) - reading
            one.characters += kept_characters(manifest)
        before = self.documents
        for stage, manifests in zip(outputs.stages, outputs.manifests, strict=True):
            left = sum(map(kept_count, manifests))
            if before:
                self.kept[stage.folder[3:]] = left / before
            before = left
        if self.publication.renderings:
            self.rendered = outputs.characters(outputs.widest(one.source for one in self.publication.renderings))
        # Of what steps took by the clock, what they worked: a worker may have waited for a core.
        working = sum(one.working for one in self.by_source.values())
        worked = timed.worked.get((self.stages[0].folder[3:], 0), 0.0)
        for one in self.by_source.values():
            one.working *= min(1.0, worked / working) if worked and working else 1.0

    @property
    def documents(self) -> int:
        return sum(one.documents for one in self.by_source.values())

    @property
    def weight(self) -> float:
        """What later groups have to do, in characters."""
        return sum(one.characters + ROW * one.documents for one in self.by_source.values())

    def weight_of(self, source: str) -> float:
        """The same of a document of a source; of one that the sample has none of, that of all."""
        one = self.by_source.get(source)
        if one is None or not one.documents:
            return self.weight / max(1, self.documents)
        return one.characters / one.documents + ROW

    def seconds_of(self, source: str, documents: int, size: int) -> float:
        """Seconds that the first stage takes for the documents of a source, which have so many bytes. For one that was
        taken, others were read."""
        one = self.by_source.get(source)
        if one is None or not one.documents:
            rows = list(self.by_source.values())
            one = SourceRehearsed(
                self.documents,
                sum(row.bytes for row in rows),
                sum(row.reading for row in rows),
                sum(row.working for row in rows),
            )
        return one.working * size / max(1, one.bytes) + one.reading * documents / max(self.read, one.documents, 1)

    def documents_within(self, sources: dict[str, SourceCount]) -> dict[str, int]:
        """How many documents of each source a longer rehearsal has: in the shares of the input, since files of their
        own cost what rows of one file do not; fewer where each takes long."""
        every = sum(source.documents for source in sources.values())
        wanted = {}
        for name, source in sources.items():
            one = self.by_source.get(name, SourceRehearsed())
            each = max(one.working / max(1, one.documents), 1e-9)
            wanted[name] = min(max(SOME, MOST * source.documents // max(1, every)), int(LONGEST / each))
        return wanted


def rehearsal_of(job: CorpusRun, steps: Sequence[Any], sample: Sample, out: Path) -> Rehearsal:
    """The run with these steps over a sample alone."""
    publication = job.publication
    if not any(isinstance(step, Injection) for step in steps) and publication.vocabulary.kind != "file":
        # A vocabulary of compact records needs the injected records; a BPE of pages takes as long to train.
        publication = replace(publication, vocabulary=replace(publication.vocabulary, kind="bpe"))
    return Rehearsal(
        job.name,
        [step.rehearsed() if isinstance(step, CorpusStep) else step for step in steps],
        sample.partitions,
        out,
        publication,
        buckets=min(job.buckets, BUCKETS),
        workers=job.workers,
        split=0,
        memory=job.memory,
        document_timeout=job.document_timeout,
        drawn=sample.parts,
        read=sample.looked_at,
        sizes=sample.sizes,
    )


def few_injected(job: CorpusRun) -> tuple[list[Any], int, int]:
    """The steps with an injection of few documents; their number, and the number that the recipe injects."""
    steps = []
    added = injected = 1
    for step in job.steps:
        if isinstance(step, Injection):
            step, added, injected = cast(Any, step).few(INJECTED)
        steps.append(step)
    return steps, added, injected


def drawn_from(partitions: Sequence[Partition], wanted: dict[str, int]) -> Sample:
    """So many documents of each source, or LEAST."""
    sources = partitions_by_source(partitions)
    return joined(
        [
            _in_lots(draw(one, max(LEAST, wanted[name]), windows=PLACES, beginnings=True))
            for name, one in sources.items()
        ]
    )


def _in_lots(sample: Sample) -> Sample:
    """With at most PLACES units: small files share them, as they do in the run."""
    size = -(-len(sample.parts) // PLACES)
    if size < 2 or len(sample.partitions) < len(sample.parts) or any(one.files for one in sample.partitions):
        return sample
    parts = [
        replace(part, lot=f"{sample.parts[place - place % size].label}.lot", size=part.extent)
        for place, part in enumerate(sample.parts)
    ]
    return replace(sample, parts=parts)
