"""Runs on several cores: one process a core, one thread each, for threads inside tiny models cost more than they give.

Which process trains a run changes nothing in its result. A process that dies costs its own run alone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

Report = Callable[[int, int, int, float], None]
Work = Callable[[int, Report], dict[str, Any]]
"""Trains the run of a number, reporting on the way; returns its figures."""


@dataclass(frozen=True)
class Advanced:
    """A run has come to `step` of `steps`, `tokens` tokens; `loss` in nats of the last batch."""

    number: int
    step: int
    steps: int
    tokens: int
    loss: float


@dataclass(frozen=True)
class Finished:
    """A run's figures."""

    number: int
    figures: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """A run that ended without figures, and why."""

    number: int
    error: str


Event = Advanced | Finished | Failed


def worked(number: int, work: Work, send: Callable[[Event], None]) -> None:
    """Do one run's work here and send what comes of it; what goes wrong in it is an event too."""
    try:
        figures = work(number, lambda step, steps, tokens, loss: send(Advanced(number, step, steps, tokens, loss)))
    except Exception as error:
        send(Failed(number, f"{type(error).__name__}: {error}"))
    else:
        send(Finished(number, figures))


def pooled(numbers: list[int], processes: int, start: Callable[[], Work], send: Callable[[Event], None]) -> None:
    """Do all runs' work in `processes` spawned processes that each call `start` once; it must be picklable."""
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(numbers))
    busy: dict[Connection, tuple[BaseProcess, int]] = {}

    def hire() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, start), daemon=True)
        process.start()
        theirs.close()
        assign(ours, process)

    def assign(connection: Connection, process: BaseProcess) -> None:
        busy[connection] = (process, waiting.pop())
        # A process that is dead by now is met again below, as the end of its connection.
        with contextlib.suppress(OSError):
            connection.send(busy[connection][1])

    try:
        for _ in range(min(processes, len(numbers))):
            hire()
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                process, number = busy[connection]
                try:
                    event: Event = connection.recv()
                except (EOFError, OSError):
                    process.join()
                    del busy[connection]
                    send(Failed(number, f"the process that trained it ended with code {process.exitcode}"))
                    if waiting:
                        hire()
                    continue
                if not isinstance(event, Advanced):
                    if waiting:
                        assign(connection, process)
                    else:
                        del busy[connection]
                        connection.close()  # the end of its input is the end of its work
                        process.join()
                send(event)
    finally:
        for process, _ in busy.values():
            process.terminate()


def _serve(connection: Connection, start: Callable[[], Work]) -> None:
    try:
        work: Work | None = None
        while True:
            number = connection.recv()
            try:
                work = work or start()
            except Exception as error:
                connection.send(Failed(number, f"{type(error).__name__}: {error}"))
            else:
                worked(number, work, connection.send)
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        pass
