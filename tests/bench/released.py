"""How long a release of a probe takes, and its check: seconds by the clock and of processors, files, bytes,
and whether all came again.

`python tests/bench/released.py PROBE [CORPUS [PROCESSES]]` prints one JSON line; of the demo, demo/probe demo/corpus.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recipes.app.release.check import check_release
from recipes.app.release.layout import read_index
from recipes.app.release.make import make_release
from recipes.app.release.show import batch_of


def timed(probe: Path, corpus: Path | None = None, processes: int | None = None) -> dict[str, Any]:
    """The figures of one probe."""
    figures: dict[str, Any] = {}

    @contextlib.contextmanager
    def measured(name: str) -> Iterator[None]:
        started, before = time.monotonic(), os.times()
        yield
        figures[f"{name}_seconds"] = round(time.monotonic() - started, 1)
        # Of this process and of those that it waited for.
        figures[f"{name}_processor_seconds"] = round(sum(os.times()[:4]) - sum(before[:4]), 1)

    with tempfile.TemporaryDirectory() as folder:
        release = Path(folder) / "release"
        with measured("release"):
            figures |= make_release(probe, release, corpus)
        index = read_index(release)
        last = max(index["streams"][index["runs"][0]["stream"]]["chunks"].values())
        with measured("show"):
            batch_of(release, min(100, last))
        with measured("check"):
            checked = check_release(release, processes=processes)
        figures |= {"runs": len(checked.runs), "exact": checked.exact, "compared": checked.compared}
    return figures


if __name__ == "__main__":
    probe, corpus, processes, *_ = [*sys.argv[1:], None, None]
    print(json.dumps(timed(Path(str(probe)), Path(corpus) if corpus else None, int(processes) if processes else None)))
