"""The command `goldsand status`."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.places.store import place_of
from recipes.app.terminal.console import friendly, out


def status(folder: Annotated[str, typer.Argument(help="the folder of a run", metavar="OUT")]) -> None:
    """Say how far a run has come: from another terminal, while it works or afterwards."""
    from curate.run.status import read_status
    from recipes.app.terminal.tables import print_status

    with friendly():
        print_status(out, folder, read_status(place_of(folder)))
