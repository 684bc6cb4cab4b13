"""Commands about near-duplicates: goldsand index build | add | show, goldsand clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from curate.errors import Refused
from recipes.app.recipe.load import steps_of_run
from recipes.app.terminal.console import err, fail, friendly, harmless, out

if TYPE_CHECKING:
    from curate.dedup.minhash import MinHashDedup
    from curate.places.store import Place

index = typer.Typer(
    no_args_is_help=True, help="Signatures of corpora that are kept, for new crawls to be held against."
)

Folder = Annotated[Path, typer.Argument(help="the folder of the index", metavar="INDEX")]
Run = Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")]


@index.command("build")
def build(folder: Folder, run: Run) -> None:
    """Make an index of what a run kept, with the parameters of its minhash_dedup."""
    from curate.dedup.index import index_file

    if index_file(folder).exists():
        fail(f"{folder} is an index already; `goldsand index add` adds to it")
    _add(folder, run)


@index.command("add")
def add(folder: Folder, run: Run) -> None:
    """Add what a run kept to an index that was made with the same parameters."""
    from curate.dedup.index import Index

    with friendly():
        Index(folder)
    _add(folder, run)


@index.command("show")
def show(folder: Folder) -> None:
    """Say what an index holds, and with which parameters it was made."""
    from curate.dedup.index import Index

    with friendly():
        about = Index(folder).about
    for layer in about["layers"]:
        out.print(f"{layer['name']}  {layer['documents']:,} documents from {escape(layer['from'])}")
    out.print(escape(", ".join(f"{name} {value}" for name, value in about["parameters"].items())))


def _add(folder: Path, run: str) -> None:
    from curate.audit.verify import read_manifests
    from curate.dedup.index import add_to_index
    from curate.places.store import place_of
    from curate.run.tasks import DOCUMENTS, read_documents

    with friendly():
        place = place_of(run)
        manifests = read_manifests(place)
        last = max((name.split("/")[1] for name in manifests if name.startswith("stages/")), default="")
        kept = (
            document
            for name in manifests
            if name.startswith(f"stages/{last}/")
            for document in read_documents(place / f"{name}{DOCUMENTS}")
        )
        steps = minhash_steps(place)
        if not steps:
            raise Refused(f"the recipe of {run} has no minhash_dedup, whose parameters an index needs")
        about = add_to_index(folder, next(iter(steps.values())), kept, str(Path(run).absolute()))
    documents = sum(layer["documents"] for layer in about["layers"])
    out.print(f"{escape(str(folder))}: {documents:,} documents of {len(about['layers'])} corpora")


def minhash_steps(out: Place) -> dict[str, MinHashDedup]:
    """The steps of a run that drop near-duplicates, by label. Raises Refused where its recipe is not there."""
    from curate.dedup.minhash import MinHashDedup
    from curate.run.stage import labels_of
    from recipes.app.recipe.schema import build_step

    # An index may lie elsewhere by now, and shapes no signature.
    steps = [
        build_step(name, {key: value for key, value in given.items() if key != "index"})
        for name, given in steps_of_run(out)
        if name == MinHashDedup.name
    ]
    return {label: step for label, step in zip(labels_of(steps), steps, strict=True) if isinstance(step, MinHashDedup)}


def clusters(
    folder: Run,
    document: Annotated[str | None, typer.Option(help="only the cluster of this document, by key")] = None,
    largest: Annotated[int, typer.Option(min=1, help="so many clusters, the largest first")] = 10,
    members: Annotated[int, typer.Option(min=0, help="of each, those least like the survivor")] = 3,
    check: Annotated[bool, typer.Option("--check", help="compute every merge again from the texts")] = False,
) -> None:
    """Show clusters of near-duplicates: who stands for how many, and what differs."""
    from curate.audit import clusters as review
    from curate.places.store import place_of

    place = place_of(folder)
    if check:
        faults = 0
        with friendly():
            for label, step in minhash_steps(place).items():
                *wrong, looked = review.check(place, step, label)
                faults += len(wrong)
                for fault in wrong:
                    err.print(harmless(fault))
                out.print(f"{label}: {looked}, {len(wrong)} do not hold")
        if faults:
            fail(f"{faults} merges do not hold", 3)
        return
    with friendly():
        found = review.largest(place, largest, members, document)
        if not found:
            if document is not None:
                fail(f"{folder} knows no cluster with the document '{document}'")
            out.print(f"{escape(folder)}: no near-duplicates were dropped")
        texts = review.texts(place, {key for one in found for key in [one.survivor, *(key for key, _ in one.members)]})
    for one in found:
        out.print(f"[bold]{harmless(one.survivor)}[/]  stands for {one.size:,} documents")
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
