"""The command `goldsand run`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from curate.places.store import Place, place_of
from recipes.app.commands.options import (
    Address,
    DryRun,
    Engine,
    EngineOption,
    Inputs,
    Limit,
    Log,
    LogOption,
    RecipeName,
    Replace,
    Sets,
    ShardOption,
    Stages,
    Workers,
    read_recipe,
    screen_of_a_command,
)
from recipes.app.recipe.given import inputs_of
from recipes.app.terminal.console import err, fail, friendly, harmless, out


def run(
    recipe: RecipeName,
    output: Annotated[
        str, typer.Option("--output", "-o", help="the folder of the corpus, or its address", metavar="OUT")
    ],
    input: Inputs = [],  # noqa: B006  (typer reads the default, nothing writes to it)
    set: Sets = [],  # noqa: B006
    workers: Workers = None,
    limit: Limit = None,
    stages: Stages = None,
    replace: Replace = False,
    dry_run: DryRun = False,
    engine: EngineOption = Engine.local,
    address: Address = None,
    shard: ShardOption = None,
    log: LogOption = Log.text,
    strict: Annotated[bool, typer.Option("--strict", help="any unreadable record makes the exit code 3")] = False,
) -> None:
    """Build a corpus."""
    from recipes.app.api.runs import carried_out, prepared
    from recipes.app.report.remarks import in_sentences
    from recipes.app.terminal.change import would_change
    from recipes.app.terminal.shared_stages import print_sharing
    from recipes.app.terminal.tables import print_summary

    screen = screen_of_a_command(log)
    loaded = read_recipe(recipe, set, inputs_of(input))
    with friendly():
        folder = place_of(output)
        job = prepared(
            loaded, folder, screen, workers=workers, limit=limit, stages=stages, replace=replace, engine=engine,
            address=address, shard=shard,
        )  # fmt: skip
        if dry_run:
            would_change(job)
            return
        summary = carried_out(job, screen)
    print_summary(out, summary, folder)
    print_sharing(err, job.sharing)
    for sentence in in_sentences(summary):
        err.print(f"[bold yellow]warning:[/] {harmless(sentence)}")
    judge_losses(summary, folder, strict)


def judge_losses(summary: dict[str, Any], folder: Place, strict: bool = False) -> None:
    """Warn of records that could not be read, or end with exit code 3 where they are more than allowed."""
    from recipes.app.api.runs import losses_of

    lost = losses_of(summary, folder, strict)
    if lost is not None and lost[1]:
        fail(f"{lost[0]}; {lost[1]}", 3)
    if lost is not None:
        err.print(f"[bold yellow]warning:[/] {harmless(lost[0])}")
