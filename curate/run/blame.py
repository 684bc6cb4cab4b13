"""What a worker is ended for, and what becomes of a unit whose worker was lost: it is tried again, at last without a
document.

All engines that work in processes of their own share it.
"""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any, NamedTuple

from curate.run.engine import OnKill, RunError, TaskError
from curate.run.group import UnitGroup
from curate.run.unit import CUTTING, ENDING, READING, Unit, is_reading
from curate.run.worker import OUT_OF_MEMORY, Worker

HOPELESS = 3
"""Deaths of a unit's workers with no document in hand after which the unit is given up, or else the input file that it
was reading; and deaths of workers without a unit, one after the other, after which the run is given up."""


class Ended(NamedTuple):
    """How a worker was lost: the reason, what it had in hand, and whether that took too long."""

    reason: str
    in_hand: str
    late: bool


class Guard:
    """Ends workers that take too long over a document, or more memory than they may (`memory` megabytes; None: any)."""

    def __init__(self, timeout: float, memory: int | None) -> None:
        self.timeout = timeout
        self.limit = None if memory is None else memory << 20
        self.peak_memory = 0

    def lost(self, worker: Worker) -> Ended | None:
        """How a worker ended that must be replaced; None while it is still working."""
        if not worker.process.is_alive():
            reason = self.too_much() if worker.process.exitcode == OUT_OF_MEMORY else worker.ending()
            # No document is to blame for a mapped file that cannot be read on.
            in_hand = "" if worker.process.exitcode == -signal.SIGBUS else worker.in_hand
            return Ended(reason, in_hand, late=False)
        judged, taken = worker.in_hand, worker.look()
        self.peak_memory = max(self.peak_memory, taken)
        bound = worker.overdue(self.timeout)
        if self.limit is not None and taken > self.limit:
            reason, bound = self.too_much(), None
        elif bound is not None:
            reason = f"took longer than {bound:g} s"
        else:
            return None
        worker.stop()
        # If it went on to another document meanwhile, no document is to blame.
        return Ended(reason, judged if judged == worker.in_hand else "", late=bound is not None)

    def too_much(self) -> str:
        return f"needed more {'' if self.limit is None else f'than {self.limit >> 20} MB of '}memory"


class Blame:
    """Queues a unit again whose worker was lost: without the document in hand if that cost two workers, and where it
    took too long, a third one that was alone."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._strikes: Counter[tuple[str, str]] = Counter()

    def judge(self, group: UnitGroup, number: int, ended: Ended) -> None:
        """Raises RunError or TaskError where the unit is hopeless."""
        unit = group.units[number]
        group.lost(number, ended.reason, ended.in_hand)
        if group.on_kill is None or ended.in_hand in ("", ENDING, CUTTING) or is_reading(ended.in_hand):
            self._without_a_document(group, number, ended, group.on_kill)
        else:
            # One death may not be the document's fault: someone killed the process, or earlier documents took the
            # memory.
            self._strikes[unit.name, ended.in_hand] += 1
            if self._strikes[unit.name, ended.in_hand] > 1:
                if ended.late and group.alone != number:
                    group.last.append(number)
                    return
                group.units[number] = group.on_kill(unit, ended.in_hand, ended.reason)
        group.queue.appendleft(number)

    def _without_a_document(self, group: UnitGroup, number: int, ended: Ended, on_kill: OnKill | None) -> None:
        """Count a death with no document in hand; the last sets aside the file that was read, or ends the run."""
        unit, reason, in_hand = group.units[number], ended.reason, ended.in_hand
        # Of several files that one unit reads, each has its own tries.
        blamed = (number, in_hand if is_reading(in_hand) and in_hand != READING else "")
        group.deaths[blamed] += 1
        reads = (in_hand == CUTTING or is_reading(in_hand)) and unit.reads_input
        if on_kill and reads and group.deaths[blamed] == HOPELESS:
            said = f"reading it {HOPELESS} times {self._reading_did(reason)}"
            group.units[number] = on_kill(unit, READING if in_hand == CUTTING else in_hand, said)
        else:
            self._hopeful(unit, reason, group.deaths[blamed])

    def _reading_did(self, reason: str) -> str:
        more = "; `engine.worker_memory` allows more" if reason == self._guard.too_much() else ""
        return f"{reason.replace('its process', 'the process')}{more}"

    def _hopeful(self, unit: Unit, reason: str, deaths: int) -> None:
        """Raise when too many workers of a unit died with no document in hand."""
        if deaths < HOPELESS:
            return
        said = f"{unit.name}: its worker {reason} {deaths} times, with no document in hand"
        if reason == self._guard.too_much():
            raise RunError(
                f"{said}: allow more with `engine.worker_memory`, or cut the work smaller with `engine.split` or more"
                " `engine.buckets`"
            )
        if unit.reads_input and signal.SIGBUS.name in reason:
            raise RunError(
                f"{said}: {unit.input_file} was cut shorter while it was read, or its disk gives errors. Nothing of it"
                " counts as lost: the same command goes on from here"
            )
        raise TaskError(said)


def error_of(task: Unit, answer: tuple[str, Any]) -> RunError | TaskError:
    """The error of a unit that failed, from what its worker answered."""
    kind, what = answer
    if kind == "system":
        return RunError(what)
    message, trace = what
    return TaskError(f"{task.name}: {message}\n{trace}")
