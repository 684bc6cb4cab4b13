"""A group of units in the local engine."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from curate.run.engine import OnKill, Progress, SourceProgress, UnitEvent
from curate.run.unit import Unit


class UnitGroup:
    """The units of one call of `map`: those that wait, the manifests of those done, and its progress. The largest are
    handed out first, so that none is left to one worker at the end while the others wait.

    Those in `last` wait until no other unit is at work or waits; `alone` is the one of them that is at work.
    """

    def __init__(self, label: str, units: Sequence[Unit], on_kill: OnKill | None) -> None:
        self.units = list(units)
        self.on_kill = on_kill
        self._sizes = [unit.size() for unit in self.units]
        self.queue = deque(sorted(range(len(self.units)), key=self._sizes.__getitem__, reverse=True))
        self.last: deque[int] = deque()
        self.alone: int | None = None
        self.deaths: Counter[tuple[int, str]] = Counter()
        self._manifests: dict[int, dict[str, Any]] = {}
        self._attempts: Counter[int] = Counter()
        self._began: dict[int, float] = {}
        self._events: list[UnitEvent] = []
        self._counts = (0, 0, 0)
        self._sources = [unit.source_read for unit in self.units]
        self.progress = Progress(label, len(self.units), sum(self._sizes))
        # Of the units that have ended; all have a size.
        self._ended = {source: SourceProgress() for source in self._sources if source}
        for source, size in zip(self._sources, self._sizes, strict=True):
            if source:
                self._ended[source].total += size

    @property
    def ended(self) -> bool:
        return len(self._manifests) == len(self.units)

    @property
    def manifests(self) -> list[dict[str, Any]]:
        return [self._manifests[number] for number in range(len(self.units))]

    def next(self, at_work: Iterable[int | None]) -> deque[int] | None:
        """The queue from which a worker may take a unit now, where these units are at work; None: it has to wait."""
        working = set(at_work)
        if self.alone is not None and self.alone in working:
            return None
        return self.queue or (self.last if self.last and not working else None)

    def given_up(self) -> Collection[int]:
        """Units at work that are somebody else's by now, so that their workers must end."""
        return ()

    def give_up(self, number: int) -> None:
        """The worker of such a unit has ended."""

    def take(self, queue: deque[int]) -> None:
        """A worker has the first unit of this queue."""
        number = queue.popleft()
        self.alone = number if queue is self.last else None
        self._attempts[number] += 1
        self._began[number] = now = time.time()
        self._events.append(UnitEvent("began", self.units[number].name, now, self._attempts[number]))

    def lost(self, number: int, why: str, in_hand: str = "") -> None:
        """The worker of a unit was lost, or its task."""
        name, attempt = self.units[number].name, self._attempts[number]
        self._events.append(UnitEvent("lost", name, time.time(), attempt, why=why, in_hand=in_hand))

    def add(self, number: int, manifest: dict[str, Any], counts: tuple[int, int, int]) -> None:
        """One unit is done; its worker counted these documents, documents kept and bytes."""
        self._manifests[number] = manifest
        size = self._sizes[number]
        self._counts = _sum([self._counts, (*counts[:2], size)])
        self.progress.add(manifest, size)
        self._note(number, manifest, counts, size)
        if source := self._sources[number]:
            self._ended[source].done += size
            self._ended[source].reused += size if manifest.get("skipped_unit") else 0

    def _note(self, number: int, manifest: dict[str, Any], counts: tuple[int, int, int], size: int) -> None:
        now, name, attempt = time.time(), self.units[number].name, self._attempts[number]
        if manifest.get("skipped_unit"):
            self._events.append(UnitEvent("reused", name, now, attempt, size=size))
        elif (began := self._began.pop(number, None)) is None:
            self._events.append(UnitEvent("elsewhere", name, now, attempt, None, *counts[:2], size))
        else:
            why = manifest.get("because", "")
            self._events.append(UnitEvent("ended", name, now, attempt, now - began, *counts[:2], size, why))

    def count(self, working: Mapping[int, tuple[int, int, int]]) -> Progress:
        """The progress, with what workers have counted of the units in their hands. The first try of a unit that is
        tried again does not count."""
        counted = [self._counts, *working.values()]
        self.progress.documents, self.progress.kept, self.progress.size = _sum(counted)
        self.progress.sources = self._shares({number: counts[2] for number, counts in working.items()})
        self.progress.events, self._events = self._events, []
        if self.ended:
            self.progress.ended = time.monotonic()
        return self.progress

    def _shares(self, read: Mapping[int, int]) -> dict[str, SourceProgress]:
        """The progress by source; `read` are the bytes that busy workers have read of their units."""
        shares = {source: replace(share) for source, share in self._ended.items()}
        for number, size in read.items():
            if source := self._sources[number]:
                done = min(size, self._sizes[number])
                shares[source].done += done
                shares[source].longest = max(shares[source].longest, self._sizes[number] - done)
        if self.queue and (source := self._sources[self.queue[0]]):
            shares[source].longest = max(shares[source].longest, self._sizes[self.queue[0]])
        return shares


def _sum(counts: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    documents, kept, size = map(sum, zip(*counts, strict=True))
    return documents, kept, size
