"""A finished probe as a release: one folder with all that it read, made and found."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from curate.errors import Refused
from curate.places.store import write_atomically
from curate.shards.text import shard_compressor
from recipes.app.release.batches import Batches, Mix
from recipes.app.release.cards import data_card, model_card
from recipes.app.release.gallery import prompts, shown
from recipes.app.release.inputs import opened_probe, put_inputs
from recipes.app.release.layout import (
    CARD,
    CHECKPOINTS,
    CONFIG,
    DATA_CARD,
    EVALUATIONS,
    EVENTS,
    FORMAT,
    GALLERY,
    INDEX,
    METRICS,
    MIX,
    NATIVE,
    PLAN,
    RESULTS,
    RETRAIN,
    SPIKES,
    checkpoint_folder,
    chunk_file,
    files_of,
    lines_of,
    numbered,
    plain,
    spike_folder,
    write_sums,
)
from recipes.app.release.machine import here, made_with
from recipes.app.release.opened import Opened
from train_probe.export import export
from train_probe.foreign import ExportError
from train_probe.plan import RunPlan
from train_probe.records import read_checkpoint
from train_probe.spikes import CONTINUATIONS, EVENT, LOSSES

_RETRAIN = """\
#!/bin/sh
# Trains every run of this release again, into the folder `retrained` or the one that is named.
# `goldsand release --check .` does so and compares.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "${PYTHON:-python3}" -m train_probe "$here/config/plan.json" -o "${1:-retrained}"
"""


def make_release(
    probe: Path, out: Path, corpus: Path | None = None, say: Callable[[str], None] = lambda text: None
) -> dict[str, int]:
    """Write the release of a finished probe; returns its files and bytes. `corpus` is the finished run whose documents
    its pages are, where the plan's own folder is not one. `say` is told what a reader should know.

    All is written beside `out` first, and then takes its place. Raises Refused where the probe is not finished or kept
    no weights, where its inputs are others now, and where `out` holds something else.
    """
    if out.exists() and not (out.is_dir() and ((out / INDEX).is_file() or not any(out.iterdir()))):
        raise Refused(f"{out} holds other files: give a folder that is empty, or one that `goldsand release` made")
    opened, results = opened_probe(probe, corpus)
    new, old = (out.with_name(f"{out.name}.{word}") for word in ("new", "old"))
    for one in (new, old):
        shutil.rmtree(one, ignore_errors=True)
    new.mkdir(parents=True)
    _Writer(new, probe, opened, results, say).write()
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    sizes = [one.stat().st_size for one in files_of(out)]
    return {"files": len(sizes) + 1, "bytes": sum(sizes)}


class _Writer:
    """Writes a release into an empty folder."""

    def __init__(
        self, root: Path, probe: Path, opened: Opened, results: list[dict[str, Any]], say: Callable[[str], None]
    ) -> None:
        self.root, self.probe, self.opened, self.say = root, probe, opened, say
        self.results: list[dict[str, Any]] = plain(json.dumps(results))
        # A run that two arms share is one; a run that failed has no weights and no figures.
        self.runs: dict[str, tuple[RunPlan, dict[str, Any]]] = {}
        for run, row in zip(opened.plan.runs, self.results, strict=True):
            self.runs.setdefault(row["run"], (run, row))
        self.batches = Batches(opened)

    def write(self) -> None:
        plan = put_inputs(self.root, self.probe, self.opened, self._compiled())
        self._json(PLAN, plan)
        index: dict[str, Any] = {"format": FORMAT, "made_with": made_with(), "runs": [], "streams": {}}
        gallery: dict[str, Any] = {}
        said: set[str] = set()
        for name, (run, row) in self.runs.items():
            config = orjson.loads((self.probe / "runs" / name / "config.json").read_bytes())
            self._json(f"{CONFIG}/{name}.json", config)
            about = {
                "run": name, "arm": run.arm, "exposures": run.exposures, "seed": run.seed,
                "learning_rate": row["learning_rate"], "machine": here(config["versions"], config.get("device", "")),
            }  # fmt: skip
            if row.get("error"):
                index["runs"].append(about | {"error": row["error"]})
                continue
            stream = stream_name(self.opened, run, row["steps"])
            kind, *problems = self._checkpoints(name, run)
            spikes, problem = self._spikes(name, run)
            for one in filter(None, [*problems, problem]):
                if one not in said:
                    said.add(one)
                    self.say(one)
            about |= {"stream": stream, "checkpoints": [*self.batches.ends(run)], "class": kind}
            about |= {"spikes": spikes} if spikes else {}
            index["runs"].append(about | {"compiled": row["compiled"]})
            index["streams"].setdefault(stream, {"run": name})
            self._evaluations(name, row)
            gallery[name] = self._gallery(name, run)
        mix = {}
        for stream, one in index["streams"].items():
            run, row = self.runs[one["run"]]
            ends = self.batches.ends(run, row["steps"])
            one["chunks"] = {str(chunk): end for chunk, end in ends.items()}
            mix[stream] = self._data(stream, run, ends)
        index["unnamed_pages"] = self.batches.unnamed
        for token_set, count in self.batches.unnamed.items():
            self.say(
                f"{count:,} pages of '{token_set}' are named by their place in it: the documents that they are of are"
                " not known (--corpus OUT names the run that wrote them)"
            )
        self._json(GALLERY, gallery)
        self._mix(mix)
        self._metrics()
        self._json(RESULTS, self.results)
        self._text(CARD, model_card(self.opened, index, self.results))
        self._text(DATA_CARD, data_card(self.opened, index, mix))
        self._text(RETRAIN, _RETRAIN)
        (self.root / RETRAIN).chmod(0o755)
        self._json(INDEX, index)
        write_sums(self.root)

    def _compiled(self) -> str:
        """What a plan says of compilation so that its runs are trained as they were."""
        kinds = {row["compiled"] for row in self.results if not row.get("error")}
        return "auto" if len(kinds) != 1 else "always" if kinds.pop() else "never"

    def _checkpoints(self, name: str, run: RunPlan) -> tuple[str | None, str]:
        """Write a run's checkpoints; returns the class of transformers that they are of, and why one is of none, or
        was not loaded again."""
        kinds, problems = [], []
        for exposures in self.batches.ends(run):
            kept = self.probe / "runs" / name / "checkpoints" / str(exposures)
            kind, problem = self._weights(kept, checkpoint_folder(self.root, name, exposures), run)
            kinds.append(kind)
            problems.append(problem)
        return (None if None in kinds else kinds[-1]), next(filter(None, problems), "")

    def _weights(self, kept: Path, folder: Path, run: RunPlan) -> tuple[str | None, str]:
        """Write weights as a class of transformers and, beside it, as they are; returns the class, and why there is
        none, or it was not loaded again."""
        shutil.copytree(kept, folder / NATIVE)
        model = read_checkpoint(kept, max(512, self.opened.plan.training_of(run).window))
        loads = _loads()
        try:
            kind = export(model, folder, self.opened.tokenizer, check=loads)
        except ExportError as error:
            for path in folder.iterdir():  # a class whose logits are others is none
                if path.name != NATIVE:
                    path.unlink()
            return None, f"{run.arm}: weights are kept as goldsand's own alone: {error}"
        return kind, "" if loads else "the exported classes were not loaded again: pip install 'goldsand[hub]'"

    def _spikes(self, name: str, run: RunPlan) -> tuple[dict[str, Any], str]:
        """Write both continuations of a run's spikes; returns after which steps there are weights, by spike and
        continuation, and why some are of no class of transformers."""
        written: dict[str, Any] = {}
        problems = []
        for step in numbered(self.probe / "runs" / name / SPIKES):
            kept = self.probe / "runs" / name / SPIKES / str(step)
            put = spike_folder(self.root, name, step)
            put.mkdir(parents=True)
            for file in (EVENT, LOSSES):
                shutil.copyfile(kept / file, put / file)
            written[str(step)] = {side: numbered(kept / side) for side in CONTINUATIONS}
            for side, after in written[str(step)].items():
                problems += [self._weights(kept / side / str(one), put / side / str(one), run)[1] for one in after]
        return written, next(filter(None, problems), "")

    def _evaluations(self, name: str, row: dict[str, Any]) -> None:
        """What each checkpoint knows, by exposures."""
        known = {**{str(one["exposures"]): one for one in row.get("curve") or ()}}
        last = {key: row[key] for key in _KNOWS if row.get(key) is not None}
        known[str(row["exposures"])] = {"exposures": row["exposures"], **last}
        for exposures, content in known.items():
            self._json(f"{EVALUATIONS}/{name}/{exposures}/facts.json", content)
        folder = self.probe / "runs" / name
        for path in sorted((folder / EVALUATIONS).glob("*.json")):
            for what, found in plain(path.read_bytes()).items():
                for part, content in _parts(what, found):
                    self._json(f"{EVALUATIONS}/{name}/{path.stem}/{part}.json", content)

    def _gallery(self, name: str, run: RunPlan) -> list[dict[str, Any]]:
        folder = self.root / CHECKPOINTS / name
        models = {str(one): read_checkpoint(folder / str(one) / NATIVE) for one in self.batches.ends(run)}
        return shown(self.opened, prompts(self.opened, run), models)

    def _data(self, stream: str, run: RunPlan, ends: dict[int, int]) -> list[dict[str, Any]]:
        """Write the chunks of a stream; returns its mix."""
        mix, before = Mix(), 0
        for chunk, end in ends.items():
            path = chunk_file(self.root, stream, chunk)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file, shard_compressor().stream_writer(file) as packed:
                for piece in self.batches.pieces(run, before + 1, end):
                    mix.add(piece)
                    packed.write(orjson.dumps(piece.line()) + b"\n")
            before = end
        return mix.rows()

    def _mix(self, mix: dict[str, list[dict[str, Any]]]) -> None:
        with (self.root / MIX).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["stream", *_MIXED])
            for stream, rows in mix.items():
                writer.writerows([stream, *(row[key] for key in _MIXED)] for row in rows)

    def _metrics(self) -> None:
        """The metrics of all runs, and what became of them on the way."""
        for file in (METRICS, EVENTS):
            lines = [{"run": name} | line for name in self.runs for line in lines_of(self.probe / "runs" / name / file)]
            if lines or file == METRICS:
                self._text(file, "".join(json.dumps(line) + "\n" for line in lines))

    def _json(self, name: str, content: Any) -> None:
        self._text(name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def _text(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode())


_MIXED = ("kind", "source", "start", "multiplier", "total", "share")
_KNOWS = (
    "name_bits", "value_bits", "diversity_bits", "bits_per_parameter", "value_bits_per_parameter", "clipped",
    "name_nats", "value_nats", "quantized", "text", "cloze", "held_out",
)  # fmt: skip


def _parts(what: str, found: Any) -> Iterator[tuple[str, Any]]:
    """An evaluation of a checkpoint: a file for each chunk of data that it tells of, by number, or one of its name."""
    if not isinstance(found, dict):  # the seal of all
        return
    known = {key: value for key, value in found.items() if key not in ("chunks", "each")}
    if "chunks" not in found:
        yield what, known
        return
    for number, chunk in enumerate(found["chunks"]):
        yield str(number), {"evaluation": what} | known | chunk


def stream_name(opened: Opened, run: RunPlan, steps: int) -> str:
    """A name for what a run read in so many steps, and where its chunks end: runs that differ in their model alone
    share it."""
    training = opened.plan.training_of(run)
    read = {
        key: getattr(run, key)
        for key in RunPlan.__dataclass_fields__
        if key not in ("arm", "model", "training", "tag_at_test")
    }
    cut = [training.batch, training.batch_of, training.window, list(training.evaluate_exposures), steps]
    return hashlib.sha256(json.dumps([read, cut], sort_keys=True).encode()).hexdigest()[:12]


def _loads() -> bool:
    """Whether transformers is installed; its bars, one a checkpoint, are turned off."""
    import importlib.util

    if importlib.util.find_spec("transformers") is None:
        return False
    from transformers.utils import logging

    logging.disable_progress_bar()
    return True
