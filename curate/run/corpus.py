"""A whole run: sources through stages and rounds to shards, facts and a summary whose accounts balance."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import orjson

from curate.document import Document
from curate.run.local import LocalEngine, Progress, RunError, all_cores, interruptible
from curate.run.publish import Publication, publish
from curate.run.stage import Stage, cut
from curate.run.summary import summarise
from curate.run.tasks import EmitTask, MapTask, ReduceTask, Task
from curate.run.unit import TEMPORARY, content_of, manifest_path, write_atomically
from curate.sources import Partition, read_partition
from curate.step import CorpusStep, Step

OWNED = ("stages", "rounds", "ledger", "quarantine", "text", "tokens", "facts", "manifests")
"""Folders that belong to the run alone: what no unit of the present run wrote is removed from them."""


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
        self._manifests: dict[str, dict[str, Any]] = {}
        self._by_stage: list[list[dict[str, Any]]] = []
        self._killed: dict[str, str] = {}

    def execute(self) -> dict[str, Any]:
        """Run, or finish, the corpus; returns (and writes) the summary.

        Raises RunError when the folder cannot be written or is in use, and when a unit fails outside any document.
        """
        started = time.monotonic()
        with interruptible(), _lock(self.out):
            self._killed = _read_kills(self.out / "kills.jsonl")
            workers = self.workers or all_cores()
            try:
                with LocalEngine(workers, self.document_timeout, self.on_progress) as engine:
                    quotas = self._quotas()
                    for stage in self.stages:
                        self._by_stage.append(self._stage(engine, stage, quotas))
                    tokens = publish(self, engine)
            except BaseException:
                _remove_temporaries(self.out)
                raise
            for owned in OWNED:
                self.remove_strangers(self.out / owned)
            summary = summarise(
                name=self.name,
                stages=self.stages,
                manifests=self._by_stage,
                tokens=tokens,
                seconds=time.monotonic() - started,
                workers=workers,
                max_loss=self.max_loss,
                units_done=sum(not m.get("skipped_unit") for m in self._manifests.values()),
                units_found=sum(bool(m.get("skipped_unit")) for m in self._manifests.values()),
            )
            write_atomically(self.out / "summary.json", orjson.dumps(summary, option=orjson.OPT_INDENT_2))
        return summary

    def documents_after(self, stage: int) -> list[Path]:
        """The files of documents that a stage wrote, one for each partition."""
        return [self._map_task(self.stages[stage], number).documents_path for number in range(len(self.partitions))]

    def manifests_of(self, stage: int) -> list[dict[str, Any]]:
        return self._by_stage[stage]

    def do(
        self, engine: LocalEngine, label: str, tasks: Sequence[Task], on_kill: Callable[..., Task] | None = None
    ) -> list[dict[str, Any]]:
        """Map tasks to manifests and remember what they own."""
        manifests = engine.map(label, tasks, on_kill)
        self._manifests.update({task.name: manifest for task, manifest in zip(tasks, manifests, strict=True)})
        return manifests

    def _quotas(self) -> list[int | None]:
        """How many documents of each partition belong to the first `limit` of the whole input."""
        if self.limit is None:
            return [None] * len(self.partitions)
        left = self.limit
        quotas: list[int | None] = []
        for partition in self.partitions:
            found = 0
            if left:
                for item in read_partition(partition):
                    found += isinstance(item, Document)
                    if found == left:
                        break
            quotas.append(found)
            left -= found
        return quotas

    def _map_task(self, stage: Stage, number: int) -> MapTask:
        return MapTask(self.out, stage, number)

    def _stage(self, engine: LocalEngine, stage: Stage, quotas: Sequence[int | None]) -> list[dict[str, Any]]:
        reduced: list[ReduceTask] = []
        if stage.corpus is not None:
            reduced = self._rounds(engine, stage)
        tasks = []
        for number, partition in enumerate(self.partitions):
            task = self._map_task(stage, number)
            task.killed = {key: why for key, why in self._killed.items() if partition.holds(key)}
            if stage.number == 0:
                task.source, task.limit = partition, quotas[number]
            else:
                task.previous = self.documents_after(stage.number - 1)[number]
                task.inputs = content_of([self._by_stage[stage.number - 1][number]])
                task.reduced = [one.path for one in reduced]
                task.inputs += content_of(self._manifests[one.name] for one in reduced)
            tasks.append(task)
        return self.do(engine, stage.folder[3:], tasks, self._on_kill)

    def _rounds(self, engine: LocalEngine, stage: Stage) -> list[ReduceTask]:
        """Carry out the rounds of a corpus step over the documents of the stage before it."""
        step = stage.corpus
        assert isinstance(step, CorpusStep)
        rounds = step.rounds()
        before = self._by_stage[stage.number - 1]
        reduced: list[ReduceTask] = []
        for number, one in enumerate(rounds):
            folder = f"{stage.folder}-{number}-{one.name}"
            common: dict[str, Any] = {"root": self.out, "folder": folder, "step": step, "round_number": number}
            emits: list[EmitTask] = []
            if one.takes_documents:
                for partition, path in enumerate(self.documents_after(stage.number - 1)):
                    content = content_of([before[partition]])
                    task = EmitTask(number=partition, buckets=self.buckets, inputs=content, documents=path, **common)
                    emits.append(task)
            if one.takes_records:
                for bucket, source in enumerate(reduced):
                    content = content_of([self._manifests[source.name]])
                    emits.append(
                        EmitTask(number=bucket, buckets=self.buckets, inputs=content, previous=[source.path], **common)
                    )
            label = f"{step.name}: {one.name}"
            content = content_of(self.do(engine, label, emits))
            reduced = [
                ReduceTask(
                    bucket=bucket,
                    partitions=len(self.partitions),
                    last=number == len(rounds) - 1,
                    emitted=[task.path for task in emits],
                    inputs=content,
                    **common,
                )
                for bucket in range(self.buckets)
            ]
            self.do(engine, label, reduced)
        return reduced

    def _on_kill(self, task: Task, key: str, reason: str) -> Task:
        """Write down a document that cost a worker its life, and set it aside from now on."""
        assert isinstance(task, MapTask)
        if key in task.killed:
            raise RunError(f"{task.name}: setting {key} aside did not help; it still {reason}")
        with (self.out / "kills.jsonl").open("ab") as stream:
            stream.write(orjson.dumps({"key": key, "reason": reason}, option=orjson.OPT_APPEND_NEWLINE))
            stream.flush()
            os.fsync(stream.fileno())
        self._killed[key] = reason
        return replace(task, killed={**task.killed, key: reason})

    def remove_strangers(self, folder: Path, pattern: str = "*") -> None:
        """Remove what an earlier run with other inputs or steps left, so that the folder holds one corpus."""
        known = {manifest_path(self.out, name) for name in self._manifests}
        known |= {self.out / path for manifest in self._manifests.values() for path in manifest["outputs"]}
        for path in sorted(folder.rglob(pattern), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in known:
                path.unlink()


class _lock:
    """One run at a time on a folder; a dead holder's lock is free by itself."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._stream: IO[str] | None = None

    def __enter__(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._stream = (self.out / ".lock").open("a+")
        except OSError as error:
            raise RunError(f"cannot write to {self.out}: {error.strerror}") from None
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._stream.seek(0)
            holder = self._stream.read().strip() or "unknown"
            self._stream.close()
            raise RunError(f"{self.out} is being written by another run (process {holder})") from None
        self._stream.truncate(0)
        self._stream.write(str(os.getpid()))
        self._stream.flush()

    def __exit__(self, *exception: object) -> None:
        if self._stream is not None:
            self._stream.close()


def _read_kills(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]
    return {row["key"]: row["reason"] for row in rows}


def _remove_temporaries(out: Path) -> None:
    for path in sorted(out.rglob(f"*{TEMPORARY}")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
