"""An engine without other processes: for stores inside this one (`memory://`), and for debuggers."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from typing import Any

from curate.errors import refusal
from curate.run.engine import OnKill, Progress, TaskError
from curate.run.unit import Pulse, Unit


class SerialEngine:
    """Runs units one after the other, here. A document that hangs or crashes ends the run."""

    workers = 1

    def __init__(self, on_progress: Callable[[Progress], None] | None = None) -> None:
        self._on_progress = on_progress or (lambda progress: None)

    def __enter__(self) -> SerialEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    @property
    def peak_memory(self) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    def map(self, label: str, tasks: Sequence[Unit], on_kill: OnKill | None = None) -> list[dict[str, Any]]:
        """Run all units. An error that a person can put right is raised as it is, a fault as TaskError."""
        sizes = [task.size() for task in tasks]
        progress = Progress(label, len(tasks), sum(sizes))
        pulse = _Counting(progress)
        manifests = []
        for task, size in zip(tasks, sizes, strict=True):
            before = progress.size
            pulse.in_hand = ""
            try:
                manifests.append(task.run(pulse))
            except Exception as error:
                if refusal(error) is not None:
                    raise
                where = f" (in hand: {pulse.in_hand})" if pulse.in_hand else ""
                raise TaskError(f"{task.name}: {error!r}{where}") from error
            progress.add(manifests[-1], size)
            progress.size = before + size
            progress.memory = self.peak_memory
            self._on_progress(progress)
        return manifests


class _Counting(Pulse):
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.in_hand = ""

    def hold(self, document: str | None) -> None:
        self.in_hand = document or ""

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        self._progress.size += size
        self._progress.documents += documents
        self._progress.kept += kept
