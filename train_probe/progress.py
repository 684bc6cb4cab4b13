"""What a person sees while the runs train."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

from curate.errors import report_line
from train_probe.plan import PlanError, RunPlan
from train_probe.pool import Advanced, Event, Failed, Trained

_EVERY = 10.0  # seconds between lines where there is no terminal
_LONG = 24 * 3600.0


@dataclass(frozen=True)
class Cost:
    """What is to be trained, run by run: `flops` and `tokens`. `peak` is the most that all processes reach together, in
    floating-point operations a second, and `seconds` what all runs are expected to take."""

    device: str
    processes: int
    flops: list[float]
    tokens: list[int]
    peak: float
    seconds: float


class Listener(Protocol):
    """Follows the runs that train, numbered by their place in `runs`."""

    def begin(self, runs: Sequence[RunPlan], skipped: int, cost: Cost) -> None:
        """Called once, at the start: the runs to train, how many were finished before, and what they will take."""

    def event(self, event: Event) -> None:
        """Called for each event."""

    def end(self) -> None:
        """Called once, at the end."""


@dataclass
class Printer:
    """Prints runs, steps, tokens a second, the share of the machine that is used, and the time left: one moving line on
    a terminal, else a line every 10 s."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _runs: Sequence[RunPlan] = ()
    _cost: Cost | None = None
    _share: dict[int, float] = field(default_factory=dict)
    _ended: int = 0
    _started: float = 0.0
    _printed: float = 0.0
    _shown: set[str] = field(default_factory=set)

    def begin(self, runs: Sequence[RunPlan], skipped: int, cost: Cost) -> None:
        self._runs, self._cost = runs, cost
        self._share, self._ended = {}, 0  # of these runs: a probe that climbs begins again and again
        self._started = self._printed = time.monotonic()
        known = f" ({skipped} finished before)" if skipped else ""
        where = cost.device if cost.processes == 1 else f"{cost.device}, {cost.processes} processes"
        text = f"training {len(runs)} runs{known} on {where}"
        if runs:
            text += f": {sum(cost.tokens):,} tokens, about {duration(cost.seconds)}"
        print(text, file=self.stream)
        if cost.seconds > _LONG:
            print(
                f"this is long: {sum(cost.flops):.1e} operations, at {cost.peak:.1e} a second at most; fewer runs,"
                " exposures or people take less. A grid that is stopped continues where it was.",
                file=self.stream,
            )
        self.stream.flush()

    def event(self, event: Event) -> None:
        run = self._runs[event.number]
        name = f"[{event.number + 1}/{len(self._runs)}] {run.arm}, seed {run.seed}"
        if isinstance(event, Advanced):
            self._share[event.number] = event.step / event.steps
            self._moving(f"{name}: step {event.step}/{event.steps}, loss {event.loss:.3f}")
            return
        self._share[event.number] = 1.0
        self._ended += 1
        if isinstance(event, Trained):
            figures = event.figures
            found = f"{figures['value_bits_per_parameter']:.3f} value bits/parameter"
            if not run.exposures:
                texts = figures["text"].values()
                found = ", ".join(f"{one['nats_per_token']:.3f}" for one in texts) + " nats/token of held-out text"
            self._line(f"{name}: {found} in {figures['seconds']:.0f} s")
        elif isinstance(event, Failed):
            self._line(f"{name}: FAILED, {event.error}")
            # All runs may fail by one fault: it is shown once.
            if event.traceback and event.traceback not in self._shown:
                self._shown.add(event.traceback)
                self._line(f"{event.traceback}{report_line()}")

    def end(self) -> None:
        if self.stream.isatty():
            print("\r\x1b[K", end="", file=self.stream, flush=True)

    def _moving(self, text: str) -> None:
        now = time.monotonic()
        terminal = self.stream.isatty()
        if now - self._printed < (0.2 if terminal else _EVERY):
            return
        self._printed = now
        cost, elapsed = self._cost, now - self._started
        assert cost is not None
        done, tokens = (sum(of[n] * share for n, share in self._share.items()) for of in (cost.flops, cost.tokens))
        left = elapsed * (sum(cost.flops) - done) / done if done else 0.0
        text = (
            f"{text}; {self._ended} of {len(self._runs)} runs done, {tokens / elapsed:,.0f} tokens/s, "
            f"{done / elapsed / cost.peak:.0%} of peak, {duration(left)} left"
        )
        print(f"\r\x1b[K{text}" if terminal else text, end="" if terminal else "\n", file=self.stream, flush=True)

    def _line(self, text: str) -> None:
        print(f"\r\x1b[K{text}" if self.stream.isatty() else text, file=self.stream, flush=True)


class Board:
    """Losses and figures as TensorBoard reads them, a run of the board for each run: `<arm>-<number>` in `folder`.

    Raises PlanError where tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise PlanError("TensorBoard is not installed: pip install 'goldsand[tensorboard]'") from None
        self._writer, self._folder = SummaryWriter, folder
        self._runs: Sequence[RunPlan] = ()
        self._open: dict[int, Any] = {}

    def begin(self, runs: Sequence[RunPlan], skipped: int, cost: Cost) -> None:
        self._runs = runs

    def event(self, event: Event) -> None:
        if event.number not in self._open:
            arm = "".join(c if c.isalnum() or c in "-_." else "-" for c in self._runs[event.number].arm)
            self._open[event.number] = self._writer(str(self._folder / f"{arm}-{event.number}"))
        writer = self._open[event.number]
        if isinstance(event, Advanced):
            writer.add_scalar("loss", event.loss, event.step)
            return
        if isinstance(event, Trained):
            for key in ("value_bits_per_parameter", "bits_per_parameter"):
                writer.add_scalar(key, event.figures[key], event.figures["steps"])
        writer.close()
        del self._open[event.number]

    def end(self) -> None:
        for writer in self._open.values():
            writer.close()


@dataclass
class Several:
    """Passes everything on to several listeners."""

    listeners: Sequence[Listener]

    def begin(self, runs: Sequence[RunPlan], skipped: int, cost: Cost) -> None:
        for one in self.listeners:
            one.begin(runs, skipped, cost)

    def event(self, event: Event) -> None:
        for one in self.listeners:
            one.event(event)

    def end(self) -> None:
        for one in self.listeners:
            one.end()


def listeners_of(board: Path | None, quiet: bool = False) -> Several:
    """The listeners of a command: the printer, unless it is `quiet`, and TensorBoard where its folder is named. Raises
    PlanError."""
    return Several([*([] if quiet else [Printer()]), *([Board(board)] if board is not None else [])])


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
