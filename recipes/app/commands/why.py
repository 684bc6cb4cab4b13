"""The command `goldsand why`."""

from __future__ import annotations

from typing import Annotated

import typer

from recipes.app.commands.options import FinishedRun
from recipes.app.terminal.console import friendly, out


def why(
    folder: FinishedRun,
    document: Annotated[str, typer.Argument(help="a document's key or URL", metavar="KEY-OR-URL")],
    blocks: Annotated[
        bool, typer.Option("--blocks", help="the page's blocks as the extractor blocks sees them, and what it keeps")
    ] = False,
) -> None:
    """Say what happened to one document: what each rule saw beside its threshold, each edit, and what dropped it or
    where it lies now."""
    from recipes.app.api.documents import why as story_of
    from recipes.app.terminal.blocks import print_blocks
    from recipes.app.terminal.story import print_story

    with friendly():
        told = story_of(folder, document)
        if blocks:
            print_blocks(out, told.events[0].key, told.recipe)
        else:
            print_story(out, told.events, told.recipe)
