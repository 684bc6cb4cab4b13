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
    RecipeName,
    Replace,
    Sets,
    ShardOption,
    Stages,
    Workers,
    inputs_of,
    on_engine,
    pool_of,
    read_recipe,
)
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
    strict: Annotated[bool, typer.Option("--strict", help="any unreadable record makes the exit code 3")] = False,
) -> None:
    """Build a corpus."""
    from recipes.app.recipe.build import corpus_run
    from recipes.app.recipe.plan_by_rehearsal import foretell
    from recipes.app.report.page import write_report
    from recipes.app.report.remarks import in_sentences
    from recipes.app.terminal.change import say_change, would_change
    from recipes.app.terminal.progress import shown
    from recipes.app.terminal.shared_stages import print_sharing
    from recipes.app.terminal.tables import print_summary

    loaded = read_recipe(recipe, set, inputs_of(input))
    with friendly():
        folder = place_of(output)
        job = corpus_run(loaded, folder, workers=workers, limit=limit)
        job.pool = pool_of(stages, job)
        job.replace, job.on_change, job.foretell = replace, say_change, foretell
        job = on_engine(job, loaded, engine, address, shard)
        if dry_run:
            would_change(job)
            return
        with shown(err) as on_progress:
            job.on_progress = on_progress
            summary = job.execute()
        if job.published:
            write_report(folder)
    print_summary(out, summary, folder)
    print_sharing(err, job.sharing)
    for sentence in in_sentences(summary):
        err.print(f"[bold yellow]warning:[/] {harmless(sentence)}")
    judge_losses(summary, folder, strict)


def judge_losses(summary: dict[str, Any], folder: Place, strict: bool = False) -> None:
    """Warn of records that could not be read, or end with exit code 3 where they are more than allowed."""
    lost = summary["documents"]["unreadable"]
    if not lost:
        return
    first = summary["unreadable"][0]
    shares = summary["losses"]
    share = f"{summary['loss']:.2%}" + (" of the bytes" if shares["bytes"] > shares["records"] else "")
    message = (
        f"{lost} of {summary['records']['read']} records could not be read ({share}); first:"
        f" {first['key']}: {first['error']}. They are kept in {folder / 'quarantine'}"
    )
    if strict or summary["loss"] > summary["max_loss"]:
        why = "--strict allows none" if strict else f"max_loss is {summary['max_loss']:.2%}"
        fail(f"{message}; {why}", 3)
    err.print(f"[bold yellow]warning:[/] {harmless(message)}")
