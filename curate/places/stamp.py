"""A file's identity for caches: a file that was edited meanwhile is read again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    path: str
    modified: int
    size: int


def stamp(path: str | Path) -> Stamp:
    """Raises OSError when the file is missing."""
    status = Path(path).stat()
    return Stamp(str(path), status.st_mtime_ns, status.st_size)
