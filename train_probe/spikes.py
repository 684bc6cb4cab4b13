"""Both continuations of a spike, as K2's release pairs them: from the last state before it, with the guard and without.

spikes/<step>/event.json                    what was seen at that step, and what became of it
spikes/<step>/losses.jsonl                  loss and gradient norm of each step, of both
spikes/<step>/{guarded,unguarded}/<step>/   weights of both after so many steps
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train_probe.architecture import Architecture
from train_probe.records import write, write_weights
from train_probe.stack.adamw import AdamWSettings
from train_probe.stack.guard import GuardedAdamW
from train_probe.stack.step import StackStep
from train_probe.stream import PageStream, Stream
from train_probe.watch import Snapshot

_AFTER = (0, 1, 3, 10, 30, 100, 300, 1000)
"""Steps after the spike at which weights are kept; the state before it is the first."""

EVENT, LOSSES = "event.json", "losses.jsonl"
CONTINUATIONS = ("guarded", "unguarded")

Step = Callable[[bool], StackStep]
"""Makes a stack of one slot with its step, with the guard or without."""


def write_pair(
    folder: Path,
    event: dict[str, Any],
    starts: dict[str, Snapshot],
    build: Step,
    settings: AdamWSettings,
    stream: Stream | PageStream,
    horizon: int,
    about: tuple[Architecture, int],
) -> None:
    """Train both continuations of an event, `guarded` and `unguarded`, each from its state of `starts`, until `horizon`
    steps behind it, and keep them in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    last = min(stream.steps, event["step"] + horizon)
    kept = {event["step"] - 1, *(event["step"] + after for after in _AFTER), last}
    lines: dict[int, dict[str, Any]] = {}
    for name, start in starts.items():
        for done, loss, norm, state in _continued(build(name == "guarded"), start, settings, stream, last, kept):
            if state is not None:
                write_weights(folder / name / str(done), state, *about)
            if loss is not None:
                lines.setdefault(done, {"step": done})[name] = {"loss": loss, "gradient_norm": norm}
    text = "".join(json.dumps(lines[done]) + "\n" for done in sorted(lines))
    (folder / LOSSES).write_text(text, encoding="utf-8")
    write(folder / EVENT, event)


def _continued(
    step: StackStep, start: Snapshot, settings: AdamWSettings, stream: Stream | PageStream, last: int, kept: set[int]
) -> Iterator[tuple[int, float | None, float | None, dict[str, Tensor] | None]]:
    """Steps done, loss, gradient norm, and weights where they are kept, from a state on."""
    step.stack.load(0, start.row.to(step.stack.device))
    if isinstance(step.optimizer, GuardedAdamW):
        step.optimizer.set(0, settings, start.done, start.moments, start.watched)
    else:
        step.optimizer.set(0, settings, start.done, start.moments)
    yield start.done, None, None, step.stack.state(0) if start.done in kept else None
    for done in range(start.done, last):
        blocks = [(tokens[0][None], lengths[0][None]) for tokens, lengths in stream.chunk(done, done + 1)]
        seen = step(blocks)
        loss, norm = (float(one) for one in seen[:2, 0].cpu())
        finite = torch.isfinite(seen[:2, 0]).all()
        yield done + 1, loss, norm, step.stack.state(0) if done + 1 in kept and finite else None
