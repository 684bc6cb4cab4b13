"""The command `goldsand plan`."""

from __future__ import annotations

from typing import Annotated

import typer

from curate.places.store import place_of
from recipes.app.commands.options import (
    Inputs,
    Limit,
    RecipeName,
    Sets,
    Stages,
    Workers,
    read_recipe,
)
from recipes.app.recipe.given import inputs_of
from recipes.app.terminal.console import friendly, out


def plan(
    recipe: RecipeName,
    output: Annotated[str, typer.Option("--output", "-o", help="a folder that may hold part of it")] = "goldsand-plan",
    input: Inputs = [],  # noqa: B006  (typer reads the default, nothing writes to it)
    set: Sets = [],  # noqa: B006
    workers: Workers = None,
    limit: Limit = None,
    stages: Stages = None,
    sample: Annotated[int, typer.Option(min=0, help="documents to rehearse with; 0: no estimates")] = 60,
) -> None:
    """Say what a run would do, what of it is done, and what time, memory and disk the rest will take."""
    from recipes.app.api.runs import foreseen
    from recipes.app.terminal.change import print_replaced
    from recipes.app.terminal.shared_stages import print_pool_of_plan
    from recipes.app.terminal.tables import print_plan

    loaded = read_recipe(recipe, set, inputs_of(input))
    with friendly():
        job, groups, cost = foreseen(loaded, place_of(output), workers, limit, stages, sample)
        print_plan(out, job, groups, cost)
        print_replaced(job, {name for group in groups for name in group.found}, foretell=sample > 0)
        print_pool_of_plan(out, job.pool)
