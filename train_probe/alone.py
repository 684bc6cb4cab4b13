"""One process at a time in the folder of a probe: two would write over each other's results, and both end well."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from train_probe.plan import PlanError

_HOLDERS: dict[Path, int] = {}
"""The folders that this process holds, and by which thread."""


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is missing, for the length of a block; the block may hold it again. One
    that was made, and in which the block wrote nothing before it failed, is removed.

    The system releases it when its holder dies. Raises PlanError when another process or thread holds it, or when it
    cannot be written to.
    """
    path = folder.resolve() / ".lock"
    if _HOLDERS.get(path) == threading.get_ident():
        yield
        return
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Opened to append: the file must not be emptied while another process holds it.
        stream = path.open("a+")
    except OSError as error:
        raise PlanError(f"{folder} cannot be written to ({error.strerror}); choose another folder with -o") from error
    with stream:
        _take(stream, folder)
        _HOLDERS[path] = threading.get_ident()
        try:
            yield
        except BaseException:
            if made and list(folder.iterdir()) == [folder / path.name]:  # refused before anything was written
                path.unlink()
                folder.rmdir()
            raise
        finally:
            del _HOLDERS[path]


def _take(stream: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        raise PlanError(
            f"{folder} is being written by another probe or comparison (process {holder}): wait for it, or choose"
            " another folder with -o"
        ) from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
