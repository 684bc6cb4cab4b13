"""All runs of a plan: each trained once, kept as soon as it is finished, and gathered in one list of results."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train_probe.alone import alone_in
from train_probe.data import Data, model_vocabulary
from train_probe.estimate import MOST_SLOTS, STEP_SECONDS, Machine, cores, slot_bytes, step_flops, this_machine
from train_probe.evaluate import opened
from train_probe.figures import NEEDED, RESULTS, write_results
from train_probe.groups import Group
from train_probe.inputs import Inputs, Pages, read_inputs
from train_probe.plan import WATCHED, Plan, RunPlan, TrainingPlan, read_plan
from train_probe.pool import Ask, Event, Failed, Opening, Queue, Trained, Worker, alone, failed, pooled, slots_of
from train_probe.progress import Cost, Listener
from train_probe.records import RunRecord, write
from train_probe.scorer import device_of
from train_probe.slots import Slots
from train_probe.stack.guard import ACTIONS
from train_probe.stack.step import keep_compiled, keep_memory, worth_compiling
from train_probe.watch import refuse_unwatched

NUMERICS = 4
"""Raised whenever the same plan and data would give other figures: runs of an older one are trained again."""


def run_plan(
    plan: Plan | Path, out: Path, progress: Listener | None = None, ray: str | None = None, whole: bool = True
) -> list[dict[str, Any]]:
    """Train and score every run of the plan; returns, and writes to `out`/results.json, one result for each, in order.

    Where the plan is not the `whole` of what is measured, the file is left to the caller: it stands for all of it.

    A finished run is kept in `out`/runs/ and is not trained again; one that was cut off continues from its last saved
    state, and ends with the same figures. A run that fails has an `error` and no figures (by a fault of the program
    also a `traceback`), and is tried again the next time. `ray` is the address of a Ray cluster ("local": one is
    started here) whose GPUs, or cores, train the runs; `out` must then be a folder that all its machines see. Raises
    PlanError when the plan's data or `out` is invalid, another process trains into `out`, or a model does not fit into
    memory, before anything is trained.
    """
    if not isinstance(plan, Plan):
        plan = read_plan(Path(plan))
    inputs = read_inputs(plan)
    with alone_in(out):
        return _run_plan(plan, inputs, out, progress, ray, whole)


def _run_plan(
    plan: Plan, inputs: Inputs, out: Path, progress: Listener | None, ray: str | None, whole: bool
) -> list[dict[str, Any]]:
    device = device_of()
    data = Data(plan, inputs, device)
    work = _Work(data)
    names = [run_name(plan, run, inputs) for run in plan.runs]
    folder = out / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    # It would stand for runs of another plan, beside the configuration of this one.
    (out / RESULTS).unlink(missing_ok=True)
    versions = {"numerics": NUMERICS, "torch": torch.__version__, "numpy": np.__version__} | processor()
    write(out / "config.json", {"plan": dataclasses.asdict(plan), "versions": versions, "device": str(device)})
    records = [RunRecord(folder / name) for name in names]
    figures = {
        name: record.figures() if _kept(plan, run, record) else None
        for name, run, record in zip(names, plan.runs, records, strict=True)
    }
    numbers = [i for i, name in enumerate(names) if figures[name] is None and names.index(name) == i]
    for number in numbers:
        resolved = dataclasses.asdict(plan.runs[number]) | {
            "model": dataclasses.asdict(plan.model_of(plan.runs[number]).built())
        }
        resolved["training"] = dataclasses.asdict(plan.training_of(plan.runs[number]))
        about = {"facts": inputs.facts.sha256, "versions": versions, "device": str(device)}
        records[number].config(resolved | about)
    if ray is not None:
        from train_probe.ray_pool import connected, rayed

        machine = connected(ray, plan.processes)
    else:
        machine = this_machine(device, min(plan.processes or cores(), max(1, len(numbers))))
    queue = work.queue(numbers, machine)
    if progress is not None:
        progress.begin([plan.runs[i] for i in numbers], len(names) - len(numbers), work.cost(numbers, machine))
    failures: dict[str, Failed] = {}

    def take(event: Event) -> None:
        name = names[event.number]
        if isinstance(event, Trained):
            figures[name] = event.figures
            records[event.number].finish(event.figures)
        elif isinstance(event, Failed):
            failures[name] = event
        if progress is not None:
            progress.event(dataclasses.replace(event, number=numbers.index(event.number)))

    if numbers:
        start = Start(plan, tuple(names), folder.resolve(), spawned=machine.workers > 1 or ray is not None)
        if not start.spawned:
            _here(start, data, queue, take)
        else:
            del data  # each worker holds its own
            if ray is not None:
                rayed(queue, machine, start, take)
            else:
                pooled(queue, machine.workers, start, take)
    if progress is not None:
        progress.end()
    results = [
        _result(plan, run, name, inputs, figures[name], failures.get(name))
        for run, name in zip(plan.runs, names, strict=True)
    ]
    if whole:
        write_results(out, results)
    return results


def _kept(plan: Plan, run: RunPlan, record: RunRecord) -> bool:
    """Whether a finished run has all that the plan asks for: `save` asks for weights, and a run may be of an earlier
    plan without it."""
    if not plan.save:
        return True
    on_the_way = (one for one in plan.training_of(run).evaluate_exposures if one < run.exposures)
    return all(record.has_checkpoint(exposures) for exposures in (*on_the_way, run.exposures))


def processor() -> dict[str, str]:
    """What the last bit of a figure depends on beside the versions: the processor, which of its instructions torch
    uses, and the commit that torch was built from."""
    name = platform.processor()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "processor": name or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch_build": str(torch.version.git_version),
    }


class _Work:
    """The work of a plan's runs: their groups, what they cost, and the queue of those that wait."""

    def __init__(self, data: Data) -> None:
        self.plan = plan = data.plan
        self.vocabulary = model_vocabulary(data.facts)
        self.groups: list[Group] = []
        self.flops: list[float] = []
        self.tokens: list[int] = []
        self.steps: list[int] = []
        for run in plan.runs:
            stream = data.stream(run)
            refuse_unwatched(data, run)
            opened(data, run, stream)  # refuses what cannot be evaluated before anything is trained
            one = plan.model_of(run).built()
            training = plan.training_of(run)
            by_width = training.rates == "by-width"
            guard = training.guard if training.guard in ACTIONS else "off"
            shape = (stream.shape, stream.longest, not run.tag_loss, by_width)
            self.groups.append(Group(one.program, training.precision, *shape, training.schedule, guard))
            self.flops.append(stream.steps * step_flops(one, self.vocabulary, stream.shape))
            self.tokens.append(stream.tokens)
            self.steps.append(stream.steps)
        some = {group for group in self.groups if group.by_width}
        shared = (dataclasses.replace(group, by_width=True) for group in self.groups)
        self.groups = [one if one in some else group for group, one in zip(self.groups, shared, strict=True)]

    def cost(self, numbers: list[int], machine: Machine) -> Cost:
        """What the runs of these numbers will take."""
        work = [self.flops[number] for number in numbers]
        tokens = [self.tokens[number] for number in numbers]
        peak = machine.peak * machine.workers
        seconds = machine.seconds(sum(work), self._stacked(numbers, machine.kind, machine.workers))
        return Cost(machine.kind, machine.workers, work, tokens, peak, seconds)

    def _stacked(self, numbers: Sequence[int], kind: str, workers: int) -> float:
        """The steps of stacks that these runs take: as many runs of a group as share one take theirs at once."""
        groups = Counter(self.groups[number] for number in numbers)
        steps: Counter[Group] = Counter()
        for number in numbers:
            steps[self.groups[number]] += self.steps[number]
        most = min(self.plan.slots or MOST_SLOTS[kind], MOST_SLOTS[kind])
        return sum(steps[group] / slots_of(runs, most, len(groups), workers) for group, runs in groups.items())

    def queue(self, numbers: list[int], machine: Machine) -> Queue:
        """Raises PlanError where a model does not fit into memory."""
        most: dict[Hashable, int] = {}
        compiled: dict[Hashable, bool] = {}
        for group in {self.groups[number] for number in numbers}:
            one = slot_bytes(group.architecture, self.vocabulary, group.shape)
            name = next(
                self.plan.model_of(r).name for r, g in zip(self.plan.runs, self.groups, strict=True) if g == group
            )
            fit = machine.slots_that_fit(name, one)
            most[group] = min(fit, self.plan.slots or fit)
            compiled[group] = self._compiled(group, machine.kind)
        group_of: dict[int, Hashable] = {number: self.groups[number] for number in numbers}
        return Queue(group_of, {number: self.flops[number] for number in numbers}, most, compiled, machine.workers)

    def _compiled(self, group: Group, kind: str) -> bool:
        """Whether a group's steps are compiled. By all runs of the plan and a stated speed, never by this machine's or
        by what is left to do: a grid that was killed continues as it began."""
        if self.plan.compile != "auto":
            return self.plan.compile == "always"
        numbers = [number for number, one in enumerate(self.groups) if one == group]
        launching = self._stacked(numbers, kind, 1) * STEP_SECONDS[kind]
        return worth_compiling(sum(self.flops[number] for number in numbers) / STATED_FLOPS[kind], launching)


STATED_FLOPS = {"cpu": 5e10, "cuda": 1e14}
"""Operations a second that decide on compilation."""


LATER = {"balance": 0.0, "evaluate_gptq": False}
"""Settings that were declared after folders of results were written, and the value with which figures are as before:
with it they are left out of a run's name, so that these folders are still read."""


def run_name(plan: Plan, run: RunPlan, inputs: Inputs) -> str:
    """The hash of all that shapes a run's figures: its resolved configuration and the content of its data."""
    described = dataclasses.asdict(run)
    for name in ("arm", "junk_shards", "model", "training"):
        described.pop(name)
    described["tag_at_test"] = run.scored_tagged
    # What a run without them had for a name before there were any.
    for name in ("halves", "half", "blocks", "fixed"):
        if not described[name]:
            del described[name]
    if run.junk_kind != "repetitive":
        described.pop("junk_people")
    if described["junk_successors"] == 16:
        described.pop("junk_successors")
    training = dataclasses.asdict(plan.training_of(run))
    usual = dataclasses.asdict(TrainingPlan())
    training = {key: value for key, value in training.items() if key not in WATCHED or value != usual[key]}
    drawn = inputs.documents is None or (run.junk_kind in ("endless", "repetitive") and inputs.facts.kind != "compact")
    folders = [name for name in ("", run.junk_shards) if name is not None]
    shards = [
        [inputs.fingerprints.get(name) for name in folders],
        bundle_hash(inputs.facts.folder) if drawn else None,
        [(name, pages_hash(pages)) for name, pages in sorted(inputs.text.items())],
        [(name, cloze.sha256) for name, cloze in sorted(inputs.cloze.items())],
    ]
    model = dataclasses.asdict(plan.model_of(run).built())
    for name, value in LATER.items():
        for part in (training, model):
            if part.get(name, value) == value:
                part.pop(name, None)
    content = [NUMERICS, described, training, model, inputs.facts.sha256, shards]
    if plan.evaluate:  # a run without has the name that it had before there were evaluations
        content.append([sorted(plan.evaluate), dataclasses.asdict(plan.memorisation)])
    if "retrieval" in plan.evaluate:
        content.append(dataclasses.asdict(plan.retrieval))
    if inputs.questions is not None and ("questions" in plan.evaluate or run.junk_kind == "questions"):
        content.append([inputs.questions.sha256, dataclasses.asdict(plan.asking)])
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def pages_hash(pages: Pages) -> str:
    """The sha256 of pages' tokens, and of where each page and its rendered domain end."""
    digest = hashlib.sha256(np.ascontiguousarray(pages.tokens, np.uint32).tobytes())
    for ends in (pages.ends, pages.prefix):
        digest.update(np.ascontiguousarray(ends, np.int64).tobytes())
    return digest.hexdigest()


def bundle_hash(folder: Path) -> str:
    """The sha256 of the bundle in a facts folder."""
    status = (folder / "bundle.npz").stat()
    return _bundle_hash(folder, status.st_size, status.st_mtime_ns)


@functools.cache
def _bundle_hash(folder: Path, size: int, modified: int) -> str:
    return hashlib.sha256((folder / "bundle.npz").read_bytes()).hexdigest()


@dataclass(frozen=True)
class Start:
    """Opens the plan's inputs where it is called and returns a worker; `spawned` where the process is the worker's."""

    plan: Plan
    names: tuple[str, ...]
    folder: Path
    spawned: bool

    def __call__(self) -> Worker:
        if self.spawned:
            keep_memory()
            torch.set_num_threads(1)
        return self.worker(Data(self.plan, read_inputs(self.plan, verify=False), device_of()))

    def worker(self, data: Data) -> Worker:
        """Stack after stack, as long as there are runs."""
        while True:
            opening = yield Ask()
            if opening is None:
                return
            assert isinstance(opening, Opening) and isinstance(opening.group, Group)
            if opening.compiled:
                keep_compiled(cache_folder() / "compiled")
            try:
                slots = Slots(data, opening.group, list(self.names), self.folder, opening.slots, opening.compiled)
            except Exception as error:
                yield failed(opening.number, error)
                continue
            yield from slots.work(opening.number)


def _here(start: Start, data: Data, queue: Queue, take: Callable[[Event], None]) -> None:
    """All runs in this process, on one thread, so that sums are those of the pool, where each process has one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone(start.worker(data), queue, take)
    finally:
        torch.set_num_threads(threads)


def cache_folder() -> Path:
    """The folder of files that goldsand can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "goldsand"


def _result(
    plan: Plan, run: RunPlan, name: str, inputs: Inputs, figures: dict[str, Any] | None, failure: Failed | None
) -> dict[str, Any]:
    folders = [key for key in ("", run.junk_shards) if key is not None and key in inputs.hashes]
    result: dict[str, Any] = {
        "run": name,
        "arm": run.arm,
        "people": run.people[1] - run.people[0] if run.people else inputs.facts.people,
        "exposures": run.exposures,
        "junk_ratio": run.junk_ratio,
        "junk_kind": run.junk_kind,
        "windows": run.windows,
        "shuffle": run.shuffle,
        "tag": run.tag,
        "tag_leak": run.tag_leak,
        "tag_at_test": run.scored_tagged,
        "bare": run.bare,
        "cool_down": run.cool_down,
        "tag_loss": run.tag_loss,
        "seed": run.seed,
        "learning_rate": plan.training_of(run).learning_rate,
        "batch": plan.training_of(run).batch,
        "shards": list(dict.fromkeys(sha256 for folder in folders for sha256 in inputs.hashes[folder])),
    }
    if run.halves:
        result |= {"people": inputs.facts.people // 2, "halves": run.halves, "half": run.half}
    if run.blocks:
        result["blocks"] = run.blocks
    if figures is None:
        result |= dict.fromkeys(NEEDED) | {"error": failure.error if failure else None}
        return result | ({"traceback": failure.traceback} if failure and failure.traceback else {})
    return result | figures
