"""Progress of a run: bars on a terminal and in a notebook, elsewhere a plain line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column

from curate.run.engine import Progress
from recipes.app.terminal.tables import amount, duration

EVERY = 5.0
"""Seconds between two plain lines."""

WIDE = 120
"""Columns of a terminal from which on there is room for long names and bars."""

SHORT = 0.5
"""A group of units that takes fewer seconds gets no line."""


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A function to call with each Progress, for as long as the run lasts. A notebook needs ipywidgets for bars."""
    if console.is_terminal and not (console.is_jupyter and find_spec("ipywidgets") is None):
        with _bars(console) as update:
            yield update
    else:
        yield _Lines(console)


def described(progress: Progress) -> str:
    """2 min left in all, 3/12 units, 12,345 documents (48 % kept), 312 MB of 890 MB, 830 documents/s: what a narrow
    terminal cuts off stands last."""
    words = []
    left = progress.left()
    if progress.run_left is not None:
        words.append(f"{duration(progress.run_left)} left in all")
    elif progress.done < progress.tasks and left is not None:
        words.append(f"{duration(left)} left")
    words.append(f"{progress.done:,}/{progress.tasks:,} units")
    if progress.documents:
        kept = progress.kept_share() or 0.0
        words.append(f"{progress.documents:,} documents ({min(kept, 1.0):.0%} kept)")
    # A small input is read faster than a person reads its figure.
    if progress.total_size >= 1e6:
        words.append(f"{amount(progress.size)} of {amount(progress.total_size)}")
    if progress.documents:
        words.append(f"{progress.rate():,.0f} documents/s")
    return ", ".join(words)


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[Progress], None]]:
    narrow = console.width < WIDE
    columns = (
        TextColumn("{task.description:<18.18}" if narrow else "{task.description:<28}"),
        BarColumn(bar_width=8 if narrow else 20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    with Bars(*columns, console=console) as bars:
        numbers: dict[int, TaskID] = {}
        # An id may be reused once its Progress is deleted, so all are kept.
        kept: list[Progress] = []

        def update(progress: Progress) -> None:
            number = numbers.get(id(progress))
            if number is None:
                number = bars.add_task(progress.label, total=1.0, words="")
                numbers[id(progress)] = number
                kept.append(progress)
            bars.update(number, completed=_share(progress), words=described(progress))

        yield update


def _share(progress: Progress) -> float:
    if progress.done == progress.tasks:
        return 1.0
    if progress.total_size:
        return min(progress.size / progress.total_size, 1.0)
    return progress.done / progress.tasks


class _Lines:
    """A line when a group of units begins to take long, every few seconds after, and when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._current: Progress | None = None
        self._said = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress is not self._current:
            self._current, self._said = progress, now
        ended = progress.done == progress.tasks
        if not (now - self._said >= EVERY or (ended and progress.seconds() >= SHORT)):
            return
        self._said = now
        self._console.print(f"{progress.label}: {described(progress)}, {duration(progress.seconds())}", highlight=False)
