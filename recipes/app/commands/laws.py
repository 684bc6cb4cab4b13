"""The command `goldsand laws`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from recipes.app.terminal.console import err, friendly, harmless, out


def laws(
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the results", metavar="DIR")] = Path(
        "laws"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="results 1, 4 and 8 alone, on fewer seeds")] = False,
    gpu: Annotated[bool, typer.Option("--gpu", help="results 1 and 4 on biographies, for a GPU")] = False,
    seed_from: Annotated[
        int | None, typer.Option(min=0, help="the first seed, for a fresh check; by default that of the file")
    ] = None,
    facts_seed: Annotated[int | None, typer.Option(min=0, help="the seed of people and their values")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="processes on a CPU; by default one a core")] = None,
    compile: Annotated[
        Literal["auto", "always", "never"], typer.Option(help="compile the training steps; auto: where it saves time")
    ] = "auto",
) -> None:
    """Show the laws of knowledge capacity on small models, judged by criteria that were written down before."""
    from recipes.app.measure.laws import GPU, LAWS, run_laws
    from recipes.app.report.laws import figure_words, write_laws_page
    from train_probe.alone import alone_in

    def say(part: str) -> None:
        err.print(harmless(part))

    with friendly(), alone_in(output):
        book = GPU if gpu else LAWS
        told = run_laws(output, quick, seed_from, facts_seed, book, say, processes=processes, compile=compile)
        page = write_laws_page(told, output)
    out.print(f"criteria: sha256 {told['criteria_sha256']}")
    for law in told["laws"]:
        out.print(escape(f"result {law['result']:>2}, {law['under']}: {law['outcome']}"))
        for one in law["criteria"]:
            out.print(escape(f"    {one['words']}: {figure_words(one)}: {one['outcome']}"))
    out.print(f"open {escape(str(page))}")
