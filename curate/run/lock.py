"""One run at a time in a folder: a lock that a dead holder loses, on local disks and in stores."""

from __future__ import annotations

import fcntl
import socket
from pathlib import Path
from typing import IO, Any

from curate.places.held import Busy, take
from curate.places.lease import STALE, Lease, holder_of_lease
from curate.places.store import Place, is_local
from curate.run.engine import RunError


class Lock:
    """Local: flock, which the system releases when its holder dies, with the holder's process number in the file.

    In a store: a `Lease`, an object that its holder renews; one that was not renewed for `STALE` seconds, or whose
    process on this machine has ended, is taken over.
    """

    def __init__(self, path: Place) -> None:
        self._path = path
        self._stream: IO[str] | None = None
        self._lease: Lease | None = None

    def take(self) -> None:
        """Raises RunError when another run holds the folder, OSError when it cannot be written."""
        if not isinstance(self._path, Path):
            self._take_object()
            return
        try:
            self._stream = take(self._path, "run")
        except Busy as error:
            raise RunError(str(error)) from None

    def give_back(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._lease is not None:
            self._lease.give_back()

    def _take_object(self) -> None:
        lease = Lease(self._path)
        if not lease.take():
            # Of two that ask in the same instant, the other may have it by now.
            holder = holder_of_lease(self._path) or {"process": "unknown", "host": "unknown"}
            raise RunError(
                f"{self._path.parent} is being written by another run (process {holder['process']} on"
                f" {holder['host']}); the lock of a run that died expires {STALE:.0f} s after its last sign of life"
            )
        self._lease = lease


def holder_of(path: Place) -> dict[str, Any] | None:
    """The holder of a lock now: `process`, `host`; None when no living process holds it."""
    if is_local(path):
        return _holder_of_file(path)
    return holder_of_lease(path)


def _holder_of_file(path: Place) -> dict[str, Any] | None:
    try:
        with path.open("r") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return {"process": stream.read().strip() or "unknown", "host": socket.gethostname()}
    except OSError:
        pass
    return None
