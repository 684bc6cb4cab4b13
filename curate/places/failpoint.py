"""Named points at which a test may kill a run, to prove that no data is lost there.

`GOLDSAND_FAILPOINT=POINT:VICTIM:FILE` kills the worker (VICTIM `worker`) or its parent (`parent`) with SIGKILL when
POINT is reached, once: FILE is created first, and a point whose FILE exists has no effect.
"""

from __future__ import annotations

import multiprocessing
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


def reached(point: str) -> None:
    """Kill the process that a test named for this point; else no effect."""
    wanted, _, rest = os.environ.get("GOLDSAND_FAILPOINT", "").partition(":")
    if wanted != point:
        return
    victim, _, once = rest.partition(":")
    try:
        Path(once).touch(exist_ok=False)
    except FileExistsError:
        return
    # The parent is the run, whichever process started this worker.
    process = multiprocessing.parent_process() if victim == "parent" else multiprocessing.current_process()
    assert process is not None and process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
