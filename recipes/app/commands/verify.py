"""The command `goldsand verify`."""

from __future__ import annotations

from rich.markup import escape

from recipes.app.commands.options import FinishedRun
from recipes.app.terminal.console import err, fail, friendly, harmless, out


def verify(folder: FinishedRun) -> None:
    """Check a corpus: every checksum, and that every document and character is accounted for."""
    from recipes.app.api.documents import verify as verified

    with friendly():
        found = verified(folder)
    for fault in (faults := found.faults):
        err.print(harmless(fault))
    if faults:
        fail(f"{len(faults)} fault{'s' * (len(faults) > 1)}; the command that made {folder} puts them right", 3)
    out.print(f"{escape(folder)}: every file is as it was written, every document is accounted for")
    for line in found.missing:
        out.print(harmless(line))
