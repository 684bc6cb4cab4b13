"""What processes on several machines agree on through a folder that all of them see, without a server or a lock.

Relied on are four things, which `refuse_unfit` tries at the start: a name that is made exclusively is made by one of
those who ask (`link`, or `O_EXCL`; in a store a conditional put), a file that is renamed appears whole, and who opens a
file after it was closed reads what was written, now or somewhat later. No listing, no time of a file and no clock of
another machine decides anything.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from curate.errors import Refused
from curate.places.store import TEMPORARY, Place, is_local, make_folder, store_errors, write_atomically

BEAT = 5.0
"""Seconds between two beats of a pulse."""

STALE = 60.0
"""Seconds without a beat, as a watcher counts them, after which a process is taken for dead."""


def make_once(place: Place, data: bytes) -> bool:
    """Make a file that nobody has made before; False where somebody has. It is there whole, except on a disk without
    hard links, where its name may be there first. Raises OSError."""
    make_folder(place.parent)
    if not isinstance(place, Path):
        return _put_once(place, data)
    own = place.with_name(f".{place.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        own.write_bytes(data)
        try:
            os.link(own, place)
        except FileExistsError:
            # A server that answered late was asked twice: the name may be this one's all the same.
            return read_whole(place) == data
        except OSError:
            try:
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                return False
            own.replace(place)
        return True
    finally:
        own.unlink(missing_ok=True)


def _put_once(place: Place, data: bytes) -> bool:
    with store_errors(place):
        try:
            place.fs.pipe_file(place.path, data, mode="create")  # type: ignore[attr-defined]
        except FileExistsError:
            return False
        except OSError as error:
            # Clients have no common name for a condition that does not hold.
            if "precondition" not in f"{error} {error.__cause__}".lower():
                raise
            return read_whole(place) == data
    return True


def read_whole(place: Place) -> bytes | None:
    """What a small file holds; None where it is not there, or not yet."""
    try:
        with store_errors(place):
            if is_local(place):
                return place.read_bytes() or None
            # One request: between two, somebody may write the object anew.
            data: bytes = place.fs.cat_file(place.path)  # type: ignore[attr-defined]
            return data or None
    except FileNotFoundError:
        return None


def read_row(place: Place) -> dict[str, Any] | None:
    """A small file of JSON; None where it is not there, or not whole yet."""
    try:
        row = orjson.loads(read_whole(place) or b"")
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def refuse_unfit(folder: Place) -> None:
    """Try on a file in `folder` what is relied on. Raises Refused, with what is missing there, or OSError where the
    folder cannot be written at all."""
    trial = folder / f".trial-{uuid.uuid4().hex}{TEMPORARY}"
    renamed = trial.with_name(f"{trial.name}-2{TEMPORARY}")
    make_folder(folder)
    try:
        with store_errors(folder):
            if not (make_once(trial, b"one") and not make_once(trial, b"two") and read_whole(trial) == b"one"):
                raise Refused(
                    f"{folder} is on a file system on which two processes can make the same file at once (no exclusive"
                    " create): shards cannot share their work there; use one process, or another file system"
                )
            if is_local(folder):
                _rename(trial, renamed, folder)
    finally:
        for place in (trial, renamed):
            with contextlib.suppress(OSError), store_errors(folder):
                place.unlink(missing_ok=True)


def _rename(trial: Place, renamed: Place, folder: Place) -> None:
    renamed.write_bytes(b"before")
    reason = "what was renamed does not read as it was written"
    try:
        trial.rename(renamed)
        if read_whole(renamed) == b"one":
            return
    except OSError as error:
        reason = error.strerror or str(error)
    raise Refused(
        f"{folder} is on a file system on which a file cannot be renamed to replace another ({reason}): no run can be"
        " written there; write to a disk or an object store, and copy"
    )


@dataclass
class Pulse:
    """Says that this process lives: a file that a thread writes anew every `BEAT` seconds, with a counter.

    `said` is what else it holds, for whoever asks how the work stands. Whoever stands still for long (a process that
    was stopped, a machine that was suspended) is taken for dead meanwhile: `stood_still` says for how many seconds, and
    is then 0 again.
    """

    place: Place
    said: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._row = {**here(), "counter": 0, "ended": False}
        self._ended = threading.Event()
        self._beat = time.monotonic()
        self._gap = 0.0
        self._writing = threading.Lock()

    def take(self) -> bool:
        """Begin, under a name that is nobody's; False where it is somebody's. Raises OSError."""
        if not make_once(self.place, self._written()):
            return False
        threading.Thread(target=self._keep, daemon=True).start()
        return True

    def say(self, **said: Any) -> None:
        """Hold this too, from now on."""
        self.said = {**self.said, **said}
        self._write()

    def end(self) -> None:
        """What this process held is free at once."""
        self._ended.set()
        self._row["ended"] = True
        self._write()

    def stood_still(self) -> float:
        """Seconds for which nobody saw a beat, where they were so many that others may take it for dead."""
        gap, self._gap = max(self._gap, time.monotonic() - self._beat), 0.0
        return gap if gap > STALE / 2 else 0.0

    def _keep(self) -> None:
        while not self._ended.wait(BEAT):
            self._gap = max(self._gap, time.monotonic() - self._beat)
            self._write()
            self._beat = time.monotonic()

    def _write(self) -> None:
        # One that cannot be written is not seen: what must follow from that, follows.
        with self._writing, contextlib.suppress(OSError), store_errors(self.place):
            self._row["counter"] += 1
            write_atomically(self.place, self._written(), alone=False)

    def _written(self) -> bytes:
        return orjson.dumps({**self._row, "clock": time.monotonic(), **self.said}, option=orjson.OPT_NON_STR_KEYS)


class Watch:
    """Who lives, as one process sees it: whose counter changes, by this process's own clock.

    Time in which this process did not look counts against nobody.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Any, float]] = {}
        self._looked: dict[str, float] = {}
        self._now = 0.0
        self._last = time.monotonic()

    def row(self, place: Place) -> dict[str, Any] | None:
        """What a pulse says now."""
        try:
            return read_row(place)
        except OSError:
            return None

    def lives(self, place: Place) -> bool:
        """Whether a process lives. One of which nothing is known yet does, until it has had time for a beat."""
        name = str(place)
        now = time.monotonic()
        self._now += min(now - self._last, 2 * BEAT)
        self._last = now
        if name in self._looked and self._now - self._looked[name] < min(BEAT, STALE / 4):
            return self._seen[name][1] >= 0 and self._now - self._seen[name][1] <= STALE
        self._looked[name] = self._now
        row = self.row(place)
        if row is not None and (row.get("ended") or _gone(row)):
            self._seen[name] = (None, -1.0)
            return False
        said = None if row is None else (row.get("token"), row.get("counter"))
        if name not in self._seen or (said is not None and self._seen[name][0] != said):
            self._seen[name] = (said, self._now)
        return self._now - self._seen[name][1] <= STALE

    def knows(self, place: Place) -> bool | None:
        """Whether a process lives, where that is certain: a beat was seen, or the system of this machine says so."""
        before = self._seen.get(str(place))
        if not self.lives(place):
            return False
        row = self.row(place)
        if row is not None and row.get("machine") and row["machine"] == _machine():
            return True
        after = self._seen[str(place)]
        return True if before is not None and None not in (before[0], after[0]) and before[0] != after[0] else None


def here() -> dict[str, Any]:
    """Names this process: where it runs, so that others on the same machine can see whether it does."""
    return {
        "host": socket.gethostname(),
        "machine": _machine(),
        "process": os.getpid(),
        "started": _started(os.getpid()),
        "token": uuid.uuid4().hex,
    }


def _machine() -> str:
    """This boot of this machine, and where its process numbers are valid; empty where the system does not say."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """When a process began, in the system's own ticks: its number may be another's later. Empty where it has ended,
    though nobody may have asked yet how."""
    try:
        state, *others = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else others[18]
    except (OSError, IndexError, ValueError):
        return ""


def _gone(row: dict[str, Any]) -> bool:
    """Whether a process of this machine has ended; False of those elsewhere."""
    if not row.get("machine") or row["machine"] != _machine():
        return False
    return _started(int(row.get("process", 0))) != row.get("started")
