"""The command line: goldsand run | plan | status | verify | why | profile | decide | clusters | index | contamination |
report | check | steps | probe | compare | train-classifier | synth.

Exit codes: 0 done; 1 a fault of the program, or runs of a probe that failed; 2 something a person can put right; 3 more
was lost than allowed;
130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from curate.errors import refusal, version
from curate.places.store import Place, place_of
from recipes.app.commands import dedup
from recipes.app.commands.classifier import train_classifier
from recipes.app.commands.compare import compare
from recipes.app.commands.options import Inputs, RecipeName, Sets, inputs_of, read_recipe
from recipes.app.commands.profile import decide, profile
from recipes.app.recipe.schema import ProbeModel
from recipes.app.terminal.console import err, fail, friendly, harmless, out, said
from recipes.app.terminal.tables import print_summary

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"goldsand {escape(version())}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="say which version this is")
    ] = False,
) -> None:
    """Build knowledge-dense pretraining corpora, and measure what a corpus does to knowledge."""


@app.command()
def run(
    recipe: RecipeName,
    output: Annotated[
        str, typer.Option("--output", "-o", help="the folder of the corpus, or its address", metavar="OUT")
    ],
    input: Inputs = [],  # noqa: B006  (typer reads the default, nothing writes to it)
    set: Sets = [],  # noqa: B006
    workers: Annotated[int | None, typer.Option(min=1, help="processes; all cores unless said")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="only the first N documents of the whole input")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="any unreadable record makes the exit code 3")] = False,
) -> None:
    """Build a corpus."""
    from recipes.app.recipe.build import corpus_run, write_recipe
    from recipes.app.report.page import write_report
    from recipes.app.terminal.progress import shown

    loaded = read_recipe(recipe, set, inputs_of(input))
    with friendly():
        folder = place_of(output)
        job = corpus_run(loaded, folder, workers=workers, limit=limit)
        with shown(err) as on_progress:
            job.on_progress = on_progress
            summary = job.execute()
        write_recipe(loaded, folder)
        write_report(folder)
    print_summary(out, summary, folder)
    for notice in summary["notices"]:
        err.print(f"[bold yellow]warning:[/] {harmless(notice)}")
    _judge_losses(summary, folder, strict)


@app.command()
def plan(
    recipe: RecipeName,
    output: Annotated[str, typer.Option("--output", "-o", help="a folder that may hold part of it")] = "goldsand-plan",
    input: Inputs = [],  # noqa: B006
    set: Sets = [],  # noqa: B006
    workers: Annotated[int | None, typer.Option(min=1, help="processes; all cores unless said")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="only the first N documents of the whole input")] = None,
    sample: Annotated[int, typer.Option(min=0, help="documents to rehearse with; 0: no estimates")] = 60,
) -> None:
    """Say what a run would do, what of it is done, and what time, memory and disk the rest will take."""
    from recipes.app.recipe.build import corpus_run
    from recipes.app.recipe.rehearsal import estimate
    from recipes.app.recipe.rehearsal import plan as groups_of
    from recipes.app.terminal.tables import print_plan

    loaded = read_recipe(recipe, set, inputs_of(input))
    with friendly():
        job = corpus_run(loaded, place_of(output), workers=workers, limit=limit)
        groups = groups_of(job)
        print_plan(out, job, groups, estimate(job, groups, sample) if sample else None)


@app.command()
def status(folder: Annotated[str, typer.Argument(help="the folder of a run", metavar="OUT")]) -> None:
    """Say how far a run is: from another terminal, while it works or afterwards."""
    from curate.run.status import read_status
    from recipes.app.terminal.tables import print_status

    with friendly():
        print_status(out, folder, read_status(place_of(folder)))


@app.command()
def check(recipe: RecipeName, set: Sets = []) -> None:  # noqa: B006
    """Find every mistake in a recipe, with its line."""
    loaded = read_recipe(recipe, set, [])
    parts = []
    if loaded.steps:
        parts.append(f"{len(loaded.steps)} steps")
    if loaded.recipe.probe:
        parts.append(f"{len(loaded.recipe.probe.arms)} probe arms")
    out.print(f"{escape(recipe)}: no mistakes ({', '.join(parts) or 'nothing to do'})")


@app.command()
def steps(
    name: Annotated[str | None, typer.Argument(help="one step only: its name, MODULE:CLASS or FILE.py:CLASS")] = None,
) -> None:
    """List steps, or one step's parameters with defaults and sources."""
    from recipes.app.terminal.tables import print_steps

    with friendly():
        print_steps(out, name)


@app.command()
def probe(
    recipe: RecipeName,
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the results", metavar="DIR")],
    corpus: Annotated[Path | None, typer.Option(help="the finished run whose facts and token sets are used")] = None,
    set: Sets = [],  # noqa: B006
    quick: Annotated[bool, typer.Option("--quick", help="the smaller grid that the recipe names")] = False,
    processes: Annotated[int | None, typer.Option(min=1, help="processes on a CPU; one a core unless said")] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="models side by side in each; as many as pay and fit")
    ] = None,
    compile: Annotated[
        Literal["auto", "always", "never"], typer.Option(help="compile the training steps; auto: where it repays")
    ] = "auto",
    ray: Annotated[str | None, typer.Option(help="train on a Ray cluster; 'local' starts one here")] = None,
    tensorboard: Annotated[Path | None, typer.Option(help="write losses for TensorBoard there", metavar="DIR")] = None,
) -> None:
    """Train small models for every combination in the recipe and say how many bits of the facts they hold."""
    from recipes.app.measure.probe import run_probe
    from recipes.app.report.sweep import write_page
    from recipes.app.terminal.tables import print_ladder, print_results

    sets = [*set, *([f"probe.corpus={corpus}"] if corpus else [])]
    loaded = read_recipe(recipe, sets, [])

    def warn(message: str) -> None:
        err.print(harmless(message))

    with friendly():
        results = run_probe(loaded, output, quick, processes, slots, compile, ray, tensorboard, warn)
        page = write_page(loaded.recipe.name, results, output)
    print_results(out, results)
    print_ladder(out, results)
    out.print(f"open {escape(str(page))}")
    failed = [row for row in results if row.get("error")]
    if failed:
        fail(f"{len(failed)} of {len(results)} runs failed: {failed[0]['arm']}: {failed[0]['error']}", 1)


@app.command()
def report(
    folder: Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")],
    probe: Annotated[Path | None, typer.Option(help="the folder of a probe's results")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="the page; OUT/report.html unless said")] = None,
) -> None:
    """Write the page that shows a run, with the probe's results if there are some."""
    from recipes.app.report.page import write_report

    with friendly():
        path = write_report(place_of(folder), probe, output)
    out.print(f"open {escape(str(path))}")


@app.command()
def verify(folder: Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")]) -> None:
    """Check a corpus: every checksum, and that every document and character is accounted for."""
    from curate.audit.verify import verify as faults_of

    with friendly():
        faults = list(faults_of(place_of(folder)))
    for fault in faults:
        err.print(harmless(fault))
    if faults:
        fail(f"{len(faults)} fault{'s' * (len(faults) > 1)}; the command that made {folder} puts them right", 3)
    out.print(f"{escape(folder)}: every file is as it was written, every document is accounted for")


@app.command()
def why(
    folder: Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")],
    document: Annotated[str, typer.Argument(help="a document's key or URL", metavar="KEY-OR-URL")],
) -> None:
    """Tell what happened to one document: what each rule saw beside its threshold, edits, what ended it, or where it
    stands."""
    from recipes.app.commands.why import print_story

    with friendly():
        found = print_story(out, place_of(folder), document)
    if not found:
        fail(f"{folder} knows no document with the key or URL '{document}'")


@app.command()
def contamination(
    folder: Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")],
    questions: Annotated[str | None, typer.Option(help="where the test sets are now", metavar="PATH")] = None,
    hits: Annotated[int, typer.Option(min=0, help="how many hits and items are shown")] = 10,
    item: Annotated[str | None, typer.Option(help="only hits of this item", metavar="FILE:LINE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="everything, for programs")] = False,
) -> None:
    """Show the test items that were found: by benchmark, by item, and each beside the passage it was found in."""
    from recipes.app.commands.contamination import show

    with friendly():
        show(out, place_of(folder), questions, hits, item, as_json)


app.command()(compare)
app.command()(profile)
app.command()(decide)
app.command("train-classifier")(train_classifier)
app.command()(dedup.clusters)
app.add_typer(dedup.index, name="index")

synth = typer.Typer(no_args_is_help=True, help="Knowledge with a known number of bits, alone.")
app.add_typer(synth, name="synth")


@synth.command("people")
def synth_people(
    count: Annotated[int, typer.Option(min=1, help="people")],
    exposures: Annotated[int, typer.Option(min=1, help="biographies of each")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a new folder", metavar="DIR")],
    seed: Annotated[int, typer.Option(min=0, help="names, values and texts follow from it")] = 0,
    frozen: Annotated[bool, typer.Option("--frozen", help="one text a person at every exposure (bioS_simple)")] = False,
    held_out: Annotated[int, typer.Option(min=0, help="so many more people, who are never shown")] = 0,
    pools: Annotated[Path | None, typer.Option(help="a folder of pools; invented names unless said")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="a tokenizer.json; a BPE of their own unless said")] = None,
    size: Annotated[int, typer.Option(min=257, help="tokens of that BPE")] = 1024,
) -> None:
    """Write biographies of people (bioS) as text and tokens, with what is true and what to score."""
    from recipes.app.commands.synth import write_people

    parameters: dict[str, Any] = {
        "people": count,
        "exposures": exposures,
        "seed": seed,
        "frozen": frozen,
        "held_out": held_out,
    }
    if pools is not None:
        parameters["pools"] = str(pools)
    with friendly():
        for line in write_people(output, parameters, tokenizer, size):
            out.print(escape(line))


@synth.command("rewrite")
def synth_rewrite(
    folder: Annotated[Path, typer.Argument(help="a finished run with facts, or people as written here", metavar="DIR")],
    model: Annotated[str, typer.Option(help="a causal model of transformers: a folder, a .gguf file or a hub id")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a folder; what is there is gone on with")],
    style: Annotated[list[str], typer.Option(help="all styles unless said")] = [],  # noqa: B006
    people: Annotated[int | None, typer.Option(min=1, help="only the first so many")] = None,
    tokens: Annotated[int, typer.Option(min=1, help="of a rewrite at most")] = 200,
    temperature: Annotated[float, typer.Option(min=0.0, help="0: the likeliest words")] = 0.7,
) -> None:
    """Have a language model rewrite facts (bioR), and keep what states every one of them."""
    from recipes.app.commands.synth import rewrite_facts

    with friendly():
        out.print(escape(rewrite_facts(folder, model, output, style, people, tokens, temperature)))


@synth.command("describe")
def synth_describe(
    recipe: RecipeName,
    set: Sets = [],  # noqa: B006
    layers: Annotated[int | None, typer.Option(min=1, help="of the model; else as the probe has it")] = None,
    width: Annotated[int | None, typer.Option(min=8, help="of the model")] = None,
) -> None:
    """Say what a recipe's facts hold: bits, tokens, tokens per bit, FLOPs for a model, and whether it fits here."""
    from recipes.app.commands.synth import describe

    loaded = read_recipe(recipe, set, [])
    planned = loaded.recipe.probe.model if loaded.recipe.probe else ProbeModel()
    with friendly():
        model = planned.built(layers=layers or planned.layers, width=width or planned.width)
        for what, how_much in describe(loaded, model):
            out.print(f"{escape(what):<30}{escape(how_much)}")


def _judge_losses(summary: dict[str, Any], folder: Place, strict: bool) -> None:
    lost = summary["documents"]["unreadable"]
    if not lost:
        return
    first = summary["unreadable"][0]
    message = (
        f"{lost} of {summary['records']['read']} records could not be read ({summary['loss']:.2%}); first:"
        f" {first['key']}: {first['error']}. They are kept in {folder / 'quarantine'}"
    )
    if strict or summary["loss"] > summary["max_loss"]:
        why = "--strict allows none" if strict else f"max_loss is {summary['max_loss']:.2%}"
        fail(f"{message}; {why}", 3)
    err.print(f"[bold yellow]warning:[/] {harmless(message)}")


def main() -> None:
    """Run the command line: whatever a command did not answer itself is answered here."""
    try:
        app()
    except SystemExit as end:
        # What met a Ctrl-C outside a command's own work has said nothing yet.
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
