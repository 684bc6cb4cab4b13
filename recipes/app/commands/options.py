"""Options that several commands share, and how they are read."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from enum import StrEnum
from typing import Annotated, Any

import typer

from recipes.app.api.screen import Screen
from recipes.app.recipe.load import Loaded, RecipeError, load
from recipes.app.terminal.console import err, harmless

RecipeName = Annotated[str, typer.Argument(help="a recipe file, or the name of a built-in one", metavar="RECIPE")]
FinishedRun = Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")]
Sets = Annotated[
    list[str], typer.Option("--set", help="change a value: a.b=c, or STEP.parameter=c", metavar="KEY=VALUE")
]
Inputs = Annotated[
    list[str], typer.Option("--input", help="read this instead of the recipe's inputs", metavar="[NAME=][FORMAT:]PATH")
]
Workers = Annotated[int | None, typer.Option(min=1, help="processes; by default all cores")]
Replace = Annotated[bool, typer.Option("--replace", help="put this in the place of another corpus finished there")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="say what would become of what stands there, and change nothing")
]


class Engine(StrEnum):
    """What carries units out."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    Engine, typer.Option("--engine", help="local: processes of this machine; ray: a Ray cluster (see --address)")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="the Ray cluster; by default RAY_ADDRESS, or one started here", metavar="HOST:PORT|auto|local"
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", help="be one of N equal processes that share the work through OUT", metavar="I/N"),
]
Limit = Annotated[int | None, typer.Option(min=0, help="only the first N documents of the whole input")]

Stages = Annotated[
    str | None,
    typer.Option(
        "--stages",
        help="where extraction is shared between folders; by default beside OUT; none: nowhere",
        metavar="DIR",
    ),
]


def read_recipe(recipe: str, sets: list[str], inputs: list[dict[str, Any]]) -> Loaded:
    """The recipe with the changes of the options; mistakes in it end the command."""
    try:
        return load(recipe, sets, inputs)
    except RecipeError as error:
        count = len(error.problems)
        err.print(f"[bold red]goldsand:[/] {count} mistake{'s' * (count > 1)} in the recipe")
        err.print(harmless(str(error)))
        raise typer.Exit(2) from None


class Log(StrEnum):
    """How a command says what it does."""

    text = "text"
    json = "json"


LogOption = Annotated[Log, typer.Option("--log", help="text for people, or json: one event a line on stderr")]


def screen_of_a_command(log: Log = Log.text) -> Screen:
    """What a command says while it works, on stderr."""
    from recipes.app.terminal.change import say_change
    from recipes.app.terminal.progress import shown

    err.teller = None
    if log is Log.json:
        from recipes.app.terminal.json_lines import JsonLines

        lines = JsonLines(sys.stderr)
        err.teller = lines.message
        return Screen(lambda: nullcontext(lines.see), say_change, lines.message)
    return Screen(lambda: shown(err), say_change, lambda message: err.print(harmless(message)))
