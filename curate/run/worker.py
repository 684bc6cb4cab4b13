"""One process of the local engine, and the engine's view of it: the document in hand, and what it takes.

The limit on a document's time counts the seconds that its worker had a processor. One that sleeps (it waits for a lock,
a disk, a service) has `ASLEEP` times as long by the clock, and no longer. What is no document's doing counts against
none: waiting for a core, a machine that is suspended, a process that somebody stopped (SIGSTOP) and continued.
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
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from curate.errors import refusal
from curate.run.fit_for_workers import unknown
from curate.run.shared import Shared, SharedPulse
from curate.run.unit import CUTTING, ENDING, is_reading

POLL = 0.1
"""Seconds between two checks of the workers, unless one of them answers before."""

LATE = 2 * POLL
"""Most seconds that count between two checks: in a longer gap the machine was suspended, workers included."""

PATIENCE = 10
"""How many time-outs reading may last without a sign of life: a slow disk or store is not a hanging document."""

ASLEEP = 4
"""How many time-outs a document may last by the clock, where its worker uses no processor: something holds it up, which
may pass."""

OUT_OF_MEMORY = 86
"""The exit code of a worker that was refused memory."""

BACKSTOP = 1 << 30
"""Bytes above its limit at which the system refuses a worker more memory: for growth faster than the parent checks."""

PRELOADED = ["curate.run.corpus"]
"""The modules that every worker needs, without the libraries of steps. Only numpy's OpenBLAS starts threads, and it
ends them at a fork."""

SOCKET = len("/pymp-01234567/listener-01234567\0")
"""Bytes that the server's socket has behind the folder for temporary files; Linux allows 108 for the whole address."""


def _has_room_for_a_server() -> bool:
    """Whether workers can be forked from a server: on Linux, where the address of its socket is not too long."""
    return sys.platform == "linux" and len(os.fsencode(tempfile.gettempdir())) + SOCKET <= 108


def context_of_workers() -> Any:
    """How workers start. Never forked from this process: a worker inherits no threads, locks or state of a library. A
    server that has loaded only the engine forks them, and serves later runs of this process too: a worker, or its
    replacement, starts in a ninth of the time. Only Linux promises that this is sound."""
    context: Any = multiprocessing.get_context("forkserver" if _has_room_for_a_server() else "spawn")
    context.set_forkserver_preload(PRELOADED)
    return context


_POLITE = {signal.SIGINT, signal.SIGTERM}


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
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


class Clock:
    """Seconds in which the parent checked its workers. A longer gap between two checks counts as `LATE`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._looked = time.monotonic()

    def tick(self) -> None:
        now = time.monotonic()
        self.seconds += min(now - self._looked, LATE)
        self._looked = now


class Worker:
    """One process and the parent's view of it."""

    def __init__(self, context: Any, limit: int | None, clock: Clock) -> None:
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
        self._stopped, self._looked = 0.0, clock.seconds
        self._still = False

    def on_clock(self, clock: Clock) -> None:
        """From here on another clock counts the seconds."""
        self._clock = clock
        self._since, self._still = None, False
        self._stopped, self._looked = 0.0, clock.seconds

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

    def look(self) -> int:
        """Resident bytes, without the pages of mapped files; 0 where there is no /proc. The system can take those
        pages back at any time, and with them a big input would look like a big worker.

        Notes whether the process is stopped, too: time from one look to the next is not its own where it was stopped at
        either.
        """
        try:
            text = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        status = dict(line.split(":", 1) for line in text.splitlines() if line.startswith(("Rss", "State")))
        still = status.get("State", "").strip()[:1] in ("T", "t")
        if still or self._still:
            self._stopped += self._clock.seconds - self._looked
        self._still, self._looked = still, self._clock.seconds
        return sum(int(status.get(name, "0 kB").split()[0]) << 10 for name in ("RssAnon", "RssShmem"))

    def _times(self) -> tuple[float, float]:
        """Seconds that it had a core, and the clock's seconds without those that it waited for one, as Linux counts
        both, or was stopped. The first grow in a busy hang, the second in a sleeping one too; neither grows while it
        waits for a core. Where the system counts neither, the clock stands for both."""
        clock = self._clock.seconds - self._stopped
        if not self.processor_seconds():
            return clock, clock
        return self._ran, clock - self._waited

    def processor_seconds(self) -> float:
        """Seconds that it had a core so far, as Linux counts them; 0 where the system does not."""
        with contextlib.suppress(OSError, ValueError):
            ran, waited, *_ = Path(f"/proc/{self.process.pid}/schedstat").read_text().split()
            self._ran, self._waited = int(ran) / 1e9, int(waited) / 1e9
        return self._ran

    def overdue(self, timeout: float) -> float | None:
        """The bound that the document in hand, or reading, has exceeded without a sign of life; None where it may go
        on."""
        if self.shared.signs.value != self._signs:
            self._signs, self._since = self.shared.signs.value, None
            return None
        times = self._times()
        if self._since is None:
            self._since = times
        for now, since, bound in zip(times, self._since, bounds(self.in_hand, timeout), strict=True):
            if now - since > bound and self.in_hand:
                return bound
        return None

    def ending(self) -> str:
        """How a dead process ended, as the reason why its document is set aside."""
        code = self.process.exitcode or 0
        return f"killed its process ({signal.Signals(-code).name})" if code < 0 else f"ended its process (exit {code})"

    def stop(self) -> None:
        self.channel.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def bounds(in_hand: str, timeout: float) -> tuple[float, float]:
    """Seconds of a processor, and by the clock, without a sign of life after which a worker is given up. Cutting takes
    as long as the file is big."""
    if in_hand == CUTTING:
        return math.inf, math.inf
    if in_hand == ENDING or is_reading(in_hand):
        return timeout * PATIENCE, timeout * PATIENCE
    return timeout, timeout * ASLEEP
