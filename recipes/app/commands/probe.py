"""The command `goldsand probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from recipes.app.commands.options import RecipeName, Sets, read_recipe, screen_of_a_command
from recipes.app.terminal.console import fail, friendly, out


def probe(
    recipe: RecipeName,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the results", metavar="DIR")],
    corpus: Annotated[Path | None, typer.Option(help="the finished run whose facts and token sets are used")] = None,
    set: Sets = [],  # noqa: B006  (typer reads the default, nothing writes to it)
    quick: Annotated[bool, typer.Option("--quick", help="the smaller grid that the recipe names")] = False,
    processes: Annotated[int | None, typer.Option(min=1, help="processes on a CPU; by default one a core")] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, help="models trained at once in each; by default as many as fit and save time"),
    ] = None,
    compile: Annotated[
        Literal["auto", "always", "never"], typer.Option(help="compile the training steps; auto: where it saves time")
    ] = "auto",
    ray: Annotated[
        str | None, typer.Option(help="the address of a Ray cluster to train on; 'local' starts one")
    ] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="write losses for TensorBoard there", metavar="DIR")] = None,
) -> None:
    """Train small models for every combination in the recipe and say how many bits of the facts they hold."""
    from recipes.app.api.probes import carried_out
    from recipes.app.terminal.tables import print_ladder, print_results

    sets = [*set, *([f"probe.corpus={corpus}"] if corpus else [])]
    loaded = read_recipe(recipe, sets, [])
    screen = screen_of_a_command()
    with friendly():
        results = carried_out(loaded, output, screen, quick, processes, slots, compile, ray, tensorboard)
    print_results(out, results)
    print_ladder(out, results)
    out.print(f"open {escape(str(output / 'report.html'))}")
    failed = [row for row in results if row.get("error")]
    if failed:
        fail(f"{len(failed)} of {len(results)} runs failed: {failed[0]['arm']}: {failed[0]['error']}", 1)
