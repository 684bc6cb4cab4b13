"""The command `goldsand why`."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.places.store import place_of
from recipes.app.commands.options import FinishedRun
from recipes.app.terminal.console import fail, friendly, out


def why(
    folder: FinishedRun,
    document: Annotated[str, typer.Argument(help="a document's key or URL", metavar="KEY-OR-URL")],
    blocks: Annotated[
        bool, typer.Option("--blocks", help="the page's blocks as the extractor blocks sees them, and what it keeps")
    ] = False,
) -> None:
    """Say what happened to one document: what each rule saw beside its threshold, each edit, and what dropped it or
    where it lies now."""
    from curate.audit.story import story
    from recipes.app.recipe.of_run import recipe_of
    from recipes.app.terminal.blocks import print_blocks
    from recipes.app.terminal.story import print_story

    with friendly():
        place = place_of(folder)
        events = list(story(place, document))
        if not events:
            fail(
                f"{folder} knows no document with the key or URL '{document}': a key is INPUT/FILE@PLACE, as `id` in"
                " text/ and the ledger have it; INPUT/FILE alone is what begins the file"
            )
        loaded = recipe_of(place)
        if blocks:
            print_blocks(out, events[0].key, loaded)
        else:
            print_story(out, events, loaded)
