"""Tables of results: rows as mappings, and the same for pandas and Arrow where they are installed."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from curate.errors import Refused, nearest

if TYPE_CHECKING:
    import pandas
    import pyarrow

SHOWN = 20
"""Rows that a notebook shows."""


@dataclass(frozen=True, repr=False)
class DataTable:
    """Rows with named columns. `for row in table` gives each as a mapping, `table["column"]` the values of a column.

    Tables of documents are read from their files whenever they are gone through, and are not held in memory.
    """

    name: str
    columns: tuple[str, ...]
    source: Callable[[], Iterable[Mapping[str, Any]]]

    @classmethod
    def of(cls, name: str, rows: Iterable[Mapping[str, Any]], columns: Iterable[str] = ()) -> DataTable:
        """A table of rows that are at hand; the columns are those of all rows, after the ones that are named."""
        held = list(rows)
        every = tuple(dict.fromkeys([*columns, *(key for row in held for key in row)]))
        return cls(name, every, lambda: held)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self.source():
            yield {column: row.get(column) for column in self.columns}

    def __len__(self) -> int:
        rows = self.source()
        return len(rows) if isinstance(rows, list) else sum(1 for _ in rows)

    def __bool__(self) -> bool:
        return next(iter(self.source()), None) is not None

    def __getitem__(self, column: str) -> list[Any]:
        if column not in self.columns:
            raise Refused(f"there is no column '{column}'{nearest(column, self.columns)}: {', '.join(self.columns)}")
        return [row.get(column) for row in self.source()]

    def head(self, count: int = SHOWN) -> list[dict[str, Any]]:
        """The first rows."""
        return list(islice(self, count))

    def to_pandas(self) -> pandas.DataFrame:
        """As a data frame; lists and mappings stay what they are. Raises Refused where pandas is not installed."""
        return needed("pandas").DataFrame.from_records(list(self), columns=list(self.columns))

    def to_arrow(self) -> pyarrow.Table:
        """As an Arrow table; a column of lists, mappings or values of several kinds becomes JSON text. Raises Refused
        where pyarrow is not installed."""
        arrow = needed("pyarrow")
        rows = list(self)
        return arrow.table({column: _of_one_kind([row[column] for row in rows]) for column in self.columns})

    def __repr__(self) -> str:
        return f"<table {self.name}: {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html

        first = self.head(SHOWN + 1)
        more = f"the first {SHOWN} rows; to_pandas() has all" if len(first) > SHOWN else ""
        return framed(rows_html(self.columns, first[:SHOWN]), note=more)


def needed(module: str) -> Any:
    """A library of the extra `notebook`. Raises Refused, with what brings it, where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise Refused(f"{module} is not installed; `pip install 'goldsand[notebook]'` brings it") from None


def _of_one_kind(values: list[Any]) -> list[Any]:
    """Values of one kind as they are, whole numbers among fractions as fractions, all others as JSON text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2 and kinds <= {bool, int, float, str}:
        return values
    if kinds == {int, float}:
        return [value if value is None else float(value) for value in values]
    return [value if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values]
