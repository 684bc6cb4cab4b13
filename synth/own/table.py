"""A user's own facts: a CSV, TSV, JSON lines or Parquet file as a table of facts, with bits that are derived from it.

Pools are the values that occur. The bits of an attribute are the entropy of its values' distribution over the entities
that have one: the loss of a model that only knows how common each value is, so that such a model scores 0. `assumed`
says in words what was derived and assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from synth.draws import permutation, stream
from synth.exposures import exposure_counts
from synth.facts import Attribute, FactsError, FactTable
from synth.own.facts import LONG, read_stated
from synth.own.rows import read_rows
from synth.own.telling import Telling, add_defaults, check_edges, check_likeness, check_openings, read_telling
from synth.sentences import Sentences

ENTITY = "entity"
"""The pool of the entities' names; no attribute may have this name."""

ENTROPIES = ("empirical", "uniform")

_SHOWN = 5
"""A line of `assumed` gives at most so many examples."""


@dataclass(frozen=True)
class OwnTable:
    """Facts as they were read: `names` [N], and for each of K attributes its pool and `values` int32 [N, K] (-1: this
    entity has no value)."""

    source: str
    names: list[str] = field(repr=False)
    pools: dict[str, list[str]] = field(repr=False)
    values: np.ndarray = field(repr=False)
    telling: Telling = field(repr=False)
    entropy: str
    notes: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.names)

    def table(
        self,
        exposures: int = 1,
        *,
        counts: np.ndarray | None = None,
        held_out: int = 0,
        seed: int = 0,
        domain: str = "facts",
        frozen: bool = False,
        held_out_templates: int = 0,
    ) -> FactTable:
        """A table of facts in which each entity appears `exposures` times, or as often as `counts` [N] says.

        Entities are in the order of the file, except `held_out` of them, the last of an order drawn from the seed,
        which come last and are never shown. Bits are those of the entities that are shown. Raises FactsError where no
        entity, or no template of an attribute, would be left to show.
        """
        n = len(self)
        if not 0 <= held_out < n:
            raise FactsError(f"{self.source} has {n} entities: `held_out: {held_out}` leaves none to show")
        if counts is None:
            counts = exposure_counts(exposures, n - held_out, held_out)
        if len(counts) != n:
            raise FactsError(f"{self.source} has {n} entities, and there are exposures for {len(counts)}")
        last = np.sort(permutation(stream(seed, "held out"), n)[n - held_out :])
        order = np.concatenate([np.setdiff1d(np.arange(n), last), last])
        values = self.values[order]
        table = FactTable(
            kind="table",
            seed=seed,
            domain=domain,
            attributes=self._attributes(values[np.asarray(counts) > 0]),
            name_parts=(ENTITY,),
            pools={ENTITY: self.names} | {_pool(name): pool for name, pool in self.pools.items()},
            entities=order[:, None].astype(np.int32),
            values=values,
            exposure_counts=np.asarray(counts, np.int32),
            templates={name: tuple(line.text for line in lines) for name, lines in self.telling.sentences.items()},
            questions={name: tuple(line.text for line in lines) for name, lines in self.telling.questions.items()},
            subject=self.telling.subject,
            frozen=frozen,
            held_out_templates=held_out_templates,
            names_given=True,
            details={"source": Path(self.source).name, "entropy": self.entropy, "assumed": self.assumed},
        )
        Sentences(table)  # refuses templates that cannot be used
        return table

    @cached_property
    def assumed(self) -> list[str]:
        """What was assumed and derived, a line each."""
        bits = {one.name: one for one in self._attributes(self.values)}
        lines = [
            *self.notes,
            f"{len(self)} entities; which ones there are is taken as known: names hold no bits",
            "pools are the values that occur, and are taken as known; "
            + (
                "bits are the entropy of the values as they are spread, so a model that only knows how common each is"
                " scores 0"
                if self.entropy == "empirical"
                else "bits are log2 of the pool's size, so a model that only knows which values are common scores above"
                " 0"
            ),
        ]
        for number, (name, pool) in enumerate(self.pools.items()):
            stated = int(np.count_nonzero(self.values[:, number] >= 0))
            by = self.telling.determined_by.get(name)
            left = f" beyond {by}, which determines it" if by else ""
            line = f"{name}: {stated} of {len(self)} entities have it, {len(pool)} values, {bits[name].bits:.3f} bits"
            lines.append(f"{line} each{left}")
        return lines + self._copied() + self._counted_twice()

    def _attributes(self, values: np.ndarray) -> tuple[Attribute, ...]:
        """The attributes with their bits over some rows of `values`."""
        names = list(self.pools)
        attributes = []
        for number, (name, pool) in enumerate(self.pools.items()):
            by = self.telling.determined_by.get(name)
            bits = bits_of(values[:, number], None if by is None else values[:, names.index(by)], self.entropy)
            if by is None and self.entropy == "uniform":
                bits = math.log2(len(pool))
            attributes.append(Attribute(name, _pool(name), len(pool), determined_by=by, entropy=bits))
        return tuple(attributes)

    def _copied(self) -> list[str]:
        """Attributes whose values a model might read off the entity's name."""
        lines = []
        folded = [name.casefold() for name in self.names]
        for number, (name, pool) in enumerate(self.pools.items()):
            words = [value.casefold() for value in pool]
            row = self.values[:, number].tolist()
            same = [e for e, v in enumerate(row) if v >= 0 and _shares(words[v], folded[e])]
            if same:
                shown = _some(f"{self.names[e]}: {pool[row[e]]}" for e in same)
                lines.append(
                    f"{name}: values that stand in their entity's name, or it in them: {len(same)} ({shown}); their"
                    " bits are counted, though a model may read them off the name"
                )
        return lines

    def _counted_twice(self) -> list[str]:
        """Undeclared dependencies: an attribute whose value another one fixes, wherever both are stated."""
        lines = []
        names, sizes = list(self.pools), [len(pool) for pool in self.pools.values()]
        for b, name in enumerate(names):
            if name in self.telling.determined_by or sizes[b] < 2:
                continue
            fixers = [
                a
                for a in range(len(names))
                if a != b
                and not self._follows(names[a], name)
                and _fixes(self.values[:, a], self.values[:, b])
                # Where each fixes the other, only the second is reported.
                and not (a > b and _fixes(self.values[:, b], self.values[:, a]))
            ]
            if fixers:
                a = min(fixers, key=lambda one: sizes[one])
                column = self.values[:, b]
                twice = bits_of(column) - bits_of(column, self.values[:, a])
                stated = int(np.count_nonzero(column >= 0))
                lines.append(
                    f"{names[a]} fixes {name}: until `determined_by: {{{name}: {names[a]}}}` is declared,"
                    f" {twice:.3f} bits an entity ({twice * stated:.0f} in all) are counted twice"
                )
        return lines

    def _follows(self, name: str, other: str) -> bool:
        """Whether `name` is declared to follow from `other`, even by several steps."""
        by: str | None = name
        while by is not None and by != other:
            by = self.telling.determined_by.get(by)
        return by == other


def read_table(
    path: Path | str,
    *,
    entity: str | None = None,
    templates: Path | str | None = None,
    columns: Sequence[str] | None = None,
    long: Sequence[str] | None = None,
    entropy: str = "empirical",
    drop_empty: bool = False,
) -> OwnTable:
    """Read facts from a CSV, TSV, JSONL or Parquet file.

    A wide table has a row for each entity: its name in the column `entity` (default: the first), an attribute in every
    other column (or in `columns` alone). A long table has a row for each fact, in the columns entity, attribute and
    value, or in those that `long` names in this order; `columns` chooses attributes there. `templates` is a YAML file
    of `subject`, `sentences`, `questions` and `determined_by`; attributes that it lacks get default sentences.
    `entropy` is "empirical" or "uniform" (log2 of the pool's size). An attribute without any value is an error, or is
    left out with `drop_empty`.

    Raises FactsError with file and line or row for anything that cannot be used.
    """
    if entropy not in ENTROPIES:
        raise FactsError(f"`entropy` must be one of {', '.join(ENTROPIES)}, not {entropy!r}")
    rows = read_rows(path)
    notes = list(rows.assumed)
    if long is None and set(rows.columns) == set(LONG) and entity in (None, ENTITY):
        long = LONG
    stated = read_stated(rows, entity, long, columns, notes)
    attributes = stated.columns
    empty = [name for name, column in attributes.items() if not column.pool]
    if empty and not drop_empty:
        raise FactsError(
            f"{path}: no entity has a value of {', '.join(map(repr, empty))}: leave such a column out with `columns`,"
            " or with `drop_empty` in Python"
        )
    for name in empty:
        del attributes[name]
        notes.append(f"{name}: no entity has a value; left out")
    if not attributes:
        raise FactsError(
            f"{path} has no attributes: a table needs a column of entities and at least one of their attributes"
        )
    values = np.full((len(stated.names), len(attributes)), -1, np.int32)
    for number, column in enumerate(attributes.values()):
        values[: len(column.values), number] = column.values
    listed, kept = list(stated.names), (values >= 0).any(axis=1)
    if not kept.all():
        silent = [listed[number] for number in np.flatnonzero(~kept)]
        notes.append(f"entities without any value, left out: {len(silent)} ({_some(silent)})")
        listed, values = [listed[number] for number in np.flatnonzero(kept)], values[kept]
    pools = {name: list(column.pool) for name, column in attributes.items()}
    telling = read_telling(templates, stated.known, list(pools))
    for name in pools:
        if name in (ENTITY, telling.subject):
            what = "the names of entities" if name == ENTITY else "the `subject` of later sentences"
            raise FactsError(f"{path}: an attribute is called {name!r}, as are {what}: rename it")
        if "{" in name or "}" in name:
            raise FactsError(f"{path}: the attribute {name!r} has a brace in its name, which marks slots: rename it")
    if len(set(map(_pool, pools))) < len(pools):
        raise FactsError(f"{path}: the names of two attributes differ only in spaces and underscores: rename one")
    notes += add_defaults(telling, list(pools))
    check_openings(telling)
    check_edges(telling, pools, listed)
    check_likeness(telling, pools, str(path))
    return OwnTable(str(path), listed, pools, values, telling, entropy, tuple(notes))


def read_once(
    path: str, entity: str | None, templates: str | None, columns: Sequence[str] | None, entropy: str
) -> OwnTable:
    """`read_table`, cached for files that have not changed since."""
    stamps = tuple(_stamp(one) for one in (path, templates))
    return _read(path, entity, templates, None if columns is None else tuple(columns), entropy, stamps)


@lru_cache(maxsize=4)
def _read(path: str, entity: Any, templates: Any, columns: Any, entropy: str, stamps: Any) -> OwnTable:
    return read_table(path, entity=entity, templates=templates, columns=columns, entropy=entropy)


def _stamp(path: str | None) -> tuple[int, int] | None:
    """What changes when a file is written again."""
    try:
        status = Path(path or "").stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def bits_of(values: np.ndarray, given: np.ndarray | None = None, entropy: str = "empirical") -> float:
    """Bits of one of `values` B [N] (negative: not stated, left out): the entropy of their distribution, or what is
    left of it when `given` A [N] is known, H(B | A) = H(A, B) - H(A); an A that is not stated is one more value of A.

    `uniform`: log2 of how many values there are; given A, the mean of that over the values that occur with each A.
    Raises FactsError for another `entropy`.
    """
    if entropy not in ENTROPIES:
        raise FactsError(f"`entropy` must be one of {', '.join(ENTROPIES)}, not {entropy!r}")
    stated = values >= 0
    values = values[stated]
    if not len(values):
        return 0.0
    if given is None:
        counts = np.bincount(values)
        return math.log2(np.count_nonzero(counts)) if entropy == "uniform" else _entropy(counts)
    given = given[stated].astype(np.int64) + 1
    pairs, counts = np.unique(given * (int(values.max()) + 1) + values, return_counts=True)
    of_given = np.bincount(given)
    if entropy == "uniform":
        kinds = np.bincount(pairs // (int(values.max()) + 1), minlength=len(of_given))
        return float((of_given[of_given > 0] * np.log2(kinds[of_given > 0])).sum() / len(values))
    return max(0.0, _entropy(counts) - _entropy(of_given))


def _entropy(counts: np.ndarray) -> float:
    # Sums of logarithms, so that a determined value holds exactly 0 bits, without the rounding of a division.
    counts = counts[counts > 0]
    total = int(counts.sum())
    return math.log2(total) - math.fsum((counts * np.log2(counts)).tolist()) / total if len(counts) > 1 else 0.0


def _shares(value: str, name: str) -> bool:
    """Whether one contains the other, which for very short words does not count."""
    return min(len(value), len(name)) > 3 and (value in name or name in value)


def _fixes(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a value of A always comes with the same value of B, and this is informative: A's values recur, and B has
    several."""
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    if not len(a) or b.min() == b.max() or len(np.unique(a)) == len(a):
        return False
    first = np.zeros(int(a.max()) + 1, np.int32)
    first[a] = b
    return bool(np.all(first[a] == b))


def _pool(name: str) -> str:
    """The pool of an attribute: a space in a pool's name would make it two."""
    return "_".join(name.split())


def _some(words: Iterable[str]) -> str:
    shown = list(words)
    return ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
