"""The local engine: a pool of processes that maps units to manifests, and survives any document.

A worker holds one unit at a time and answers with its manifest, so no work queues up in the parent. In shared
memory it names the document in hand. A worker that stays on a document longer than the time-out, takes more memory than
it may, or dies, is replaced, and its unit tried again; when that happens a second time with the same document in hand,
`on_kill` writes it down, and from then on it is set aside. Time and memory only kill: they never decide anything else.
Time in which a worker waits for a core, or in which the whole machine is suspended, counts against no document.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from curate.errors import refusal
from curate.run.engine import OnKill, Progress, RunError, TaskError
from curate.run.fit_for_workers import never_began, packed, refuse_lost_program, unknown
from curate.run.group import UnitGroup
from curate.run.shared import Shared, SharedPulse
from curate.run.unit import CUTTING, ENDING, READING, Unit

POLL = 0.1
"""Seconds between two checks of the workers, unless one of them answers before."""

LATE = 2 * POLL
"""Most seconds that count between two checks: in a longer gap the machine was suspended, workers included."""

HOPELESS = 3
"""Deaths of a unit's workers with no document in hand after which the unit is given up, or else the input file that it
was reading; and deaths of workers without a unit, one after the other, after which the run is given up."""

PATIENCE = 10
"""How many time-outs reading may last without a sign of life: a slow disk or store is not a hanging document."""

OUT_OF_MEMORY = 86
"""The exit code of a worker that was refused memory."""

BACKSTOP = 1 << 30
"""Bytes above its limit at which the system refuses a worker more memory: for growth faster than the parent checks."""

PRELOADED = ["curate.run.corpus"]
"""The modules that every worker needs, without the libraries of steps. Only numpy's OpenBLAS starts threads, and it
ends them at a fork."""

_POLITE = {signal.SIGINT, signal.SIGTERM}


SOCKET = len("/pymp-01234567/listener-01234567\0")
"""Bytes that the server's socket has behind the folder for temporary files; Linux allows 108 for the whole address."""


def _has_room_for_a_server() -> bool:
    """Whether workers can be forked from a server: on Linux, where the address of its socket is not too long."""
    return sys.platform == "linux" and len(os.fsencode(tempfile.gettempdir())) + SOCKET <= 108


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay SIGINT and SIGTERM: a worker that is being started must not get them, nor be left half started."""
    # The tracker unblocks the signals when it starts, so it must start before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _POLITE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with_the_run() -> None:
    """Linux: a worker never outlives its run. A run that is killed cannot stop its workers, and they would write into
    the files of the next run. So the system itself kills a worker when the run's end of a pipe is closed."""
    run = multiprocessing.parent_process()
    assert run is not None
    ended = run.sentinel
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(ended, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(ended, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(ended, fcntl.F_SETFL, fcntl.fcntl(ended, fcntl.F_GETFL) | os.O_ASYNC)
    if wait([ended], timeout=0):
        os._exit(1)


def _work(channel: Any, shared: Shared, limit: int | None, environment: dict[str, str]) -> None:
    """The loop of a worker: take a unit, do it, answer. Ctrl-C is left to the parent."""
    _die_with_the_run()
    # The fork server's own environment is that of its start.
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _POLITE)
    if limit is not None:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit + BACKSTOP, resource.RLIM_INFINITY))
    pulse = SharedPulse(shared)
    pulse.hold(None)
    while True:
        try:
            task = channel.recv()
        except (EOFError, OSError):
            # The run has ended; either side of the channel may notice it first.
            return
        except Exception as error:
            channel.send(("system", unknown(error)))
            continue
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


class _Clock:
    """Seconds in which the parent checked its workers. A longer gap between two checks counts as `LATE`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._looked = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        self.seconds += min(now - self._looked, LATE)
        self._looked = now


class _Worker:
    """One process and the parent's view of it."""

    def __init__(self, context: Any, limit: int | None, clock: _Clock) -> None:
        self.shared = Shared(context)
        self.channel, theirs = context.Pipe()
        arguments = (theirs, self.shared, limit, dict(os.environ))
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.task: int | None = None
        self._clock = clock
        self._signs = 0
        self._before = (0, 0, 0)
        self._since: tuple[float, float] | None = None
        self._ran = self._waited = 0.0

    @property
    def in_hand(self) -> str:
        return self.shared.in_hand

    @property
    def started(self) -> bool:
        """Whether it could import what it needs, and was ready for units."""
        return self.shared.signs.value > 0

    def begin(self, task: int) -> None:
        self.task = task
        self._since = None
        self._before = self.shared.counts()

    def answer(self) -> tuple[str, Any] | None:
        """The answer that it sent; None before, and where it died while answering."""
        with contextlib.suppress(EOFError, OSError):
            if self.channel.poll():
                return self.channel.recv()
        return None

    def counts(self) -> tuple[int, int, int]:
        """Documents seen and kept, and bytes read, of the last unit it was given."""
        documents, kept, size = (now - before for now, before in zip(self.shared.counts(), self._before, strict=True))
        return documents, kept, size

    def memory(self) -> int:
        """Resident bytes, without the pages of mapped files; 0 where there is no /proc. The system can take those
        pages back at any time, and with them a big input would look like a big worker."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        sizes = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Rss"))
        return sum(int(sizes.get(name, "0 kB").split()[0]) << 10 for name in ("RssAnon", "RssShmem"))

    def _times(self) -> tuple[float, float]:
        """Seconds that it had a core, and the clock's seconds without those that it waited for one, as Linux counts
        both. The first grow in a busy hang, the second in a sleeping one; neither grows while it waits for a core."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            ran, waited, *_ = Path(f"/proc/{self.process.pid}/schedstat").read_text().split()
            self._ran, self._waited = int(ran) / 1e9, int(waited) / 1e9
        return self._ran, self._clock.seconds - self._waited

    def stalled(self, timeout: float) -> bool:
        """Whether the document in hand, or reading, has been without a sign of life for too long."""
        if self.shared.signs.value != self._signs:
            self._signs, self._since = self.shared.signs.value, None
            return False
        times = self._times()
        if self._since is None:
            self._since = times
        spent = max(now - since for now, since in zip(times, self._since, strict=True))
        return self.in_hand != "" and spent > patience(self.in_hand, timeout)

    def ending(self) -> str:
        """How a dead process ended, as the reason why its document is set aside."""
        code = self.process.exitcode or 0
        return f"killed its process ({signal.Signals(-code).name})" if code < 0 else f"ended its process (exit {code})"

    def stop(self) -> None:
        self.channel.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def patience(in_hand: str, timeout: float) -> float:
    """Seconds without a sign of life after which a worker is given up. Cutting takes as long as the file is big."""
    if in_hand == CUTTING:
        return math.inf
    return timeout * PATIENCE if in_hand in (READING, ENDING) else timeout


class LocalEngine:
    """Maps units to manifests on `workers` processes; results come in the order of the units.

    `timeout` is seconds for one document, without the time in which its process waited for a core; `memory` the
    megabytes of resident memory that a worker may take (None: any). `on_kill(unit, key, reason)` returns the unit to
    try again, which sets that document aside; where the key is READING, all that the unit would read.
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
        self._pool: list[_Worker] = []
        self._clock = _Clock()
        self._suspected: set[tuple[str, str]] = set()
        self._idle_deaths = 0

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._pool:
            worker.stop()
        self._pool.clear()

    def map(self, label: str, tasks: Sequence[Unit], on_kill: OnKill | None = None) -> list[dict[str, Any]]:
        """Run all units. Raises RunError when one fails for a reason that a person can put right, else TaskError."""
        group = UnitGroup(label, tasks, on_kill)
        self._staff(min(self.workers, len(tasks)))
        while not group.ended:
            for worker in list(self._pool):
                if worker.task is None and group.queue:
                    self._give(worker, group)
            busy = self._busy()
            wait([worker.channel for worker in busy] + [worker.process.sentinel for worker in busy], timeout=POLL)
            self._clock.tick()
            for worker in busy:
                self._settle(worker, group)
            group.progress.memory = self.peak_memory
            self._on_progress(group.count([worker.counts() for worker in self._busy()]))
        return group.manifests

    def _busy(self) -> list[_Worker]:
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

    def _hire(self) -> _Worker:
        with _uninterrupted():
            return _Worker(self._context, self._limit, self._clock)

    def _give(self, worker: _Worker, group: UnitGroup) -> None:
        """Hand the next unit to an idle worker, or replace a worker that died while it was idle."""
        unit = packed(group.units[group.queue[0]])
        worker.begin(group.queue[0])
        try:
            worker.channel.send_bytes(unit)
        except OSError:
            worker.task = None
            self._replace(worker)
            return
        group.queue.popleft()

    def _settle(self, worker: _Worker, group: UnitGroup) -> None:
        """Check a busy worker: it has answered, it is lost, or it is still working.

        Raises the error of a unit that failed, as `map` does.
        """
        number = worker.task
        assert number is not None
        answer = worker.answer()
        if answer is None:
            if lost := self._lost(worker):
                self._try_again(worker, group, *lost)
        elif answer[0] == "done":
            worker.task = None
            self._idle_deaths = 0
            group.add(number, answer[1], worker.counts())
        else:
            raise _error(group.units[number], answer)

    def _lost(self, worker: _Worker) -> tuple[str, str] | None:
        """Why a worker must be replaced, and what it had in hand when it ended; None while it is still working."""
        if not worker.process.is_alive():
            reason = self._too_much() if worker.process.exitcode == OUT_OF_MEMORY else worker.ending()
            return reason, worker.in_hand
        judged = worker.in_hand
        reason = self._excess(worker)
        if not reason:
            return None
        worker.stop()
        # If it went on to another document meanwhile, no document is to blame.
        return reason, judged if judged == worker.in_hand else ""

    def _excess(self, worker: _Worker) -> str:
        """How a living worker exceeds its memory or time; empty for one that may go on."""
        taken = worker.memory()
        self.peak_memory = max(self.peak_memory, taken)
        if self._limit is not None and taken > self._limit:
            return self._too_much()
        if worker.stalled(self._timeout):
            return f"took longer than {patience(worker.in_hand, self._timeout):g} s"
        return ""

    def _too_much(self) -> str:
        return f"needed more {'' if self._limit is None else f'than {self._limit >> 20} MB of '}memory"

    def _try_again(self, worker: _Worker, group: UnitGroup, reason: str, in_hand: str) -> None:
        """Replace a lost worker and queue its unit again: without the document in hand if that cost two workers."""
        number = worker.task
        assert number is not None
        unit = group.units[number]
        self._replace(worker)
        if not worker.started:
            # Nothing of the unit was begun.
            group.queue.appendleft(number)
            return
        if group.on_kill is None or in_hand in ("", READING, ENDING, CUTTING):
            group.deaths[number] += 1
            if (
                group.on_kill
                and in_hand in (READING, CUTTING)
                and unit.reads_input
                and group.deaths[number] == HOPELESS
            ):
                said = f"reading it {HOPELESS} times {self._reading_did(reason)}"
                group.units[number] = group.on_kill(unit, READING, said)
            else:
                self._hopeful(unit, reason, group.deaths[number])
        elif (unit.name, in_hand) in self._suspected:
            group.units[number] = group.on_kill(unit, in_hand, reason)
        else:
            # One death may not be the document's fault: someone killed the process, or earlier documents took the
            # memory.
            self._suspected.add((unit.name, in_hand))
        group.queue.appendleft(number)

    def _reading_did(self, reason: str) -> str:
        more = "; `engine.worker_memory` allows more" if reason == self._too_much() else ""
        return f"{reason.replace('its process', 'the process')}{more}"

    def _replace(self, worker: _Worker) -> None:
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
        raise TaskError(said)


def _error(task: Unit, answer: tuple[str, Any]) -> RunError | TaskError:
    kind, what = answer
    if kind == "system":
        return RunError(what)
    message, trace = what
    return TaskError(f"{task.name}: {message}\n{trace}")
