"""What the ledger says of drops: examples of each reason, the values that failed, the shortest and longest texts."""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from curate.errors import Refused
from curate.places.store import Place, files_below
from curate.run.ledger import SAMPLED, keeps_text, read_ledger

EXAMPLES = 12
"""Drops of each reason that a page shows."""

EXTREMES = 8
"""The shortest drops that it shows, and as many of the longest."""

VALUES = 20_000
"""Values of a reason that a histogram is drawn from: of more, a sample."""

DISTINCT = 1_000
"""Different values of a reason that are counted where they are no numbers; what comes later counts as others."""

EXAMPLE = ("key", "url", "domain", "value", "threshold", "characters", "text")
SEED = 20

Reason = tuple[str, str]
"""Step and rule."""

_Row = tuple[int, int]
"""The number of a file of the ledger, and that of a row in it."""


@dataclass
class Values:
    """The values that failed one rule: a sample of the numbers, counts of other values, thresholds by frequency."""

    seen: int = 0
    numbers: array[float] = field(default_factory=lambda: array("d"))
    words: Counter[str] = field(default_factory=Counter)
    others: int = 0
    thresholds: Counter[float] = field(default_factory=Counter)

    def add(self, value: Any, threshold: Any, random: Random) -> None:
        """Count one value."""
        self.seen += 1
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if len(self.numbers) < VALUES:
                self.numbers.append(value)
            elif (place := random.randrange(self.seen)) < VALUES:
                self.numbers[place] = value
        elif isinstance(value, str):
            if value in self.words or len(self.words) < DISTINCT:
                self.words[value[:200]] += 1
            else:
                self.others += 1
        if isinstance(threshold, (int, float)) and not isinstance(threshold, bool) and len(self.thresholds) < DISTINCT:
            self.thresholds[threshold] += 1

    @property
    def threshold(self) -> float | None:
        """The threshold that most drops were compared with."""
        return self.thresholds.most_common(1)[0][0] if self.thresholds else None


@dataclass
class Drops:
    """What a page shows of a run's drops. The shortest and longest are those of which the ledger kept the text."""

    examples: dict[Reason, list[dict[str, Any]]] = field(default_factory=dict)
    values: dict[Reason, Values] = field(default_factory=dict)
    shortest: list[dict[str, Any]] = field(default_factory=list)
    longest: list[dict[str, Any]] = field(default_factory=list)


def drops_of(folder: Place) -> Drops:
    """A few drops of each reason, in the order of the corpus; each drop of a reason has the same chance. And what else
    the ledger says of them.

    Where texts are kept of a sample of drops, examples are drawn from that part of it which keys alone decide, and
    where this has too few, from the first drops in each file. Raises Refused where the ledger is damaged.
    """
    paths = [path for path in files_below(folder / "ledger") if path.suffix == ".parquet"]
    anywhere, first, random = _Drawing(), _Drawing(), Random(SEED)
    shortest, longest = _Least(EXTREMES), _Least(EXTREMES)
    found = Drops()
    for file, path in enumerate(paths):
        seen: Counter[Reason] = Counter()
        # Narrow columns first: the texts of a large ledger are not worth reading for a few of each reason.
        columns = ("event", "step", "rule", "key", "value", "threshold", "characters")
        for number, row in enumerate(_rows(path, columns)):
            if row["event"] != "drop":
                continue
            reason = (row["step"], row["rule"])
            seen[reason] += 1
            found.values.setdefault(reason, Values()).add(row["value"], row["threshold"], random)
            if keeps_text(row["key"]):
                anywhere.add(reason, (file, number))
            elif seen[reason] <= SAMPLED:
                first.add(reason, (file, number))
            else:
                continue
            size = row["characters"] or 0
            shortest.add(size, (file, number))
            longest.add(-size, (file, number))
    chosen: dict[_Row, list[list[dict[str, Any]]]] = {}
    for reason in {**first.rows, **anywhere.rows}:
        rows = found.examples.setdefault(reason, [])
        for place in [*anywhere.rows.get(reason, []), *first.rows.get(reason, [])][:EXAMPLES]:
            chosen.setdefault(place, []).append(rows)
    for least, rows in ((shortest, found.shortest), (longest, found.longest)):
        for place in least.rows():
            chosen.setdefault(place, []).append(rows)
    for file in sorted({file for file, _ in chosen}):
        last = max(number for one, number in chosen if one == file)
        for number, row in enumerate(itertools.islice(_rows(paths[file], ("step", "rule", *EXAMPLE)), last + 1)):
            for rows in chosen.get((file, number), ()):
                rows.append(row)
    found.shortest.sort(key=lambda row: row["characters"] or 0)
    found.longest.sort(key=lambda row: -(row["characters"] or 0))
    return found


class _Drawing:
    """Up to EXAMPLES rows of each reason, of however many come by (a reservoir)."""

    def __init__(self) -> None:
        self.rows: dict[Reason, list[_Row]] = {}
        self._seen: Counter[Reason] = Counter()
        self._random = Random(SEED)

    def add(self, reason: Reason, row: _Row) -> None:
        rows = self.rows.setdefault(reason, [])
        self._seen[reason] += 1
        place = len(rows) if len(rows) < EXAMPLES else self._random.randrange(self._seen[reason])
        if place < EXAMPLES:
            rows[place : place + 1] = [row]


class _Least:
    """The rows with the least of a figure, of however many come by."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[tuple[int, _Row]] = []

    def add(self, figure: int, row: _Row) -> None:
        if len(self._kept) < self._count or figure < self._kept[-1][0]:
            self._kept = sorted([*self._kept, (figure, row)])[: self._count]

    def rows(self) -> Sequence[_Row]:
        return [row for _, row in self._kept]


def _rows(path: Place, columns: tuple[str, ...]) -> Any:
    try:
        yield from read_ledger(path, columns)
    except Refused as error:
        raise Refused(f"{path} is damaged ({error}); `goldsand run` into the same folder mends it") from None
