"""One writer at a time in a folder of this machine: a lock that the system releases when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from curate.errors import Refused

ATTEMPTS = 5


class Busy(Refused):
    """Another process writes there; the message names it."""


def take(path: Path, what: str) -> IO[str]:
    """Hold a lock file until the stream is closed; it names the holder's process. `what` is for the message.

    Raises Busy when another process holds it, OSError when it cannot be written.
    """
    # Opened to append: the file must not be emptied while another process holds it.
    stream = path.open("a+")
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            # Whoever asks for the holder holds the lock for an instant.
            time.sleep(0.05)
            if attempt == ATTEMPTS - 1:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                stream.close()
                raise Busy(f"{path.parent} is being written by another {what} (process {holder})") from None
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream


@contextlib.contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """`take` for the length of a block."""
    with take(path, what):
        yield
