"""What a run will take: time, memory and disk, extrapolated from rehearsals over a few documents of each source.

Each source has its own share: a page takes twenty times as long as a row of text, and a mix has few of the one and many
of the other. What reads the input takes time by source; all later groups of units take it, and disk, by what is left to
them in all.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from curate.places.manifest import manifest_path
from curate.places.store import files_below
from curate.run.corpus import CorpusRun
from curate.run.engine import all_cores
from curate.run.forecast import ForetoldGroup
from curate.run.local import LocalEngine
from curate.run.publish_tokens import SAMPLE
from curate.run.sample import thinned
from curate.step import CorpusStep, Injection
from recipes.app.recipe.document_count import (
    SourceCount,
    counted_by_source,
    cut_to,
    size_or_nothing,
)
from recipes.app.recipe.planned_units import PlannedGroup, planned
from recipes.app.recipe.rehearsal import (
    PLACES,
    Call,
    Rehearsal,
    drawn_from,
    few_injected,
    rehearsal_of,
)

COUNTING = 0.7
"""Seconds for which documents are counted."""

MORE = 4
"""How many times as many documents one rehearsal has as another."""

NOISE = 0.02
"""Seconds by which two groups that do the same differ by the clock, where nothing else tells what they take."""

HASHED = 5e8
"""Bytes of input a second that are read to know them again."""

WORKER = 100 << 20
"""Bytes that a worker and its libraries take, for rehearsals that are too short to measure it."""

HEADROOM = 1.5
"""How much more memory a worker takes in a run than in a rehearsal: of larger pages."""

BUFFERS = 256 << 20
"""Bytes that the buffers of a corpus step's records hold, once there are records enough to fill them."""

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


def foretell(job: CorpusRun) -> list[ForetoldGroup]:
    """What each group of units of a run will take; nothing for a small input, where an earlier call has read all of it,
    or where it cannot be read now: then the run itself will say so. It is rehearsed by other workers than those of the
    run: what a rehearsal leaves in their memory would make them slower (docs/results/estimates.md)."""
    if sum(map(size_or_nothing, job.partitions)) < REHEARSED:
        return []
    with contextlib.suppress(OSError):
        groups = planned(job, look=False)
        if not _is_read(job, groups):
            found = estimate(job, groups, 60, job.memory)
            return found.groups if found else []
    return []


def _is_read(job: CorpusRun, groups: Sequence[PlannedGroup]) -> bool:
    """Whether every unit of the stage that reads the input has left a manifest: no more than the rest is to be done."""
    reading = job.stages[0].folder
    units = sum(group.units for group in groups if group.label == reading[3:])
    return len(files_below(manifest_path(job.out, f"stages/{reading}/any").parent)) >= units


def estimate(job: CorpusRun, groups: Sequence[PlannedGroup], sample: int, memory: int | None = None) -> Estimate | None:
    """Time, memory and disk of the units that are not done, from rehearsals with `sample` documents or, where these
    take no time to speak of, more. `groups` are the run's, as `planned` says; a worker may take so many megabytes of
    `memory` (None: any). None when the input has no documents.
    """
    sources = counted_by_source(job.partitions, COUNTING)
    cut_to(sources, job.limit)
    with contextlib.ExitStack() as closed:
        name = closed.enter_context(tempfile.TemporaryDirectory(prefix="goldsand-plan-"))
        own = closed.enter_context(
            LocalEngine(job.workers_here, job.document_timeout, memory=memory, program=job.program)
        )
        folders = (Path(name) / str(number) for number in range(100))
        bare = [step for step in job.steps if not isinstance(step, Injection)]
        many = drawn_from(job.partitions, dict.fromkeys(sources, sample // max(1, len(sources))))
        if not many.parts:
            return None
        # A worker's first unit waits for its libraries and models.
        few = thinned(many, max(1, many.documents // MORE))
        cold = rehearsal_of(job, bare, thinned(few, PLACES), next(folders)).rehearse(own)
        long = rehearsal_of(job, bare, many, next(folders)).rehearse(own)
        longer = long.documents_within(sources)
        if many.whole or sum(longer.values()) < MORE * sample:
            short = rehearsal_of(job, bare, few, next(folders)).rehearse(own)
        else:
            few, short = many, long
            many = drawn_from(job.partitions, longer)
            # What is imported where there is more to do, as the ledger's rows of what was dropped.
            rehearsal_of(job, bare, thinned(many, many.documents // MORE), next(folders)).rehearse(own)
            long = rehearsal_of(job, bare, many, next(folders)).rehearse(own)
        if not long.documents:
            return None
        if long.weight <= short.weight:
            # The input is so small that both rehearsals read all of it.
            short = replace(long, seconds={}, worked={}, by_source={}, size=0)
        extra, injected, added = None, 0, 1
        if len(bare) < len(job.steps):
            steps, added, injected = few_injected(job)
            extra = rehearsal_of(job, steps, few, next(folders)).rehearse(own)
    weight = sum(one.documents * long.weight_of(source) for source, one in sources.items())
    scale = _Scale(short, long, weight, extra, injected / added)
    foretold = _foretold(job, groups, scale, sources)
    seconds = max(0.0, sum(cold.seconds.values()) - sum(short.seconds.values()))
    workers = job.workers_here
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


@dataclass(frozen=True)
class _Scale:
    """From two rehearsals of different weight to a run of another, and with `injected` times as many facts as in a
    third."""

    short: Rehearsal
    long: Rehearsal
    weight: float
    extra: Rehearsal | None
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
        kept = scale.long.kept.get(group.label)
        if group.label == "inputs":
            one = ForetoldGroup(group.label, group.units, sum(source.size for source in sources.values()) / HASHED)
        elif group.label == reading:
            taken = {
                name: scale.long.seconds_of(name, source.documents, source.unpacked) for name, source in sources.items()
            }
            by_source = {name: seconds / max(1, sources[name].size) for name, seconds in taken.items()}
            one = ForetoldGroup(group.label, group.units, sum(taken.values()), by_source, kept)
        else:
            one = ForetoldGroup(group.label, group.units, max(0.0, scale.of_seconds(call, group.units)), kept=kept)
        foretold.append(one)
    return foretold
