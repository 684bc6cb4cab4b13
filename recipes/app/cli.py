"""The command line: goldsand run | retry | forget | slurm | plan | status | stages | verify | why | diff | profile |
decide | clusters | index | contamination | report | card | publish | export | check | steps | probe | compare | laws |
fit | release | train-classifier | train-extractor | synth.

Exit codes: 0 done; 1 a fault of the program, or runs of a probe that failed; 2 something a person can put right; 3 more
was lost than allowed; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape

from curate.errors import refusal, version
from recipes.app.commands.card import card, publish
from recipes.app.commands.check import check
from recipes.app.commands.classifier import train_classifier
from recipes.app.commands.compare import compare
from recipes.app.commands.contamination import contamination
from recipes.app.commands.dedup import clusters, index
from recipes.app.commands.diff import diff
from recipes.app.commands.export import export
from recipes.app.commands.extractor import train_extractor
from recipes.app.commands.fit import fit
from recipes.app.commands.forget import forget
from recipes.app.commands.laws import laws
from recipes.app.commands.plan import plan
from recipes.app.commands.probe import probe
from recipes.app.commands.profile import decide, profile
from recipes.app.commands.release import release
from recipes.app.commands.report import report
from recipes.app.commands.retry import retry
from recipes.app.commands.run import run
from recipes.app.commands.slurm import slurm
from recipes.app.commands.stages import stages
from recipes.app.commands.status import status
from recipes.app.commands.steps import steps
from recipes.app.commands.synth import synth
from recipes.app.commands.verify import verify
from recipes.app.commands.why import why
from recipes.app.terminal.console import err, harmless, out, said

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"goldsand {escape(version())}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Build knowledge-dense pretraining corpora, and measure what a corpus does to knowledge."""


CORPUS = (
    run,
    retry,
    forget,
    slurm,
    plan,
    status,
    stages,
    check,
    steps,
    report,
    verify,
    why,
    contamination,
    diff,
    card,
    publish,
    export,
)
for command in (*CORPUS, probe, compare, laws, fit, profile, decide):
    app.command()(command)
app.command("train-classifier")(train_classifier)
app.command("train-extractor")(train_extractor)
app.command()(clusters)
app.add_typer(index, name="index")
app.add_typer(synth, name="synth")
app.add_typer(release, name="release")


def main() -> None:
    """Run the command line, and answer the errors that no command has answered."""
    try:
        app()
    except SystemExit as end:
        # A Ctrl-C outside a command's own work has printed no message yet.
        if end.code == 130 and not said:
            raise KeyboardInterrupt from None
        raise
    except Exception as error:
        message = refusal(error)
        if message is None:
            raise
        if isinstance(error, OSError) and not error.filename:
            message = f"the output cannot be written: {message}"
        err.print(f"[bold red]goldsand:[/] {harmless(message)}")
        sys.exit(2)
