"""What stands for a finished measurement in its folder is removed before anything of another one is written there."""

from __future__ import annotations

from pathlib import Path

from curate.errors import Refused
from curate.places.manifest import MARKER

PROBE = ("results.json", "written.json", "summary.json", "results.parquet", "report.html")
"""Files of a finished probe. The first is written when the next three are there, and makes it one; the page follows."""

COMPARISON = ("compare.json", "report.html")


def begin(folder: Path, files: tuple[str, ...]) -> None:
    """Remove these files, the one that makes them finished first, so that a kill leaves no mix of two.

    Raises Refused for the folder of a corpus, whose files have the same names.
    """
    if (folder / MARKER).is_file():
        raise Refused(f"{folder} is the folder of a corpus: name another one with -o")
    for name in files:
        (folder / name).unlink(missing_ok=True)
