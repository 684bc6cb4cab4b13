"""The command `goldsand probe`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from recipes.app.commands.options import RecipeName, Sets, read_recipe
from recipes.app.terminal.console import err, fail, friendly, harmless, out


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
    from recipes.app.measure.probe import run_probe
    from recipes.app.report.sweep import write_page
    from recipes.app.terminal.tables import print_ladder, print_results
    from train_probe.alone import alone_in

    sets = [*set, *([f"probe.corpus={corpus}"] if corpus else [])]
    loaded = read_recipe(recipe, sets, [])

    def warn(message: str) -> None:
        err.print(harmless(message))

    # The page is of the results beside it: the folder is held until both are written.
    with friendly(), alone_in(output):
        results = run_probe(loaded, output, quick, processes, slots, compile, ray, tensorboard, warn)
        page = write_page(loaded.recipe.name, results, output)
    print_results(out, results)
    print_ladder(out, results)
    out.print(f"open {escape(str(page))}")
    failed = [row for row in results if row.get("error")]
    if failed:
        fail(f"{len(failed)} of {len(results)} runs failed: {failed[0]['arm']}: {failed[0]['error']}", 1)
