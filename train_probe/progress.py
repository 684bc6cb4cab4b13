"""What a person sees while the runs train."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from train_probe.plan import RunPlan
from train_probe.pool import Advanced, Event, Failed, Finished

_EVERY = 10.0  # seconds between lines where there is no terminal


@dataclass
class Printer:
    """Prints runs, steps, tokens a second and the time left: one moving line on a terminal, else a line every 10 s."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _runs: list[RunPlan] = field(default_factory=list)
    _share: dict[int, float] = field(default_factory=dict)
    _tokens: dict[int, int] = field(default_factory=dict)
    _started: float = 0.0
    _printed: float = 0.0

    def begin(self, runs: list[RunPlan], skipped: int, device: str, processes: int) -> None:
        """Said once: the runs to train, how many were finished before, and where they train."""
        self._runs = runs
        self._started = self._printed = time.monotonic()
        known = f" ({skipped} finished before)" if skipped else ""
        where = device if processes == 1 else f"{device}, {processes} processes"
        print(f"training {len(runs)} runs{known} on {where}", file=self.stream, flush=True)

    def event(self, event: Event) -> None:
        run = self._runs[event.number]
        name = f"[{event.number + 1}/{len(self._runs)}] {run.arm}, seed {run.seed}"
        if isinstance(event, Advanced):
            self._share[event.number] = event.step / event.steps
            self._tokens[event.number] = event.tokens
            self._moving(f"{name}: step {event.step}/{event.steps}, loss {event.loss:.3f}")
            return
        self._share[event.number] = 1.0
        if isinstance(event, Finished):
            figure = event.figures["value_bits_per_parameter"]
            self._line(f"{name}: {figure:.3f} value bits/parameter in {event.figures['seconds']:.0f} s")
        elif isinstance(event, Failed):
            self._line(f"{name}: FAILED, {event.error}")

    def _moving(self, text: str) -> None:
        now = time.monotonic()
        terminal = self.stream.isatty()
        if now - self._printed < (0.2 if terminal else _EVERY):
            return
        self._printed = now
        elapsed = now - self._started
        # A run's work grows with its exposures and with the junk around them.
        work = [run.exposures / (1 - run.junk_ratio) for run in self._runs]
        done = sum(work[number] * share for number, share in self._share.items())
        left = elapsed * (sum(work) - done) / done if done else 0.0
        text = f"{text}, {sum(self._tokens.values()) / elapsed:,.0f} tokens/s, {left:.0f} s left"
        print(f"\r\x1b[K{text}" if terminal else text, end="" if terminal else "\n", file=self.stream, flush=True)

    def _line(self, text: str) -> None:
        print(f"\r\x1b[K{text}" if self.stream.isatty() else text, file=self.stream, flush=True)
