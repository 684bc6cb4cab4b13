"""Commands about near-duplicates: goldsand index build | add | show, goldsand clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from curate.errors import Refused
from recipes.app.commands.options import (
    Address,
    DryRun,
    Engine,
    EngineOption,
    FinishedRun,
    Workers,
    screen_of_a_command,
)
from recipes.app.terminal.console import err, fail, friendly, harmless, out

index = typer.Typer(no_args_is_help=True, help="Signatures of earlier corpora, to deduplicate new crawls against.")

Folder = Annotated[Path, typer.Argument(help="the folder of the index", metavar="INDEX")]


@index.command("build")
def build(
    folder: Folder,
    run: FinishedRun,
    workers: Workers = None,
    engine: EngineOption = Engine.local,
    address: Address = None,
    dry_run: DryRun = False,
) -> None:
    """Make an index of what a run kept, with the parameters of its minhash_dedup."""
    from curate.dedup.index import index_file

    if index_file(folder).exists():
        fail(f"{folder} is an index already; `goldsand index add` adds to it")
    _add(folder, run, workers, engine, address, dry_run)


@index.command("add")
def add(
    folder: Folder,
    run: FinishedRun,
    workers: Workers = None,
    engine: EngineOption = Engine.local,
    address: Address = None,
    dry_run: DryRun = False,
) -> None:
    """Add what a run kept to an index that was made with the same parameters."""
    from curate.dedup.index import Index

    with friendly():
        Index(folder)
    _add(folder, run, workers, engine, address, dry_run)


@index.command("show")
def show(folder: Folder) -> None:
    """Show the corpora in an index, and the parameters it was made with."""
    from curate.dedup.index import Index

    with friendly():
        about = Index(folder).about
    for layer in about["layers"]:
        out.print(f"{layer['name']}  {layer['documents']:,} documents from {harmless(layer['from'])}")
    out.print(harmless(", ".join(f"{name} {value}" for name, value in about["parameters"].items())))


def _add(folder: Path, run: str, workers: int | None, engine: Engine, address: str | None, dry_run: bool) -> None:
    from curate.audit.verify import kept_parts
    from curate.dedup.index import Index, index_file
    from curate.places.store import place_of
    from curate.run.index_units import add_run_to_index
    from curate.run.interrupt import interruptible
    from recipes.app.api.jobs import engine_alone
    from recipes.app.recipe.of_run import minhash_steps

    screen = screen_of_a_command()
    with friendly():
        place = place_of(run)
        parts = kept_parts(place)
        steps = minhash_steps(place)
        if not steps:
            raise Refused(f"the recipe of {run} has no minhash_dedup, whose parameters an index needs")
        step = next(iter(steps.values()))
        if dry_run:
            known = Index(folder).about["layers"] if index_file(folder).exists() else []
            if known:
                Index(folder).matching(step.index_parameters())
            there = f"holds {sum(layer['documents'] for layer in known):,} of {len(known)} corpora, which stay"
            new = sum(count for _, _, count in parts)
            out.print(f"{escape(str(folder))} {there if known else 'is new'}; {new:,} documents of {escape(run)} come")
            return
        with (
            screen.progress() as on_progress,
            interruptible(),
            engine_alone(engine, address, folder, step, workers, on_progress) as carried,
        ):
            about = add_run_to_index(folder, step, parts, str(Path(run).absolute()), carried)
    documents = sum(layer["documents"] for layer in about["layers"])
    out.print(f"{escape(str(folder))}: {documents:,} documents of {len(about['layers'])} corpora")


def clusters(
    folder: FinishedRun,
    document: Annotated[str | None, typer.Option(help="only the cluster of this document, by key")] = None,
    largest: Annotated[int, typer.Option(min=1, help="number of clusters, the largest first")] = 10,
    members: Annotated[int, typer.Option(min=0, help="number of duplicates of each, the least similar first")] = 3,
    check: Annotated[bool, typer.Option("--check", help="compute every merge again from the texts")] = False,
) -> None:
    """Show clusters of near-duplicates: each survivor, its duplicates, and how they differ."""
    from curate.audit import clusters as review
    from curate.places.store import place_of
    from recipes.app.recipe.of_run import minhash_steps

    place = place_of(folder)
    if check:
        faults = 0
        with friendly():
            for label, step in minhash_steps(place).items():
                *wrong, checked = review.check(place, step, label)
                faults += len(wrong)
                for fault in wrong:
                    err.print(harmless(fault))
                out.print(f"{label}: {checked}, {len(wrong)} do not hold")
        if faults:
            fail(f"{faults} merges do not hold", 3)
        return
    with friendly():
        shown = review.largest(place, largest, members, document)
        if not shown:
            if document is not None:
                fail(f"{folder} has no cluster with the document '{document}'")
            out.print(f"{escape(folder)}: no near-duplicates were dropped")
        texts = review.texts(place, {key for one in shown for key in [one.survivor, *(key for key, _ in one.members)]})
    for one in shown:
        out.print(f"[bold]{harmless(one.survivor)}[/]  survivor of {one.size:,} documents")
        for key, similarity in one.members:
            out.print(f"    {harmless(key)}  {similarity:.4f}")
            if one.survivor in texts and key in texts:
                out.print("        " + _difference(texts[one.survivor], texts[key]))


_STYLES = {"same": "{}", "gone": "[red]\\[-{}-][/]", "new": "[green]{{+{}+}}[/]", "skipped": "[dim]({})[/]"}


def _difference(survivor: str, member: str, shown: int = 40) -> str:
    from curate.audit.clusters import differences

    parts = list(differences(survivor, member))
    if all(what in ("same", "skipped") for what, _ in parts):
        return "[dim]the same words[/]"
    more = f" [dim]... {len(parts) - shown} more[/]" if len(parts) > shown else ""
    return " ".join(_STYLES[what].format(harmless(words[:400])) for what, words in parts[:shown]) + more
