"""Options that several commands share, and how they are read."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.places.address import exists
from curate.places.store import Place, place_of
from recipes.app.recipe.load import Loaded, RecipeError, load
from recipes.app.terminal.console import err, harmless

if TYPE_CHECKING:
    from curate.run.corpus import CorpusRun

RecipeName = Annotated[str, typer.Argument(help="a recipe file, or the name of a built-in one", metavar="RECIPE")]
FinishedRun = Annotated[str, typer.Argument(help="the folder of a finished run", metavar="OUT")]
Sets = Annotated[
    list[str], typer.Option("--set", help="change a value: a.b=c, or STEP.parameter=c", metavar="KEY=VALUE")
]
Inputs = Annotated[
    list[str], typer.Option("--input", help="read this instead of the recipe's inputs", metavar="[NAME=][FORMAT:]PATH")
]
Workers = Annotated[int | None, typer.Option(min=1, help="processes; by default all cores")]
Replace = Annotated[bool, typer.Option("--replace", help="put this in the place of another corpus finished there")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="say what would become of what stands there, and change nothing")
]


class Engine(StrEnum):
    """What carries units out."""

    local = "local"
    ray = "ray"


EngineOption = Annotated[
    Engine, typer.Option("--engine", help="local: processes of this machine; ray: a Ray cluster (see --address)")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="the Ray cluster; by default RAY_ADDRESS, or one started here", metavar="HOST:PORT|auto|local"
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", help="be one of N equal processes that share the work through OUT", metavar="I/N"),
]
Limit = Annotated[int | None, typer.Option(min=0, help="only the first N documents of the whole input")]

Stages = Annotated[
    str | None,
    typer.Option(
        "--stages",
        help="where extraction is shared between folders; by default beside OUT; none: nowhere",
        metavar="DIR",
    ),
]


def pool_of(stages: str | None, job: CorpusRun) -> Place | None:
    """Where a run shares its extraction, as `--stages` says; None where it has none to share, or cannot.

    Raises Refused for a folder of other files."""
    from curate.run.stage_pool import open_pool, pool_beside

    if stages == "none" or not job.stages[0].extracts:
        return None
    return pool_beside(job.out) if stages is None else open_pool(place_of(stages))


def planned_pool(stages: str | None, job: CorpusRun) -> Place | None:
    """The same for a plan, which makes no pool: None where there is none yet."""
    from curate.run.stage_pool import beside, is_pool

    if stages == "none" or not job.stages[0].extracts:
        return None
    pool = beside(job.out) if stages is None else place_of(stages)
    return pool if pool is not None and is_pool(pool) else None


def on_engine(job: CorpusRun, loaded: Loaded, engine: Engine, address: str | None, shard: str | None) -> CorpusRun:
    """The run as it is to be carried out. Raises Refused."""
    from curate.errors import Refused
    from curate.run.ray_engine import RayCluster, address_of
    from curate.run.session import Shard
    from curate.run.sharded import ShardedRun

    if engine is Engine.ray and shard is not None:
        raise Refused("--shard and --engine ray are two ways to share the work: give one of them")
    if address is not None and engine is not Engine.ray:
        raise Refused("--address is that of a Ray cluster: give --engine ray with it")
    if engine is Engine.ray:
        # The machines of a cluster stand in other folders.
        job.out = job.out.absolute()
        job.cluster = RayCluster(address_of(address), **loaded.recipe.engine.ray.model_dump())
    return job if shard is None else ShardedRun.of(job, Shard.read(shard))


def read_recipe(recipe: str, sets: list[str], inputs: list[dict[str, Any]]) -> Loaded:
    """The recipe with the changes of the options; mistakes in it end the command."""
    try:
        return load(recipe, sets, inputs)
    except RecipeError as error:
        count = len(error.problems)
        err.print(f"[bold red]goldsand:[/] {count} mistake{'s' * (count > 1)} in the recipe")
        err.print(harmless(str(error)))
        raise typer.Exit(2) from None


def inputs_of(given: list[str]) -> list[dict[str, Any]]:
    """`NAME=PATH` or `PATH`, with `FORMAT:` before a path whose name does not tell it; the path is relative to the
    current folder."""
    from curate.sources.formats import FORMATS

    inputs = []
    for number, text in enumerate(given):
        name, equals, path = text.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9._-]+", name) or exists(text):
            name, path = "crawl" if len(given) == 1 else f"input{number + 1}", text
        format, colon, rest = path.partition(":")
        said = {"format": format} if colon and format in FORMATS and rest and not exists(path) else {}
        path = rest if said else path
        hub = said.get("format") == "hub" and not exists(path)
        inputs.append({"name": name, "path": path if hub or "://" in path else str(Path(path).absolute()), **said})
    return inputs
