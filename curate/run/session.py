"""A session: several equal processes (shards) at one run, which agree through files in its folder alone.

Below `OUT/.shards/`: `0001.json` says what the session is about, `0001.end.json` how it ended; `0001/` has a pulse, a
status and a list of kills for each process, and for each group of units who has claimed which unit, and what became of
it. Groups are barriers: a shard goes on when every unit of the group is done, whoever did it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from curate.errors import Refused, refusal
from curate.places.claims import BEAT, Pulse, Watch, make_once, read_row, refuse_unfit
from curate.places.store import Place, write_atomically
from curate.run.engine import RunError, TaskError

SHARDS = ".shards"

LOOK = 0.5
"""Seconds between two looks at whether the session has ended."""

ATTEMPTS = ("SLURM_ARRAY_JOB_ID", "GOLDSAND_ATTEMPT")
"""Environment variables that are the same in all shards that were started together, and others at the next start."""


@dataclass(frozen=True)
class Shard:
    """One of `of` equal processes; `number`, from 0, says only where it begins."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """From `3/64`. Numbers may count from 0 or from 1. Raises Refused."""
        number, slash, of = text.partition("/")
        if not (slash and number.isascii() and number.isdigit() and of.isascii() and of.isdigit() and int(of)):
            raise Refused(f"--shard {text}: write it as I/N, for example 3/64: this process is number 3 of 64")
        if int(number) > int(of):
            raise Refused(f"--shard {text}: there are {int(of)} shards, so numbers go from 0 (or 1) to {int(of)}")
        return cls(int(number) % int(of), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


class Over(Exception):
    """The other shards have finished the run."""


class Session:
    """This process's part in a session. Use `join`."""

    def __init__(self, out: Place, number: int, shard: Shard) -> None:
        self.out = out
        self.number = number
        self.shard = shard
        self.folder = out / SHARDS / f"{number:04d}"
        self.watch = Watch()
        self.pulse: Pulse = Pulse(self.folder / "none")
        self.took_part = False
        self._looked = -LOOK

    @property
    def own(self) -> str:
        """Names this process in the session."""
        return self.pulse.place.name.removeprefix("pulse-").removesuffix(".json")

    @classmethod
    def join(cls, out: Place, shard: Shard, about: dict[str, Any], may_begin: Callable[[], None]) -> Session:
        """Take part in the session that is open in a folder, or begin one. `about` is what all shards must agree on.

        `may_begin` is called before anything is written for a new one. A session that the others have ended is returned
        without taking part, if this process belongs to it. Raises Refused where living shards are about something else.
        """
        number = latest(out)
        attempt = next((os.environ[name] for name in ATTEMPTS if os.environ.get(name)), "")
        while True:
            session = cls(out, number, shard)
            if number:
                row = read_row(out / SHARDS / f"{number:04d}.json") or {}
                ended = session.ended()
                if ended is not None and session._is_of(ended, row, about, attempt):
                    return session
                if ended is None:
                    other = difference(row.get("about", {}), about, row.get("of", 0), shard.of)
                    if not other:
                        session._take_part(attempt)
                        return session
                    if who := session.living():
                        raise Refused(f"{out}: {other}: {who} is at work there")
            may_begin()
            refuse_unfit(out / SHARDS)
            number += 1
            session = cls(out, number, shard)
            # Its pulse is there first, so that a session is never seen without a sign of life.
            session._take_part(attempt)
            row = {"of": shard.of, "about": about, "began": time.time()}
            if make_once(out / SHARDS / f"{number:04d}.json", orjson.dumps(row)):
                return session
            session.pulse.end()

    def _take_part(self, attempt: str) -> None:
        part = 1
        while True:
            place = self.folder / f"pulse-{self.shard.number:05d}.{part}.json"
            self.pulse = Pulse(place, {"attempt": attempt})
            if self.pulse.take():
                self.took_part = True
                return
            part += 1

    def _is_of(self, ended: dict[str, Any], row: dict[str, Any], about: dict[str, Any], attempt: str) -> bool:
        """Whether this process was started together with those that ended the session: then that is its end too."""
        if attempt:
            return attempt in ended.get("attempts", ())
        mine = read_row(self.folder / f"pulse-{self.shard.number:05d}.1.json")
        same = not difference(row.get("about", {}), about, row.get("of", 0), self.shard.of)
        return ended["state"] == "finished" and same and mine is None

    def pulses(self) -> Iterator[Place]:
        """The pulses of all processes that took part, found by name: no listing need be fresh."""
        row = read_row(self.out / SHARDS / f"{self.number:04d}.json") or {}
        for number in range(int(row.get("of", 0))):
            part = 1
            while read_row(place := self.folder / f"pulse-{number:05d}.{part}.json") is not None:
                yield place
                part += 1

    def living(self) -> str:
        """Who of the others lives; empty where nobody does. Waits until that is known."""
        while True:
            unknown = False
            for place in self.pulses():
                if place != self.pulse.place and (lives := self.watch.knows(place)) is not False:
                    if lives:
                        host = (self.watch.row(place) or {}).get("host", "another machine")
                        return f"shard {int(place.name.split('-')[1].split('.')[0])} on {host}"
                    unknown = True
            if not unknown:
                return ""
            time.sleep(min(0.2, BEAT / 2))

    def ended(self) -> dict[str, Any] | None:
        """How the session ended; None while it is open."""
        return read_row(self.out / SHARDS / f"{self.number:04d}.end.json")

    def check(self, at_once: bool = False) -> None:
        """Raises Over where the others have finished the run, and their error where a unit of theirs failed. Unless
        `at_once`, it looks now and then."""
        now = time.monotonic()
        if now - self._looked < LOOK and not at_once:
            return
        self._looked = now
        if (ended := self.ended()) is None:
            return
        if ended["state"] == "finished":
            raise Over
        message = f"shard {ended.get('shard', '?')}: {ended.get('message', ended['state'])}"
        raise TaskError(message) if ended.get("kind") == "fault" else RunError(message)

    def end(self, state: str, **more: Any) -> None:
        """Say how the session ended, unless somebody has."""
        attempts = sorted({(self.watch.row(place) or {}).get("attempt", "") for place in self.pulses()})
        row = {"state": state, "shard": str(self.shard), "attempts": [one for one in attempts if one], **more}
        place = self.out / SHARDS / f"{self.number:04d}.end.json"
        if not make_once(place, orjson.dumps(row)) and read_row(place) is None:
            write_atomically(place, orjson.dumps(row), alone=False)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """An error of this shard is one of all; a shard that somebody ends leaves its units to the others."""
        if isinstance(error, Exception) and not isinstance(error, Over):
            said = refusal(error)
            self.end("failed", kind="fault" if said is None else "refused", message=said or str(error) or repr(error))
        self.pulse.end()

    def once(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `work` returns, which one of the shards does, and does again where that one dies."""
        claims = Claims(self, f"once-{name}")
        while (row := claims.done(0)) is None:
            claimed = claims.claim(0)
            # Whoever had it may have failed with it.
            self.check(at_once=claims.turn(0) > 1)
            if claimed:
                return claims.finish(0, work())
            time.sleep(0.1)
        return row

    def kills(self) -> list[dict[str, Any]]:
        """What all shards of the session have set aside, with the unit and what it had in hand."""
        rows = []
        for place in self.pulses():
            rows += kill_rows(place)
        return rows

    def note_kill(self, row: dict[str, Any]) -> None:
        """Write down what this process sets aside."""
        place = _kills_of(self.pulse.place)
        rows = b"".join(
            orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE) for one in [*kill_rows(self.pulse.place), row]
        )
        write_atomically(place, rows)


class Claims:
    """Who has claimed which unit of a group, and what became of the units.

    A claim names a pulse. When that has stopped, whoever makes the unit's next claim has the unit.
    """

    def __init__(self, session: Session, group: str) -> None:
        self._session = session
        self._folder = session.folder / "units" / group
        self._turns: dict[int, int] = {}

    def done(self, number: int) -> dict[str, Any] | None:
        """What became of a unit; None while it is not done."""
        return read_row(self._folder / f"{number:06d}.done.json")

    def claim(self, number: int) -> bool:
        """Whether the unit is this process's now; False where a living process has it, or it is done meanwhile."""
        while True:
            turn = self._turns.get(number, 1)
            place = self._place(number, turn)
            row = read_row(place)
            if row is None and make_once(place, orjson.dumps({"pulse": self._session.pulse.place.name})):
                # Whoever had it may have ended well.
                return self.done(number) is None
            row = row or read_row(place)
            # A name without content is watched itself.
            if self._session.watch.lives(self._session.folder / row["pulse"] if row else place):
                return False
            self._turns[number] = turn + 1

    def turn(self, number: int) -> int:
        """The how many-th claim of a unit is this process's."""
        return self._turns.get(number, 1)

    def lost(self, number: int) -> bool:
        """Whether somebody else has claimed a unit of this process's, as one of the dead."""
        if read_row(self._place(number, self.turn(number) + 1)) is None:
            return False
        self._turns[number] = self.turn(number) + 1
        return True

    def finish(self, number: int, row: dict[str, Any]) -> dict[str, Any]:
        """Say what became of a unit; returns that, as all shards read it. The first who says it is right."""
        written = orjson.dumps(row, option=orjson.OPT_NON_STR_KEYS)
        place = self._folder / f"{number:06d}.done.json"
        if not make_once(place, written):
            if (first := self.done(number)) is not None:
                return first
            write_atomically(place, written, alone=False)
        said: dict[str, Any] = orjson.loads(written)
        return said

    def _place(self, number: int, turn: int) -> Place:
        return self._folder / f"{number:06d}.claim-{turn}.json"


def latest(out: Place) -> int:
    """The number of the last session in a folder, found by name; 0 where there is none."""
    number = 0
    while read_row(out / SHARDS / f"{number + 1:04d}.json") is not None:
        number += 1
    return number


def open_session(out: Place) -> Session | None:
    """The session that has not ended, to look at it; None where there is none."""
    number = latest(out)
    session = Session(out, number, Shard(0, 1))
    return session if number and session.ended() is None else None


def kills_below(out: Place) -> list[dict[str, Any]]:
    """What the shards of the last session have set aside."""
    number = latest(out)
    return Session(out, number, Shard(0, 1)).kills() if number else []


def remove_kills(out: Place) -> None:
    """Forget what `kills_below` says: it is written elsewhere."""
    for place in Session(out, latest(out), Shard(0, 1)).pulses():
        _kills_of(place).unlink(missing_ok=True)


def kill_rows(pulse: Place) -> list[dict[str, Any]]:
    try:
        return [orjson.loads(line) for line in _kills_of(pulse).read_bytes().splitlines()]
    except FileNotFoundError:
        return []


def _kills_of(pulse: Place) -> Place:
    return pulse.with_name(pulse.name.replace("pulse-", "kills-").replace(".json", ".jsonl"))


def difference(there: dict[str, Any], here: dict[str, Any], of_there: int, of_here: int) -> str:
    """In what the shards of a session and this one differ, in words; empty where they do not."""
    for name, before in there.items():
        now = here.get(name)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            name, before, now = next(
                (key, before.get(key), now.get(key))
                for key in dict.fromkeys([*before, *now])
                if before.get(key) != now.get(key)
            )
        return f"this shard differs from the others in {name} ({_short(now)} here, {_short(before)} there)"
    if of_there != of_here:
        return f"this is a shard of {of_here}, and the others are of {of_there}; end those first"
    return ""


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
