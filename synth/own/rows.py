"""Rows of a user's table: CSV, TSV, JSON lines or Parquet as rows of text, each with its place in the file.

A cell is text without space around it; an empty one is no fact. Numbers keep the spelling that the file gives them.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.facts import FactsError

FORMATS = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}


@dataclass
class Rows:
    """A file's columns, its rows as (place, cell of each column), what a place counts ("line" or "row"), and what had
    to be assumed to read it."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]
    unit: str
    assumed: list[str] = field(default_factory=list)

    def at(self, place: int) -> str:
        """File and place, for the beginning of a message."""
        return f"{self.path}, {self.unit} {place}"


def read_rows(path: Path | str) -> Rows:
    """Read a whole file. Raises FactsError that names the file, the line or row, and what is wrong there."""
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise FactsError(f"{path}: a table's name must end in one of {', '.join(FORMATS)}, which says how to read it")
    try:
        rows = _parquet(path) if kind == "parquet" else _csv(path) if kind == "csv" else _jsonl(path)
    except OSError as error:
        raise FactsError(f"cannot read the table {path}: {error.strerror or error}") from None
    if not rows.rows:
        raise FactsError(f"{path} holds no rows, so no facts")
    twice = next((name for place, name in enumerate(rows.columns) if name in rows.columns[:place]), None)
    if twice:
        raise FactsError(f"{path}: two columns are called {twice!r}; give each a name of its own")
    return rows


def read_text(path: Path) -> str:
    """A file as UTF-8 text, with or without a byte order mark. Raises FactsError with the first line that is not."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FactsError(f"{path}, line {line}: not UTF-8 text ({error.reason}); save the file as UTF-8") from None


def _csv(path: Path) -> Rows:
    text = read_text(path)
    header = text.partition("\n")[0]
    mark, assumed = ("," if path.suffix.lower() == ".csv" else "\t"), []
    if mark == "," and "," not in header:
        # Spreadsheets of many countries write these. A table of one column has no attributes, so no table is misread.
        for other, name in ((";", "semicolons"), ("\t", "tabs")):
            if other in header:
                mark = other
                assumed.append(f"{path.name}: its first line has no comma, so cells are taken to end at {name}")
                break
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    rows = []
    columns: list[str] = []
    line = 1
    try:
        for cells in reader:
            here, line = line, reader.line_num + 1
            if not cells:
                continue
            if not columns:
                columns = [cell.strip() for cell in cells]
                continue
            if len(cells) != len(columns):
                raise FactsError(
                    f"{path}, line {here}: this row has {len(cells)} cells, the header names {len(columns)} columns;"
                    " a cell that holds the separator must be in double quotes"
                )
            rows.append((here, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise FactsError(f"{path}, line {line}: not CSV ({error})") from None
    if not columns:
        raise FactsError(f"{path} is empty: its first line must name the columns")
    return Rows(path, columns, rows, "line", assumed)


def _jsonl(path: Path) -> Rows:
    columns: dict[str, int] = {}
    rows: list[tuple[int, dict[str, str]]] = []
    # Not splitlines: a JSON string may hold a line separator of Unicode.
    for line, text in enumerate(read_text(path).split("\n"), 1):
        if not text.strip():
            continue
        where = f"{path}, line {line}"
        try:
            # Not orjson, which would turn 1.50 into 1.5: a value is written as it is spelt.
            pairs = json.loads(text, parse_int=str, parse_float=str, parse_constant=_constant, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError) as error:
            raise FactsError(f"{where}: not JSON ({error})") from None
        if not isinstance(pairs, _Pairs):
            raise FactsError(f'{where}: a line must be an object, as {{"name": "France", "capital": "Paris"}}')
        cells: dict[str, str] = {}
        for key, value in pairs:
            name = _cell(key, where, "a name")
            if name in cells:
                raise FactsError(f"{where}: {name!r} occurs twice in this object")
            columns.setdefault(name, len(columns))
            cells[name] = _cell(value, where, name)
        rows.append((line, cells))
    return Rows(path, list(columns), [(line, [one.get(name, "") for name in columns]) for line, one in rows], "line")


def _constant(name: str) -> str:
    return "" if name == "NaN" else name


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written: a name that occurs twice is kept twice."""


def _cell(value: Any, where: str, name: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict, bytes)):
        raise FactsError(f"{where}: {name!r} is not a single value: a fact must be a text or a number")
    text = str(value).strip()
    if not is_unicode(text):
        raise FactsError(f"{where}: {name!r} holds half of a surrogate pair, which is not a character")
    return text


def is_unicode(text: str) -> bool:
    """Whether text can be written as UTF-8: escapes of JSON and YAML can spell surrogates, which UTF-8 cannot hold."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _parquet(path: Path) -> Rows:
    try:
        import pyarrow
        from pyarrow import parquet, types
    except ImportError:
        raise FactsError(f'{path}: reading Parquet needs pyarrow: pip install "goldsand[hub]"') from None
    with path.open("rb") as stream:
        try:
            table = parquet.read_table(stream)
        except pyarrow.ArrowException as error:
            raise FactsError(f"{path}: not a readable Parquet file ({error})") from None
    columns, assumed = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.to_pylist()
        if types.is_floating(column.type):
            stated = [one for one in values if one is not None and not math.isnan(one)]
            if stated and all(float(one).is_integer() for one in stated):
                # Many tools turn a column of whole numbers into this as soon as one is missing.
                assumed.append(f"{name}: its numbers are stored as floating point and all whole: told without '.0'")
                values = [None if one is None or math.isnan(one) else int(one) for one in values]
        columns.append([_cell(value, f"{path}, row {row}", name) for row, value in enumerate(values, 1)])
    rows: Iterator[tuple[str, ...]] = zip(*columns, strict=True)
    return Rows(
        path,
        [name.strip() for name in table.column_names],
        [(place, list(cells)) for place, cells in enumerate(rows, 1)],
        "row",
        assumed,
    )
