"""The current state of a run, for other programs: `status.json` in the output folder."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from curate.places.manifest import (
    SUMMARY,
    NotAsWritten,
    beside_fault,
    is_sealed,
    read_summary,
    sealed,
    stands_aside,
)
from curate.places.store import Place, is_local, write_atomically
from curate.run.calls import Calls
from curate.run.engine import Progress, RunError, UnitEvent
from curate.run.folder import check_format
from curate.run.forecast import ForetoldGroup, TimeLeft
from curate.run.lock import holder_of
from curate.run.provenance import changed_since, read_made_with
from curate.run.shard_status import shards_in

EVERY = 1.0
"""Seconds between two writings; in a store, where each one costs a request, `EVERY_STORED`."""

EVERY_STORED = 15.0

STATUS = "status.json"

SHOWN = 20
"""Units that are named, those that have been in hand for longest."""

_FIELDS = {"state", "process", "host", "began", "written", "at", "groups", "progress"}


class StatusFile:
    """Writes each Progress to `status.json`, and passes it on. `groups` are the labels of all groups of units, in
    order."""

    def __init__(
        self,
        out: Place,
        groups: list[str],
        on_progress: Callable[[Progress], None] | None = None,
        path: Place | None = None,
    ) -> None:
        self._path = path or out / STATUS
        self._every = EVERY if is_local(out) else EVERY_STORED
        self._groups = groups
        self._on_progress = on_progress
        self._time_left: TimeLeft | None = None
        self._left: float | None = None
        self._began = time.time()
        self.calls = Calls.of(self._path)
        self._written = 0.0
        self._done: dict[str, dict[str, Any]] = {}
        self._current: Progress | None = None
        self._before: dict[str, Any] = {}
        self._in_hand: dict[str, UnitEvent] = {}
        self._lost: dict[str, str] = {}

    def foretold(self, groups: Sequence[ForetoldGroup], workers: int) -> None:
        """What the groups will take; nothing, where nobody knows."""
        self._time_left = TimeLeft(groups, workers) if groups else None

    def __call__(self, progress: Progress) -> None:
        if self._time_left is not None:
            progress.run_left = self._left = self._time_left.see(progress)
        if self._on_progress is not None:
            self._on_progress(progress)
        self._note(progress.events)
        if progress is not self._current:
            # A round is two groups of units with one label: what emits, and what reduces.
            self._current, self._before = progress, self._done.get(progress.label, {})
        counts = {
            "units": progress.tasks,
            "finished": progress.done,
            "reused": progress.reused,
            "documents": progress.documents,
            "kept": progress.kept,
            "size": progress.size,
            "total_size": progress.total_size,
        }
        row = {name: value + self._before.get(name, 0) for name, value in counts.items()}
        again = progress.again + Counter(self._before.get("again", {}))
        self._done[progress.label] = {**row, "rate": progress.rate(), "left": progress.left(), "again": dict(again)}
        self.calls.note(progress, sum(row["finished"] - row["reused"] for row in self._done.values()))
        now = time.monotonic()
        if now - self._written >= self._every:
            self._written = now
            self.write("running", progress.label)

    def _note(self, events: Sequence[UnitEvent]) -> None:
        """Which units are in hand since when, and why it is not their first attempt."""
        for event in events:
            if event.event == "began":
                self._in_hand[event.unit] = event
                continue
            self._in_hand.pop(event.unit, None)
            if event.event == "lost":
                self._lost[event.unit] = event.why
            else:
                self._lost.pop(event.unit, None)

    def _longest_in_hand(self) -> list[dict[str, Any]]:
        return [
            {"unit": one.unit, "since": one.at, "attempt": one.attempt, "why": self._lost.get(one.unit, "")}
            for one in sorted(self._in_hand.values(), key=lambda one: one.at)[:SHOWN]
        ]

    def write(self, state: str, label: str | None = None) -> None:
        """`state` is running, finished, stopped or failed. An error in writing this never ends a run."""
        content = {
            "state": state,
            "process": os.getpid(),
            "host": socket.gethostname(),
            "began": self._began,
            "written": time.time(),
            "at": label,
            "left": self._left,
            "groups": self._groups,
            "progress": self._done,
            "in_hand": self._longest_in_hand() if state == "running" else [],
            "calls": self.calls.rows(ended=state == "finished"),
        }
        if state == "finished":
            with contextlib.suppress(OSError, NotAsWritten):
                content["summary"] = read_summary(self._path.parent).get("seal")
        with contextlib.suppress(OSError):
            write_atomically(self._path, orjson.dumps(sealed(content), option=orjson.OPT_INDENT_2))


def read_status(out: Place) -> dict[str, Any]:
    """The last status that `StatusFile` wrote, with `alive`: whether a process holds the folder now; where none does,
    `state` is how the run ended: finished, stopped, failed, died, or mixed (beside its summary lies another's recipe).
    `changed` is what has another version here than the run was made with, `aside` where the corpus is that this run
    replaces, `shards` the state of each shard, where some are at work.

    Raises RunError for a folder in which no run was started, or of another version.
    """
    check_format(out)
    of_shards, shards = shards_in(out)
    if of_shards is not None:
        alive = any(one.lives for one in shards)
        state = "running" if alive else "died"
        aside = stands_aside(out)
        changed = changed_since(read_made_with(out))
        return {**of_shards, "alive": alive, "state": state, "shards": shards, "aside": aside, "changed": changed}
    try:
        status = orjson.loads((out / STATUS).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        raise RunError(f"no run was begun in {out} (goldsand run RECIPE -o {out} begins one)") from None
    if not isinstance(status, dict) or not status.keys() >= _FIELDS or not is_sealed(status):
        raise RunError(f"{out / 'status.json'} is damaged, or of an earlier version; the next run writes it anew")
    status["alive"] = holder_of(out / ".lock") is not None
    of = status.pop("summary", None)
    with contextlib.suppress(FileNotFoundError, NotAsWritten):
        if of is not None and read_summary(out).get("seal", of) != of:
            raise RunError(f"{out / 'status.json'} is not of the run whose {out / SUMMARY} lies beside it")
    if not status["alive"]:
        status["state"] = _ended(out, status["state"])
    status["changed"] = changed_since(read_made_with(out))
    status["aside"] = "" if (out / SUMMARY).is_file() else stands_aside(out)
    return status


def _ended(out: Place, said: str) -> str:
    """How a run ended that no process works on: `finished` where its summary is there, written last; `mixed` where what
    lies beside that is of another run; else as it said itself, unless it died."""
    if not (out / SUMMARY).is_file():
        return said if said in ("stopped", "failed") else "died"
    return "finished" if beside_fault(out) is None else "mixed"
