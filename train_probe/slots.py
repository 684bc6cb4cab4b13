"""Runs of one group in the slots of one stack: fed, watched, scored, and replaced by the next run when they end.

A group is the runs whose steps are one program: the same architecture and the same blocks of rows. A run's figures do
not depend on its slot, nor on the runs in the others.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train_probe.data import Data, model_vocabulary
from train_probe.draws import stream_key
from train_probe.evaluate import summaries
from train_probe.figures import Figures
from train_probe.groups import Group, step_of
from train_probe.plan import RunPlan
from train_probe.pool import Advanced, Ask, Failed, Message, Trained, failed, is_out_of_memory
from train_probe.records import RunRecord
from train_probe.scorer import Diverged, Scorer
from train_probe.spikes import write_pair
from train_probe.stack.adamw import AdamWSettings, rates
from train_probe.stack.guard import GuardedAdamW
from train_probe.stack.step import Block, StackStep
from train_probe.stream import PageStream, Stream
from train_probe.watch import Snapshot, Watch, held_out_nats

_TOKENS = {"cpu": 1 << 17, "cuda": 1 << 22}  # of all slots that are made at once
_STEPS = (4, 256)  # fewest and most steps that are made at once
_SAVED = 300.0  # seconds between saved states


@dataclass
class Running:
    """A run in a slot; its step 0 was, or would have been, the stack's step `begun`."""

    number: int
    run: RunPlan
    stream: Stream | PageStream
    record: RunRecord
    scorer: Scorer
    begun: int
    stops: dict[int, list[int]]
    curve: dict[int, dict[str, Any]] = field(default_factory=dict)
    seconds: float = 0.0
    watch: Watch | None = None


@dataclass
class Parked:
    """A run taken out of its slot: it continues in another from its row, moments and step."""

    running: Running
    row: Tensor
    moments: Tensor
    done: int
    watched: Tensor | None = None


@dataclass(frozen=True)
class _InSlot:
    """A run in its slot, for its watch (`train_probe.watch.Handle`)."""

    slots: Slots
    slot: int

    @property
    def running(self) -> Running:
        return self.slots.running[self.slot]

    def snapshot(self) -> Snapshot:
        optimizer, stack = self.slots.step.optimizer, self.slots.stack
        watched = optimizer.watched_of(self.slot).cpu() if isinstance(optimizer, GuardedAdamW) else None
        done = self.slots.at - self.running.begun
        return Snapshot(stack.read(self.slot).cpu(), optimizer.moments(self.slot).cpu(), done, watched)

    def restore(self, state: Snapshot) -> None:
        self.slots.stack.load(self.slot, state.row.to(self.slots.stack.device))
        self.slots.set(self.slot, self.running, state.done, state.moments, state.watched)

    def event(self, line: dict[str, Any]) -> None:
        self.running.record.event(line)

    def pair(self, event: dict[str, Any], guarded: Snapshot, unguarded: Snapshot) -> None:
        one, slots = self.running, self.slots
        write_pair(
            one.record.folder / "spikes" / str(event["step"]),
            event,
            {"guarded": guarded, "unguarded": unguarded},
            lambda guard: slots.step_for(one, slots.group.guard if guard else "off"),
            slots.settings(one),
            one.stream,
            slots.data.plan.training_of(one.run).guard_window,
            (one.scorer.architecture, slots.stack.vocabulary),
        )


class Slots:
    """A stack of `count` slots for runs of `group`. `names` and `folder` say where a run keeps its records."""

    def __init__(self, data: Data, group: Group, names: list[str], folder: Path, count: int, compiled: bool) -> None:
        self.data, self.group, self.names, self.folder, self.compiled = data, group, names, folder, compiled
        self.most = count
        self.running: dict[int, Running] = {}
        self.parked: list[Parked] = []
        self.at = 0  # steps of the stack
        self._saved = time.monotonic()
        self._build(count)

    def _build(self, count: int) -> None:
        """A stack of so many empty slots, in place of any before."""
        device = self.data.device
        self.step = self.new_step(count, self.group.guard)
        self.stack = self.step.stack
        tokens = count * sum(length * rows for length, rows in self.group.shape)
        self.ahead = min(_STEPS[1], max(_STEPS[0], _TOKENS[device.type] // tokens))
        self.blocks = [
            (
                torch.zeros(self.ahead, count, rows, length, dtype=torch.int64, device=device),
                torch.zeros(self.ahead, count, rows, dtype=torch.int64, device=device),
            )
            for length, rows in self.group.shape
        ]
        seen = 2 if self.step.optimizer.limit is None else 3
        self.seen = torch.zeros(self.ahead, seen, count, dtype=self.stack.dtype, device=device)

    def new_step(self, count: int, guard: str) -> StackStep:
        """A new stack of so many empty slots, with its step."""
        return step_of(self.group, model_vocabulary(self.data.facts), count, guard, self.data.device, self.compiled)

    def step_for(self, running: Running, guard: str) -> StackStep:
        """A step of a stack for one run alone."""
        step = self.new_step(1, guard)
        self._share(step, 0, running)
        return step

    def _share(self, step: StackStep, slot: int, running: Running) -> None:
        """How fast each kind of weight learns in a run's slot."""
        if step.optimizer.shares is not None:
            by_width = self.data.plan.training_of(running.run).rates == "by-width"
            step.optimizer.shares[slot] = step.stack.rate_shares() if by_width else 1.0

    def work(self, first: int) -> Generator[Message, int | None, None]:
        """Train run number `first`, then each run that is sent when it asks for more; yields events."""
        waiting: int | None = first
        more = True
        while True:
            while len(self.running) < self.most and (self.parked or more):
                if self.parked:
                    self._place(self.parked.pop())
                    continue
                if waiting is None:
                    waiting = yield Ask(self.group)
                    more = waiting is not None
                if waiting is not None:
                    number, waiting = waiting, None
                    try:
                        self._begin(number)
                    except Exception as error:
                        yield failed(number, error)
            if not self.running:
                return
            if len(self.running) <= self.stack.slots // 2 and not more and not self.parked:
                self._resize(len(self.running))
            try:
                yield from self._advance()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                yield from self._halve()

    def _begin(self, number: int) -> None:
        """Put a run in a free slot, from its saved state where it has one."""
        run = self.data.plan.runs[number]
        stream = self.data.stream(run)
        training = self.data.plan.training_of(run)
        record = RunRecord(self.folder / self.names[number])
        scorer = Scorer(self.data, run)
        stops: dict[int, list[int]] = {stream.steps: [run.exposures]}
        for exposures in training.evaluate_exposures:
            if exposures < run.exposures:
                stops.setdefault(stream.step_of(exposures), []).append(exposures)
        running = Running(number, run, stream, record, scorer, 0, stops, watch=Watch.of(self.data, run, stream))
        state = record.state(self.stack.parameters)
        if state is not None:
            running.curve, running.seconds = state.curve, state.seconds
            if running.watch is not None and state.memory is not None:
                running.watch.remember(state.memory)
            row, moments = (torch.as_tensor(array).to(self.stack.master) for array in (state.row, state.moments))
            watched = None if state.watched is None else torch.as_tensor(state.watched)
            self._place(Parked(running, row, moments, state.done, watched))
            return
        slot = self._free_slot()
        self.stack.reset(slot, stream_key(run.seed, "weights") & (1 << 63) - 1, scorer.architecture)
        self.set(slot, running, 0)
        record.begin(0)
        self._occupy(slot, running, 0)

    def _place(self, parked: Parked) -> None:
        slot = self._free_slot()
        self.stack.load(slot, parked.row.to(self.stack.device))
        self.set(slot, parked.running, parked.done, parked.moments, parked.watched)
        parked.running.record.begin(parked.done)
        self._occupy(slot, parked.running, parked.done)

    def set(
        self, slot: int, running: Running, done: int, moments: Tensor | None = None, watched: Tensor | None = None
    ) -> None:
        """Begin a run's training in a slot, or go on with it after `done` steps."""
        settings, optimizer = self.settings(running), self.step.optimizer
        self._share(self.step, slot, running)
        if isinstance(optimizer, GuardedAdamW):
            optimizer.set(slot, settings, done, moments, watched)
        else:
            optimizer.set(slot, settings, done, moments)

    def _occupy(self, slot: int, running: Running, done: int) -> None:
        running.begun = self.at - done
        self.running[slot] = running
        if running.watch is not None:
            running.watch.begin(_InSlot(self, slot))
        if self.at % self.ahead:  # else all are fed before the next step
            self._feed(slot)

    def _free_slot(self) -> int:
        return next(slot for slot in range(self.stack.slots) if slot not in self.running)

    def settings(self, running: Running) -> AdamWSettings:
        """How a run's slot is trained."""
        one = self.data.plan.training_of(running.run)
        return AdamWSettings(
            one.learning_rate, running.stream.steps, one.warmup, one.beta1, one.beta2, one.epsilon, one.weight_decay,
            one.clip, one.final_rate, one.falling, one.guard_spread, one.guard_window,
        )  # fmt: skip

    def _feed(self, slot: int) -> None:
        """Make the slot's rows from the step at hand to the end of what is made ahead."""
        running, place = self.running[slot], self.at % self.ahead
        first = self.at - running.begun
        last = min(running.stream.steps, first + self.ahead - place)
        for (tokens, lengths), (made, held) in zip(self.blocks, running.stream.chunk(first, last), strict=True):
            tokens[place : place + last - first, slot] = made
            lengths[place : place + last - first, slot] = held
            lengths[place + last - first :, slot] = 0

    def _advance(self) -> Generator[Message, int | None, None]:
        """Steps up to the next look: at the end of what is made ahead, or where a run is to be scored."""
        place = self.at % self.ahead
        if place == 0:
            for slot in self.running:
                self._feed(slot)
        stops = [stop + one.begun - self.at for one in self.running.values() for stop in one.stops]
        watched = [one for one in self.running.values() if one.watch is not None]
        stops += [one.watch.next_mark(self.at - one.begun) + one.begun - self.at for one in watched if one.watch]
        first, count = self.at, min(self.ahead - place, *(stop for stop in stops if stop > 0))
        started = time.monotonic()
        for k in range(place, place + count):
            blocks: list[Block] = [(tokens[k], lengths[k]) for tokens, lengths in self.blocks]
            self.seen[k] = self.step(blocks)
            self.at += 1
        seen = self.seen[place : place + count].cpu().numpy()
        seconds = time.monotonic() - started
        for slot in list(self.running):
            yield from self._look(slot, first, seen[:, :, slot], seconds / len(self.running))
        if time.monotonic() - self._saved > _SAVED:
            self._saved = time.monotonic()
            for slot in self.running:
                self._save(slot)

    def _look(self, slot: int, first: int, seen: np.ndarray, seconds: float) -> Generator[Message, int | None, None]:
        """Report a run's progress; score it where it is to be scored, and end it when it is done or diverged."""
        one = self.running[slot]
        done, steps = self.at - one.begun, one.stream.steps
        one.seconds += seconds
        if one.watch is not None:
            seen = one.watch.look(_InSlot(self, slot), first - one.begun, seen, done)
        wrong = np.flatnonzero(~np.isfinite(seen[:, 0]))
        if len(wrong):
            self._leave(slot)
            error = Diverged(f"the loss was {seen[wrong[0], 0]} at step {first - one.begun + wrong[0] + 1} of {steps}")
            yield failed(one.number, error)
            return
        tokens = one.stream.tokens * done // steps
        if len(seen):
            loss, norm = (float(mean) for mean in seen[:, :2].mean(0))
            more = {} if one.watch is None else self._classes(slot, one.watch, done)
            one.record.add(step=done, tokens=tokens, loss=loss, gradient_norm=norm, seconds=one.seconds, **more)
            yield Advanced(one.number, done, steps, tokens, loss)
        stopping = one.watch and one.watch.stopping
        if stopping and done < steps and done % stopping.every == 0:
            nats = held_out_nats(one.scorer.bits(self.stack.state(slot)))
            one.record.event({"step": done, "action": "look", "held_out_nats": nats})
            if stopping.over(done, nats):
                assert one.watch is not None
                one.watch.stopped = {"step": done, "lowest_at": stopping.at, "held_out_nats": stopping.lowest}
                left = [exposures for stop in sorted(one.stops) if stop > done for exposures in one.stops[stop]]
                one.stops[done] = one.stops.get(done, []) + left
        for exposures in one.stops.get(done, []):
            state = self.stack.state(slot)
            try:
                one.curve[exposures] = one.scorer.bits(state)
                if found := one.scorer.evaluated(state, one.stream):
                    one.record.evaluation(exposures, found)
                    one.curve[exposures]["evaluations"] = summaries(found)
                if self.data.plan.save:
                    one.record.checkpoint(exposures, state, one.scorer.architecture, self.stack.vocabulary)
            except Exception as error:
                self._leave(slot)
                yield failed(one.number, error)
                return
        if done == steps or (one.watch is not None and one.watch.stopped):
            self._leave(slot)
            yield Trained(one.number, self._figures(one, done))

    def _classes(self, slot: int, watch: Watch, done: int) -> dict[str, Any]:
        """What a line of metrics says more of a watched run: losses of the last step's batch by class of token, by the
        weights behind it, and the rate of the next step."""
        if watch.classes is None:
            return {}
        losses = watch.classes.losses(self.running[slot].scorer.model(self.stack.state(slot)), done)
        rate = float(rates(self.step.optimizer.table, self.group.schedule)[slot, 0])
        return {"losses": losses, "learning_rate": rate}

    def _leave(self, slot: int) -> None:
        one = self.running.pop(slot)
        one.record.end()
        for _, lengths in self.blocks:
            lengths[:, slot] = 0

    def _figures(self, one: Running, done: int) -> dict[str, Any]:
        final = one.curve.pop(one.run.exposures)
        most, parameters = one.scorer.most(), one.scorer.parameters
        figures = Figures(
            architecture=self.data.plan.model_of(one.run).name,
            parameters=parameters,
            people=one.scorer.facts.people,
            junk_ratio=one.stream.junk_ratio,
            **final,
            max_bits_per_parameter=most.total / parameters,
            max_value_bits_per_parameter=most.value / parameters,
            curve=[{"exposures": count, **bits} for count, bits in sorted(one.curve.items())],
            steps=done,
            tokens=one.stream.tokens * done // one.stream.steps,
            seconds=one.seconds,
            device=str(self.data.device),
            compiled=self.compiled,
        )
        return dataclasses.asdict(figures) | ({} if one.watch is None else one.watch.figures())

    def _park(self) -> list[Parked]:
        """Take all runs out of their slots, to memory of the host."""
        parked = []
        for slot, one in self.running.items():
            now = _InSlot(self, slot).snapshot()
            parked.append(Parked(one, now.row, now.moments, now.done, now.watched))
        self.running = {}
        return parked

    def _resize(self, count: int) -> None:
        """Move the runs to a stack of another number of slots."""
        parked = self._park()
        del self.stack, self.step, self.blocks, self.seen
        if self.data.device.type == "cuda":
            torch.cuda.empty_cache()
        self._build(count)
        # What is made ahead begins anew with the new stack.
        self.at = 0
        for one in parked[:count]:
            self._place(one)
        self.parked += parked[count:]

    def _halve(self) -> Generator[Message, int | None, None]:
        """Out of memory: half of the slots, or the end of the one run that is left."""
        if self.stack.slots == 1:
            for slot in list(self.running):
                one = self.running[slot]
                self._leave(slot)
                yield Failed(one.number, "out of memory with this model alone; take a smaller `batch` or model")
            return
        self.most = self.stack.slots // 2
        self._resize(self.most)

    def _save(self, slot: int) -> None:
        one = self.running[slot]
        now, memory = _InSlot(self, slot).snapshot(), None
        if one.watch is not None:
            now, memory = one.watch.continued_from(now)
        watched = None if now.watched is None else now.watched.numpy()
        one.record.save(now.row.numpy(), now.moments.numpy(), now.done, one.curve, one.seconds, memory, watched)
