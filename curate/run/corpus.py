"""A whole run: sources through stages and rounds to shards, ledger, facts and a summary whose accounts balance."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from curate.document import Document
from curate.places.manifest import SUMMARY
from curate.places.store import Place, is_local, is_private, store_errors
from curate.run.calls import Calls
from curate.run.engine import Engine, Progress, all_cores
from curate.run.folder import OutputFolder, read_kills
from curate.run.forecast import ForetoldGroup
from curate.run.inputs import ContentsTask, CutTask
from curate.run.interrupt import interruptible
from curate.run.killed import Killed
from curate.run.ledger import read_rows
from curate.run.local import LocalEngine
from curate.run.lots import Lot, Part, in_lots, lots_of, sizes_of
from curate.run.output import Publication
from curate.run.previous import forget, keep, restore
from curate.run.provenance import made_with, write_marker
from curate.run.publish_order import publish
from curate.run.ray_engine import RayCluster, RayEngine
from curate.run.rounds import EmitTask, ReduceTask
from curate.run.serial import SerialEngine
from curate.run.shared_extraction import SharedExtraction, Sharing, note_sharing
from curate.run.stage import Stage, cut
from curate.run.stage_outputs import StageOutputs, label_of
from curate.run.standing import Asked, Change, change_of
from curate.run.status import StatusFile
from curate.run.summary import summarise
from curate.run.tasks import DOCUMENTS, MapTask, read_documents, readable
from curate.run.unit import content_of, files_of, unchanged
from curate.sources import WHOLE, Partition, Piece
from curate.sources.steady import refuse_any_changed
from curate.step import CorpusStep, Injection, Step

SPLIT = 64 << 20


@dataclass
class CorpusRun:
    """Everything that decides the output (steps, partitions, publication, limit), and how to run it.

    `recipe` is the text of `recipe.yaml`, written beside the output; `again` tries again what earlier runs set aside.
    `split` is how many bytes of an input file one worker reads at a time (0: whole files), `memory` the megabytes that
    a worker may take, `pool` where extraction is shared with other folders (`stage_pool.py`), `cluster` where Ray
    carries the units out, `program` whether workers import the program that started the run (a step may be of it).
    None of them, nor `workers` or `buckets`, changes what is published. `drawn` are the parts of a sample to be read.

    A finished corpus in `out` of which this is no change (`curate.run.standing`) is kept unless `replace` says so, and
    `on_change` told what changes. `sample` is for rehearsals: so many documents of each piece. `foretell` is asked
    first what each group of units takes: then progress tells the time left of the whole run.
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
    drawn: Sequence[Part] | None = None
    replace: bool = False
    on_change: Callable[[Change], None] | None = None
    sample: int | None = None
    pool: Place | None = None
    cluster: RayCluster | None = None
    program: bool = True
    foretell: Callable[[CorpusRun], Sequence[ForetoldGroup]] | None = None

    def __post_init__(self) -> None:
        self.stages = cut(self.steps)
        self.sharing: Sharing | None = None
        self.published = False

    def execute(self) -> dict[str, Any]:
        """Run, or finish, the corpus; returns (and writes) the summary. `sharing` then says what the pool gave, and
        `published` that it was this run which published.

        Raises RunError when the folder cannot be written or is in use, when a finished corpus stands in it that this
        run may not replace, and when a unit fails with no document in hand.
        """
        if self.cluster is not None:
            self.cluster.refuse_unfit(self.out, self.partitions, self.steps, self.workers_here)
        with interruptible(), OutputFolder(self.out) as folder:
            made_of = self.begin(folder)
            with self.status_file() as on_progress:
                with self.engine(on_progress) as engine:
                    if self.foretell and isinstance(engine, LocalEngine):
                        on_progress.foretold(self.foretell(self), engine.workers)
                    outputs, tokens = self.work(folder, engine)
                folder.remove_strangers()
                on_progress.calls.end(engine.workers, engine.peak_memory, folder.made)
                summary = self.end(folder, outputs, tokens, on_progress.calls, made_of)
            forget(self.out)
        return summary

    def end(
        self, folder: OutputFolder, outputs: StageOutputs, tokens: dict[str, int], calls: Calls, made_of: dict[str, Any]
    ) -> dict[str, Any]:
        """Write the summary of a run whose units are all done, which makes its folder a finished one."""
        summary = summarise(self.name, outputs, folder.manifests, tokens, self.max_loss, calls)
        made = self.made_with()
        summary |= {"made_with": made, "made_of": made_of}
        if self.pool and self.stages[0].extracts and self.drawn is None:
            cuts = ((task, folder.manifests[task.name]) for task in self._cuts(folder))
            self.sharing = note_sharing(self.pool, self.out, outputs.manifests[0], cuts)
        # No unit of an earlier run is left.
        write_marker(self.out, made, self.steps, keep=False)
        folder.publish(summary, self.recipe)
        self.published = True
        return summary

    def made_with(self) -> dict[str, Any]:
        """Versions and hashes of all that the corpus is made with, in clear."""
        vocabulary = self.publication.vocabulary
        recipe = "" if self.recipe is None else hashlib.sha256(self.recipe).hexdigest()
        return made_with(self.name, recipe, self.steps, self.partitions, vocabulary.file, self.limit)

    def change(self, foretell: bool = True) -> Change | None:
        """What this run would change of the finished corpus in its folder, with its refusal, if it would be refused:
        after a rehearsal of some seconds, where steps have changed, unless `foretell` is false."""
        return change_of(self.out, self.asked(), foretell)

    def begin(self, folder: OutputFolder) -> dict[str, Any]:
        """Take the folder for this run; what it is made of. A finished corpus is kept aside until the end."""
        change = self.change(not self.replace)
        if change is not None:
            if not self.replace:
                change.refuse()
            if self.on_change is not None:
                self.on_change(change)
            with store_errors(self.out):
                if change.back:
                    restore(self.out)
                elif change.standing.folder == self.out:
                    keep(self.out)
        elif is_local(self.out) and (self.out / SUMMARY).is_file() and not all(map(_is_known, self.partitions)):
            keep(self.out)
        made_of = self.asked().made_of()
        folder.begin()
        if self.again:
            folder.try_again()
        write_marker(self.out, self.made_with(), self.steps, keep=True)
        return made_of

    def asked(self) -> Asked:
        return Asked(self.name, self.stages, self.partitions, self.publication, self.limit, self._rehearse)

    def _rehearse(self, partitions: Sequence[Partition], documents: int) -> tuple[set[str], set[str]]:
        """Carry the steps out on the first documents of some input files; the keys of those that stay, and of all."""
        steps = [step for step in self.steps if not isinstance(step, Injection)]
        with tempfile.TemporaryDirectory(prefix="goldsand-") as name:
            run = replace(
                self,
                steps=[step.rehearsed() if isinstance(step, CorpusStep) else step for step in steps],
                partitions=partitions,
                out=Path(name) / "out",
                buckets=1,
                split=0,
                limit=None,
                workers=min(len(partitions), self.workers or all_cores()),
                on_progress=None,
                sample=documents,
                drawn=None,
                pool=None,
                cluster=None,
                foretell=None,
            )
            with OutputFolder(run.out) as folder, run.engine() as engine:
                folder.kills = read_kills(self.out)
                outputs = run.through(folder, engine)
            kept = {document.key for place in outputs.documents[-1] for document in read_documents(place)}
            events = (row for places in outputs.events for place in places for row in read_rows(place))
            return kept, kept | {row["key"] for row in events if row["event"] == "drop"}

    @contextlib.contextmanager
    def status_file(self, place: Place | None = None) -> Iterator[StatusFile]:
        """`status.json`: the progress of the run, and then how it ended. `place` is another name for that of a
        shard."""
        status = StatusFile(self.out, self.groups(), self.on_progress, place)
        status.write("running")
        try:
            yield status
        except BaseException as error:
            status.write("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        status.write("finished")

    def groups(self) -> list[str]:
        """The labels of all groups of units, in the order in which they are done."""
        labels = ["inputs"] if self.drawn is None else []
        for stage in self.stages:
            if stage.corpus:
                labels += [f"{stage.corpus.name}: {one.name}" for one in stage.corpus.rounds()]
            labels.append(stage.folder[3:])
        labels += ["text shards", "ledger"]
        labels += ["reports"] if any(stage.corpus and stage.corpus.reports for stage in self.stages) else []
        if self.publication.renderings:
            labels += ["vocabulary", *(f"tokens: {one.name}" for one in self.publication.renderings)]
        return labels + (["facts"] if any(isinstance(step, Injection) for step in self.steps) else [])

    @property
    def workers_here(self) -> int:
        return self.workers or all_cores()

    def engine(self, on_progress: Callable[[Progress], None] | None = None) -> SerialEngine | LocalEngine | RayEngine:
        """The machines of a cluster; a pool of processes; or this process alone, where others cannot see the input or
        output."""
        if self.cluster is not None:
            given = (self.cluster, self.workers, self.document_timeout, on_progress, self.memory)
            return RayEngine(*given, self.workers_here)
        if is_private(self.out) or any(is_private(partition.path) for partition in self.partitions):
            return SerialEngine(on_progress)
        return LocalEngine(self.workers_here, self.document_timeout, on_progress, self.memory, self.program)

    def work(self, folder: OutputFolder, engine: Engine) -> tuple[StageOutputs, dict[str, int]]:
        """All units in order: inputs, stages with their rounds, publication. Returns the outputs of the stages, and the
        tokens of each rendering."""
        # Units that were done before a change do not fit those after it.
        with unchanged(files_of(self.steps)):
            outputs = self.through(folder, engine)
            published = publish(self.publication, outputs, folder, engine)
        return outputs, published

    def through(self, folder: OutputFolder, engine: Engine) -> StageOutputs:
        """The units of inputs and stages, in order."""
        outputs = StageOutputs(
            steps=self.steps,
            stages=self.stages,
            sources=sorted({partition.source for partition in self.partitions}),
            lots=lots_of(self._parts(folder, engine)),
        )
        quotas = self._quotas(outputs.parts)
        for stage in self.stages:
            self._stage(stage, outputs, quotas, folder, engine)
            if stage.number in (0, len(self.stages) - 1):
                refuse_any_changed((one.partition, one.stamp, one.content) for one in outputs.parts if one.stamp)
        return outputs

    def _parts(self, folder: OutputFolder, engine: Engine) -> list[Part]:
        """The pieces of all input files, in order."""
        if self.drawn is not None:
            return list(self.drawn)
        tasks = self._cuts(folder)
        parts: list[Part] = []
        first = 0
        for task, manifest in zip(
            tasks, folder.do(engine, "inputs", tasks, Killed(folder, self.memory).uncut), strict=True
        ):
            if isinstance(task, ContentsTask):
                stamps = manifest.get("stamps") or [None] * len(task.partitions)
                found = zip(task.partitions, task.sizes, manifest["contents"], stamps, strict=True)
                for number, (one, size, content, stamp) in enumerate(found, first):
                    given = (len(parts), label_of(one), one, WHOLE, number, content)
                    parts.append(Part(*given, lot=task.label, size=size, stamp=stamp))
                first += len(task.partitions)
                continue
            for place, bounds in enumerate(manifest["pieces"]):
                label = task.label + (f".{place:05d}" if len(manifest["pieces"]) > 1 else "")
                given = (len(parts), label, task.partition, Piece.of(bounds), first, manifest["content"])
                parts.append(Part(*given, stamp=manifest.get("stamp")))
            first += 1
        return parts

    def _cuts(self, folder: OutputFolder) -> list[CutTask | ContentsTask]:
        """The units that look at the input files: small ones together, large ones to be cut, except those whose cutting
        cost their workers' lives."""
        killed = Killed(folder, self.memory)
        sizes = sizes_of(self.partitions)
        tasks: list[CutTask | ContentsTask] = []
        for numbers in in_lots(self.partitions, sizes, self.split):
            partition = self.partitions[numbers[0]]
            label = label_of(partition)
            if len(numbers) > 1:
                members = tuple(self.partitions[number] for number in numbers)
                own = tuple(sizes[number] for number in numbers)
                tasks.append(ContentsTask(self.out, f"{label}.many", members, own))
            else:
                split = 0 if killed.by_cutting(label, partition) else self.split
                tasks.append(CutTask(self.out, label, partition, split, sizes[numbers[0]]))
        return tasks

    def _stage(
        self, stage: Stage, outputs: StageOutputs, quotas: list[int | None], folder: OutputFolder, engine: Engine
    ) -> None:
        """Every part through one stage; for a corpus step, first its rounds over the documents of the stage before."""
        reduced = self._rounds(stage, stage.corpus, outputs, folder, engine) if stage.corpus else []
        killed, parts = Killed(folder, self.memory), outputs.parts
        tasks = []
        for place, lot in enumerate(outputs.lots):
            task = self._map_task(stage, lot)
            task.killed = killed.among(stage, lot, parts)
            numbers = [part.number for part in lot.parts]
            if stage.number == 0:
                limits = tuple(quotas[number] for number in numbers)
                task.limits = () if limits.count(None) == len(limits) else limits
            else:
                task.previous = outputs.documents[-1][place]
                task.counts = outputs.counts(place)
                # The digests of this lot's records alone: changes in other lots' records have no effect here.
                sections = [folder.manifests[unit.name]["sections"][number] for number in numbers for unit in reduced]
                task.inputs = content_of([outputs.manifests[-1][place]], DOCUMENTS) + sections
                task.reduced = [unit.path for unit in reduced]
            tasks.append(task)
        manifests = folder.do(engine, stage.folder[3:], tasks, killed.setting_aside(stage, outputs.lots))
        outputs.documents.append([task.documents for task in tasks])
        outputs.events.append([task.events for task in tasks])
        outputs.manifests.append(manifests)
        outputs.reduced.append(
            (
                [unit.path for unit in reduced],
                [folder.manifests[unit.name]["sections"][0] for unit in reduced if parts],
            )
        )

    def _map_task(self, stage: Stage, lot: Lot) -> MapTask:
        given = (self.out, stage, lot, self.publication.keep_dropped)
        return SharedExtraction(*given, pool=self.pool) if self.pool and stage.extracts else MapTask(*given)

    def _rounds(
        self, stage: Stage, step: CorpusStep, outputs: StageOutputs, folder: OutputFolder, engine: Engine
    ) -> list[ReduceTask]:
        """Carry out the rounds of a corpus step; returns the units of the last reduce."""
        rounds = step.rounds()
        killed, parts = Killed(folder, self.memory), outputs.parts
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
                for place, lot in enumerate(outputs.lots):
                    emits.append(
                        EmitTask(
                            number=lot.parts[0].number,
                            label=lot.label,
                            buckets=self.buckets,
                            inputs=content_of([outputs.manifests[-1][place]], DOCUMENTS),
                            documents=outputs.documents[-1][place],
                            counts=outputs.counts(place),
                            killed=killed.among(stage, lot, parts, number),
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
            manifests = folder.do(engine, label, emits, killed.setting_aside(stage, outputs.lots))
            reduced = [
                ReduceTask(
                    bucket=bucket,
                    parts=len(parts),
                    last=number == len(rounds) - 1,
                    emitted=[unit.path for unit in emits],
                    inputs=[manifest["sections"][bucket] for manifest in manifests],
                    files=tuple(part.partition_number for part in parts) if one.moves else (),
                    buckets=self.buckets,
                    **common,
                )
                for bucket in range(self.buckets)
            ]
            folder.do(engine, label, reduced)
        return reduced

    def _quotas(self, parts: Sequence[Part]) -> list[int | None]:
        """How many documents of each part belong to the first `limit` of the whole input; None: all of them, and
        what could not be read, up to the part's end."""
        if self.sample is not None:
            return [self.sample] * len(parts)
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


def _is_known(partition: Partition) -> bool:
    """Whether a change of its content shows without reading it or asking a store."""
    return partition.dataset is None and isinstance(partition.path, Path)
