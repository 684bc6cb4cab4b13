"""How long a release of a probe takes, and its check: seconds, files, bytes, and whether all came again.

`python tests/bench/released.py PROBE [CORPUS]` prints one JSON line; the demo's are demo/probe and demo/corpus.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recipes.app.release.check import check_release
from recipes.app.release.make import make_release
from recipes.app.release.show import batch_of


def timed(probe: Path, corpus: Path | None = None) -> dict[str, Any]:
    """The figures of one probe."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        release = Path(folder) / "release"
        started = time.monotonic()
        made = make_release(probe, release, corpus)
        figures |= {"release_seconds": round(time.monotonic() - started, 1), **made}
        started = time.monotonic()
        batch_of(release, 120)
        figures["show_seconds"] = round(time.monotonic() - started, 2)
        started = time.monotonic()
        checked = check_release(release)
        figures["check_seconds"] = round(time.monotonic() - started, 1)
        figures |= {"runs": len(checked.runs), "exact": checked.exact, "compared": checked.compared}
    return figures


if __name__ == "__main__":
    print(json.dumps(timed(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)))
