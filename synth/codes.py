"""Compact records: an entity's name parts and values, each a single reserved word (`<n1:017> <n2:203> <v:05> ...`).

No prefix, no branching, no order and no diversity: the cheapest text that carries a known number of bits. Every
attribute draws from the same value words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synth.facts import Attribute, FactTable, draw


def compact_table(
    people: int,
    exposures: int,
    *,
    name_parts: Sequence[int] = (256, 256),
    values: int = 64,
    attributes: int = 6,
    seed: int = 0,
    domain: str = "facts",
) -> FactTable:
    """A table of compact records. Raises FactsError when there are fewer names than people."""
    pools = {f"n{part}": name_words(part, size) for part, size in enumerate(name_parts, 1)}
    pools["v"] = value_words(values)
    columns = [Attribute(f"v{number}", "v", values) for number in range(1, attributes + 1)]
    return draw("compact", people, exposures, seed, domain, columns, name_parts, pools)


def name_words(part: int, size: int) -> list[str]:
    """The words of one name part (counted from 1); all of one width, so that none is a prefix of another."""
    width = len(str(size - 1))
    return [f"<n{part}:{number:0{width}d}>" for number in range(size)]


def value_words(size: int) -> list[str]:
    width = len(str(size - 1))
    return [f"<v:{number:0{width}d}>" for number in range(size)]


def reserved_words(table: FactTable) -> list[str]:
    """Every word of the table's records: name parts in order, then values. A vocabulary gives each a token."""
    parts = [f"n{part}" for part in range(1, len(table.name_parts) + 1)]
    return [word for pool in [*parts, "v"] for word in table.pools[pool]]


def record_text(table: FactTable, entity: int) -> str:
    """The record of one entity as text; every exposure has the same."""
    names = [table.pools[f"n{part}"][index] for part, index in enumerate(table.entities[entity], 1)]
    values = [table.pools["v"][index] for index in table.values[entity]]
    return " ".join(names + values)


def record_word_numbers(table: FactTable) -> np.ndarray:
    """Every record as indices into `reserved_words`, int64 [N, parts + K]."""
    offsets = np.concatenate([[0], np.cumsum(table.name_parts)])
    return np.concatenate([table.entities + offsets[:-1], table.values + offsets[-1]], axis=1).astype(np.int64)
