"""The command `goldsand contamination`."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.errors import Refused
from curate.places.store import place_of
from recipes.app.commands.options import FinishedRun
from recipes.app.terminal.console import friendly, out


def contamination(
    folder: FinishedRun,
    questions: Annotated[str | None, typer.Option(help="where the test sets are now", metavar="PATH")] = None,
    hits: Annotated[int, typer.Option(min=0, help="how many hits and items are shown")] = 10,
    item: Annotated[str | None, typer.Option(help="only hits of this item", metavar="FILE:LINE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print everything as JSON")] = False,
) -> None:
    """Show the test items that were found: by benchmark, by item, and each beside the passage it was found in."""
    from curate.audit.contamination import found_in
    from recipes.app.recipe.of_run import decontaminate_steps
    from recipes.app.terminal.contamination import json_of, print_contamination

    with friendly():
        place = place_of(folder)
        found = list(found_in(place))
        steps = decontaminate_steps(place, questions)
        if not steps:
            raise Refused(f"the recipe of {folder} has no step `decontaminate`")
        if as_json:
            out.out(json_of(found, steps), highlight=False)
        else:
            print_contamination(out, found, steps, hits, item)
