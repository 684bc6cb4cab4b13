"""A lease: a file or object that says who works on something, and counts for as long as its holder renews it.

It needs no lock of the system's, so that several machines can hold leases on a shared disk or in a store.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import orjson

from curate.places.store import Place, make_folder, write_atomically

RENEWED = 20.0
"""Seconds between two renewals."""

STALE = 90.0
"""Seconds without renewal after which the holder counts as dead."""


class Lease:
    """Held from `take` until `give_back`, and renewed meanwhile by a thread of its own.

    Where files can be made exclusively, one of those that ask at once gets it. Stores cannot all do so: there the
    holder reads back what it wrote, and of two that ask in the same instant both may get it. So it saves work that may
    be done twice; what must not happen twice needs more.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._me = {"process": os.getpid(), "host": socket.gethostname(), "token": uuid.uuid4().hex}
        self._ended: threading.Event | None = None

    def take(self) -> bool:
        """Whether it is held now; False where another living process holds it. Raises OSError."""
        if holder_of_lease(self.path) is not None or not self._claimed():
            return False
        self._ended = threading.Event()
        threading.Thread(target=self._keep, args=(self._ended,), daemon=True).start()
        return True

    def give_back(self) -> None:
        if self._ended is not None:
            self._ended.set()
            if self._mine():
                with contextlib.suppress(OSError):
                    self.path.unlink(missing_ok=True)

    def _claimed(self) -> bool:
        if not isinstance(self.path, Path) or _read(self.path) is not None:
            write_atomically(self.path, self._row(), alone=False)
            return self._mine()
        # A name that is linked is there whole, and for one of several that link it at once.
        make_folder(self.path.parent)
        own = self.path.with_name(f"{self.path.name}.{self._me['token']}")
        own.write_bytes(self._row())
        try:
            os.link(own, self.path)
        except FileExistsError:
            return False
        except OSError:
            # A disk without hard links.
            own.replace(self.path)
        finally:
            own.unlink(missing_ok=True)
        return self._mine()

    def _row(self) -> bytes:
        return orjson.dumps({**self._me, "time": time.time()})

    def _mine(self) -> bool:
        return (_read(self.path) or {}).get("token") == self._me["token"]

    def _keep(self, ended: threading.Event) -> None:
        while not ended.wait(RENEWED):
            # One that was taken over, while this process was suspended, is no longer this one's to renew.
            with contextlib.suppress(OSError):
                if self._mine():
                    write_atomically(self.path, self._row(), alone=False)


def holder_of_lease(path: Place) -> dict[str, Any] | None:
    """The holder of a lease now: `process`, `host`, `time`; None when no living process holds it."""
    holder = _read(path)
    # A time that lies ahead is that of a clock that was set since.
    if holder is None or abs(time.time() - holder["time"]) > STALE:
        return None
    if holder["host"] == socket.gethostname() and not _alive(holder["process"]):
        return None
    return holder


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
