"""The local engine: a pool of processes that maps units to manifests, and survives any document.

A worker holds one unit at a time and answers with its manifest, so no work queues up in the parent. In shared
memory it names the document in hand. A worker that stays on a document longer than the time-out, takes more memory than
it may, or dies, is replaced, and its unit tried again; when that happens a second time with the same document in hand,
`on_kill` writes it down, and from then on it is set aside. One that took too long is tried a third time before that,
alone: behind all other units of its group, so that no other document is in hand.
Time and memory only kill: they never decide anything else. `worker.py` says what counts as a document's time.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Any

from curate.program import no_program
from curate.run.blame import HOPELESS, Blame, Ended, Guard, error_of
from curate.run.engine import OnKill, Progress, RunError
from curate.run.fit_for_workers import never_began, packed, refuse_lost_program
from curate.run.group import UnitGroup
from curate.run.unit import Unit
from curate.run.worker import POLL, Clock, Worker, context_of_workers, uninterrupted


class LocalEngine:
    """Maps units to manifests on `workers` processes; results come in the order of the units.

    `timeout` is seconds of a processor for one document, of which one that sleeps has several (`worker.py`); `memory`
    the megabytes of resident memory that a worker may take (None: any). `on_kill(unit, key, reason)` returns the unit
    to try again, which sets that document aside; where the key is READING, all that the unit would read, and where
    `is_reading`, one of the files that it reads. Workers import the `program` that started the run: its
    classes may be among the steps.
    """

    def __init__(
        self,
        workers: int,
        timeout: float,
        on_progress: Callable[[Progress], None] | None = None,
        memory: int | None = None,
        program: bool = True,
    ) -> None:
        self.workers = workers
        self._guard = Guard(timeout, memory)
        self._blame = Blame(self._guard)
        self._on_progress = on_progress or (lambda progress: None)
        self._context = context_of_workers()
        self._program = program
        self._pool: list[Worker] = []
        self._clock = Clock()
        self._idle_deaths = 0

    @property
    def peak_memory(self) -> int:
        return self._guard.peak_memory

    @property
    def processor_seconds(self) -> float:
        """What its workers have used of processors so far, as Linux counts; 0 elsewhere."""
        return sum(worker.processor_seconds() for worker in self._pool)

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
            self._on_progress(group.count(self._counted()))
        return group.manifests

    def _counted(self) -> dict[int, tuple[int, int, int]]:
        return {worker.task: worker.counts() for worker in self._pool if worker.task is not None}

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._pool if worker.task is not None]

    def _staff(self, wanted: int) -> None:
        """Start workers. The first is waited for: what keeps it from starting keeps the others too."""
        if wanted and not self._pool:
            if self._program:
                refuse_lost_program()
            self._pool.append(self._hire())
        while wanted and not (first := self._pool[0]).started:
            if wait([first.process.sentinel], timeout=POLL / 10):
                self._replace(first)
        while len(self._pool) < wanted:
            self._pool.append(self._hire())

    def _hire(self) -> Worker:
        with uninterrupted(), contextlib.nullcontext() if self._program else no_program():
            return Worker(self._context, self._guard.limit, self._clock)

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
            if lost := self._guard.lost(worker):
                self._try_again(worker, group, lost)
        elif answer[0] == "done":
            worker.task = None
            self._idle_deaths = 0
            group.add(number, answer[1], worker.counts())
        else:
            raise error_of(group.units[number], answer)

    def _try_again(self, worker: Worker, group: UnitGroup, ended: Ended) -> None:
        """Replace a lost worker and queue its unit again."""
        number = worker.task
        assert number is not None
        self._replace(worker)
        if not worker.started:
            # Nothing of the unit was begun.
            group.queue.appendleft(number)
            return
        self._blame.judge(group, number, ended)

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
