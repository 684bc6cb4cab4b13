"""Rows of a table as facts: which entity has which value of which attribute, each once, and where the file says so."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from curate.errors import nearest
from synth.facts import FactsError
from synth.own.rows import Rows

LONG = ("entity", "attribute", "value")
"""The columns of a table that holds one fact a row."""


class Column:
    """The values of one attribute as they are read: entity -> number in the pool, and its place in the file."""

    def __init__(self) -> None:
        self.pool: dict[str, int] = {}
        self.words: list[str] = []
        self.values = array("i")
        self.places = array("q")

    def set(self, entity: int, value: str, place: int) -> tuple[str, int] | None:
        """Set an entity's value. Returns the one that it has already, with its place."""
        if (missing := entity + 1 - len(self.values)) > 0:
            self.values.extend([-1] * missing)
            self.places.extend([0] * missing)
        if self.values[entity] >= 0:
            return self.words[self.values[entity]], self.places[entity]
        self.values[entity] = number = self.pool.setdefault(value, len(self.pool))
        if number == len(self.words):
            self.words.append(value)
        self.places[entity] = place
        return None


@dataclass
class Stated:
    """Entities by name, numbered in the order of their appearance; the chosen attributes; and `known`, all attributes
    of the file."""

    names: dict[str, int] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)


def read_stated(
    rows: Rows, entity: str | None, long: Sequence[str] | None, columns: Sequence[str] | None, notes: list[str]
) -> Stated:
    """The facts of a wide table, or of a long one whose columns are `long`; `columns` chooses attributes. What was
    assumed is added to `notes`. Raises FactsError with the place of what cannot be used."""
    return _wide(rows, entity, columns, notes) if long is None else _long(rows, long, columns, notes)


def _wide(rows: Rows, entity: str | None, columns: Sequence[str] | None, notes: list[str]) -> Stated:
    name = rows.columns[0] if entity is None else entity
    _known(rows, [name], rows.columns, "column")
    assumed = ", the first" if entity is None else ""
    notes.append(f"{rows.path.name} is wide: a row for each entity, whose name is in the column {name!r}{assumed}")
    known = [one for one in rows.columns if one != name]
    if columns is not None:
        _known(rows, columns, known, "column of attributes")
    chosen = [
        (place, one) for place, one in enumerate(rows.columns) if one != name and (columns is None or one in columns)
    ]
    if any(not one for _, one in chosen):
        raise FactsError(f"{rows.path}: column {rows.columns.index('') + 1} has no name in the first line: name it")
    stated = Stated({}, {one: Column() for _, one in chosen}, known)
    names = rows.columns.index(name)
    again = 0
    for place, cells in rows.rows:
        who, fresh = _entity(rows, place, cells[names], stated, f"the cell of {name!r}")
        again += not fresh
        for cell, one in chosen:
            if cells[cell]:
                _state(rows, place, stated, who, cells[names], one, cells[cell])
    if again:
        notes.append(f"rows of entities that stood before, which contradict nothing, taken as one: {again}")
    return stated


def _long(rows: Rows, long: Sequence[str], columns: Sequence[str] | None, notes: list[str]) -> Stated:
    if len(long) != len(LONG):
        raise FactsError(f"`long` must name three columns, for {', '.join(LONG)}, not {list(long)}")
    _known(rows, long, rows.columns, "column")
    who_at, what_at, value_at = (rows.columns.index(one) for one in long)
    notes.append(f"{rows.path.name} is long: a row for each fact, in the columns {', '.join(long)}")
    stated = Stated()
    again = 0
    for place, cells in rows.rows:
        attribute, value = cells[what_at], cells[value_at]
        who, _ = _entity(rows, place, cells[who_at], stated, f"the cell of {long[0]!r}")
        if not attribute:
            raise FactsError(f"{rows.at(place)}: the cell of {long[1]!r} is empty: it must name the attribute")
        if columns is None or attribute in columns:
            stated.columns.setdefault(attribute, Column())
            again += bool(value) and _state(rows, place, stated, who, cells[who_at], attribute, value)
        if attribute not in stated.known:
            stated.known.append(attribute)
    if columns is not None:
        _known(rows, columns, stated.known, "attribute")
    if again:
        notes.append(f"rows that say again what a row before says, taken as one: {again}")
    return stated


def _entity(rows: Rows, place: int, name: str, stated: Stated, where: str) -> tuple[int, bool]:
    """The number of an entity, and whether it is new."""
    if not name:
        raise FactsError(f"{rows.at(place)}: {where} is empty: it must name the entity")
    if len(name.splitlines()) > 1:
        raise FactsError(f"{rows.at(place)}: the entity {name!r} has a line break in its name")
    count = len(stated.names)
    number = stated.names.setdefault(name, count)
    return number, number == count


def _state(rows: Rows, place: int, stated: Stated, who: int, name: str, attribute: str, value: str) -> bool:
    """Set a fact; whether it was stated before. Raises FactsError where the entity has another value."""
    if len(value.splitlines()) > 1:
        raise FactsError(f"{rows.at(place)}: {name!r}, {attribute}: the value {value!r} has a line break")
    before = stated.columns[attribute].set(who, value, place)
    if before is not None and before[0] != value:
        raise FactsError(
            f"{rows.at(place)}: {name!r} has {attribute} {value!r} here and {before[0]!r} in {rows.unit} {before[1]}:"
            " an attribute of an entity must have one value"
        )
    return before is not None


def _known(rows: Rows, wanted: Sequence[str], there: Sequence[str], what: str) -> None:
    for name in wanted:
        if name not in there:
            raise FactsError(
                f"{rows.path}: there is no {what} {name!r}{nearest(name, there)}; there are {', '.join(there)}"
            )
