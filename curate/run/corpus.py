"""A whole run: sources through stages and rounds to shards, ledger, facts and a summary whose accounts balance."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import xxhash

from curate.document import Document
from curate.places.store import Place, is_private
from curate.run.engine import Engine, Progress, RunError, all_cores
from curate.run.folder import Kill, OutputFolder
from curate.run.interrupt import interruptible
from curate.run.local import LocalEngine
from curate.run.output import Publication
from curate.run.publish_order import publish
from curate.run.rounds import EmitTask, ReduceTask
from curate.run.serial import SerialEngine
from curate.run.stage import Stage, cut
from curate.run.stage_outputs import StageOutputs
from curate.run.status import StatusFile
from curate.run.summary import Effort, summarise
from curate.run.tasks import DOCUMENTS, CutTask, MapTask, Part, read_with, readable
from curate.run.unit import READING, Unit, content_of, files_of, unchanged
from curate.sources import Partition, Piece
from curate.sources.steady import refuse_changed
from curate.step import CorpusStep, Injection, Step

SPLIT = 64 << 20
ASKED_AT_ONCE = 16
"""Input files that are looked at at once, to see whether they have changed."""


@dataclass
class CorpusRun:
    """Everything that decides the output (steps, partitions, publication, limit), and how to run it.

    `recipe` is the text of `recipe.yaml`, written beside the output; `again` tries again what earlier runs set aside.
    `split` is how many bytes of an input file one worker reads at a time (0: whole files), `memory` the megabytes that
    a worker may take. Neither they nor `workers` nor `buckets` change what is published.
    """

    name: str
    steps: Sequence[Step]
    partitions: Sequence[Partition]
    out: Place
    publication: Publication = field(default_factory=Publication)
    buckets: int = 8
    split: int = SPLIT
    limit: int | None = None
    max_loss: float = 0.01
    workers: int | None = None
    memory: int = 2048
    document_timeout: float = 60.0
    on_progress: Callable[[Progress], None] | None = None
    recipe: bytes | None = None
    again: bool = False

    def __post_init__(self) -> None:
        self.stages = cut(self.steps)

    def execute(self) -> dict[str, Any]:
        """Run, or finish, the corpus; returns (and writes) the summary.

        Raises RunError when the folder cannot be written or is in use, and when a unit fails with no document in hand.
        """
        started = time.monotonic()
        with interruptible(), OutputFolder(self.out) as folder, self._status_file() as on_progress:
            if self.again:
                folder.try_again()
            with self.engine(on_progress) as engine:
                outputs, tokens = self.work(folder, engine)
            folder.remove_strangers()
            effort = Effort(time.monotonic() - started, engine.workers, engine.peak_memory)
            summary = summarise(self.name, outputs, folder.manifests, tokens, self.max_loss, effort)
            summary["limit"] = self.limit
            folder.publish(summary, self.recipe)
        return summary

    @contextlib.contextmanager
    def _status_file(self) -> Iterator[StatusFile]:
        """`status.json`: the progress of the run, and then how it ended."""
        status = StatusFile(self.out, self.groups(), self.on_progress)
        status.write("running")
        try:
            yield status
        except BaseException as error:
            status.write("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        status.write("finished")

    def groups(self) -> list[str]:
        """The labels of all groups of units, in the order in which they are done."""
        labels = ["inputs"]
        for stage in self.stages:
            if stage.corpus:
                labels += [f"{stage.corpus.name}: {one.name}" for one in stage.corpus.rounds()]
            labels.append(stage.folder[3:])
        labels += ["text shards", "ledger"]
        labels += ["reports"] if any(stage.corpus and stage.corpus.reports for stage in self.stages) else []
        if self.publication.renderings:
            labels += ["vocabulary", *(f"tokens: {one.name}" for one in self.publication.renderings)]
        return labels + (["facts"] if any(isinstance(step, Injection) for step in self.steps) else [])

    def engine(self, on_progress: Callable[[Progress], None] | None = None) -> SerialEngine | LocalEngine:
        """A pool of processes; or this process alone, where others cannot see the input or output."""
        if is_private(self.out) or any(is_private(partition.path) for partition in self.partitions):
            return SerialEngine(on_progress)
        return LocalEngine(self.workers or all_cores(), self.document_timeout, on_progress, self.memory)

    def work(self, folder: OutputFolder, engine: Engine) -> tuple[StageOutputs, dict[str, int]]:
        """All units in order: inputs, stages with their rounds, publication. Returns the outputs of the stages, and the
        tokens of each rendering."""
        outputs = StageOutputs(
            steps=self.steps,
            stages=self.stages,
            sources=sorted({partition.source for partition in self.partitions}),
            parts=self._parts(folder, engine),
        )
        # Units that were done before a change do not fit those after it.
        with unchanged(files_of(self.steps)):
            quotas = self._quotas(outputs.parts)
            for stage in self.stages:
                self._stage(stage, outputs, quotas, folder, engine)
                if stage.number in (0, len(self.stages) - 1):
                    _refuse_changed_inputs(outputs.parts)
            published = publish(self.publication, outputs, folder, engine)
        return outputs, published

    def _parts(self, folder: OutputFolder, engine: Engine) -> list[Part]:
        """The pieces of all input files, in order."""
        labels = [label_of(partition) for partition in self.partitions]
        uncut = {(kill.part, kill.read_with) for kill in folder.kills if kill.stage == "inputs"}
        tasks = []
        for label, partition in zip(labels, self.partitions, strict=True):
            whole = (label, self._read_with(partition)) in uncut
            tasks.append(CutTask(self.out, label, partition, 0 if whole else self.split))

        def on_kill(unit: Unit, key: str, reason: str) -> Unit:
            # Where it could be cut is not worth the run: the stage that reads it finds out what it is.
            assert isinstance(unit, CutTask)
            if not unit.split:
                raise RunError(f"{unit.name}: {reason}")
            with_what = self._read_with(unit.partition)
            folder.set_aside(Kill("inputs", unit.label, None, unit.partition.prefix, reason, read_with=with_what))
            return replace(unit, split=0)

        parts: list[Part] = []
        for number, manifest in enumerate(folder.do(engine, "inputs", tasks, on_kill)):
            for place, bounds in enumerate(manifest["pieces"]):
                label = labels[number] + (f".{place:05d}" if len(manifest["pieces"]) > 1 else "")
                piece = Piece(*bounds)
                known = (manifest["content"], manifest.get("stamp"))
                parts.append(Part(len(parts), label, self.partitions[number], piece, number, *known))
        return parts

    def _read_with(self, partition: Partition) -> str:
        """What a file that cost its workers their lives was read with; more memory is something else too."""
        return f"{read_with(partition)}, {self.memory} MB"

    def _stage(
        self, stage: Stage, outputs: StageOutputs, quotas: list[int | None], folder: OutputFolder, engine: Engine
    ) -> None:
        """Every part through one stage; for a corpus step, first its rounds over the documents of the stage before."""
        reduced = self._rounds(stage, stage.corpus, outputs, folder, engine) if stage.corpus else []
        tasks = []
        for part in outputs.parts:
            task = MapTask(self.out, stage, part, self.publication.keep_dropped)
            task.killed = self._killed(folder, stage, part, outputs.parts)
            if stage.number == 0:
                task.limit = quotas[part.number]
            else:
                task.previous = outputs.documents[-1][part.number]
                # The digest of this part's records alone: changes in other parts' records have no effect here.
                sections = [folder.manifests[unit.name]["sections"][part.number] for unit in reduced]
                task.inputs = content_of([outputs.manifests[-1][part.number]], DOCUMENTS) + sections
                task.reduced = [unit.path for unit in reduced]
            tasks.append(task)
        manifests = folder.do(engine, stage.folder[3:], tasks, self._setting_aside(folder, stage, outputs.parts))
        outputs.documents.append([task.documents for task in tasks])
        outputs.events.append([task.events for task in tasks])
        outputs.manifests.append(manifests)
        outputs.reduced.append(
            (
                [unit.path for unit in reduced],
                [folder.manifests[unit.name]["sections"][0] for unit in reduced if outputs.parts],
            )
        )

    def _rounds(
        self, stage: Stage, step: CorpusStep, outputs: StageOutputs, folder: OutputFolder, engine: Engine
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
                for part in outputs.parts:
                    emits.append(
                        EmitTask(
                            number=part.number,
                            label=part.label,
                            buckets=self.buckets,
                            inputs=content_of([outputs.manifests[-1][part.number]], DOCUMENTS),
                            documents=outputs.documents[-1][part.number],
                            killed=self._killed(folder, stage, part, outputs.parts, number),
                            **common,
                        )
                    )
            if one.takes_records:
                for source in reduced:
                    emits.append(
                        EmitTask(
                            number=source.bucket,
                            label=f"{source.bucket:05d}",
                            buckets=self.buckets,
                            inputs=folder.manifests[source.name]["sections"],
                            previous=source.path,
                            **common,
                        )
                    )
            manifests = folder.do(engine, label, emits, self._setting_aside(folder, stage, outputs.parts))
            reduced = [
                ReduceTask(
                    bucket=bucket,
                    parts=len(outputs.parts),
                    last=number == len(rounds) - 1,
                    emitted=[unit.path for unit in emits],
                    inputs=[manifest["sections"][bucket] for manifest in manifests],
                    files=tuple(part.partition_number for part in outputs.parts) if one.moves else (),
                    buckets=self.buckets,
                    **common,
                )
                for bucket in range(self.buckets)
            ]
            folder.do(engine, label, reduced)
        return reduced

    def _killed(
        self, folder: OutputFolder, stage: Stage, part: Part, parts: Sequence[Part], number: int | None = None
    ) -> dict[str, str]:
        """The documents that a unit must set aside: in a round, those killed in it; in a stage, all of its own.

        A kill in a part that no longer exists (files are cut differently now) applies to every part of its file.
        """
        there = {one.label for one in parts} if folder.kills else set()
        return {
            kill.key: kill.reason
            for kill in folder.kills
            if kill.stage == stage.folder
            and kill.content in ("", part.content)
            and kill.read_with in ("", self._read_with(part.partition))
            and (number is None or kill.round == number)
            and (kill.part == part.label or (kill.part not in there and part.partition.holds(kill.key)))
        }

    def _setting_aside(
        self, folder: OutputFolder, stage: Stage, parts: Sequence[Part]
    ) -> Callable[[Unit, str, str], Unit]:
        """The callback for a document that killed a worker: records it, and returns the unit without it."""

        def on_kill(unit: Unit, key: str, reason: str) -> Unit:
            assert isinstance(unit, MapTask | EmitTask)
            with_what = ""
            if key == READING:
                assert isinstance(unit, MapTask)
                key, with_what = unit.whole_key, self._read_with(unit.part.partition)
            if key in unit.killed:
                raise RunError(f"{unit.name}: setting {key} aside did not help; it still {reason}")
            part, number = (unit.part.label, None) if isinstance(unit, MapTask) else (unit.label, unit.round_number)
            content = next(one.content for one in parts if one.label == part)
            folder.set_aside(Kill(stage.folder, part, number, key, reason, content, with_what))
            return replace(unit, killed={**unit.killed, key: reason})

        return on_kill

    def _quotas(self, parts: Sequence[Part]) -> list[int | None]:
        """How many documents of each part belong to the first `limit` of the whole input; None: all of them, and
        what could not be read, up to the part's end."""
        if self.limit is None:
            return [None] * len(parts)
        left = self.limit
        quotas: list[int | None] = []
        for part in parts:
            taken = 0
            if left:
                for item in readable(part.partition, part.piece):
                    taken += isinstance(item, Document)
                    if taken == left:
                        break
            left -= taken
            quotas.append(None if left else taken)
        return quotas


def _refuse_changed_inputs(parts: Sequence[Part]) -> None:
    """Raises Changed where a file is not what it was when the run first read it, CannotBeRead."""
    known = {part.partition_number: part for part in parts if part.stamp is not None}

    def check(part: Part) -> None:
        assert part.stamp is not None
        refuse_changed(part.partition, part.stamp, part.content, last=True)

    # A store takes its time to answer for each.
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        deque(pool.map(check, known.values()), maxlen=0)


def label_of(partition: Partition) -> str:
    """A name for an input file in the output folder, which does not depend on the other files."""
    path = f"{partition.source}/{partition.relative}"
    readable_part = re.sub(r"[^A-Za-z0-9_-]+", "-", path)[:60].strip("-")
    return f"{readable_part}-{xxhash.xxh3_64_hexdigest(path.encode('utf-8', 'surrogatepass'))[:10]}"
