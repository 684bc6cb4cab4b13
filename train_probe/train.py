"""All runs of a plan: each trained once, kept as soon as it is finished, and gathered in one list of results."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train_probe.facts import Inputs, read_inputs
from train_probe.plan import Plan, PlanError, RunPlan, read_plan
from train_probe.pool import Event, Failed, Finished, Report, Work, pooled, worked
from train_probe.progress import Printer
from train_probe.run import train_run
from train_probe.stream import Stream

NUMERICS = 1
"""Raised whenever the same plan and data would give other figures: runs of an older one are trained again."""

_FIGURES = (
    "architecture", "parameters", "name_bits", "value_bits", "bits_per_parameter", "value_bits_per_parameter",
    "max_bits_per_parameter", "tokens", "seconds",
)  # fmt: skip


def run_plan(plan: Plan | Path, out: Path, progress: Printer | None = None) -> list[dict[str, Any]]:
    """Train and score every run of the plan; returns, and writes to `out`/results.json, one result for each, in order.

    A finished run stands in `out`/runs/ and is not trained again. A run that fails has an `error` and no figures, and
    is tried again the next time. Raises PlanError when the plan's data or `out` is unfit, before anything is trained.
    """
    if not isinstance(plan, Plan):
        plan = read_plan(Path(plan))
    inputs = read_inputs(plan)
    for run in plan.runs:
        Stream(inputs.facts, inputs.documents, inputs.pages.get(run.junk_shards or ""), plan.training, run)
    names = [run_name(plan, run, inputs) for run in plan.runs]
    folder = out / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        versions = {"numerics": NUMERICS, "torch": torch.__version__, "numpy": np.__version__}
        _write(out / "config.json", {"plan": dataclasses.asdict(plan), "versions": versions})
    except OSError as error:
        raise PlanError(f"{out} cannot be written to ({error.strerror}); choose another folder with -o") from error

    figures = {name: _finished(folder / f"{name}.json") for name in names}
    numbers = [i for i, name in enumerate(names) if figures[name] is None and names.index(name) == i]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    processes = 1 if device.type == "cuda" else min(plan.processes or _cores(), max(1, len(numbers)))
    if progress is not None:
        progress.begin([plan.runs[i] for i in numbers], len(names) - len(numbers), str(device), processes)
    errors: dict[str, str] = {}

    def take(event: Event) -> None:
        name = names[event.number]
        if isinstance(event, Finished):
            figures[name] = event.figures
            _write(folder / f"{name}.json", event.figures)
        elif isinstance(event, Failed):
            errors[name] = event.error
        if progress is not None:
            progress.event(dataclasses.replace(event, number=numbers.index(event.number)))

    if processes > 1:
        pooled(numbers, processes, Start(plan), take)
    else:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums as in the pool, where each process has one thread
        try:
            for number in numbers:
                worked(number, _work(plan, inputs, device), take)
        finally:
            torch.set_num_threads(threads)
    results = [
        _result(plan, run, name, inputs, figures[name], errors.get(name))
        for run, name in zip(plan.runs, names, strict=True)
    ]
    _write(out / "results.json", results)
    return results


def run_name(plan: Plan, run: RunPlan, inputs: Inputs) -> str:
    """The hash of all that shapes a run's figures: its resolved configuration and the content of its data."""
    described = dataclasses.asdict(run) | {"learning_rate": plan.learning_rate(run)}
    described.pop("arm")
    described.pop("junk_shards")
    if run.junk_kind != "repetitive":
        described.pop("junk_people")
    training = dataclasses.asdict(plan.training)
    training.pop("learning_rate")
    shards = [inputs.fingerprints[""], inputs.fingerprints.get(run.junk_shards or "")]
    content = [NUMERICS, described, training, dataclasses.asdict(plan.model.built()), inputs.facts.sha256, shards]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Start:
    """Opens the plan's inputs in a process of its own, and returns the work of that process."""

    plan: Plan

    def __call__(self) -> Work:
        torch.set_num_threads(1)
        return _work(self.plan, read_inputs(self.plan, verify=False), torch.device("cpu"))


def _work(plan: Plan, inputs: Inputs, device: torch.device) -> Work:
    def work(number: int, report: Report) -> dict[str, Any]:
        return train_run(plan, plan.runs[number], inputs, device, report)

    return work


def _result(
    plan: Plan, run: RunPlan, name: str, inputs: Inputs, figures: dict[str, Any] | None, error: str | None
) -> dict[str, Any]:
    folders = ["", *([run.junk_shards] if run.junk_shards is not None else [])]
    result: dict[str, Any] = {
        "run": name,
        "arm": run.arm,
        "people": inputs.facts.people,
        "exposures": run.exposures,
        "junk_ratio": run.junk_ratio,
        "junk_kind": run.junk_kind,
        "tagged": run.tagged,
        "seed": run.seed,
        "learning_rate": plan.learning_rate(run),
        "shards": list(dict.fromkeys(sha256 for folder in folders for sha256 in inputs.hashes[folder])),
    }
    if figures is None:
        return result | dict.fromkeys(_FIGURES) | {"error": error}
    return result | figures


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _finished(path: Path) -> dict[str, Any] | None:
    """The figures of a run that was finished before; a damaged file is as good as none."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return figures if isinstance(figures, dict) and all(key in figures for key in _FIGURES) else None


def _write(path: Path, content: Any) -> None:
    temporary = path.with_name(path.name + ".writing")
    temporary.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    temporary.replace(path)
