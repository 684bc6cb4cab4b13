"""The command `goldsand status`."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.places.store import place_of
from recipes.app.terminal.console import friendly, harmless, out


def status(
    folder: Annotated[str, typer.Argument(help="the folder of a run", metavar="OUT")],
    why: Annotated[
        bool, typer.Option("--why", help="read inputs and outputs, and say what is not done, and why; writes nothing")
    ] = False,
) -> None:
    """Say how far a run has come: from another terminal, while it works or afterwards."""
    from curate.run.status import read_status
    from recipes.app.recipe.of_run import run_as_begun
    from recipes.app.recipe.planned_units import by_label, planned
    from recipes.app.report.missing import not_made
    from recipes.app.terminal.shards import print_in_hand, print_shards
    from recipes.app.terminal.tables import print_plan, print_status

    with friendly():
        place = place_of(folder)
        said = read_status(place)
        print_status(out, folder, said)
        print_shards(out, said.get("shards", ()))
        print_in_hand(out, said)
        if said["state"] == "finished" and not said["alive"]:
            for line in not_made(place):
                out.print(harmless(line))
        if why:
            job = run_as_begun(place)
            print_plan(out, job, by_label(planned(job)), None)
