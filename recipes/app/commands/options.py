"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from recipes.app.recipe.load import Loaded, RecipeError, load
from recipes.app.terminal.console import err

RecipeName = Annotated[str, typer.Argument(help="a recipe file, or the name of a built-in one", metavar="RECIPE")]
Sets = Annotated[
    list[str], typer.Option("--set", help="change a value: a.b=c, or STEP.parameter=c", metavar="KEY=VALUE")
]
Inputs = Annotated[
    list[str], typer.Option("--input", help="read this instead of the recipe's inputs", metavar="[NAME=]PATH")
]


def read_recipe(recipe: str, sets: list[str], inputs: list[dict[str, Any]]) -> Loaded:
    """The recipe as the options change it; its mistakes end the command."""
    try:
        return load(recipe, sets, inputs)
    except RecipeError as error:
        count = len(error.problems)
        err.print(f"[bold red]goldsand:[/] {count} mistake{'s' * (count > 1)} in the recipe")
        err.print(escape(str(error)))
        raise typer.Exit(2) from None


def inputs_of(given: list[str]) -> list[dict[str, Any]]:
    """`NAME=PATH` or `PATH`; the path is meant from where one stands."""
    found = []
    for number, text in enumerate(given):
        name, equals, path = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9._-]+", name) or Path(text).exists():
            name, path = "crawl" if len(given) == 1 else f"input{number + 1}", text
        found.append({"name": name, "path": path if "://" in path else str(Path(path).absolute())})
    return found
