"""The local engine: a pool of processes that maps tasks to manifests, and survives any document.

A worker tells, in shared memory, which document it has in hand and since when. One that stays on a document longer than
the time-out is killed; one that dies is replaced. Either way `on_kill` writes the document down, the task is tried
again, and this time the document is set aside. Time only kills: it never decides anything else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from curate.run.unit import READING, Pulse, Unit

KEY_BYTES = 1024
POLL = 0.2
HOPELESS = 3
"""Deaths of a task outside any document after which it is given up."""


class RunError(Exception):
    """A run cannot go on: what failed, and what would help."""


class TaskError(RunError):
    """A unit failed in a way that no document explains."""


@dataclass
class Progress:
    """What the parent knows of a running group of tasks, for a bar or a line of log."""

    label: str
    tasks: int
    finished: int = 0
    documents: int = 0


def _work(channel: Connection, key: Any, counter: Any, documents: Any) -> None:
    """A worker's whole life: take a task, do it, answer. Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pulse = _SharedPulse(key, counter, documents)

    while True:
        try:
            task = channel.recv()
        except EOFError:
            return
        if task is None:
            return
        try:
            pulse.hold(None)
            answer: tuple[str, Any] = ("done", task.run(pulse))
        except OSError as error:
            answer = ("system", f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        except Exception as error:
            # The house's own errors are written for a person; anything else is a fault, shown with its traceback.
            told = isinstance(error, ValueError) and type(error).__module__.partition(".")[0] in ("curate", "synth")
            answer = ("system", str(error)) if told else ("failed", (repr(error), traceback.format_exc()))
        pulse.hold(None)
        channel.send(answer)


class _SharedPulse(Pulse):
    """A pulse in shared memory, where the parent sees it."""

    def __init__(self, key: Any, counter: Any, documents: Any) -> None:
        self._key, self._counter, self._documents = key, counter, documents

    def hold(self, document: str | None) -> None:
        data = (document or "").encode("utf-8", "replace")[: KEY_BYTES - 1]
        self._key[: len(data) + 1] = data + b"\0"
        self._counter.value += 1

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        self._documents.value += documents


class _Worker:
    """One process and what the parent sees of it."""

    def __init__(self, context: Any) -> None:
        self.key = context.RawArray("c", KEY_BYTES)
        self.counter = context.RawValue("Q", 0)
        self.documents = context.RawValue("Q", 0)
        self.channel, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, self.key, self.counter, self.documents), daemon=True)
        self.process.start()
        theirs.close()
        self.task: int | None = None
        self.seen = 0
        self.counted = 0
        self.since = time.monotonic()

    @property
    def in_hand(self) -> str:
        return bytes(self.key.value).decode("utf-8", "replace")

    def stop(self) -> None:
        self.channel.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


class LocalEngine:
    """Maps tasks to manifests on `workers` processes; results come in the order of the tasks.

    `timeout` is seconds of wall clock for one document. `on_kill(task, key, reason)` returns the task to try again,
    which sets that document aside.
    """

    def __init__(self, workers: int, timeout: float, on_progress: Callable[[Progress], None] | None = None) -> None:
        self.workers = workers
        self.timeout = timeout
        self._on_progress = on_progress or (lambda progress: None)
        # Spawned, not forked: a worker never inherits threads, locks or the state of a library.
        self._context = multiprocessing.get_context("spawn")
        self._pool: list[_Worker] = []

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._pool:
            worker.stop()
        self._pool.clear()

    def map(
        self, label: str, tasks: Sequence[Unit], on_kill: Callable[[Unit, str, str], Unit] | None = None
    ) -> list[dict[str, Any]]:
        """Run all tasks. Raises TaskError when a unit fails for a reason that is not one document's."""
        pending = list(tasks)
        results: list[dict[str, Any] | None] = [None] * len(pending)
        deaths = [0] * len(pending)
        queue = deque(range(len(pending)))
        progress = Progress(label, len(pending))
        while len(self._pool) < min(self.workers, len(pending)):
            self._pool.append(_Worker(self._context))
        while progress.finished < len(pending):
            for worker in list(self._pool):
                if worker.task is None and queue:
                    self._give(worker, queue, pending)
            busy = [worker for worker in self._pool if worker.task is not None]
            wait([worker.channel for worker in busy] + [worker.process.sentinel for worker in busy], timeout=POLL)
            for worker in busy:
                number = worker.task
                assert number is not None
                answer = self._answer(worker)
                progress.documents += self._documents(worker)
                if answer is not None and answer[0] == "done":
                    results[number] = answer[1]
                    worker.task = None
                    progress.finished += 1
                elif answer is not None:
                    raise _error(pending[number], answer)
                elif reason := self._verdict(worker):
                    deaths[number] += 1
                    pending[number] = _spared(pending[number], worker.in_hand, reason, deaths[number], on_kill)
                    self._replace(worker)
                    queue.appendleft(number)
            self._on_progress(progress)
        return [result for result in results if result is not None]

    def _give(self, worker: _Worker, queue: deque[int], pending: Sequence[Unit]) -> None:
        """Hand the next unit to an idle worker, or replace a worker that died while it was idle."""
        try:
            worker.channel.send(pending[queue[0]])
        except OSError:
            self._replace(worker)
            return
        worker.task = queue.popleft()
        worker.since = time.monotonic()

    @staticmethod
    def _answer(worker: _Worker) -> tuple[str, Any] | None:
        with contextlib.suppress(EOFError, ConnectionResetError):
            if worker.channel.poll():
                return worker.channel.recv()
        return None

    @staticmethod
    def _documents(worker: _Worker) -> int:
        """Documents since the last look."""
        counted = worker.documents.value
        new, worker.counted = counted - worker.counted, counted
        return new

    def _verdict(self, worker: _Worker) -> str:
        """Why this worker must be replaced, or nothing."""
        if not worker.process.is_alive():
            code = worker.process.exitcode or 0
            return (
                f"killed its process ({signal.Signals(-code).name})" if code < 0 else f"ended its process (exit {code})"
            )
        now = time.monotonic()
        if worker.counter.value != worker.seen:
            worker.seen, worker.since = worker.counter.value, now
        elif worker.in_hand not in ("", READING) and now - worker.since > self.timeout:
            return f"took longer than {self.timeout:g} s"
        return ""

    def _replace(self, worker: _Worker) -> None:
        worker.stop()
        self._pool[self._pool.index(worker)] = _Worker(self._context)


def _spared(unit: Unit, key: str, reason: str, deaths: int, on_kill: Callable[[Unit, str, str], Unit] | None) -> Unit:
    """The unit to try again after it cost a worker its life: without the document in hand, if there was one."""
    if key not in ("", READING) and on_kill is not None:
        return on_kill(unit, key, reason)
    if deaths >= HOPELESS:
        raise TaskError(
            f"{unit.name}: its worker {reason} {deaths} times, outside any document. A script that runs a corpus needs"
            " `if __name__ == '__main__':` around the call"
        )
    return unit


def _error(task: Unit, answer: tuple[str, Any]) -> RunError:
    kind, what = answer
    if kind == "system":
        return RunError(what)
    message, trace = what
    return TaskError(f"{task.name}: {message}\n{trace}")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Treat a polite request to end (SIGTERM) like Ctrl-C, so that workers are stopped and the lock is given back."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may handle signals; a run started from another one ends with its process.
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def all_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
