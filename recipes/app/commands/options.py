"""Options that several commands share, and how they are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.places.address import exists
from recipes.app.recipe.load import Loaded, RecipeError, load
from recipes.app.terminal.console import err, harmless

RecipeName = Annotated[str, typer.Argument(help="a recipe file, or the name of a built-in one", metavar="RECIPE")]
FinishedRun = Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")]
Sets = Annotated[
    list[str], typer.Option("--set", help="change a value: a.b=c, or STEP.parameter=c", metavar="KEY=VALUE")
]
Inputs = Annotated[
    list[str], typer.Option("--input", help="read this instead of the recipe's inputs", metavar="[NAME=]PATH")
]
Workers = Annotated[int | None, typer.Option(min=1, help="processes; by default all cores")]
Replace = Annotated[bool, typer.Option("--replace", help="put this in the place of another corpus finished there")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="say what would become of what stands there, and change nothing")
]
Limit = Annotated[int | None, typer.Option(min=0, help="only the first N documents of the whole input")]


def read_recipe(recipe: str, sets: list[str], inputs: list[dict[str, Any]]) -> Loaded:
    """The recipe with the changes of the options; mistakes in it end the command."""
    try:
        return load(recipe, sets, inputs)
    except RecipeError as error:
        count = len(error.problems)
        err.print(f"[bold red]goldsand:[/] {count} mistake{'s' * (count > 1)} in the recipe")
        err.print(harmless(str(error)))
        raise typer.Exit(2) from None


def inputs_of(given: list[str]) -> list[dict[str, Any]]:
    """`NAME=PATH` or `PATH`; the path is relative to the current folder."""
    inputs = []
    for number, text in enumerate(given):
        name, equals, path = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9._-]+", name) or exists(text):
            name, path = "crawl" if len(given) == 1 else f"input{number + 1}", text
        inputs.append({"name": name, "path": path if "://" in path else str(Path(path).absolute())})
    return inputs
