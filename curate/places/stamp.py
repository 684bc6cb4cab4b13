"""A file's identity for tables kept in memory: a file that was edited meanwhile is read again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    path: str
    modified: int
    size: int


def stamp(path: str | Path) -> Stamp:
    """Raises OSError when the file is gone."""
    status = Path(path).stat()
    return Stamp(str(path), status.st_mtime_ns, status.st_size)
