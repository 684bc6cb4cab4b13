"""A run as it is to be carried out: what a command and a call from Python share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.errors import Refused
from curate.places.store import Place, place_of
from recipes.app.recipe.load import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from curate.run.corpus import CorpusRun
    from curate.run.engine import Progress
    from curate.run.local import LocalEngine
    from curate.run.ray_engine import RayEngine
    from curate.step import Step

DOCUMENT_TIMEOUT = 60.0
"""Seconds for a document of units that are no run's."""

ENGINES = ("local", "ray")
"""What carries units out."""


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


def on_engine(job: CorpusRun, loaded: Loaded, engine: str, address: str | None, shard: str | None) -> CorpusRun:
    """The run as it is to be carried out. Raises Refused."""
    from curate.run.ray_engine import RayCluster, address_of
    from curate.run.session import Shard
    from curate.run.sharded import ShardedRun

    if _on_a_cluster(engine, address):
        if shard is not None:
            raise Refused("--shard and --engine ray are two ways to share the work: give one of them")
        # The machines of a cluster stand in other folders.
        job.out = job.out.absolute()
        job.cluster = RayCluster(address_of(address), **loaded.recipe.engine.ray.model_dump())
    return job if shard is None else ShardedRun.of(job, Shard.read(shard))


def engine_alone(
    engine: str,
    address: str | None,
    folder: Path,
    step: Step,
    workers: int | None,
    on_progress: Callable[[Progress], None] | None,
) -> LocalEngine | RayEngine:
    """An engine for units of a step that are no run's, which write into this folder. Raises Refused."""
    from curate.run.engine import all_cores
    from curate.run.local import LocalEngine
    from curate.run.ray_engine import RayCluster, RayEngine, address_of

    cores = workers or all_cores()
    if not _on_a_cluster(engine, address):
        return LocalEngine(cores, DOCUMENT_TIMEOUT, on_progress)
    cluster = RayCluster(address_of(address))
    cluster.refuse_unfit(folder.absolute(), [], [step], cores)
    return RayEngine(cluster, workers, DOCUMENT_TIMEOUT, on_progress, cores=cores)


def _on_a_cluster(engine: str, address: str | None) -> bool:
    if engine not in ENGINES:
        raise Refused(f"`engine` must be one of {', '.join(ENGINES)}, not {engine!r}")
    if address is not None and engine != "ray":
        raise Refused("--address is that of a Ray cluster: give --engine ray with it")
    return engine == "ray"
