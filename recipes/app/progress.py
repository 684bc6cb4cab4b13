"""Progress of a run for a person: bars on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from curate.run.engine import Progress

EVERY = 5.0
"""Seconds between two plain lines."""

SHORT = 0.5
"""Seconds below which work without documents is not worth a line."""


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A function to call with each Progress, for as long as the run lasts."""
    if console.is_terminal:
        with _bars(console) as update:
            yield update
    else:
        yield _Lines(console)


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[Progress], None]]:
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[documents]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        numbers: dict[int, TaskID] = {}

        def update(progress: Progress) -> None:
            number = numbers.get(id(progress))
            documents = f"{progress.documents:,} documents" if progress.documents else ""
            if number is None:
                number = bars.add_task(progress.label, total=progress.tasks, documents=documents)
                numbers[id(progress)] = number
                kept.append(progress)
            bars.update(number, completed=progress.finished, documents=documents)

        # An id names a Progress only while it lives.
        kept: list[Progress] = []
        yield update


class _Lines:
    """A line when a group of units begins to take long, every few seconds after, and when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._current: Progress | None = None
        self._started = self._said = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress is not self._current:
            self._current, self._started, self._said = progress, now, now
        ended = progress.finished == progress.tasks
        seconds = now - self._started
        if not (now - self._said >= EVERY or (ended and (progress.documents or seconds >= SHORT))):
            return
        self._said = now
        documents = f", {progress.documents:,} documents" if progress.documents else ""
        self._console.print(
            f"{progress.label}: {progress.finished}/{progress.tasks} units{documents}, {seconds:.0f} s", highlight=False
        )
