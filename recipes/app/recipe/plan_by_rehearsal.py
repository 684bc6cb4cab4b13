"""What a run would do, what is done already, and what the rest will cost, estimated by a run over a few documents."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from curate.document import Document
from curate.places.store import files_below
from curate.run.corpus import CorpusRun
from curate.run.engine import Engine, all_cores
from curate.run.folder import OutputFolder, check_format, read_kills
from curate.run.local import LocalEngine
from curate.run.sample import Sample, draw, thinned
from curate.run.shared_extraction import seen_as
from curate.run.stage_pool import known_inputs
from curate.run.tasks import CutTask, readable
from curate.run.unit import Pulse, Unit
from curate.sources import Partition
from curate.sources.content import size_of
from curate.step import CorpusStep, Injection

FILES = 4
"""Places spread over the input files at which counting begins."""

PLACES = 8
"""Places of the input from which a rehearsal takes its documents: each is a unit, which takes time of its own."""

COUNTING = 2.0
"""Seconds for which documents are counted."""

WORKER = 100 << 20
"""Bytes that a worker and its libraries take, for rehearsals that are too short to measure it."""

INJECTED = 2000
"""Documents that the rehearsal of an injection adds."""


@dataclass
class PlannedGroup:
    """Units that are carried out together: how many there are, how many are done (and their names), and why the others
    are not."""

    label: str
    units: int = 0
    done: int = 0
    why: Counter[str] = field(default_factory=Counter)
    found: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Estimate:
    """What the rest of a run will take. `documents` is exact where `counted` is true, else estimated by size."""

    documents: int
    counted: bool
    rehearsed: int
    seconds: float
    disk: int
    worker_memory: int


class _DryEngine:
    """An engine that runs nothing: it counts the units that are done, and returns the manifests that the others would
    have."""

    workers = 0

    def __init__(self, inputs: dict[str, Any]) -> None:
        self.groups: dict[str, PlannedGroup] = {}
        self._inputs = inputs

    def map(self, label: str, tasks: Sequence[Unit], on_kill: Any = None) -> list[dict[str, Any]]:
        group = self.groups.setdefault(label, PlannedGroup(label))
        manifests = []
        for unit in tasks:
            manifest, reason = unit.done()
            group.units += 1
            group.done += manifest is not None
            group.why.update([reason] if manifest is None else [])
            group.found |= {unit.name} if manifest is not None else set()
            manifests.append(manifest or self._expected(unit))
        return manifests

    def _expected(self, unit: Unit) -> dict[str, Any]:
        """A file that another run read, and that looks the same since, is taken for what it was: then it shows which
        units are in the pool."""
        found = self._inputs.get(seen_as(unit)) if isinstance(unit, CutTask) else None
        return {**unit.expected(), **(found or {})}


class _ReadOnlyFolder(OutputFolder):
    """An output folder that is read without a lock: no file in it is written or removed."""

    def __enter__(self) -> _ReadOnlyFolder:
        check_format(self.path)
        self.kills = read_kills(self.path)
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def remove_strangers(self, below: str = "", pattern: str = "*") -> None:
        return None

    def refuse_strangers(self, below: str, pattern: str) -> None:
        return None


def plan(job: CorpusRun) -> list[PlannedGroup]:
    """All groups of units of a run in order. Raises RunError for a folder of another version of goldsand."""
    engine = _DryEngine(known_inputs(job.pool) if job.pool else {})
    with _ReadOnlyFolder(job.out) as folder:
        job.work(folder, engine)
    return list(engine.groups.values())


class _Timed:
    """An engine that notes how long each group takes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.workers = engine.workers
        self.seconds: dict[str, float] = {}

    def map(self, label: str, tasks: Sequence[Unit], on_kill: Any = None) -> list[dict[str, Any]]:
        began = time.perf_counter()
        try:
            return self._engine.map(label, tasks, on_kill)
        finally:
            self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - began


@dataclass
class _Rehearsal(CorpusRun):
    """A run over a few documents, on one worker."""

    seconds: dict[str, float] = field(default_factory=dict)
    documents: int = 0
    size: int = 0
    peak: int = 0
    characters: int = 0

    def rehearse(self) -> _Rehearsal:
        with OutputFolder(self.out) as folder, LocalEngine(1, self.document_timeout, None, self.memory) as engine:
            timed = _Timed(engine)
            finished, _ = self.work(folder, timed)
            self.peak = engine.peak_memory
        self.seconds = timed.seconds
        self.documents = sum(manifest["records"]["documents"] for manifest in finished.manifests[0])
        kept = (counts for one in finished.manifests[0] for counts in one["domains"]["kept"].values())
        self.characters = sum(characters for _, characters in kept)
        self.size = sum(path.stat().st_size for path in files_below(self.out))
        return self


def estimate(job: CorpusRun, groups: Sequence[PlannedGroup], sample: int) -> Estimate | None:
    """Time, memory and disk of the units that are not done, from two rehearsals of different length (and one with
    injection). None when the input has no documents.
    """
    documents, counted = _count(job.partitions)
    wanted = documents if job.limit is None else min(documents, job.limit)
    many = draw(job.partitions, sample, windows=PLACES)
    if not many.parts:
        return None
    few = thinned(many, max(1, many.documents // 4))
    with tempfile.TemporaryDirectory(prefix="goldsand-plan-") as name:
        folders = (Path(name) / str(number) for number in range(3))
        bare = [step for step in job.steps if not isinstance(step, Injection)]
        short = _rehearsal(job, bare, few, next(folders)).rehearse()
        long = _rehearsal(job, bare, many, next(folders)).rehearse()
        if long.documents <= short.documents:
            if not long.documents:
                return None
            # The input is so small that both rehearsals read all of it.
            short = replace(long, seconds={}, documents=0, size=0)
        extra, injected = None, 0
        if len(bare) < len(job.steps):
            steps, added, injected = _few_injected(job)
            extra = _rehearsal(job, steps, few, next(folders)).rehearse()
    seconds = 0.0
    workers = job.workers or all_cores()
    for group in groups:
        slope = (long.seconds.get(group.label, 0.0) - short.seconds.get(group.label, 0.0)) / (
            long.documents - short.documents
        )
        spent = short.seconds.get(group.label, 0.0) + max(0.0, slope) * (wanted - short.documents)
        if extra is not None:
            more = extra.seconds.get(group.label, 0.0) - short.seconds.get(group.label, 0.0)
            spent += max(0.0, more) * injected / added
        todo = (group.units - group.done) / group.units if group.units else 0.0
        seconds += max(0.0, spent) * todo / max(1, min(workers, group.units - group.done))
    slope = (long.size - short.size) / (long.documents - short.documents)
    disk = short.size + slope * (wanted - short.documents)
    if extra is not None:
        disk += max(0, extra.size - short.size) * injected / added
    peak = max(long.peak, extra.peak if extra is not None else 0)
    # Memory that grows with the corpus does not show in a short rehearsal.
    characters = round(long.characters / long.documents * wanted)
    grows = max((step.memory(wanted, characters) for step in job.steps if isinstance(step, CorpusStep)), default=0)
    return Estimate(documents, counted, long.documents, seconds, int(max(0.0, disk)), max(peak, WORKER) + grows)


def _rehearsal(job: CorpusRun, steps: Sequence[Any], sample: Sample, out: Path) -> _Rehearsal:
    publication = job.publication
    if not any(isinstance(step, Injection) for step in steps) and publication.vocabulary.kind != "file":
        # A vocabulary of compact records needs the injected records; a BPE of pages takes as long to train.
        publication = replace(publication, vocabulary=replace(publication.vocabulary, kind="bpe"))
    return _Rehearsal(
        job.name,
        [step.rehearsed() if isinstance(step, CorpusStep) else step for step in steps],
        sample.partitions,
        out,
        publication,
        buckets=job.buckets,
        split=0,
        memory=job.memory,
        document_timeout=job.document_timeout,
        drawn=sample.parts,
    )


def _few_injected(job: CorpusRun) -> tuple[list[Any], int, int]:
    """The steps with an injection of few documents; their number, and the number that the recipe injects."""
    steps = []
    added = injected = 1
    for step in job.steps:
        if isinstance(step, Injection):
            step, added, injected = cast(Any, step).few(INJECTED)
        steps.append(step)
    return steps, added, injected


class _Meter(Pulse):
    """Counts the bytes that are read."""

    size = 0

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        self.size += size


def _count(partitions: Sequence[Partition]) -> tuple[int, bool]:
    """How many documents the input holds, and whether all were counted: what is not read within COUNTING seconds is
    estimated by size."""
    deadline = time.monotonic() + COUNTING
    meter = _Meter()
    documents = 0
    for partition in _interleaved(partitions):
        for item in readable(partition, pulse=meter):
            documents += isinstance(item, Document)
            if time.monotonic() > deadline:
                total = sum(_size(one) for one in partitions)
                return round(documents * total / max(1, meter.size)), False
    return documents, True


def _interleaved(partitions: Sequence[Partition]) -> Iterator[Partition]:
    """Every input file once, in steps across the input, so that a count that ends early has seen all kinds."""
    step = max(1, len(partitions) // FILES)
    for begin in range(step):
        yield from partitions[begin::step]


def _size(partition: Partition) -> int:
    with contextlib.suppress(OSError):
        return size_of(partition)
    return 0
