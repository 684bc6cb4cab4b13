"""What is watched of a run on request: losses by class of token, spikes and what became of them, early stopping."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from train_probe.data import Data
from train_probe.model import Transformer
from train_probe.plan import PlanError, RunPlan, TrainingPlan
from train_probe.stream import PageStream, Stream

_AGAIN = 3
"""How often in a row a run goes back; a loss that stays high after that is let on."""


@dataclass(frozen=True)
class Snapshot:
    """A state to go back to, or on from: weights, moments, steps done, and what a guard knows of the gradients."""

    row: Tensor
    moments: Tensor
    done: int
    watched: Tensor | None = None


class Handle(Protocol):
    """A run in its slot, as its watch sees it."""

    def snapshot(self) -> Snapshot:
        """Its state."""

    def restore(self, state: Snapshot) -> None:
        """Go on from another state."""

    def event(self, line: dict[str, Any]) -> None:
        """Write an event down."""

    def pair(self, event: dict[str, Any], guarded: Snapshot, unguarded: Snapshot) -> None:
        """Keep both continuations of an event, each from its own state."""


@dataclass
class LossGuard:
    """An exponential mean and variance of a run's losses; a loss beyond mean + `spread` deviations is a spike."""

    spread: float
    window: int
    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0
    again: int = 0

    @property
    def limit(self) -> float:
        """What a loss is held against."""
        return self.mean + self.spread * math.sqrt(self.variance) if self.seen >= self.window else math.inf

    def judged(self, losses: list[float]) -> int | None:
        """The place of the first spike among the losses since the last good state; None: this state is good too. A
        third one in a row is let on, so that a loss that stays high does not hold a run for ever."""
        mean, variance, seen = self.mean, self.variance, self.seen
        spike = None
        for place, loss in enumerate(losses):
            limit = mean + self.spread * math.sqrt(variance) if seen >= self.window else math.inf
            if loss > limit or not math.isfinite(loss):
                spike = place
                break
            part = 1 / min(seen + 1, self.window)
            mean, variance, seen = (
                mean + part * (loss - mean),
                (1 - part) * (variance + part * (loss - mean) ** 2),
                seen + 1,
            )
        if spike is not None and self.again < _AGAIN:
            self.again += 1
            return spike
        if spike is not None:  # the losses as they are now are the usual ones
            sound = [loss for loss in losses if math.isfinite(loss)]
            mean, variance, seen = float(np.mean(sound)) if sound else mean, 0.0, 0
        self.mean, self.variance, self.seen, self.again = mean, variance, seen, 0
        return None


class TokenClasses:
    """Losses by class of token: what stands in front of a fact, names and values of compact records, other facts'
    tokens, pages, and junk that is drawn."""

    def __init__(self, data: Data, run: RunPlan, stream: Stream | PageStream) -> None:
        self._stream, self._origins = stream, data.origins(run)
        facts = data.facts
        compact = facts.kind == "compact"
        self._junk = "page" if run.junk_kind == "shards" else "junk"
        # Of a record's token, by its place in it.
        front = max(1, len(run.front))
        self._names = ["front"] * front + (["name"] * len(facts.name_parts) if compact else [])
        self._rest = "value" if compact else "fact"

    @torch.no_grad()
    def losses(self, model: Transformer, step: int) -> dict[str, float]:
        """The mean loss in nats of each class among the tokens that a step predicts, by a model of any state."""
        sums: defaultdict[str, float] = defaultdict(float)
        counts: Counter[str] = Counter()
        blocks = zip(self._stream.chunk(step - 1, step), self._origins.chunk(step - 1, step), strict=True)
        for (tokens, lengths), (origins, _) in blocks:
            ids, of = tokens[0], origins[0]
            shown = torch.where(ids < 0, ~ids, ids)
            logits = model(shown[:, :-1])
            nats = logits.logsumexp(2) - logits.gather(2, shown[:, 1:, None])[..., 0]
            counted = torch.arange(ids.shape[1], device=ids.device) < lengths[0][:, None]
            counted &= ids >= 0
            named = self._classes(of)[:, 1:]
            heard = counted[:, 1:].cpu().numpy()
            values = nats.double().cpu().numpy()
            for name in np.unique(named[heard]):
                chosen = heard & (named == name)
                sums[str(name)] += float(values[chosen].sum())
                counts[str(name)] += int(chosen.sum())
        return {name: sums[name] / counts[name] for name in sorted(counts)}

    def _classes(self, of: Tensor) -> np.ndarray:
        origins = of.cpu().numpy()
        rows, length = origins.shape
        place = np.zeros((rows, length), np.int64)
        for column in range(1, length):
            same = origins[:, column] == origins[:, column - 1]
            place[:, column] = np.where(same, place[:, column - 1] + 1, 0)
        by_place = np.array([*self._names, self._rest])
        return np.where(origins < 0, self._junk, by_place[place.clip(max=len(self._names))])


@dataclass
class Stopping:
    """The lowest loss on what is held out, and how many looks ago that was."""

    patience: int
    every: int
    lowest: float = math.inf
    at: int = 0
    waited: int = 0

    def over(self, done: int, nats: float) -> bool:
        """Whether a run ends here."""
        if nats < self.lowest:
            self.lowest, self.at, self.waited = nats, done, 0
        else:
            self.waited += 1
        return self.waited >= self.patience


@dataclass
class Watch:
    """What is watched of one run. `marks` are the steps between two looks that it asks for: they are the run's own, so
    that what is seen does not depend on the runs beside it."""

    training: TrainingPlan
    steps: int
    classes: TokenClasses | None
    guard: LossGuard | None
    stopping: Stopping | None
    counts: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    losses: list[float] = field(default_factory=list)
    good: Snapshot | None = None
    noted: dict[str, Any] = field(default_factory=dict)
    stopped: dict[str, Any] | None = None

    @classmethod
    def of(cls, data: Data, run: RunPlan, stream: Stream | PageStream) -> Watch | None:
        """The watch of a run; None where nothing is asked for. Raises PlanError where nothing is held out to stop
        by."""
        training = data.plan.training_of(run)
        refuse_unwatched(data, run)
        if not (training.watch or training.stop_early or training.guard != "off"):
            return None
        every = max(1, round(stream.steps * training.stop_every))
        return cls(
            training,
            stream.steps,
            TokenClasses(data, run, stream) if training.watch else None,
            LossGuard(training.guard_spread, training.guard_window) if training.guard == "back" else None,
            Stopping(training.stop_early, every) if training.stop_early else None,
        )

    @property
    def returns(self) -> bool:
        """Whether a state is kept at each mark, to go back to or to go on from in two ways."""
        return self.guard is not None or self.training.keep_spikes > 0

    def next_mark(self, done: int) -> int:
        """The first of the run's marks behind so many steps."""
        between = [self.training.guard_window] if self.returns else []
        between += [self.stopping.every] if self.stopping is not None else []
        return min([self.steps, *((done // one + 1) * one for one in between)])

    def _at_mark(self, done: int) -> bool:
        """Whether a state is judged, and kept, after so many steps."""
        return self.returns and (done % self.training.guard_window == 0 or done == self.steps)

    def begin(self, handle: Handle) -> None:
        """Begin, or go on, with the run in its slot."""
        if self.returns and self.good is None:
            self._keep(handle.snapshot())

    def continued_from(self, now: Snapshot) -> tuple[Snapshot, dict[str, Any]]:
        """The state that a run which is cut off goes on from, and what it must know then: where it keeps states, the
        last of them, so that it ends as if it had not been cut off."""
        return (now, self.memory()) if self.good is None else (self.good, self.noted)

    def look(self, handle: Handle, first: int, seen: np.ndarray, done: int) -> np.ndarray:
        """Write down the spikes among steps from `first` (0) to `done`, keep the state, or go back to an earlier one;
        returns what was seen of steps that count: loss, norm and, under a guard in the step, limit, [steps, 2 or 3]."""
        for event in self._spikes(first, seen):
            handle.event(event)
            if self.good is not None:
                self._pair(handle, event, self.good, self.good)
        if seen.shape[1] > 2:
            seen = seen[np.isfinite(seen[:, 1])]
        if self.guard is not None:
            self.losses += seen[:, 0].tolist()
        if not self._at_mark(done):
            # A jump of the loss is judged at the next mark.
            return seen if self.guard is None else seen[np.isfinite(seen[:, 0])]
        place = None if self.guard is None else self.guard.judged(self.losses)
        if place is None:
            self._keep(handle.snapshot())
            return seen
        assert self.guard is not None and self.good is not None
        before = self.good
        event = {
            "step": before.done + place + 1, "action": "back", "loss": self.losses[place], "limit": self.guard.limit,
            "lost_steps": done - before.done,
        }  # fmt: skip
        handle.event(event)
        self.counts.update({"back": 1, "lost_steps": done - before.done})
        after = dataclasses.replace(before, done=done)
        self._pair(handle, event, after, before)
        handle.restore(after)
        self._keep(after)
        return seen[:0]

    def _keep(self, state: Snapshot) -> None:
        self.good, self.losses = state, []
        self.noted = self.memory()

    def _pair(self, handle: Handle, event: dict[str, Any], guarded: Snapshot, unguarded: Snapshot) -> None:
        if self.kept < self.training.keep_spikes:
            self.kept += 1
            handle.pair(event, guarded, unguarded)

    def _spikes(self, first: int, seen: np.ndarray) -> list[dict[str, Any]]:
        """The events of steps from `first` (0) on, of which a guard in the step itself says loss, norm and limit."""
        if seen.shape[1] < 3:
            return []
        events = []
        for place in np.flatnonzero(~(seen[:, 1] <= seen[:, 2]) | ~np.isfinite(seen[:, 1])):
            loss, norm, limit = (float(one) for one in seen[place])
            action = "skip" if not math.isfinite(norm) else self.training.guard
            self.counts[action] += 1
            events.append(
                {"step": first + int(place) + 1, "action": action, "loss": loss, "gradient_norm": norm, "limit": limit}
            )
        return events

    def memory(self) -> dict[str, Any]:
        """What a run that is continued must know, as JSON."""
        return {
            "counts": dict(self.counts), "kept": self.kept,
            "guard": None if self.guard is None else dict(vars(self.guard)),
            "stopping": None if self.stopping is None else dict(vars(self.stopping)),
        }  # fmt: skip

    def remember(self, memory: dict[str, Any]) -> None:
        """Take what `memory` returned."""
        self.counts, self.kept = Counter(memory["counts"]), memory["kept"]
        for own, name in ((self.guard, "guard"), (self.stopping, "stopping")):
            if own is not None:
                vars(own).update(memory[name])

    def figures(self) -> dict[str, Any]:
        """What became of spikes, and where a run stopped; empty where nothing did."""
        said: dict[str, Any] = {}
        if self.training.guard != "off":
            said["guarded"] = {"action": self.training.guard, **{k: self.counts[k] for k in sorted(self.counts)}}
        return said | ({"stopped": self.stopped} if self.stopped is not None else {})


def refuse_unwatched(data: Data, run: RunPlan) -> None:
    """Raises PlanError where nothing is held out that a run could stop by."""
    if data.plan.training_of(run).stop_early and not (data.inputs.text or data.inputs.held_out):
        raise PlanError(
            f"{run.arm}: stop_early looks at the loss on what is held out, and nothing is: hold facts out (`held_out`"
            " or `held_out_templates` of inject), or text"
        )


def held_out_nats(score: dict[str, Any]) -> float:
    """The loss on what is held out, of a score: nats a token of text where there is any, else of the values of facts in
    sentences that were never shown, else of entities that were never shown."""
    if score.get("text"):
        return float(np.mean([one["nats_per_token"] for one in score["text"].values()]))
    held_out = score["held_out"]
    return float(held_out.get("templates", held_out.get("entities"))["value_nats"])
