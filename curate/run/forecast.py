"""Seconds to the end of a whole run: what a rehearsal foretold of each group of units, corrected by what those that
were carried out took.

Bytes of one source tell nothing of the bytes of another (a page of plain HTML, a compressed row), so that units which
read the input are weighed by the seconds that a byte of their source takes; those of other groups by their own bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from curate.run.engine import Progress

BELIEF = 0.03
"""The share of a group's foretold seconds that the forecast weighs as much as, beside what was measured of it."""

LEAST_BELIEF = 1.0
"""Foretold seconds that it weighs as much as at least: what has begun a moment ago shows nothing yet."""

LAG = 1.5
"""Seconds by which the bytes that workers have counted may lag behind their work: it matters where a group begins."""

LEAST_KEPT = 0.01
"""The share of documents that a step is taken to keep at least."""

NEARLY = 0.9
"""The share of what nobody sees that is taken to be done at most."""


@dataclass(frozen=True)
class ForetoldGroup:
    """What a group of units takes on one worker, in seconds. `by_source`, for the group that reads the input: what one
    byte of each source takes. `kept`, for one that lets documents through: the share that came out in the rehearsal."""

    label: str
    units: int
    seconds: float
    by_source: dict[str, float] = field(default_factory=dict)
    kept: float | None = None


class TimeLeft:
    """Watches the groups of a run, in their order, and says how long it still takes."""

    def __init__(self, groups: Sequence[ForetoldGroup], workers: int) -> None:
        self._groups = groups
        self._workers = max(1, workers)
        self._current: Progress | None = None
        self._at = -1
        # What the groups took that have ended, and what was foretold of the same work.
        self._spent = 0.0
        self._foretold = 0.0
        # How many times as many documents are left as foretold: a few documents hold few duplicates of one another.
        self._survived = 1.0

    def see(self, progress: Progress) -> float:
        """Seconds to the end of the run."""
        if progress is not self._current:
            self._begin(progress)
        group = self._here()
        done, left, longest = _weights(group, progress)
        spent, alike = progress.seconds(), self._wall(group, done)
        rest = max(self._wall(group, left), longest) if progress.done < progress.tasks else 0.0
        pace = math.sqrt(_pace(self._spent, self._foretold, 1.0, LEAST_BELIEF))
        further = max(0.0, min(spent / pace - alike, NEARLY * self._unseen(group, progress, rest)))
        alike, rest = alike + further, rest - further
        own = _pace(spent, alike, pace, max(LEAST_BELIEF, BELIEF * self._wall(group, group.seconds)))
        # That a group takes longer than foretold says as much of the group as of the machine.
        overall = math.sqrt(_pace(self._spent + spent, self._foretold + alike, 1.0, LEAST_BELIEF))
        later = self._survived * sum(self._wall(one, one.seconds) for one in self._groups[self._at + 1 :])
        return rest * own + later * overall

    def _unseen(self, group: ForetoldGroup, progress: Progress, rest: float) -> float:
        """Foretold seconds that may be done without anybody having counted them: of the units at work, or of the bytes
        that workers have not told yet."""
        if progress.total_size:
            return min(LAG, rest) if progress.seconds() < 2 * LAG else 0.0
        at_work = min(self._workers, progress.tasks - progress.done)
        return self._wall(group, group.seconds) * at_work / max(1, progress.tasks)

    def _begin(self, progress: Progress) -> None:
        """Go on to the next group with this label; those between had no units."""
        if self._current is not None:
            group = self._here()
            self._spent += self._current.seconds()
            self._foretold += self._wall(group, _weights(group, self._current)[0])
            if group.kept and self._current.documents:
                self._survived *= max(LEAST_KEPT, self._current.kept / self._current.documents) / group.kept
        self._current = progress
        labels = [group.label for group in self._groups]
        with_label = [place for place, label in enumerate(labels) if label == progress.label and place > self._at]
        self._at = with_label[0] if with_label else min(self._at + 1, len(labels) - 1)

    def _here(self) -> ForetoldGroup:
        """The group at hand, for the documents that are left."""
        group = self._groups[self._at]
        return group if group.by_source else replace(group, seconds=group.seconds * self._survived)

    def _wall(self, group: ForetoldGroup, seconds: float) -> float:
        """What these seconds of one worker are on all."""
        return seconds / min(self._workers, max(1, group.units))


def _weights(group: ForetoldGroup, progress: Progress) -> tuple[float, float, float]:
    """Foretold seconds of what this call has done of a group, of what is left, and of the longest unit that is left."""
    if group.by_source and progress.total_size:
        shares = [(group.by_source.get(source, 0.0), share) for source, share in progress.sources.items()]
        if total := sum(weight * share.total for weight, share in shares):
            scale = group.seconds / total
            done = sum(weight * (share.done - share.reused) for weight, share in shares)
            left = sum(weight * (share.total - share.done) for weight, share in shares)
            return done * scale, left * scale, max(weight * share.longest for weight, share in shares) * scale
    whole, done, reused = progress.tasks, progress.done, progress.reused
    if progress.total_size:
        whole, done, reused = progress.total_size, progress.size, progress.reused_size
    scale = group.seconds / max(1, whole)
    return (done - reused) * scale, (whole - done) * scale, 0.0


def _pace(spent: float, foretold: float, prior: float, weight: float) -> float:
    """How many times as long as foretold the work takes, as measured; `weight` seconds count as if at the `prior`."""
    return (spent + prior * weight) / (foretold + weight)
