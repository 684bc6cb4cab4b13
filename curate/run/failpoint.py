"""Named places at which a test may kill a run, to prove that nothing is lost there.

`GOLDSAND_FAILPOINT=POINT:VICTIM:FILE` kills the worker (VICTIM `worker`) or its parent (`parent`) with SIGKILL when
POINT is reached, once: FILE is created first, and a point whose FILE is there does nothing.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

POINTS = (
    "after the temporary write",
    "before the sync",
    "before the rename",
    "between data and manifest",
    "inside a round",
    "while merging",
)
VICTIMS = ("worker", "parent")

_wanted = os.environ.get("GOLDSAND_FAILPOINT", "")


def reached(point: str) -> None:
    """Does nothing, unless a test asked for a death here."""
    if not _wanted:
        return
    wanted, victim, once = _wanted.split(":", 2)
    if wanted != point:
        return
    try:
        Path(once).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getppid() if victim == "parent" else os.getpid(), signal.SIGKILL)
