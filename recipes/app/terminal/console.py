"""What commands share of the terminal: its consoles, text made harmless, faults told in one message."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape


class _Terminal(Console):
    """A console whose reader may leave: what was done stays done, and its exit code stays the command's own."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


out = _Terminal(highlight=False, soft_wrap=True)
err = _Terminal(stderr=True, highlight=False, soft_wrap=True)

said: list[str] = []
"""The messages of `fail`."""


def printable(text: str) -> str:
    """Text of a crawl for the terminal: control sequences of its own take no effect."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def harmless(text: str) -> str:
    """The same for a console that reads markup: none of it takes effect either."""
    return escape(printable(text))


def fail(message: str, code: int = 2) -> NoReturn:
    """Say what was wrong and end the command with this exit code."""
    said.append(message)
    err.print(f"[bold red]goldsand:[/] {harmless(message)}")
    raise typer.Exit(code)


class friendly:
    """Turns what a user can put right into one message and exit code 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from curate.run.engine import RunError, TaskError

        if isinstance(error, TaskError):
            fail(f"a unit failed, which no document explains: {error}", 1)
        if isinstance(error, (RunError, ValueError)):
            fail(str(error))
        if isinstance(error, ModuleNotFoundError):
            fail(f"{error.name} is not installed; `pip install 'goldsand[probe]'` brings what the probe needs")
        if isinstance(error, OSError):
            fail(f"{error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        if isinstance(error, KeyboardInterrupt):
            fail("interrupted; the same command goes on from here", 130)
