"""A whole run: sources through stages and rounds to shards, facts and a summary whose accounts balance."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from curate.document import Document
from curate.run.folder import OutputFolder
from curate.run.local import LocalEngine, Progress, RunError, all_cores, interruptible
from curate.run.publish import Finished, Publication, publish
from curate.run.stage import Stage, cut
from curate.run.summary import summarise
from curate.run.tasks import EmitTask, MapTask, ReduceTask, readable
from curate.run.unit import Unit, content_of, write_atomically
from curate.sources import Partition
from curate.step import CorpusStep, Step


@dataclass
class CorpusRun:
    """Everything that decides the output (steps, partitions, publication, buckets, limit), and how to carry it out."""

    name: str
    steps: Sequence[Step]
    partitions: Sequence[Partition]
    out: Path
    publication: Publication = field(default_factory=Publication)
    buckets: int = 8
    limit: int | None = None
    max_loss: float = 0.01
    workers: int | None = None
    document_timeout: float = 60.0
    on_progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        self.stages = cut(self.steps)

    def execute(self) -> dict[str, Any]:
        """Run, or finish, the corpus; returns (and writes) the summary.

        Raises RunError when the folder cannot be written or is in use, and when a unit fails outside any document.
        """
        started = time.monotonic()
        workers = self.workers or all_cores()
        with interruptible(), OutputFolder(self.out) as folder:
            with LocalEngine(workers, self.document_timeout, self.on_progress) as engine:
                finished = self._stages(folder, engine)
                tokens = publish(self.publication, finished, folder, engine)
            folder.remove_strangers()
            summary = summarise(
                name=self.name,
                stages=self.stages,
                manifests=finished.manifests,
                tokens=tokens,
                seconds=time.monotonic() - started,
                workers=workers,
                max_loss=self.max_loss,
                units_done=sum(not manifest.get("skipped_unit") for manifest in folder.manifests.values()),
                units_found=sum(bool(manifest.get("skipped_unit")) for manifest in folder.manifests.values()),
            )
            write_atomically(self.out / "summary.json", orjson.dumps(summary, option=orjson.OPT_INDENT_2))
        return summary

    def _stages(self, folder: OutputFolder, engine: LocalEngine) -> Finished:
        """Every stage in order; before a corpus step, its rounds over what the stage before it left."""
        finished = Finished(
            steps=self.steps,
            stages=self.stages,
            sources=sorted({partition.source for partition in self.partitions}),
            documents=[],
            manifests=[],
        )
        quotas = self._quotas()
        for stage in self.stages:
            reduced = self._rounds(stage, stage.corpus, finished, folder, engine) if stage.corpus else []
            content = content_of(folder.manifests[unit.name] for unit in reduced)
            tasks = []
            for number, partition in enumerate(self.partitions):
                killed = {key: reason for key, reason in folder.killed.items() if partition.holds(key)}
                task = MapTask(self.out, stage, number, killed=killed)
                if stage.number == 0:
                    task.source, task.limit = partition, quotas[number]
                else:
                    task.previous = finished.documents[-1][number]
                    task.inputs = content_of([finished.manifests[-1][number]]) + content
                    task.reduced = [unit.path for unit in reduced]
                tasks.append(task)
            manifests = folder.do(engine, stage.folder[3:], tasks, _setting_aside(folder))
            finished.documents.append([task.documents_path for task in tasks])
            finished.manifests.append(manifests)
        return finished

    def _rounds(
        self, stage: Stage, step: CorpusStep, finished: Finished, folder: OutputFolder, engine: LocalEngine
    ) -> list[ReduceTask]:
        """Carry out the rounds of a corpus step; returns the units of the last reduce."""
        rounds = step.rounds()
        reduced: list[ReduceTask] = []
        for number, one in enumerate(rounds):
            label = f"{step.name}: {one.name}"
            common: dict[str, Any] = {
                "root": self.out,
                "folder": f"{stage.folder}-{number}-{one.name}",
                "step": step,
                "round_number": number,
            }
            emits: list[EmitTask] = []
            if one.takes_documents:
                emits += [
                    EmitTask(number=partition, buckets=self.buckets, inputs=content, documents=path, **common)
                    for partition, path, content in finished.partitions(stage.number - 1)
                ]
            if one.takes_records:
                for bucket, source in enumerate(reduced):
                    content = content_of([folder.manifests[source.name]])
                    emits.append(
                        EmitTask(number=bucket, buckets=self.buckets, inputs=content, previous=[source.path], **common)
                    )
            content = content_of(folder.do(engine, label, emits))
            reduced = [
                ReduceTask(
                    bucket=bucket,
                    partitions=len(self.partitions),
                    last=number == len(rounds) - 1,
                    emitted=[unit.path for unit in emits],
                    inputs=content,
                    **common,
                )
                for bucket in range(self.buckets)
            ]
            folder.do(engine, label, reduced)
        return reduced

    def _quotas(self) -> list[int | None]:
        """How many documents of each partition belong to the first `limit` of the whole input."""
        if self.limit is None:
            return [None] * len(self.partitions)
        left = self.limit
        quotas: list[int | None] = []
        for partition in self.partitions:
            found = 0
            if left:
                for item in readable(partition):
                    found += isinstance(item, Document)
                    if found == left:
                        break
            quotas.append(found)
            left -= found
        return quotas


def _setting_aside(folder: OutputFolder) -> Callable[[Unit, str, str], Unit]:
    """What the engine calls when a document cost a worker its life: write it down, and try the unit without it."""

    def on_kill(unit: Unit, key: str, reason: str) -> Unit:
        assert isinstance(unit, MapTask)
        if key in unit.killed:
            raise RunError(f"{unit.name}: setting {key} aside did not help; it still {reason}")
        folder.set_aside(key, reason)
        return replace(unit, killed={**unit.killed, key: reason})

    return on_kill
