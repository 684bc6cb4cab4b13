"""The local engine: a pool of processes that maps units to manifests, and survives any document.

A worker holds one unit at a time and answers with its manifest, so no work queues up in the parent. In shared
memory it names the document in hand. A worker that stays on a document longer than the time-out, takes more memory than
it may, or dies, is replaced, and its unit tried again; when that happens a second time with the same document in hand,
`on_kill` writes it down, and from then on it is set aside. One that took too long is tried a third time before that,
alone: behind all other units of its group, so that no other document is in hand.
Time and memory only kill: they never decide anything else. `worker.py` says what counts as a document's time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from curate.run.engine import OnKill, Progress, RunError, TaskError
from curate.run.fit_for_workers import never_began, packed, refuse_lost_program
from curate.run.group import UnitGroup
from curate.run.unit import CUTTING, ENDING, READING, Unit, is_reading
from curate.run.worker import OUT_OF_MEMORY, POLL, Clock, Worker, uninterrupted

HOPELESS = 3
"""Deaths of a unit's workers with no document in hand after which the unit is given up, or else the input file that it
was reading; and deaths of workers without a unit, one after the other, after which the run is given up."""

PRELOADED = ["curate.run.corpus"]
"""The modules that every worker needs, without the libraries of steps. Only numpy's OpenBLAS starts threads, and it
ends them at a fork."""

SOCKET = len("/pymp-01234567/listener-01234567\0")
"""Bytes that the server's socket has behind the folder for temporary files; Linux allows 108 for the whole address."""


def _has_room_for_a_server() -> bool:
    """Whether workers can be forked from a server: on Linux, where the address of its socket is not too long."""
    return sys.platform == "linux" and len(os.fsencode(tempfile.gettempdir())) + SOCKET <= 108


class _Ended(NamedTuple):
    """How a worker was lost: the reason, what it had in hand, and whether that took too long."""

    reason: str
    in_hand: str
    late: bool


class LocalEngine:
    """Maps units to manifests on `workers` processes; results come in the order of the units.

    `timeout` is seconds of a processor for one document, of which one that sleeps has several (`worker.py`); `memory`
    the megabytes of resident memory that a worker may take (None: any). `on_kill(unit, key, reason)` returns the unit
    to try again, which sets that document aside; where the key is READING, all that the unit would read, and where
    `is_reading`, one of the files that it reads.
    """

    def __init__(
        self,
        workers: int,
        timeout: float,
        on_progress: Callable[[Progress], None] | None = None,
        memory: int | None = None,
    ) -> None:
        self.workers = workers
        self.peak_memory = 0
        self._timeout = timeout
        self._limit = None if memory is None else memory << 20
        self._on_progress = on_progress or (lambda progress: None)
        # Never forked from this process: a worker inherits no threads, locks or state of a library. A server that has
        # loaded only the engine forks them, and serves later runs of this process too: a worker, or its replacement,
        # starts in a ninth of the time. Only Linux promises that this is sound.
        self._context = multiprocessing.get_context("forkserver" if _has_room_for_a_server() else "spawn")
        self._context.set_forkserver_preload(PRELOADED)
        self._pool: list[Worker] = []
        self._clock = Clock()
        self._strikes: Counter[tuple[str, str]] = Counter()
        self._idle_deaths = 0

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._pool:
            worker.stop()
        self._pool.clear()

    def map(self, label: str, tasks: Sequence[Unit], on_kill: OnKill | None = None) -> list[dict[str, Any]]:
        """Run all units. Raises RunError when one fails for a reason that a person can put right, else TaskError."""
        return self.carry_out(UnitGroup(label, tasks, on_kill))

    def carry_out(self, group: UnitGroup) -> list[dict[str, Any]]:
        """Run the units of a group, as it hands them out."""
        self._staff(min(self.workers, len(group.units)))
        while not group.ended:
            for worker in list(self._pool):
                if worker.task is None and (queue := group.next(one.task for one in self._busy())):
                    self._give(worker, group, queue)
            busy = self._busy()
            wait([worker.channel for worker in busy] + [worker.process.sentinel for worker in busy], timeout=POLL)
            self._clock.tick()
            for worker in busy:
                if worker.task in group.given_up():
                    group.give_up(self._drop(worker))
                else:
                    self._settle(worker, group)
            group.progress.memory = self.peak_memory
            self._on_progress(group.count([worker.counts() for worker in self._busy()]))
        return group.manifests

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._pool if worker.task is not None]

    def _staff(self, wanted: int) -> None:
        """Start workers. The first is waited for: what keeps it from starting keeps the others too."""
        if wanted and not self._pool:
            refuse_lost_program()
            self._pool.append(self._hire())
        while wanted and not (first := self._pool[0]).started:
            if wait([first.process.sentinel], timeout=POLL / 10):
                self._replace(first)
        while len(self._pool) < wanted:
            self._pool.append(self._hire())

    def _hire(self) -> Worker:
        with uninterrupted():
            return Worker(self._context, self._limit, self._clock)

    def _give(self, worker: Worker, group: UnitGroup, queue: deque[int]) -> None:
        """Hand the next unit to an idle worker, or replace a worker that died while it was idle."""
        unit = packed(group.units[queue[0]])
        worker.begin(queue[0])
        try:
            worker.channel.send_bytes(unit)
        except OSError:
            worker.task = None
            self._replace(worker)
            return
        group.take(queue)

    def _settle(self, worker: Worker, group: UnitGroup) -> None:
        """Check a busy worker: it has answered, it is lost, or it is still working.

        Raises the error of a unit that failed, as `map` does.
        """
        number = worker.task
        assert number is not None
        answer = worker.answer()
        if answer is None:
            if lost := self._lost(worker):
                self._try_again(worker, group, lost)
        elif answer[0] == "done":
            worker.task = None
            self._idle_deaths = 0
            group.add(number, answer[1], worker.counts())
        else:
            raise _error(group.units[number], answer)

    def _lost(self, worker: Worker) -> _Ended | None:
        """How a worker ended that must be replaced; None while it is still working."""
        if not worker.process.is_alive():
            reason = self._too_much() if worker.process.exitcode == OUT_OF_MEMORY else worker.ending()
            # No document is to blame for a mapped file that cannot be read on.
            in_hand = "" if worker.process.exitcode == -signal.SIGBUS else worker.in_hand
            return _Ended(reason, in_hand, late=False)
        judged, taken = worker.in_hand, worker.look()
        self.peak_memory = max(self.peak_memory, taken)
        bound = worker.overdue(self._timeout)
        if self._limit is not None and taken > self._limit:
            reason, bound = self._too_much(), None
        elif bound is not None:
            reason = f"took longer than {bound:g} s"
        else:
            return None
        worker.stop()
        # If it went on to another document meanwhile, no document is to blame.
        return _Ended(reason, judged if judged == worker.in_hand else "", late=bound is not None)

    def _too_much(self) -> str:
        return f"needed more {'' if self._limit is None else f'than {self._limit >> 20} MB of '}memory"

    def _try_again(self, worker: Worker, group: UnitGroup, ended: _Ended) -> None:
        """Replace a lost worker and queue its unit again: without the document in hand if that cost two workers, and
        where it took too long, a third one that was alone."""
        number = worker.task
        assert number is not None
        unit = group.units[number]
        self._replace(worker)
        if not worker.started:
            # Nothing of the unit was begun.
            group.queue.appendleft(number)
            return
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

    def _without_a_document(self, group: UnitGroup, number: int, ended: _Ended, on_kill: OnKill | None) -> None:
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
        more = "; `engine.worker_memory` allows more" if reason == self._too_much() else ""
        return f"{reason.replace('its process', 'the process')}{more}"

    def _drop(self, worker: Worker) -> int:
        """End a worker whose unit is no longer this engine's; returns the unit's number."""
        assert worker.task is not None
        worker.stop()
        self._pool[self._pool.index(worker)] = self._hire()
        return worker.task

    def _replace(self, worker: Worker) -> None:
        """Raises RunError when too many, one after the other, died without a unit of their own to blame."""
        worker.stop()
        if worker.task is None or not worker.started:
            self._idle_deaths += 1
            if self._idle_deaths == HOPELESS:
                raise RunError(never_began(HOPELESS, worker.ending()))
        self._pool[self._pool.index(worker)] = self._hire()

    def _hopeful(self, unit: Unit, reason: str, deaths: int) -> None:
        """Raise when too many workers of a unit died with no document in hand."""
        if deaths < HOPELESS:
            return
        said = f"{unit.name}: its worker {reason} {deaths} times, with no document in hand"
        if reason == self._too_much():
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


def _error(task: Unit, answer: tuple[str, Any]) -> RunError | TaskError:
    kind, what = answer
    if kind == "system":
        return RunError(what)
    message, trace = what
    return TaskError(f"{task.name}: {message}\n{trace}")
