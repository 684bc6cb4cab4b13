"""Shared memory between a worker and its parent: the document in hand, signs of life, counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.run.unit import Pulse

KEY_BYTES = 1 << 14
"""Room for the longest possible path, escaped, and an offset."""


class Shared:
    """Values that a worker and its parent share: the document in hand, a counter of signs of life, and counts."""

    def __init__(self, context: Any) -> None:
        self.key = context.RawArray("c", KEY_BYTES)
        self.signs = context.RawValue("Q", 0)
        self.documents = context.RawValue("Q", 0)
        self.kept = context.RawValue("Q", 0)
        self.size = context.RawValue("Q", 0)

    @property
    def in_hand(self) -> str:
        return bytes(self.key.value).decode("utf-8", "replace")

    def counts(self) -> tuple[int, int, int]:
        return self.documents.value, self.kept.value, self.size.value


class SharedPulse(Pulse):
    """The worker's side of `Shared`."""

    def __init__(self, shared: Shared) -> None:
        self._key, self._signs = shared.key, shared.signs
        self._documents, self._kept, self._size = shared.documents, shared.kept, shared.size

    def hold(self, document: str | None) -> None:
        data = (document or "").encode("utf-8", "replace")[: KEY_BYTES - 1]
        self._key[: len(data) + 1] = data + b"\0"
        self._signs.value += 1

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        self._documents.value += documents
        self._kept.value += kept
        self._size.value += size
        self._signs.value += 1

    def peak(self) -> int:
        # Linux counts the most since it was told to forget; elsewhere nobody knows. The process is a worker: none but
        # us asks for its peak.
        try:
            status = Path("/proc/self/status").read_text()
            Path("/proc/self/clear_refs").write_text("5")
            return int(status.partition("VmHWM:")[2].split()[0]) << 10
        except (OSError, ValueError, IndexError):
            return 0
