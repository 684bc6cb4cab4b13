"""How a call speaks while it works: bars in a notebook and on a terminal, plain lines elsewhere, or not at all.

What a person must know is a Python warning, and is said in any case.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.run.engine import Progress
    from curate.run.standing import Change

Shown = Callable[[], AbstractContextManager["Callable[[Progress], None] | None"]]
"""Opens a display of one run's progress; gives the function to call with each Progress."""


@dataclass(frozen=True)
class Screen:
    """`progress` is entered for each run, `change` called with what a run changes of a finished corpus, `warn` with a
    sentence on what is left out; `quiet` is whether training is silent."""

    progress: Shown
    change: Callable[[Change], None]
    warn: Callable[[str], None]
    quiet: bool = False


def screen_of(quiet: bool) -> Screen:
    """The screen of a call from Python."""

    def warn(message: str) -> None:
        warnings.warn(message, stacklevel=3)

    if quiet:
        return Screen(nullcontext, lambda change: None, warn, quiet=True)

    def progress() -> Any:
        from recipes.app.terminal.console import err
        from recipes.app.terminal.progress import shown

        return shown(err)

    def change(change: Change) -> None:
        from recipes.app.terminal.change import say_change

        say_change(change)

    return Screen(progress, change, warn)
