"""The command `goldsand check`."""

from __future__ import annotations

from rich.markup import escape

from recipes.app.commands.options import RecipeName, Sets, read_recipe
from recipes.app.terminal.console import out


def check(recipe: RecipeName, set: Sets = []) -> None:  # noqa: B006  (typer reads the default, nothing writes to it)
    """Find every mistake in a recipe, with its line."""
    loaded = read_recipe(recipe, set, [])
    parts = []
    if loaded.steps:
        parts.append(f"{len(loaded.steps)} steps")
    if loaded.recipe.probe:
        parts.append(f"{len(loaded.recipe.probe.arms)} probe arms")
    out.print(f"{escape(recipe)}: no mistakes ({', '.join(parts) or 'nothing to do'})")
