"""The interface of an engine, which maps units to their manifests and reports its progress; and the errors of a run."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from curate.errors import Refused
from curate.run.unit import Unit

OnKill = Callable[[Unit, str, str], Unit]
"""Called with a unit, the document that killed a worker, and the reason; returns the unit without it."""


class RunError(Refused):
    """A run cannot go on; the message says what failed, and what would help."""


class TaskError(Exception):
    """A unit failed by a fault of the program; the message names the unit, the document in hand, and the traceback."""


@dataclass(frozen=True)
class UnitEvent:
    """What happened to a unit, at a moment in seconds since 1970: an `attempt` at it "began", "ended" (after `seconds`,
    with what it counted), or its worker was "lost", because of what `why` says, with a document in hand. "reused": it
    was done before; "elsewhere": another shard did it."""

    event: Literal["began", "ended", "reused", "elsewhere", "lost"]
    unit: str
    at: float
    attempt: int = 1
    seconds: float | None = None
    documents: int = 0
    kept: int = 0
    size: int = 0
    why: str = ""
    in_hand: str = ""


@dataclass
class SourceProgress:
    """Bytes of the units that read one source: of all, of what is read, of the units that an earlier run had done, and
    what is left of the longest."""

    total: int = 0
    done: int = 0
    reused: int = 0
    longest: int = 0


@dataclass
class Progress:
    """The progress of a group of units. `documents` and `kept` count work of this run; `size` and `total_size` are
    bytes of input, of all units whose size is known, and `sources` the same by source, where units read the input. Of
    the `done` units, `reused` were done by an earlier run, and `reused_size` is their share of `size`. `memory` is the
    most that a worker has held so far, `again` counts units that were made again, by reason. `events` are those since
    somebody was told last. `run_left` is how many seconds the whole run still takes, as far as somebody knows."""

    label: str
    tasks: int
    total_size: int = 0
    done: int = 0
    documents: int = 0
    kept: int = 0
    size: int = 0
    reused: int = 0
    reused_size: int = 0
    memory: int = 0
    again: Counter[str] = field(default_factory=Counter)
    sources: dict[str, SourceProgress] = field(default_factory=dict)
    events: Sequence[UnitEvent] = ()
    run_left: float | None = None
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    def add(self, manifest: dict[str, Any], size: int) -> None:
        """Count one more unit as done, of `size` bytes."""
        self.done += 1
        if manifest.get("skipped_unit"):
            self.reused += 1
            self.reused_size += size
        if reason := manifest.get("because"):
            self.again[reason] += 1

    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    def rate(self) -> float:
        """Documents a second."""
        return self.documents / max(self.seconds(), 1e-9)

    def kept_share(self) -> float | None:
        """Share of the documents seen that came out; None before the first."""
        return self.kept / self.documents if self.documents else None

    def left(self) -> float | None:
        """Seconds to the end of the group, by bytes or else by units; None until it can be estimated."""
        if self.done == self.tasks:
            return 0.0
        whole, done, reused = self.tasks, self.done, self.reused
        if self.total_size:
            whole, done, reused = self.total_size, self.size, self.reused_size
        worked = done - reused
        return (whole - done) * self.seconds() / worked if worked > 0 else None


class Engine(Protocol):
    """Runs units on `workers` workers."""

    workers: int

    def map(self, label: str, tasks: Sequence[Unit], on_kill: OnKill | None = None) -> list[dict[str, Any]]:
        """The manifests of all units, in their order.

        When one fails for a reason that a person can put right, raises that (from another process: RunError with its
        message), else TaskError.
        """
        ...


def all_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
