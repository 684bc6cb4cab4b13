"""The command `goldsand report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from curate.places.store import place_of
from recipes.app.commands.options import FinishedRun
from recipes.app.terminal.console import friendly, out


def report(
    folder: FinishedRun,
    probe: Annotated[Path | None, typer.Option(help="the folder of a probe's results")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="the page; by default OUT/report.html")] = None,
) -> None:
    """Write the page that shows a run, with a probe's results if a folder of them is given."""
    from recipes.app.report.page import write_report

    with friendly():
        path = write_report(place_of(folder), probe, output)
    out.print(f"open {escape(str(path))}")
