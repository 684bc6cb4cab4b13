"""What commands share of the terminal: its consoles, text made harmless, refusals told in one message."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from curate.errors import refusal


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
    """Turns what a person can put right into one message and exit code 2; a fault of the program goes on to `main`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, KeyboardInterrupt):
            fail("interrupted; the same command goes on from here", 130)
        if error is not None and (message := refusal(error)) is not None:
            fail(message)
