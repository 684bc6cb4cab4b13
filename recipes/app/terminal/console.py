"""The consoles of all commands, the escaping of text, and the message of a refusal."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from curate.errors import Unchecked, printable, refusal


class _Terminal(Console):
    """A console that shows control characters and obeys none, whoever forgot to escape them (a label, a recipe, an
    index, a status file). Its reader may close the pipe (`| head`): the command goes on, and keeps its own exit code.
    """

    teller: Callable[[str], None] | None = None
    """Where messages go in place of the screen, as plain text."""

    def print(self, *objects: Any, **how: Any) -> None:
        if self.teller is None:
            super().print(*objects, **how)
        else:
            self.teller(" ".join(Text.from_markup(str(one)).plain for one in objects))

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(printable(text), **how)

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            # Segments with `control` are the console's own: moving the cursor for a bar.
            plain = segment.control or segment.text.isprintable()
            yield segment if plain else Segment(printable(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


out = _Terminal(highlight=False, soft_wrap=True)
err = _Terminal(stderr=True, highlight=False, soft_wrap=True)

said: list[str] = []
"""The messages of `fail`."""


def harmless(text: str) -> str:
    """The same for a console that reads markup, which is escaped too."""
    return escape(printable(text))


def fail(message: str, code: int = 2) -> NoReturn:
    """Print what is wrong and end the command with this exit code."""
    said.append(message)
    err.print(f"[bold red]goldsand:[/] {harmless(message)}")
    raise typer.Exit(code)


class friendly:
    """Turns a refusal into one message and exit code 2; a fault of the program is left to `main`. What nobody can check
    is said in one line each."""

    def __enter__(self) -> None:
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("always", Unchecked)
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, Unchecked):
                err.print(f"[bold yellow]warning:[/] {harmless(str(message))}")
            else:
                shown(message, category, *where, **more)

        warnings.showwarning = show

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._caught.__exit__(None, None, None)
        if isinstance(error, KeyboardInterrupt):
            fail("interrupted; the same command goes on from here", 130)
        if error is not None and (message := refusal(error)) is not None:
            fail(message)
