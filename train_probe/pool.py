"""Runs handed out to workers: one process a core, one thread each, because threads inside tiny models cost more than
they save; or one actor of Ray a GPU (`train_probe/ray_pool.py`).

A worker is a generator: it yields events, and is sent a run where it asks for one. Figures do not depend on which
worker trains a run, nor on its neighbours. A worker that dies loses no run, except one that kills it alone.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import traceback
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from curate.errors import refusal
from curate.program import no_program


@dataclass(frozen=True)
class Advanced:
    """A run has reached `step` of `steps`, `tokens` tokens; `loss` in nats, the mean since the last report."""

    number: int
    step: int
    steps: int
    tokens: int
    loss: float


@dataclass(frozen=True)
class Trained:
    """A run's figures."""

    number: int
    figures: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A run that ended without figures, and why; by a fault of the program, with its `traceback`."""

    number: int
    error: str
    traceback: str = ""


@dataclass(frozen=True)
class Ask:
    """A worker wants one more run: of the group it has a stack for, or of any (None), with what it needs to open one.
    It is sent the number of a run, an `Opening`, or None."""

    group: Hashable = None


@dataclass(frozen=True)
class Opening:
    """The first run of a stack, and the stack to build: its group, its slots, and whether it is compiled."""

    number: int
    group: Hashable
    slots: int
    compiled: bool


def failed(number: int, error: Exception) -> Failed:
    """The end of a run by an error: with a traceback where it is a fault of the program."""
    fault = refusal(error) is None and not is_out_of_memory(error)
    trace = "".join(traceback.format_exception(error)) if fault else ""
    return Failed(number, f"{type(error).__name__}: {error}", trace)


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch says that a device's, or the host's, memory is full."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


Event = Advanced | Trained | Failed
Message = Event | Ask
Worker = Generator[Message, Any, None]


def slots_of(runs: int, most: int, groups: int, workers: int) -> int:
    """The slots of a stack for so many runs of a group, beside so many groups: all of them where every worker has a
    group, else a worker's share."""
    return min(most, runs if groups >= workers else math.ceil(runs / workers))


class Queue:
    """The runs that wait, by group, the costly ones first. `most` is how many slots of a group fit one worker."""

    def __init__(
        self,
        group_of: dict[int, Hashable],
        cost: dict[int, float],
        most: dict[Hashable, int],
        compiled: dict[Hashable, bool],
        workers: int,
    ) -> None:
        self._group_of, self._cost, self._most, self._compiled = group_of, cost, most, compiled
        self._workers = workers
        self._waiting: dict[Hashable, list[int]] = {}
        for number in sorted(group_of, key=lambda number: (-cost[number], number)):
            self._waiting.setdefault(group_of[number], []).append(number)
        self._alone: list[int] = []
        self._suspect: set[int] = set()

    def answer(self, ask: Ask) -> int | Opening | None:
        """What a worker is to do next: None where there is no (such) run."""
        if ask.group is not None:
            waiting = self._waiting.get(ask.group)
            return waiting.pop(0) if waiting else None
        groups = [group for group, waiting in self._waiting.items() if waiting]
        if groups:
            group = max(groups, key=lambda group: sum(self._cost[number] for number in self._waiting[group]))
            waiting = self._waiting[group]
            slots = slots_of(len(waiting), self._most[group], len(groups), self._workers)
            return Opening(waiting.pop(0), group, slots, self._compiled[group])
        if self._alone:
            number = self._alone.pop()
            group = self._group_of[number]
            return Opening(number, group, 1, self._compiled[group])
        return None

    def take(self, message: Message, running: list[int], send: Callable[[Event], None]) -> int | Opening | None:
        """Answer a worker's `Ask`, pass on its other messages, and keep `running`, its runs, up to date."""
        if not isinstance(message, Ask):
            if not isinstance(message, Advanced):
                running.remove(message.number)
            send(message)
            return None
        reply = self.answer(message)
        if reply is not None:
            running.append(reply.number if isinstance(reply, Opening) else reply)
        return reply

    def died(self, numbers: Sequence[int]) -> list[int]:
        """Runs whose worker died: they are tried once more, each alone. Returns those that were tried again already."""
        guilty = [number for number in numbers if number in self._suspect]
        again = [number for number in numbers if number not in self._suspect]
        self._suspect.update(again)
        self._alone += reversed(again)
        return guilty

    def __bool__(self) -> bool:
        return bool(self._alone) or any(self._waiting.values())


def alone(worker: Worker, queue: Queue, send: Callable[[Event], None]) -> None:
    """Do all the queue's runs with one worker, here."""
    running: list[int] = []
    reply: Any = None
    while True:
        try:
            message = worker.send(reply)
        except StopIteration:
            return
        reply = queue.take(message, running, send)


def pooled(queue: Queue, processes: int, start: Callable[[], Worker], send: Callable[[Event], None]) -> None:
    """Do all the queue's runs in `processes` spawned processes that each run `start()`; it must be picklable."""
    context = multiprocessing.get_context("spawn")
    busy: dict[Connection, tuple[BaseProcess, list[int]]] = {}

    def hire() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, start), daemon=True)
        with no_program():
            process.start()
        theirs.close()
        busy[ours] = (process, [])

    def receive(connection: Connection) -> None:
        process, running = busy[connection]
        message: Message | None = None
        with contextlib.suppress(EOFError, OSError):
            message = connection.recv()
        if message is None:
            process.join()
            del busy[connection]
            for number in queue.died(running):
                send(Failed(number, f"the process that trained it ended with code {process.exitcode}"))
            if queue and process.exitcode:
                # A process that died before it had any run would die again and again.
                if not running:
                    raise RuntimeError(f"a process of the pool ended with code {process.exitcode} before any run")
                hire()
            return
        reply = queue.take(message, running, send)
        if isinstance(message, Ask):
            # A process that is dead by now is noticed at the next turn, by the end of its connection.
            with contextlib.suppress(OSError):
                connection.send(reply)

    try:
        for _ in range(processes):
            hire()
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                receive(connection)
    finally:
        for process, _ in busy.values():
            process.terminate()


def broken(error: Exception) -> Worker:
    """A worker that cannot start: whatever it is given fails for the same reason."""
    while (opening := (yield Ask())) is not None:
        yield failed(opening.number, error)


def _serve(connection: Connection, start: Callable[[], Worker]) -> None:
    with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        reply = None
        try:
            worker = start()
        except Exception as error:
            worker = broken(error)
        while True:
            try:
                message = worker.send(reply)
            except StopIteration:
                return
            connection.send(message)
            reply = connection.recv() if isinstance(message, Ask) else None
