"""The commands `goldsand card` and `goldsand publish`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from curate.errors import Refused
from curate.places.store import place_of
from recipes.app.commands.options import FinishedRun
from recipes.app.terminal.console import friendly, harmless, out


class Form(StrEnum):
    """Who reads the paper."""

    HF = "hf"
    CROISSANT = "croissant"
    EU = "eu"


def card(
    folder: FinishedRun,
    form: Annotated[Form, typer.Option(help="hf: README.md; croissant: croissant.json; eu: eu-summary.md")] = Form.HF,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder to write into")] = Path("papers"),
) -> None:
    """Write a paper of a corpus from its run: a dataset card, Croissant 1.1, or the EU's summary."""
    from recipes.app.papers.write import write_paper

    with friendly():
        path = write_paper(place_of(folder), form.value, output)
    out.print(harmless(f"wrote {path}"))


def publish(
    folder: FinishedRun,
    to: Annotated[
        str, typer.Option(help="hf://ORG/NAME, or a folder that is empty, not there, or made by this command")
    ],
    size: Annotated[int, typer.Option(min=1, help="MB of text in a file, about")] = 500,
    private: Annotated[
        bool, typer.Option("--private", help="where the Hub has no such data set yet: a private one")
    ] = False,
) -> None:
    """Write a corpus as a repository of the Hugging Face Hub holds it: Parquet, with viewers of text, ledger and facts,
    and the card beside them. `datasets.load_dataset(FOLDER)` opens it."""
    from recipes.app.papers.hub import SCHEME, publish_to_hub
    from recipes.app.papers.publish import publish_to

    with friendly():
        place = place_of(folder)
        if to.startswith(SCHEME):
            made = publish_to_hub(place, to, size * 1_000_000, private=private)
        elif "://" in to:
            raise Refused(f"publish writes to the Hub (hf://ORG/NAME) or to a folder on this machine, not to {to}")
        else:
            made = publish_to(place, Path(to), size * 1_000_000)
    out.print(harmless(f"wrote {made['files']:,} files, {made['bytes']:,} bytes, to {to}"))
