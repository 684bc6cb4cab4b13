"""The files in a run's own folder: metrics on the way, its state, its weights, its figures.

runs/<run>/config.json     the resolved run
runs/<run>/metrics.jsonl   a line a report: step, tokens, mean loss in nats and gradient norm since the last, seconds
runs/<run>/events.jsonl    a line for each step that was not as usual, and what became of it (the plan's `guard`)
runs/<run>/spikes/         both continuations of the first of them (the plan's `keep_spikes`; train_probe/spikes.py)
runs/<run>/state.npz       weights, moments and step of a run that is not finished; a killed grid goes on from there
runs/<run>/checkpoints/<exposures>/   model.safetensors and model.json (the plan's `save`)
runs/<run>/evaluations/<exposures>.json   what the plan's `evaluate` found, with what is told of each sequence or fact
runs/<run>/figures.json    of a finished run
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from curate.errors import Unchecked
from curate.shards.tokens import read_checked, read_sealed, seal_of
from train_probe.architecture import Architecture
from train_probe.facts_files import read_as, refused
from train_probe.figures import NEEDED
from train_probe.model import Transformer
from train_probe.plan import PlanError

WEIGHTS, EVENTS = "model.safetensors", "events.jsonl"


class State(NamedTuple):
    """The state of a run after `done` steps; `curve` is what was scored on the way; `memory` and `watched` are what a
    watched run knows beside (`train_probe/watch.py`)."""

    row: np.ndarray
    moments: np.ndarray
    done: int
    curve: dict[int, dict[str, Any]]
    seconds: float
    memory: dict[str, Any] | None = None
    watched: np.ndarray | None = None


class RunRecord:
    """The folder of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, done: int) -> None:
        """Continue the metrics after `done` steps: later lines, of a run that was killed, are removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("metrics.jsonl", EVENTS):
            path, kept = self.folder / name, ""
            with contextlib.suppress(OSError, ValueError, KeyError):
                lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if done else []
                kept = "".join(line for line in lines if json.loads(line)["step"] <= done)
            if name != EVENTS or path.exists():
                path.write_text(kept, encoding="utf-8")

    def add(self, **line: Any) -> None:
        """Write one line of metrics."""
        self._append("metrics.jsonl", line)

    def event(self, line: dict[str, Any]) -> None:
        """Write down what became of a step that was not as usual."""
        self._append(EVENTS, line)

    def _append(self, name: str, line: dict[str, Any]) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def save(
        self,
        row: np.ndarray,
        moments: np.ndarray,
        done: int,
        curve: dict[int, Any],
        seconds: float,
        memory: dict[str, Any] | None = None,
        watched: np.ndarray | None = None,
    ) -> None:
        """Keep a run's state in place of an earlier one."""
        temporary = self.folder / "state.npz.writing"
        known = {"done": done, "curve": curve, "seconds": seconds} | ({} if memory is None else {"memory": memory})
        about = json.loads(json.dumps(known))
        more: dict[str, Any] = {} if watched is None else {"watched": watched}
        about["seal"] = self._state_seal(about, row, moments, *more.values())
        with temporary.open("wb") as file:
            np.savez(file, row=row, moments=moments, about=np.array(json.dumps(about)), **more)
        temporary.replace(self.folder / "state.npz")

    def state(self, parameters: int) -> State | None:
        """The saved state, if it is that of a model of so many parameters; a file that is damaged, was edited, or is of
        a run of another name counts as missing."""
        try:
            with np.load(self.folder / "state.npz", allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                row, moments = arrays["row"], arrays["moments"]
                curve = {int(exposures): bits for exposures, bits in about["curve"].items()}
                watched = arrays["watched"] if "watched" in arrays.files else None
                state = State(
                    row, moments, int(about["done"]), curve, float(about["seconds"]), about.get("memory"), watched
                )
                sealed = (row, moments) if watched is None else (row, moments, watched)
                if about.pop("seal") != self._state_seal(about, *sealed):
                    return None
        except (Exception, MemoryError):  # numpy and zipfile read damage with whatever comes
            return None
        return state if row.shape == (parameters,) and moments.ndim == 2 else None

    def _state_seal(self, about: dict[str, Any], *arrays: np.ndarray) -> str:
        hashes = [hashlib.sha256(one.tobytes()).hexdigest() for one in arrays]
        return seal_of({"run": self.folder.name, "about": about, "arrays": hashes})

    def end(self) -> None:
        """Remove the state, which the run no longer needs."""
        (self.folder / "state.npz").unlink(missing_ok=True)

    def checkpoint(self, exposures: int, state: dict[str, Tensor], one: Architecture, vocabulary: int) -> None:
        """Keep the weights after so many exposures. Raises PlanError where safetensors is not installed."""
        write_weights(self.folder / "checkpoints" / str(exposures), state, one, vocabulary)

    def has_checkpoint(self, exposures: int) -> bool:
        """Whether the weights after so many exposures are here."""
        folder = self.folder / "checkpoints" / str(exposures)
        return (folder / "model.json").is_file() and (folder / WEIGHTS).is_file()

    def evaluation(self, exposures: int, found: dict[str, Any]) -> None:
        """Keep what was evaluated after so many exposures, by its name, with a seal as that of the figures."""
        folder = self.folder / "evaluations"
        folder.mkdir(parents=True, exist_ok=True)
        found = json.loads(json.dumps(found))
        write(folder / f"{exposures}.json", found | {"seal": self._seal({str(exposures): found})})

    def evaluated(self, exposures: int) -> dict[str, Any]:
        """What was evaluated after so many exposures. Raises PlanError where it is missing, or not what was written."""
        path = self.folder / "evaluations" / f"{exposures}.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            sound = found.pop("seal") == self._seal({str(exposures): found})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PlanError(f"{path} holds no evaluation of a checkpoint ({error}); train the run anew") from error
        if not sound:
            raise PlanError(
                f"{path} is not what was written beside the run's figures; remove the run, and train it anew"
            )
        return dict(found)

    def config(self, content: dict[str, Any]) -> None:
        """Write the resolved run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write(self.folder / "config.json", content)

    def finish(self, figures: dict[str, Any]) -> None:
        """Keep a finished run's figures, with a seal over them and the run's name, which is a hash of its inputs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        figures = json.loads(json.dumps(figures, default=str))
        write(self.folder / "figures.json", figures | {"seal": self._seal(figures)})

    def figures(self) -> dict[str, Any] | None:
        """The figures of a run that was finished before; a file that is damaged, was edited, or is of a run of another
        name counts as missing."""
        try:
            figures = json.loads((self.folder / "figures.json").read_text(encoding="utf-8"))
            sound = figures.pop("seal") == self._seal(figures)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return figures if sound and all(key in figures for key in NEEDED) else None

    def _seal(self, figures: dict[str, Any]) -> str:
        return seal_of({"run": self.folder.name, "figures": figures})


def write_weights(folder: Path, state: dict[str, Tensor], one: Architecture, vocabulary: int) -> None:
    """Write weights and what they are of, as `read_checkpoint` reads them. Raises PlanError where safetensors is not
    installed."""
    try:
        from safetensors.torch import save_file
    except ImportError:
        raise PlanError("`save` keeps weights as safetensors: pip install 'goldsand[probe]'") from None
    folder.mkdir(parents=True, exist_ok=True)
    about = {"architecture": dataclasses.asdict(one), "vocabulary": vocabulary}
    temporary = folder / f"{WEIGHTS}.writing"
    save_file({name: weight.detach().contiguous().cpu() for name, weight in state.items()}, temporary)
    about["files"] = {WEIGHTS: hashlib.sha256(temporary.read_bytes()).hexdigest()}
    temporary.replace(folder / WEIGHTS)
    write(folder / "model.json", about | {"seal": seal_of(about)})


def read_checkpoint(folder: Path, context: int = 512) -> Transformer:
    """The model of a checkpoint, for rows of at most `context` tokens. Raises PlanError if it is missing or damaged,
    and warns where nobody wrote down what it was."""
    try:
        from safetensors.torch import load
    except ImportError:
        raise PlanError("weights are kept as safetensors: pip install 'goldsand[probe]'") from None
    sealed = refused(read_sealed, folder / "model.json")
    try:
        weights = refused(read_checked, folder / WEIGHTS, sealed)
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{folder} is not a checkpoint of a run ({error}); a plan with `save` writes them") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, PlanError):
            raise
        raise PlanError(f"{folder / 'model.json'} is not a readable JSON file ({error})") from error
    if sealed is None:
        warnings.warn(f"nobody can check {folder}: it was written without hashes", Unchecked, stacklevel=2)
    with read_as(folder, "a checkpoint of a run; a plan with `save` writes them"):
        model = Transformer(Architecture(**about["architecture"]), about["vocabulary"], context, seed=0)
        model.load_state_dict(load(weights))
    return model


def write(path: Path, content: Any) -> None:
    """Write JSON atomically: a reader sees the old file or the new one."""
    temporary = path.with_name(path.name + ".writing")
    temporary.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    temporary.replace(path)
