"""The local engine: a pool of processes that maps units to manifests, and survives any document.

A worker holds one unit at a time and answers with its manifest, so nothing ever queues up in the parent. It tells, in
shared memory, which document it has in hand. One that stays on a document longer than the time-out, takes more memory
than it may, or dies, is replaced, and its unit tried again; when that happens a second time with the same document in
hand, `on_kill` writes it down, and from then on it is set aside. Time and memory only kill: they never decide anything
else.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from curate.errors import refusal
from curate.run.engine import OnKill, Progress, RunError, TaskError
from curate.run.unit import READING, Pulse, Unit

KEY_BYTES = 1 << 14
"""Room for the longest path there is, escaped, and an offset."""

POLL = 0.1
HOPELESS = 3
"""Deaths of a unit outside any document after which it is given up."""

PATIENCE = 10
"""Reading may stand still for so many time-outs: a disk or a store that is slow is no document that hangs."""

OUT_OF_MEMORY = 86
"""The exit code of a worker that was refused memory."""

BACKSTOP = 1 << 30
"""Bytes above its limit at which the system refuses a worker more: for what grows faster than the parent looks."""

PRELOADED = ["curate.run.corpus"]
"""What every worker needs, and no step's library. numpy's OpenBLAS alone starts threads, and ends them at a fork."""

_POLITE = {signal.SIGINT, signal.SIGTERM}


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Requests to end wait: a worker that is being started must not get them, nor be left half made."""
    # It unblocks the signals when it starts, so it must have been started before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _POLITE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with_the_run() -> None:
    """Linux: a worker never outlives its run. One that is killed cannot stop its workers, and what they wrote on would
    meet what the next run writes. So the system itself kills a worker when the run's end of a pipe is closed."""
    run = multiprocessing.parent_process()
    assert run is not None
    ended = run.sentinel
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(ended, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(ended, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(ended, fcntl.F_SETFL, fcntl.fcntl(ended, fcntl.F_GETFL) | os.O_ASYNC)
    if wait([ended], timeout=0):
        os._exit(1)


def _work(channel: Any, shared: _Shared, limit: int | None, environment: dict[str, str]) -> None:
    """A worker's whole life: take a unit, do it, answer. Ctrl-C is the parent's business."""
    _die_with_the_run()
    # That of the server is as old as the server.
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _POLITE)
    if limit is not None:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit + BACKSTOP, resource.RLIM_INFINITY))
    pulse = _SharedPulse(shared)
    while True:
        try:
            task = channel.recv()
        except (EOFError, OSError):
            # The run has ended, on whichever side of the channel this is noticed.
            return
        if task is None:
            return
        answer: tuple[str, Any]
        try:
            pulse.hold(None)
            answer = ("done", task.run(pulse))
        except MemoryError:
            # The document stays in hand, where the parent finds it.
            os._exit(OUT_OF_MEMORY)
        except Exception as error:
            said = refusal(error)
            where = f" (in hand: {shared.in_hand})" if shared.in_hand else ""
            fault = (f"{error!r}{where}", traceback.format_exc())
            answer = ("failed", fault) if said is None else ("system", said)
        pulse.hold(None)
        try:
            channel.send(answer)
        except OSError:
            return


class _Shared:
    """What a worker and the parent both see: the document in hand, a counter of signs of life, and what was done."""

    def __init__(self, context: Any) -> None:
        self.key = context.RawArray("c", KEY_BYTES)
        self.signs = context.RawValue("Q", 0)
        self.documents = context.RawValue("Q", 0)
        self.kept = context.RawValue("Q", 0)
        self.size = context.RawValue("Q", 0)

    @property
    def in_hand(self) -> str:
        return bytes(self.key.value).decode("utf-8", "replace")

    def counts(self) -> tuple[int, int, int]:
        return self.documents.value, self.kept.value, self.size.value


class _SharedPulse(Pulse):
    def __init__(self, shared: _Shared) -> None:
        self._key, self._signs = shared.key, shared.signs
        self._documents, self._kept, self._size = shared.documents, shared.kept, shared.size

    def hold(self, document: str | None) -> None:
        data = (document or "").encode("utf-8", "replace")[: KEY_BYTES - 1]
        self._key[: len(data) + 1] = data + b"\0"
        self._signs.value += 1

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        self._documents.value += documents
        self._kept.value += kept
        self._size.value += size
        self._signs.value += 1


class _Worker:
    """One process and what the parent sees of it."""

    def __init__(self, context: Any, limit: int | None) -> None:
        self.shared = _Shared(context)
        self.channel, theirs = context.Pipe()
        arguments = (theirs, self.shared, limit, dict(os.environ))
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.task: int | None = None
        self._signs = 0
        self._before = (0, 0, 0)
        self._since = time.monotonic()

    @property
    def in_hand(self) -> str:
        return self.shared.in_hand

    def begin(self, task: int) -> None:
        self.task = task
        self._since = time.monotonic()
        self._before = self.shared.counts()

    def done(self) -> tuple[int, int, int]:
        """Documents seen and kept, and bytes read, of the last unit it was given."""
        documents, kept, size = (now - before for now, before in zip(self.shared.counts(), self._before, strict=True))
        return documents, kept, size

    def memory(self) -> int:
        """Resident bytes of its own; 0 where the system does not tell (no /proc). Pages of the files that it has mapped
        are not its own: the system takes them back whenever it likes, and a big input would look like a big worker."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        found = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Rss"))
        return sum(int(found.get(name, "0 kB").split()[0]) << 10 for name in ("RssAnon", "RssShmem"))

    def stalled(self, timeout: float) -> bool:
        """Whether the document in hand, or reading, has been without a sign of life for too long."""
        now = time.monotonic()
        if self.shared.signs.value != self._signs:
            self._signs, self._since = self.shared.signs.value, now
            return False
        if self.in_hand == READING:
            timeout *= PATIENCE
        return self.in_hand != "" and now - self._since > timeout

    def stop(self) -> None:
        self.channel.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


class LocalEngine:
    """Maps units to manifests on `workers` processes; results come in the order of the units.

    `timeout` is seconds of wall clock for one document, `memory` the megabytes of resident memory that a worker may
    take (None: any). `on_kill(unit, key, reason)` returns the unit to try again, which sets that document aside.
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
        # loaded the engine and nothing else forks them, and serves later runs of this process too: a worker, or one in
        # the place of a dead one, starts in a ninth of the time. Only Linux promises that this is sound.
        self._context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        self._context.set_forkserver_preload(PRELOADED)
        self._pool: list[_Worker] = []
        self._suspected: set[tuple[str, str]] = set()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._pool:
            worker.stop()
        self._pool.clear()

    def map(self, label: str, tasks: Sequence[Unit], on_kill: OnKill | None = None) -> list[dict[str, Any]]:
        """Run all units. Raises RunError when one fails for a reason that a person can put right, else TaskError."""
        pending = list(tasks)
        sizes = [task.size() for task in pending]
        results: list[dict[str, Any] | None] = [None] * len(pending)
        deaths = [0] * len(pending)
        queue = deque(range(len(pending)))
        progress = Progress(label, len(pending), sum(sizes))
        finished = [0, 0, 0]
        while len(self._pool) < min(self.workers, len(pending)):
            with _uninterrupted():
                self._pool.append(_Worker(self._context, self._limit))
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
                key = worker.in_hand
                if answer is not None and answer[0] == "done":
                    manifest = results[number] = answer[1]
                    worker.task = None
                    progress.finished += 1
                    documents, kept, _ = worker.done()
                    finished = [finished[0] + documents, finished[1] + kept, finished[2] + sizes[number]]
                    if manifest.get("skipped_unit"):
                        progress.found += 1
                        progress.found_size += sizes[number]
                elif answer is not None:
                    raise _error(pending[number], answer)
                elif reason := self._verdict(worker):
                    self._replace(worker)
                    # One that went on to another document while it was judged is nobody's to blame.
                    blamed = key if key == worker.in_hand and key not in ("", READING) and on_kill else None
                    deaths[number] += blamed is None
                    if blamed is None:
                        self._hopeful(pending[number], reason, deaths[number])
                    elif (pending[number].name, blamed) in self._suspected:
                        assert on_kill is not None
                        pending[number] = on_kill(pending[number], blamed, reason)
                    else:
                        # Once may be no fault of the document's: somebody killed the process, the machine stood still
                        # for a while, or memory was taken by documents before it.
                        self._suspected.add((pending[number].name, blamed))
                    queue.appendleft(number)
            # Of a unit that is tried again, what was done before does not count.
            current = [worker.done() for worker in self._pool if worker.task is not None]
            progress.documents, progress.kept, progress.size = map(sum, zip(finished, *current, strict=True))
            if progress.finished == progress.tasks:
                progress.ended = time.monotonic()
            self._on_progress(progress)
        return [result for result in results if result is not None]

    def _give(self, worker: _Worker, queue: deque[int], pending: Sequence[Unit]) -> None:
        """Hand the next unit to an idle worker, or replace a worker that died while it was idle."""
        worker.begin(queue[0])
        try:
            worker.channel.send(pending[queue[0]])
        except OSError:
            self._replace(worker)
            return
        queue.popleft()

    @staticmethod
    def _answer(worker: _Worker) -> tuple[str, Any] | None:
        # One that died while it answered leaves half an answer.
        with contextlib.suppress(EOFError, OSError):
            if worker.channel.poll():
                return worker.channel.recv()
        return None

    def _verdict(self, worker: _Worker) -> str:
        """Why this worker must be replaced, or nothing."""
        if not worker.process.is_alive():
            code = worker.process.exitcode or 0
            if code == OUT_OF_MEMORY:
                return self._too_much()
            return (
                f"killed its process ({signal.Signals(-code).name})" if code < 0 else f"ended its process (exit {code})"
            )
        taken = worker.memory()
        self.peak_memory = max(self.peak_memory, taken)
        if self._limit is not None and taken > self._limit:
            return self._too_much()
        if worker.stalled(self._timeout):
            return f"took longer than {self._timeout * (PATIENCE if worker.in_hand == READING else 1):g} s"
        return ""

    def _too_much(self) -> str:
        return f"needed more {'' if self._limit is None else f'than {self._limit >> 20} MB of '}memory"

    def _replace(self, worker: _Worker) -> None:
        worker.stop()
        with _uninterrupted():
            self._pool[self._pool.index(worker)] = _Worker(self._context, self._limit)

    def _hopeful(self, unit: Unit, reason: str, deaths: int) -> None:
        """Raise when a unit has cost too many workers their lives outside any document."""
        if deaths < HOPELESS:
            return
        said = f"{unit.name}: its worker {reason} {deaths} times, outside any document"
        if reason == self._too_much():
            raise RunError(
                f"{said}: allow more with `engine.worker_memory`, or cut the work smaller with `engine.split` or more"
                " `engine.buckets`"
            )
        if reason.startswith("ended its process"):
            said += ". A script that runs a corpus needs `if __name__ == '__main__':` around the call"
        raise TaskError(said)


def _error(task: Unit, answer: tuple[str, Any]) -> RunError | TaskError:
    kind, what = answer
    if kind == "system":
        return RunError(what)
    message, trace = what
    return TaskError(f"{task.name}: {message}\n{trace}")
