"""The command `goldsand forget`."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.places.store import place_of
from recipes.app.commands.options import FinishedRun, Workers, screen_of_a_command
from recipes.app.terminal.console import err, friendly, harmless, out


def forget(
    folder: FinishedRun,
    what: Annotated[
        list[str], typer.Argument(help="a URL, a domain, an id, or a file with one a line", metavar="WHAT")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, and change nothing")] = False,
    workers: Workers = None,
) -> None:
    """Take documents out of a finished corpus: out of every file that it publishes, and of all later runs into OUT."""
    from recipes.app.api.runs import carried_out
    from recipes.app.recipe.of_run import run_again
    from recipes.app.recipe.removal import note, removal

    with friendly():
        place = place_of(folder)
        # Refused before the list says something that nobody carried out.
        job = run_again(place, workers, command="forget")
        asked = removal(place, what)
        for line, keys in asked.found.items():
            first = f", {keys[0]} the first" if len(keys) > 1 else f": {keys[0]}" if keys else ""
            out.print(harmless(f"{line}: {len(keys) or 'no'} document{'' if len(keys) == 1 else 's'}{first}"))
        if dry_run:
            return
        note(place, asked)
        job, screen = run_again(place, workers, command="forget"), screen_of_a_command()
        job.on_change, job.replace = screen.change, True
        carried_out(job, screen, page=True)
    sets = "".join(f", tokens/{one.name}" for one in job.publication.renderings)
    out.print(
        harmless(
            f"{folder}: {asked.documents} documents ({asked.characters} characters) are gone from text{sets} and ledger"
        )
    )
    err.print(
        harmless(
            f"they are still in the inputs, in what was made of {folder} elsewhere (publications, indexes, models), and"
            f" in {place / 'stages'} and {place / 'rounds'}, which are not published"
        )
    )
