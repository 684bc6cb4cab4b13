"""What a run will take: time, memory and disk, extrapolated from rehearsals over a few documents of each source.

Each source has its own share: a page takes twenty times as long as a row of text, and a mix has few of the one and many
of the other. What reads the input takes time by source; all later groups of units take it, and disk, by what is left to
them in all.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from curate.places.manifest import manifest_path
from curate.places.store import files_below
from curate.run.corpus import CorpusRun
from curate.run.engine import all_cores
from curate.run.folder import OutputFolder
from curate.run.forecast import ForetoldGroup
from curate.run.local import LocalEngine
from curate.run.publish_tokens import SAMPLE
from curate.run.sample import Sample, draw, joined, thinned
from curate.run.stage_outputs import StageOutputs
from curate.run.unit import Unit
from curate.sources import Partition
from curate.step import CorpusStep, Injection
from recipes.app.recipe.document_count import (
    SourceCount,
    counted_by_source,
    cut_to,
    partitions_by_source,
    size_or_nothing,
)
from recipes.app.recipe.planned_units import PlannedGroup, planned

COUNTING = 0.7
"""Seconds for which documents are counted."""

PLACES = 8
"""Places of the input from which a rehearsal takes its documents: each is a unit, which takes time of its own."""

MORE = 4
"""How many times as many documents one rehearsal has as another."""

NOISE = 0.02
"""Seconds by which two groups that do the same differ by the clock, where nothing else tells what they take."""

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

HASHED = 5e8
"""Bytes of input a second that are read to know them again."""

WORKER = 100 << 20
"""Bytes that a worker and its libraries take, for rehearsals that are too short to measure it."""

HEADROOM = 1.5
"""How much more memory a worker takes in a run than in a rehearsal: of larger pages."""

BUFFERS = 160 << 20
"""Bytes that the buffers of a corpus step's records hold, once there are records enough to fill them."""

INJECTED = 2000
"""Documents that the rehearsal of an injection adds."""

REHEARSED = 16 << 20
"""Bytes of input from which on a run rehearses, to say how long it takes: less is soon done."""


@dataclass(frozen=True)
class Estimate:
    """What the rest of a run will take. `documents` is exact where `counted` is true, else estimated by size. `groups`
    are those of the whole run, in order."""

    documents: int
    counted: bool
    rehearsed: int
    seconds: float
    disk: int
    worker_memory: int
    groups: list[ForetoldGroup]


def foretell(job: CorpusRun, engine: LocalEngine) -> list[ForetoldGroup]:
    """What each group of units of a run will take, rehearsed by its own workers, which have then begun; nothing for a
    small input, where an earlier call has read all of it, or where it cannot be read now: then the run itself will say
    so."""
    if sum(map(size_or_nothing, job.partitions)) < REHEARSED:
        return []
    with contextlib.suppress(OSError):
        groups = planned(job, look=False)
        if not _is_read(job, groups):
            found = estimate(job, groups, 60, engine)
            engine.renew()
            return found.groups if found else []
    return []


def _is_read(job: CorpusRun, groups: Sequence[PlannedGroup]) -> bool:
    """Whether every unit of the stage that reads the input has left a manifest: no more than the rest is to be done."""
    reading = job.stages[0].folder
    units = sum(group.units for group in groups if group.label == reading[3:])
    return len(files_below(manifest_path(job.out, f"stages/{reading}/any").parent)) >= units


def estimate(
    job: CorpusRun, groups: Sequence[PlannedGroup], sample: int, engine: LocalEngine | None = None
) -> Estimate | None:
    """Time, memory and disk of the units that are not done, from rehearsals with `sample` documents or, where these
    take no time to speak of, more. `groups` are the run's, as `planned` says, `engine` is its own where it has begun.
    None when the input has no documents.
    """
    sources = counted_by_source(job.partitions, COUNTING)
    cut_to(sources, job.limit)
    with contextlib.ExitStack() as closed:
        name = closed.enter_context(tempfile.TemporaryDirectory(prefix="goldsand-plan-"))
        own = engine or closed.enter_context(
            LocalEngine(job.workers or all_cores(), job.document_timeout, program=job.program)
        )
        folders = (Path(name) / str(number) for number in range(100))
        bare = [step for step in job.steps if not isinstance(step, Injection)]
        many = _drawn(job.partitions, dict.fromkeys(sources, sample // max(1, len(sources))))
        if not many.parts:
            return None
        # A worker's first unit waits for its libraries and models.
        few = thinned(many, max(1, many.documents // MORE))
        cold = _rehearsal(job, bare, thinned(few, PLACES), next(folders)).rehearse(own)
        long = _rehearsal(job, bare, many, next(folders)).rehearse(own)
        longer = long.documents_within(sources)
        if many.whole or sum(longer.values()) < MORE * sample:
            short = _rehearsal(job, bare, few, next(folders)).rehearse(own)
        else:
            few, short = many, long
            many = _drawn(job.partitions, longer)
            # What is imported where there is more to do, as the ledger's rows of what was dropped.
            _rehearsal(job, bare, thinned(many, many.documents // MORE), next(folders)).rehearse(own)
            long = _rehearsal(job, bare, many, next(folders)).rehearse(own)
        if not long.documents:
            return None
        if long.weight <= short.weight:
            # The input is so small that both rehearsals read all of it.
            short = replace(long, seconds={}, worked={}, by_source={}, size=0)
        extra, injected, added = None, 0, 1
        if len(bare) < len(job.steps):
            steps, added, injected = _few_injected(job)
            extra = _rehearsal(job, steps, few, next(folders)).rehearse(own)
    weight = sum(one.documents * long.weight_of(source) for source, one in sources.items())
    scale = _Scale(short, long, weight, extra, injected / added)
    foretold = _foretold(job, groups, scale, sources)
    seconds = max(0.0, sum(cold.seconds.values()) - sum(short.seconds.values())) if engine is None else 0.0
    workers = job.workers or all_cores()
    for group, planned_group in zip(foretold, groups, strict=True):
        todo = planned_group.units - planned_group.done
        seconds += group.seconds * todo / max(1, group.units) / max(1, min(workers, todo))
    peak = max(long.peak, extra.peak if extra is not None else 0)
    # Memory that grows with the corpus does not show in a short rehearsal.
    documents = sum(one.documents for one in sources.values())
    rounds = [step for step in job.steps if isinstance(step, CorpusStep)]
    grows = max((BUFFERS + step.memory(documents, int(weight)) for step in rounds), default=0)
    return Estimate(
        documents,
        all(one.counted for one in sources.values()),
        long.documents,
        seconds,
        int(max(0.0, scale.of_sizes())),
        int(max(peak, WORKER) * HEADROOM) + grows,
        foretold,
    )


Call = tuple[str, int]
"""A group of units: its label, and how many groups before it have the same."""


class _Timed:
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
class _Rehearsed:
    """What a source's documents took: how many there were, their bytes, the seconds of reading them and of all else,
    and what was left of them by the first stage, in characters."""

    documents: int = 0
    bytes: int = 0
    reading: float = 0.0
    working: float = 0.0
    characters: int = 0


@dataclass
class _Rehearsal(CorpusRun):
    """A run over a few documents."""

    seconds: dict[Call, float] = field(default_factory=dict)
    worked: dict[Call, float] = field(default_factory=dict)
    units: dict[Call, int] = field(default_factory=dict)
    by_source: dict[str, _Rehearsed] = field(default_factory=dict)
    size: int = 0
    peak: int = 0
    read: int = 0
    rendered: int = 0
    sizes: dict[str, dict[int, int]] = field(default_factory=dict)

    def rehearse(self, engine: LocalEngine) -> _Rehearsal:
        with OutputFolder(self.out) as folder:
            timed = _Timed(engine)
            outputs, _ = self.work(folder, timed)
            self.peak = engine.peak_memory
        self.seconds, self.worked, self.units = timed.seconds, timed.worked, timed.units
        self._note(outputs, timed)
        self.size = sum(path.stat().st_size for path in files_below(self.out))
        return self

    def _note(self, outputs: StageOutputs, timed: _Timed) -> None:
        for part in outputs.parts:
            one = self.by_source.setdefault(part.partition.source, _Rehearsed())
            one.bytes += sum(self.sizes[part.label][number] for number in part.taken or ())
        for lot, manifest in zip(outputs.lots, outputs.manifests[0], strict=True):
            one = self.by_source[lot.source]
            one.documents += manifest["records"]["documents"]
            reading = manifest["seconds"].get("read", 0.0)
            one.reading += reading
            one.working += sum(manifest["seconds"].values()) - reading
            one.characters += sum(characters for _, characters in manifest["domains"]["kept"].values())
        if self.publication.renderings:
            widest = min(outputs.stage_of(one.source) for one in self.publication.renderings)
            kept = (manifest["domains"]["kept"] for manifest in outputs.manifests[widest])
            self.rendered = sum(characters for one in kept for _, characters in one.values())
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
            one = _Rehearsed(
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
            one = self.by_source.get(name, _Rehearsed())
            each = max(one.working / max(1, one.documents), 1e-9)
            wanted[name] = min(max(SOME, MOST * source.documents // max(1, every)), int(LONGEST / each))
        return wanted


@dataclass(frozen=True)
class _Scale:
    """From two rehearsals of different weight to a run of another, and with `injected` times as many facts as in a
    third."""

    short: _Rehearsal
    long: _Rehearsal
    weight: float
    extra: _Rehearsal | None
    injected: float

    def _line(self, short: float, more: float, extra: float | None, units: float, most: float = math.inf) -> float:
        """What grows with the weight, up to the `most`, of which the long rehearsal took `more` than the short one, and
        what does with the number of `units`, of which the run has so many times as many."""
        heavier = self.long.weight - self.short.weight
        slope = max(0.0, more) / heavier if heavier > 0 else 0.0
        fixed = max(0.0, short - slope * self.short.weight)
        added = 0.0 if extra is None else max(0.0, extra - short) * self.injected
        return fixed * units + slope * min(self.weight, most) + added

    def of_seconds(self, call: Call, units: int) -> float:
        short, long = self.short.seconds.get(call, 0.0), self.long.seconds.get(call, 0.0)
        more = self.long.worked.get(call, 0.0) - self.short.worked.get(call, 0.0)
        if not any(self.long.worked.values()):
            more = long - short - NOISE * max(1, min(self.long.workers or all_cores(), units))
        extra = None if self.extra is None else self.extra.seconds.get(call, 0.0)
        times = units / max(1, self.short.units.get(call, 0) or self.long.units.get(call, 0))
        # As much as there has to be for a vocabulary to be trained on no more.
        most = SAMPLE * self.long.weight / max(1, self.long.rendered) if call[0] == "vocabulary" else math.inf
        return self._line(short, more, extra, times, most)

    def of_sizes(self) -> float:
        extra = None if self.extra is None else self.extra.size
        return self._line(self.short.size, self.long.size - self.short.size, extra, 1)


def _foretold(
    job: CorpusRun, groups: Sequence[PlannedGroup], scale: _Scale, sources: dict[str, SourceCount]
) -> list[ForetoldGroup]:
    reading = job.stages[0].folder[3:]
    labels: Counter[str] = Counter()
    foretold = []
    for group in groups:
        call = (group.label, labels[group.label])
        labels[group.label] += 1
        if group.label == "inputs":
            one = ForetoldGroup(group.label, group.units, sum(source.size for source in sources.values()) / HASHED)
        elif group.label == reading:
            taken = {
                name: scale.long.seconds_of(name, source.documents, source.unpacked) for name, source in sources.items()
            }
            by_source = {name: seconds / max(1, sources[name].size) for name, seconds in taken.items()}
            one = ForetoldGroup(group.label, group.units, sum(taken.values()), by_source)
        else:
            one = ForetoldGroup(group.label, group.units, max(0.0, scale.of_seconds(call, group.units)))
        foretold.append(one)
    return foretold


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
        buckets=min(job.buckets, BUCKETS),
        workers=job.workers,
        split=0,
        memory=job.memory,
        document_timeout=job.document_timeout,
        drawn=sample.parts,
        read=sample.looked_at,
        sizes=sample.sizes,
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


def _drawn(partitions: Sequence[Partition], wanted: dict[str, int]) -> Sample:
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
