"""The calls that a run takes, and what each of them cost: the figures of a resumed run are those of the whole run.

They are kept in `status.json`, which a run writes every second, so that they survive a kill. A call that finds every
unit done costs the corpus nothing, and is not counted among them.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson

from curate.places.store import Place
from curate.run.engine import Progress


@dataclass
class Call:
    """What one call cost: seconds, the most memory that a worker held, in bytes, and the units it made."""

    seconds: float = 0.0
    memory: int = 0
    made: int = 0


@dataclass
class Calls:
    """The calls into a folder before this one, and this one, which began when the object was made."""

    earlier: list[Call] = field(default_factory=list)
    now: Call = field(default_factory=Call)
    workers: int = 0
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, status: Place) -> Calls:
        """With the earlier calls that a `status.json` names; none where it is missing or damaged."""
        names = {one.name for one in fields(Call)}
        try:
            rows = orjson.loads(status.read_bytes())["calls"]
            return cls([Call(**{name: row[name] for name in names}) for row in rows])
        except (OSError, ValueError, LookupError, TypeError):
            return cls()

    def note(self, progress: Progress, made: int) -> None:
        """Bring this call up to date: `made` units are not those of an earlier one."""
        self.now.seconds = time.monotonic() - self.began
        self.now.memory, self.now.made = max(self.now.memory, progress.memory), made

    def end(self, workers: int, memory: int, made: int) -> None:
        """This call has done all it had to do."""
        self.now, self.workers = Call(time.monotonic() - self.began, memory, made), workers

    @property
    def counted(self) -> list[Call]:
        """The calls that made the corpus, in order."""
        return [*self.earlier, self.now] if self.now.made or not self.earlier else self.earlier

    @property
    def seconds(self) -> float:
        return sum(call.seconds for call in self.counted)

    @property
    def memory(self) -> int:
        return max(call.memory for call in self.counted)

    def rows(self, ended: bool) -> list[dict[str, Any]]:
        """For `status.json`; while a call works, nobody knows whether it will make a unit, but it costs time."""
        return [asdict(call) for call in (self.counted if ended else [*self.earlier, self.now])]
