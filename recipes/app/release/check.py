"""A release trained again: what was compared, and what differs."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from curate.errors import Refused
from curate.shards.text import read_lines
from recipes.app.measure.memory import remembered
from recipes.app.release.batches import Batches
from recipes.app.release.gallery import prompts, shown
from recipes.app.release.layout import (
    EVENTS,
    GALLERY,
    METRICS,
    NATIVE,
    PLAN,
    RESULTS,
    SPIKES,
    check_sums,
    checkpoint_folder,
    chunk_file,
    lines_of,
    plain,
    read_index,
    sha256,
    spike_folder,
)
from recipes.app.release.machine import apart, here
from recipes.app.release.opened import Opened, open_plan
from train_probe.plan import RunPlan
from train_probe.progress import listeners_of
from train_probe.records import WEIGHTS, read_checkpoint
from train_probe.spikes import LOSSES
from train_probe.train import run_plan

BITS = 0.03
"""How far bits per parameter may be apart, on another machine, before they count as different."""
SHARE = 0.05
"""The same for shares and bits that a probe's `evaluate` tells."""
LOSS = 0.1
"""And for the mean loss of a run, as a share of it."""
_OWN = ("seconds", "device", "rung")
"""Figures of the machine, or of a climb's place on its ladder, and not of the model."""
_OF_SEVERAL = "evaluations.counterfactual."
"""Figures of several runs together, which one run alone does not have."""
_MEANS = 1e-5
"""How far means over other steps may be apart: sums of the same numbers in float32, in another order."""


@dataclass
class Checked:
    """What became of a release that was trained again. `exact`: all that was compared is the same to the last bit;
    `machines`: where the machine at hand differs from that of the release, in words."""

    files: int = 0
    runs: list[str] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    near: list[str] = field(default_factory=list)
    machines: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.differing

    @property
    def exact(self) -> bool:
        return not self.differing and not self.near

    def count(self, what: str, number: int = 1) -> None:
        self.compared[what] = self.compared.get(what, 0) + number

    def differs(self, what: str, bound: bool) -> None:
        """Note a difference: beyond what another machine explains, or within a `bound`."""
        (self.near if bound and self.machines else self.differing).append(what)

    def lines(self) -> Iterator[str]:
        """The report of a check, for a terminal."""
        yield f"{self.files:,} files are what SHA256SUMS says"
        yield f"{len(self.runs)} runs were trained again: {', '.join(self.runs)}"
        if self.machines:
            yield f"trained elsewhere: {'; '.join(self.machines)}"
        for what, number in self.compared.items():
            yield f"compared: {number:,} {what}"
        if self.exact:
            yield "all of it is the same, to the last bit"
        else:
            yield from (f"differs: {one}" for one in self.differing)
            if self.near:
                yield (
                    f"{len(self.near)} differ in their last digits, within the bounds for another machine"
                    f" ({BITS} bits/parameter, {LOSS:.0%} of the mean loss):"
                )
                yield from (f"  {one}" for one in self.near[:20])
                if len(self.near) > 20:
                    yield f"  and {len(self.near) - 20} more"


def check_release(
    folder: Path,
    only: str | None = None,
    say: Callable[[str], None] = lambda text: None,
    processes: int | None = None,
) -> Checked:
    """Hold a release against its checksums, train its runs again (`only` one, by its name) in a temporary folder, and
    compare figures, weights, metrics, batches and gallery. `processes`: by default one a core.

    Raises Refused where a file is not what it was, or the release cannot be trained with this version.
    """
    index = read_index(folder)
    checked = Checked(files=check_sums(folder))
    say(f"{checked.files:,} files are what SHA256SUMS says")
    opened = open_plan(folder / PLAN)
    listed = {one["run"]: one for one in index["runs"]}
    for name, run in zip(opened.names, opened.plan.runs, strict=True):
        if name not in listed:
            raise Refused(
                f"{folder} was trained by another version of the trainer ({index['made_with']['goldsand']}): {run.arm}"
                f" would be run {name} here; check it with that version"
            )
    of = dict(zip(opened.names, opened.plan.runs, strict=True))
    if only is not None:
        chosen = opened.run(only)
        of = {name: run for name, run in of.items() if run == chosen}
    checked.runs = [f"{run.arm} ({name})" for name, run in of.items()]
    with tempfile.TemporaryDirectory(prefix="goldsand-release-") as again:
        trained = _trained(opened, of, listed, Path(again), processes)
        results = {row["run"]: row for row in plain((folder / RESULTS).read_bytes())}
        for name in of:
            config = orjson.loads((Path(again) / "runs" / name / "config.json").read_bytes())
            machine = here(config["versions"], config.get("device", ""))
            checked.machines += [one for one in apart(listed[name]["machine"], machine) if one not in checked.machines]
        for name, run in of.items():
            _figures(checked, name, results[name], trained[name], whole=only is None)
            if not results[name].get("error") and not trained[name].get("error"):
                _weights(checked, folder, Path(again), name, listed[name])
                _metrics(checked, folder, Path(again), name)
                _events(checked, folder, Path(again), name)
                _gallery(checked, opened, folder, Path(again), name, run)
    streams = {listed[name]["stream"]: run for name, run in of.items() if "stream" in listed[name]}
    _batches(checked, opened, folder, index, streams)
    return checked


def _trained(
    opened: Opened, of: dict[str, RunPlan], listed: dict[str, Any], out: Path, processes: int | None
) -> dict[str, dict[str, Any]]:
    """The runs trained again, compiled or not as they were: what decides is work of a whole plan."""
    results: dict[str, dict[str, Any]] = {}
    kinds = {name: listed[name].get("compiled") for name in of}
    for compiled in sorted(set(kinds.values()), key=str):
        runs = tuple(run for name, run in of.items() if kinds[name] == compiled)
        plan = dataclasses.replace(
            opened.plan, runs=runs, save=True, processes=processes,
            compile="auto" if compiled is None else "always" if compiled else "never",
        )  # fmt: skip
        results |= {row["run"]: row for row in run_plan(plan, out, listeners_of(None), whole=False)}
    remembered(out, list(results.values()))
    # As they are read again: without tuples, and with null for what is not finite.
    return {name: plain(json.dumps(row, default=str)) for name, row in results.items()}


def _figures(
    checked: Checked, name: str, released: dict[str, Any], trained: dict[str, Any], whole: bool = True
) -> None:
    before, now = (dict(_flat(row)) for row in (released, trained))
    for key in sorted(before.keys() | now.keys()):
        if key.partition(".")[0] in _OWN or key == "traceback":
            continue
        if not whole and key.startswith(_OF_SEVERAL):
            continue
        checked.count("figures")
        one, other = before.get(key), now.get(key)
        if one != other:
            checked.differs(f"{name}: {key} {one} -> {other}", _near(key, one, other))


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in items:
            yield from _flat(one, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _near(key: str, one: Any, other: Any) -> bool:
    """Whether another processor or build may give this figure for that one."""
    if not isinstance(one, float) or not isinstance(other, float) or not math.isfinite(one - other):
        return False
    if key.endswith("_per_parameter"):
        return abs(one - other) <= BITS
    if "evaluations" in key.split("."):
        return abs(one - other) <= SHARE * max(1.0, abs(one))
    # Bits and nats in all follow from those for each parameter, which are held to the bound.
    return key.endswith(("_bits", "_nats", "nats")) or "nats" in key


def _weights(checked: Checked, folder: Path, again: Path, name: str, about: dict[str, Any]) -> None:
    run = again / "runs" / name
    for exposures in about["checkpoints"]:
        checked.count("checkpoints")
        kept, made = checkpoint_folder(folder, name, exposures) / NATIVE, run / "checkpoints" / str(exposures)
        _same_weights(checked, kept, made, f"{name}: weights after {exposures} exposures")
    for step, sides in about.get("spikes", {}).items():
        checked.count("spikes")
        kept, made = spike_folder(folder, name, step), run / SPIKES / step
        if not made.is_dir():
            checked.differs(f"{name}: no spike at step {step}", True)
            continue
        if lines_of(kept / LOSSES) != lines_of(made / LOSSES):
            checked.differs(f"{name}: losses of both continuations of the spike at step {step}", True)
        for place in [f"{side}/{one}" for side, after in sides.items() for one in after]:
            checked.count("weights of spikes")
            _same_weights(checked, kept / place / NATIVE, made / place, f"{name}: weights of spike {step}/{place}")


def _same_weights(checked: Checked, kept: Path, made: Path, what: str) -> None:
    if not (made / WEIGHTS).is_file():
        checked.differs(f"{what} are not there", True)
    elif sha256(kept / WEIGHTS) != sha256(made / WEIGHTS):
        checked.differs(f"{what}, {_distance(kept, made):.2g} apart", True)


def _distance(kept: Path, made: Path) -> float:
    """How far weights are apart, as a share of their length."""
    one, other = (read_checkpoint(path).state_dict() for path in (kept, made))
    apart = sum(float((one[key].double() - other[key].double()).square().sum()) for key in one)
    return math.sqrt(apart / max(1e-300, sum(float(weight.double().square().sum()) for weight in one.values())))


def _metrics(checked: Checked, folder: Path, again: Path, name: str) -> None:
    """Line by line where both looked at the same steps; else, where other runs shared the stack, by the run's means."""
    before, now = _lines(folder, again, name, METRICS)
    if [line["step"] for line in before] == [line["step"] for line in now]:
        checked.count("lines of metrics", len(now))
        wrong = [
            line["step"]
            for line, other in zip(before, now, strict=True)
            if any(line.get(key) != other.get(key) for key in line.keys() | other.keys() if key not in _OWN)
        ]
        if not wrong:
            return
        what = f"{name}: {len(wrong)} lines of metrics from step {wrong[0]} on"
    else:
        checked.count("means of metrics", 2)
        what = f"{name}: the means of metrics"
        if all(_apart(before, now, key) <= _MEANS for key in ("loss", "gradient_norm")):
            return
    checked.differs(
        f"{what}; mean loss {_mean(before, 'loss')} -> {_mean(now, 'loss')}", _apart(before, now, "loss") <= LOSS
    )


def _events(checked: Checked, folder: Path, again: Path, name: str) -> None:
    """What a guard did, and where."""
    before, now = _lines(folder, again, name, EVENTS)
    if before:
        checked.count("events", len(before))
    if before != now:
        steps = [[line["step"] for line in lines] for lines in (before, now)]
        checked.differs(f"{name}: events at steps {steps[0]} -> {steps[1]}", True)


def _lines(folder: Path, again: Path, name: str, file: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What a release's file says of a run, and what it says trained again."""
    before = [{k: v for k, v in line.items() if k != "run"} for line in lines_of(folder / file) if line["run"] == name]
    return before, lines_of(again / "runs" / name / file)


def _mean(lines: list[dict[str, Any]], key: str) -> float:
    """The mean over all steps of what lines say of those since the line before."""
    steps = np.diff([0, *(line["step"] for line in lines)])
    return float(np.average([line[key] for line in lines], weights=steps))


def _apart(before: list[dict[str, Any]], now: list[dict[str, Any]], key: str) -> float:
    one, other = _mean(before, key), _mean(now, key)
    return abs(one - other) / max(abs(one), 1e-300)


def _gallery(checked: Checked, opened: Opened, folder: Path, again: Path, name: str, run: RunPlan) -> None:
    before = orjson.loads((folder / GALLERY).read_bytes())[name]
    kept = again / "runs" / name / "checkpoints"
    models = {str(one): read_checkpoint(kept / str(one)) for one in Batches(opened).ends(run)}
    now = shown(opened, prompts(opened, run), models)
    for one, other in itertools.zip_longest(before, now):
        checked.count("prompts of the gallery")
        if one != other:
            checked.differs(f"{name}: what is said after {(one or other)['prompt']!r}", True)


def _batches(
    checked: Checked, opened: Opened, folder: Path, index: dict[str, Any], streams: dict[str, RunPlan]
) -> None:
    """Make every batch again and hold it against `data/`: its ids, and what they say as text."""
    batches = Batches(opened)
    for stream, run in streams.items():
        before = 0
        for chunk, end in index["streams"][stream]["chunks"].items():
            made = batches.pieces(run, before + 1, end)
            for piece, line in itertools.zip_longest(made, read_lines(chunk_file(folder, stream, int(chunk)))):
                checked.count("texts of data/")
                kept = {} if line is None else orjson.loads(line)
                if piece is None or any(kept.get(key) != value for key, value in piece.line().items() if key in _SAME):
                    where = f"step {kept.get('step', '?')}" if piece is None else f"step {piece.step}, row {piece.row}"
                    checked.differs(f"{chunk_file(folder, stream, int(chunk))}: {where}", False)
                    break
            before = end


_SAME = ("step", "row", "kind", "tokens", "ids", "text")
"""Of a text, what its stream decides: documents and licences are the corpus', which is no part of a release."""
