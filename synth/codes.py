"""Facts in reserved words, one token each: compact records, and bioD of chosen value length and diversity.

A compact record is an entity's name parts and values (`<n1:017> <n2:203> <v:05> ...`), always in one order: no prefix,
no branching and no diversity, the cheapest text that carries a known number of bits. In bioD(N, K, C, D, L, T) each of
K attributes is announced by a word of its own, in a new order at each exposure; its value is C chunks, each one of D
strings of L words over an alphabet of T (Allen-Zhu & Li, arXiv 2404.05405, definition 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from synth.draws import below, distinct, stream, words
from synth.facts import Attribute, FactsError, FactTable, draw
from synth.sentences import BATCH, NAME, Span, draw_stride, text_stream

RECORDS = ("compact", "biod")
"""Kinds of tables whose texts are reserved words."""

_COINS = 1 << 19  # steps in which a share is drawn


def compact_table(
    people: int,
    exposures: int = 1,
    *,
    counts: np.ndarray | None = None,
    name_parts: Sequence[int] = (256, 256),
    values: int = 64,
    attributes: int = 6,
    majority: float = 0.0,
    seed: int = 0,
    domain: str = "facts",
) -> FactTable:
    """A table of compact records. With a `majority` above 0, of each attribute that share of the people has the value
    which their first name tells, and the others, its exceptions, have one of the other values.

    Raises FactsError when there are fewer names than people.
    """
    counts = np.full(people, exposures) if counts is None else counts
    names, pools = _name_pools(name_parts)
    pools["v"] = numbered("v", values)
    entropy = _left_by(majority, values) if majority else None
    columns = [Attribute(f"v{number}", "v", values, entropy=entropy) for number in range(1, attributes + 1)]
    table = draw("compact", counts, seed, domain, columns, names, pools)
    return _with_majority(table, majority) if majority else table


def _left_by(majority: float, values: int) -> float:
    """The bits of a value that are left where the majority's is known: those of whether a person is an exception, and
    of which one."""
    exceptions = 1 - majority
    return -majority * math.log2(majority) - exceptions * math.log2(exceptions / (values - 1))


def _with_majority(table: FactTable, majority: float) -> FactTable:
    people, size = np.arange(len(table)), table.attributes[0].size
    first = np.arange(table.name_sizes[0])
    told = {one.name: below(stream(table.seed, f"majority/{one.name}"), first, size) for one in table.attributes}
    values = np.empty_like(table.values)
    for number, one in enumerate(table.attributes):
        drawn = below(stream(table.seed, f"exception/{one.name}"), people, _COINS)
        # Whoever is no exception is 0 away from the majority's value.
        away = 1 + below(stream(table.seed, f"away/{one.name}"), people, size - 1)
        away[drawn < round(majority * _COINS)] = 0
        values[:, number] = (told[one.name][table.entities[:, 0]] + away) % size
    details = {"majority": majority, "told": {name: one.tolist() for name, one in told.items()}}
    return replace(table, values=values, details=table.details | details)


def biod_table(
    people: int,
    exposures: int = 1,
    *,
    counts: np.ndarray | None = None,
    name_parts: Sequence[int] = (400, 400, 1000),
    attributes: int = 6,
    chunks: int = 2,
    strings: int = 64,
    length: int = 3,
    alphabet: int = 16,
    frozen: bool = False,
    seed: int = 0,
    domain: str = "facts",
) -> FactTable:
    """A table of bioD: K `attributes`, C `chunks`, D `strings` of L `length` over T `alphabet`; `frozen`: each entity
    has one order of its attributes, at every exposure.

    Raises FactsError where the alphabet has fewer than D strings of that length.
    """
    spellings = alphabet**length
    if strings > spellings:
        raise FactsError(f"there are {spellings} strings of {length} words out of {alphabet}, and {strings} are wanted")
    if spellings > 1 << 62:
        raise FactsError(f"{alphabet}^{length} strings are more than 2^62: take a shorter `length` or fewer words")
    counts = np.full(people, exposures) if counts is None else counts
    names, pools = _name_pools(name_parts)
    pools |= {"a": numbered("a", attributes), "t": numbered("t", alphabet)}
    columns = [Attribute(f"a{k}.{c}", f"d{k}", strings) for k in range(1, attributes + 1) for c in range(1, chunks + 1)]
    for k in range(1, attributes + 1):
        codes = distinct(stream(seed, f"strings/{k}"), np.arange(strings), spellings)
        letters = np.stack(np.unravel_index(codes, (alphabet,) * length), axis=1).tolist()
        pools[f"d{k}"] = [" ".join(pools["t"][letter] for letter in one) for one in letters]
    # Which D of the T^L strings an attribute has: the bound of the paper counts D log2(T^L / D) for each.
    details = {
        "attributes": attributes,
        "chunks": chunks,
        "strings": strings,
        "length": length,
        "alphabet": alphabet,
        "diversity": attributes * strings * math.log2(spellings / strings),
    }
    return draw("biod", counts, seed, domain, columns, names, pools, details=details, frozen=frozen)


def _name_pools(sizes: Sequence[int]) -> tuple[list[str], dict[str, list[str]]]:
    names = [f"n{part}" for part in range(1, len(sizes) + 1)]
    return names, {name: numbered(name, size) for name, size in zip(names, sizes, strict=True)}


def numbered(kind: str, size: int) -> list[str]:
    """The words of one pool, all of one width, so that none is a prefix of another."""
    width = len(str(size - 1))
    return [f"<{kind}:{number:0{width}d}>" for number in range(size)]


def reserved_words(table: FactTable) -> list[str]:
    """Every word of the table's records: name parts in order, then what values are made of. A vocabulary gives each a
    token."""
    rest = ["v"] if table.kind == "compact" else ["a", "t"]
    return [word for pool in [*table.name_parts, *rest] for word in table.pools[pool]]


class Records:
    """Writes the texts of a table of reserved words."""

    def __init__(self, table: FactTable) -> None:
        self.table = table
        self._marks = table.pools.get("a", [])
        self._chunks = table.details.get("chunks", 1)
        self._count = len(table.attributes) // self._chunks
        self._values = [table.words(number) for number in range(len(table.attributes))]

    def texts(self, entities: Sequence[int] | np.ndarray, exposures: Sequence[int] | np.ndarray) -> Iterator[str]:
        """The text of each (entity, exposure), in the order given; a compact record is the same at every exposure."""
        entities, exposures = np.asarray(entities, np.int64), np.asarray(exposures, np.int64)
        for begin in range(0, len(entities), BATCH):
            some = entities[begin : begin + BATCH]
            orders = self._orders(some, exposures[begin : begin + BATCH])
            rows = self.table.values[some].tolist()
            for name, row, order in zip(self.table.names(some), rows, orders, strict=True):
                yield " ".join([name, *(word for place in order for word in self._words(place, row))])

    def text(self, entity: int, exposure: int) -> str:
        """One text."""
        return next(self.texts([entity], [exposure]))

    def scored(self, entity: int, number: int, held_out: bool = False) -> tuple[str, list[Span]]:
        """The text and its spans: the name, and each value, chunk by chunk."""
        (order,) = self._orders(np.array([entity]), np.array([0 if self.table.frozen else -1 - number]))
        row = self.table.values[entity].tolist()
        (text,) = self.table.names([entity])
        spans = [Span(NAME, 0, len(text))]
        for place in order:
            first = place * self._chunks
            for number_of, word in enumerate(self._words(place, row), first - len(self._marks[:1])):
                if number_of >= first:
                    spans.append(Span(number_of, len(text) + 1, len(text) + 1 + len(word)))
                text += f" {word}"
        return text, spans

    def _words(self, place: int, row: list[int]) -> list[str]:
        first = place * self._chunks
        values = [self._values[number][row[number]] for number in range(first, first + self._chunks)]
        return [*self._marks[place : place + 1], *values]

    def _orders(self, entities: np.ndarray, exposures: np.ndarray) -> list[list[int]]:
        if not self._marks:
            return [list(range(self._count))] * len(entities)
        if self.table.frozen:
            exposures = np.minimum(exposures, 0)
        kinds, which = np.unique(exposures, return_inverse=True)
        starts = np.array([text_stream(self.table.seed, one) for one in kinds.tolist()], np.uint64)
        counters = entities[:, None] * draw_stride(self._count) + np.arange(self._count)
        return np.argsort(words(starts[which][:, None], counters), axis=1, kind="stable").tolist()


def record_word_numbers(table: FactTable) -> np.ndarray:
    """Every compact record as indices into `reserved_words`, int64 [N, parts + K]."""
    offsets = np.concatenate([[0], np.cumsum(table.name_sizes)])
    return np.concatenate([table.entities + offsets[:-1], table.values + offsets[-1]], axis=1).astype(np.int64)
