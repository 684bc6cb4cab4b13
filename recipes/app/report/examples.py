"""The examples of a page: for each reason a few drops, drawn over the whole ledger."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random
from typing import Any

from curate.errors import Refused
from curate.places.store import Place, files_below
from curate.run.ledger import SAMPLED, keeps_text, read_ledger

EXAMPLES = 3
EXAMPLE = ("key", "url", "value", "threshold", "characters", "text")
SEED = 20

Reason = tuple[str, str]
"""Step and rule."""

_Row = tuple[int, int]
"""The number of a file of the ledger, and that of a row in it."""


def examples_of(folder: Place) -> dict[Reason, list[dict[str, Any]]]:
    """A few drops of each reason, in the order of the corpus; each drop of a reason has the same chance.

    Where texts are kept of a sample of drops, they are drawn from that part of it which keys alone decide, and where
    this has too few, from the first drops in each file. Raises Refused where the ledger is damaged.
    """
    paths = [path for path in files_below(folder / "ledger") if path.suffix == ".parquet"]
    anywhere, first = _Drawing(), _Drawing()
    for file, path in enumerate(paths):
        seen: Counter[Reason] = Counter()
        # Narrow columns first: the texts of a large ledger are not worth reading for three of each reason.
        for number, row in enumerate(_rows(path, ("event", "step", "rule", "key"))):
            if row["event"] == "drop":
                reason = (row["step"], row["rule"])
                seen[reason] += 1
                if keeps_text(row["key"]):
                    anywhere.add(reason, (file, number))
                elif seen[reason] <= SAMPLED:
                    first.add(reason, (file, number))
    chosen = {
        place: reason
        for reason in {**first.rows, **anywhere.rows}
        for place in [*anywhere.rows.get(reason, []), *first.rows.get(reason, [])][:EXAMPLES]
    }
    examples: dict[Reason, list[dict[str, Any]]] = {}
    for file in sorted({file for file, _ in chosen}):
        last = max(number for one, number in chosen if one == file)
        for number, row in enumerate(itertools.islice(_rows(paths[file], EXAMPLE), last + 1)):
            if (file, number) in chosen:
                examples.setdefault(chosen[file, number], []).append(row)
    return examples


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


def _rows(path: Place, columns: tuple[str, ...]) -> Any:
    try:
        yield from read_ledger(path, columns)
    except Refused as error:
        raise Refused(f"{path} is damaged ({error}); `goldsand run` into the same folder mends it") from None
