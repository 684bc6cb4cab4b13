"""The command `goldsand report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from curate.places.store import place_of
from recipes.app.terminal.console import friendly, out


def report(
    folder: Annotated[
        str,
        typer.Argument(
            help="the folder of a finished run, profile, probe or comparison, or a folder of them", metavar="OUT"
        ),
    ],
    probe: Annotated[Path | None, typer.Option(help="the folder of a probe's results, for the page of a run")] = None,
    profile: Annotated[
        Path | None,
        typer.Option(help="the folder of a profile of the run's recipe: what other thresholds would keep"),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="the page; by default OUT/report.html")] = None,
) -> None:
    """Write the page of a run, with a probe's results or a profile beside it, or one page of a folder of runs."""
    from recipes.app.recipe.own_output import refuse_to_replace_others
    from recipes.app.report.folder import write_page

    with friendly():
        if output is not None:
            refuse_to_replace_others(output, "page")
        path = write_page(place_of(folder), probe, output, None if profile is None else place_of(str(profile)))
    out.print(f"open {escape(str(path))}")
