"""One run at a time in a folder: a lock that a dead holder loses, on local disks and in stores."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
from pathlib import Path
from typing import IO, Any

import orjson

from curate.places.held import Busy, take
from curate.places.store import Place, is_local, write_atomically
from curate.run.engine import RunError

RENEWED = 20.0
"""Seconds between two renewals of a lock in a store."""

STALE = 90.0
"""Seconds without renewal after which the holder of a lock in a store counts as dead."""


class Lock:
    """Local: flock, which the system releases when its holder dies, with the holder's process number in the file.

    In a store: an object that its holder renews; one that was not renewed for `STALE` seconds, or whose process on
    this machine has ended, is taken over. Exclusive creation is not available in all stores, so the holder reads back
    what it wrote: of two runs that begin in the same instant, the one that wrote last holds the lock.
    """

    def __init__(self, path: Place) -> None:
        self._path = path
        self._stream: IO[str] | None = None
        self._ended: threading.Event | None = None
        self._me = {"process": os.getpid(), "host": socket.gethostname()}

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
        if self._ended is not None:
            self._ended.set()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _take_object(self) -> None:
        holder = holder_of(self._path)
        if holder is not None:
            raise RunError(
                f"{self._path.parent} is being written by another run (process {holder['process']} on"
                f" {holder['host']}); the lock of a run that died expires {STALE:.0f} s after its last sign of life"
            )
        self._renew()
        holder = _read(self._path)
        if holder is None or (holder["process"], holder["host"]) != (self._me["process"], self._me["host"]):
            raise RunError(f"{self._path.parent} was locked by another run at the same moment")
        self._ended = threading.Event()
        threading.Thread(target=self._keep, args=(self._ended,), daemon=True).start()

    def _renew(self) -> None:
        write_atomically(self._path, orjson.dumps({**self._me, "time": time.time()}))

    def _keep(self, ended: threading.Event) -> None:
        while not ended.wait(RENEWED):
            with contextlib.suppress(OSError):
                self._renew()


def holder_of(path: Place) -> dict[str, Any] | None:
    """The holder of a lock now: `process`, `host`; None when no living process holds it."""
    if is_local(path):
        return _holder_of_file(path)
    holder = _read(path)
    if holder is None or time.time() - holder["time"] > STALE:
        return None
    if holder["host"] == socket.gethostname() and not _alive(holder["process"]):
        return None
    return holder


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


def _read(path: Place) -> dict[str, Any] | None:
    try:
        holder = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return holder if isinstance(holder, dict) and {"process", "host", "time"} <= holder.keys() else None


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
