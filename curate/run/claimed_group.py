"""A group of units that several shards work on: each takes what nobody else has, and waits for what others do."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from curate.run.engine import OnKill, Progress, TaskError
from curate.run.group import UnitGroup
from curate.run.session import Claims, Session
from curate.run.unit import Unit
from curate.sources.steady import Stamp

AT_ONCE = 64
"""Units that are looked at before the engine looks after its workers again."""

LONGEST = 2.0
"""Most seconds between two looks at the same unit of somebody else's."""


class ClaimedGroup(UnitGroup):
    """The units of one call of `map`, of which this shard hands out those that it could claim. It begins at its own
    place, so that shards that begin together do not ask for the same units."""

    def __init__(self, label: str, units: Sequence[Unit], on_kill: OnKill | None, session: Session, name: str) -> None:
        super().__init__(label, units, on_kill)
        self.queue.clear()
        self._session = session
        self._claims = Claims(session, name)
        begin = len(self.units) * session.shard.number // session.shard.of
        self._ahead = deque([*range(begin, len(self.units)), *range(begin)])
        # Since when.
        self._mine: dict[int, float] = {}
        self._lost: set[int] = set()
        self._passed = 0
        self._pause, self._look_again = 0.05, 0.0

    def next(self, at_work: Iterable[int | None]) -> deque[int] | None:
        working = list(at_work)
        if not self.queue and (self.alone is None or self.alone not in working):
            self._claim()
        return super().next(working)

    def given_up(self) -> Collection[int]:
        return self._lost

    def give_up(self, number: int) -> None:
        self._lost.discard(number)
        self._mine.pop(number, None)
        self._ahead.append(number)
        self._say()

    def add(self, number: int, manifest: dict[str, Any], counts: tuple[int, int, int]) -> None:
        """One unit is done here: say so, with what it counted."""
        self._mine.pop(number, None)
        self._say()
        row = {"unit": self.units[number].name, "manifest": _plain(manifest), "counts": counts, "by": self._session.own}
        self._take(number, self._claims.finish(number, row))

    def count(self, working: Mapping[int, tuple[int, int, int]]) -> Progress:
        self._session.check()
        if self._mine and self._session.pulse.stood_still():
            self._lost = {number for number in self._mine if self._claims.lost(number)}
        return super().count(working)

    def _take(self, number: int, row: dict[str, Any]) -> None:
        if row["unit"] != self.units[number].name:
            raise TaskError(
                f"shards disagree on their units: number {number} of {self.progress.label} is"
                f" {self.units[number].name} here and {row['unit']} elsewhere"
            )
        documents, kept, size = row["counts"]
        super().add(number, _read(row["manifest"]), (documents, kept, size))

    def _claim(self) -> None:
        """Look for a unit that nobody has; what others did meanwhile is taken over."""
        if not self._ahead or time.monotonic() < self._look_again:
            return
        for _ in range(min(AT_ONCE, len(self._ahead))):
            number = self._ahead.popleft()
            if (row := self._claims.done(number)) is not None:
                self._passed, self._pause = 0, 0.05
                self._take(number, row)
            elif self._claims.claim(number):
                self._passed, self._pause = 0, 0.05
                self._mine[number] = time.monotonic()
                self._say()
                if self._claims.turn(number) > 1:
                    # Whoever had it may have failed with it.
                    self._session.check(at_once=True)
                    self._replay(number)
                self.queue.append(number)
                return
            else:
                self._passed += 1
                self._ahead.append(number)
        if self._passed >= len(self._ahead):
            # All that is left is somebody's.
            self._passed, self._pause = 0, min(self._pause * 1.3, LONGEST)
            self._look_again = time.monotonic() + self._pause

    def _say(self) -> None:
        """For whoever asks how the work stands."""
        hand = {self.units[number].name: (self._claims.turn(number), since) for number, since in self._mine.items()}
        self._session.pulse.said = {**self._session.pulse.said, "units": hand}

    def _replay(self, number: int) -> None:
        """What the dead set aside of this unit need not kill again."""
        if self.on_kill is None:
            return
        for row in self._session.kills():
            if row["unit"] == self.units[number].name:
                self.units[number] = self.on_kill(self.units[number], row["in_hand"], row["reason"])


def _plain(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest for JSON: what units tell this run alone are objects."""
    stamps = manifest.get("stamps") or [manifest.get("stamp")]
    told = [None if one is None else [one.marks, one.fresh] for one in stamps]
    names = {"stamps": told} if "stamps" in manifest else {"stamp": told[0]} if "stamp" in manifest else {}
    return manifest | names


def _read(manifest: dict[str, Any]) -> dict[str, Any]:
    def stamp(told: Any) -> Stamp | None:
        return None if told is None else Stamp(tuple(map(tuple, told[0])), told[1])

    if "stamps" in manifest:
        manifest["stamps"] = list(map(stamp, manifest["stamps"]))
    elif "stamp" in manifest:
        manifest["stamp"] = stamp(manifest["stamp"])
    return manifest
