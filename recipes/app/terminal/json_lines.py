"""What happens in a run as JSON, one event a line, for whoever collects logs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from curate.run.engine import Progress, UnitEvent

EVERY = 10.0
"""Seconds between two events that say how far a stage is."""


class JsonLines:
    """Writes events to a stream. Each has `time` (UTC) and `event`: a stage "began", "advanced" or "ended"; a unit
    "began", "ended", was "reused", done "elsewhere" or "lost"; or there is a "message" for a person."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._current: Progress | None = None
        self._said = 0.0

    def message(self, text: str) -> None:
        """What a person would have been told."""
        self._write("message", time.time(), text=text)

    def see(self, progress: Progress) -> None:
        """Called with each Progress of a run."""
        now = time.monotonic()
        if progress is not self._current:
            self._current, self._said = progress, now
            about = {"stage": progress.label, "units": progress.tasks, "size": progress.total_size}
            self._write("stage began", time.time(), **about)
        for event in progress.events:
            self._write(f"unit {event.event}", event.at, stage=progress.label, **_told(event))
        if progress.done == progress.tasks:
            self._write("stage ended", time.time(), **_stands(progress))
        elif now - self._said >= EVERY:
            self._said = now
            self._write("stage advanced", time.time(), **_stands(progress))

    def _write(self, event: str, at: float, **more: Any) -> None:
        moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        self._stream.write(json.dumps({"time": moment, "event": event, **more}) + "\n")
        self._stream.flush()


def _told(event: UnitEvent) -> dict[str, Any]:
    told: dict[str, Any] = {"unit": event.unit, "attempt": event.attempt}
    if event.seconds is not None:
        told["seconds"] = round(event.seconds, 3)
    if event.event in ("ended", "elsewhere"):
        told |= {"documents": event.documents, "kept": event.kept, "size": event.size}
    if event.why:
        told["why"] = event.why
    if event.in_hand:
        told["in_hand"] = event.in_hand
    return told


def _stands(progress: Progress) -> dict[str, Any]:
    left = None if progress.run_left is None else round(progress.run_left, 1)
    return {
        "stage": progress.label, "units": progress.tasks, "done": progress.done, "reused": progress.reused,
        "documents": progress.documents, "kept": progress.kept, "size": progress.size,
        "seconds": round(progress.seconds(), 3), "memory": progress.memory, "left": left,
    }  # fmt: skip
