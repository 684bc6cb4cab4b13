"""The command `goldsand export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from curate.places.store import place_of
from recipes.app.commands.options import FinishedRun
from recipes.app.terminal.console import friendly, harmless, out


class Trainer(StrEnum):
    """Whose format."""

    MEGATRON = "megatron"
    MDS = "mds"


def export(
    folder: FinishedRun,
    form: Annotated[Trainer, typer.Option(help="megatron: NAME.bin and NAME.idx; mds: shards of Mosaic's streaming")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a folder that is empty or not there")],
    tokens: Annotated[str | None, typer.Option(help="the token set; without it, mds has texts", metavar="NAME")] = None,
) -> None:
    """Write a corpus as other trainers read it."""
    from recipes.app.papers.export import export as written

    with friendly():
        made = written(place_of(folder), form.value, tokens, output)
    out.print(harmless(f"wrote {output}: " + ", ".join(f"{count:,} {what}" for what, count in made.items())))
