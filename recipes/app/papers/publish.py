"""A corpus as a repository of the Hugging Face Hub holds it: Parquet whose pages and row groups follow the content.

With pages cut by content (pyarrow's content-defined chunking) and row groups that end at documents chosen by a hash of
their ids, a document that is added or dropped changes the bytes around it alone: a store that knows chunks (Xet) is
sent no others. docs/papers.md describes the columns.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import xxhash

from curate.errors import Refused
from curate.places.store import Place, write_atomically
from curate.run.ledger import COLUMNS, read_ledger
from curate.shards.text import read_text_shard
from recipes.app.papers.about import About
from recipes.app.papers.croissant import croissant
from recipes.app.papers.eu_summary import eu_summary
from recipes.app.papers.hub_card import Config, card
from recipes.app.papers.layout import dtype

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = 1
"""The version of the columns of `text`: raised when one changes its meaning or goes."""

MADE = "goldsand-publish.json"
GROUP = 1024
"""Documents of a row group, on average; it ends at the latest with `LARGEST` bytes of text."""
LARGEST = 64 << 20
_OPTION = "use_content_defined_chunking"
PAGES = {"min_chunk_size": 64 << 10, "max_chunk_size": 256 << 10}
"""Bytes of a page before it is packed. pyarrow's own bounds are four times as large, and so is what one document
changes; packed, these pages are about as large as the chunks of a store."""


def publish_to(folder: Place, to: Path, size: int) -> dict[str, int]:
    """Write text, ledger, facts and papers to a folder; `size` is about how many bytes of text a file holds.

    All is written beside the folder first, and then takes its place: a publication that stops leaves the earlier one as
    it was. Raises Refused where the folder holds something else.
    """
    _require_pyarrow()
    about = About.of(folder)
    if to.exists() and not (to.is_dir() and ((to / MADE).is_file() or not any(to.iterdir()))):
        raise Refused(f"{to} holds other files: give a folder that is empty, or one that `goldsand publish` made")
    new = to.with_name(f"{to.name}.new")
    old = to.with_name(f"{to.name}.old")
    for one in (new, old):
        if one.is_dir():
            shutil.rmtree(one)
    new.mkdir(parents=True)
    configs = [_text(about, new / "data", size), _ledger(about, new / "ledger")]
    if about.facts:
        configs.append(_facts(about, new / "facts"))
    (new / "README.md").write_text(card(about, configs), encoding="utf-8")
    (new / "eu-summary.md").write_text(eu_summary(about), encoding="utf-8")
    said = croissant(about, configs, new)
    write_atomically(new / "croissant.json", orjson.dumps(said, option=orjson.OPT_INDENT_2))
    write_atomically(new / MADE, orjson.dumps(made_of(about), option=orjson.OPT_INDENT_2))
    if to.exists():
        to.rename(old)
    new.rename(to)
    shutil.rmtree(old, ignore_errors=True)
    files = [one for one in to.rglob("*") if one.is_file()]
    return {"files": len(files), "bytes": sum(one.stat().st_size for one in files)}


def made_of(what: About | Path) -> dict[str, Any]:
    """What a publication of a run is made of; of a folder, what the publication there was, if it is one."""
    if isinstance(what, About):
        summary, version = what.summary.get("seal", ""), what.made.get("goldsand", "")
        return {"schema": SCHEMA, "summary": summary, "goldsand": version}
    with contextlib.suppress(OSError, ValueError):
        return orjson.loads((what / MADE).read_bytes())
    return {}


def text_columns() -> dict[str, Any]:
    """The columns of `text`, by name, with their types in Arrow."""
    import pyarrow as pa

    opt_out = pa.list_(pa.struct([(name, pa.string()) for name in ("signal", "value", "where")]))
    return {
        "id": pa.string(),
        "text": pa.string(),
        "url": pa.string(),
        "domain": pa.string(),
        "source": pa.string(),
        "file": pa.string(),
        "offset": pa.int64(),
        "copy": pa.int64(),
        "fetched": pa.string(),
        "language": pa.string(),
        "license": pa.string(),
        "opt_out": opt_out,
        "edited_by": pa.list_(pa.string()),
        "cluster_size": pa.int64(),
        "injected": pa.bool_(),
        "metadata": pa.string(),
    }


def text_row(row: dict[str, Any], edited_by: list[str]) -> dict[str, Any]:
    """A published row, from one of a text shard and the steps that edited it."""
    about = orjson.loads(row["metadata"])
    name, copy = row["id"], 1
    key, mark, number = name.rpartition("#")
    if mark and number.isdigit():
        name, copy = key, int(number)
    file, at, offset = name.rpartition("@")
    known = bool(at) and offset.isdigit()
    said = about.get("opt_out")
    return {
        **{
            field: row[field] for field in ("id", "text", "url", "domain", "source", "language", "injected", "metadata")
        },
        "file": file if known else name,
        "offset": int(offset) if known else -1,
        "copy": copy,
        "fetched": about["date"] if isinstance(about.get("date"), str) else "",
        "license": about["license"] if isinstance(about.get("license"), str) else "",
        "opt_out": said if isinstance(said, list) else [],
        "edited_by": edited_by,
        "cluster_size": about["cluster_size"] if isinstance(about.get("cluster_size"), int) else 1,
    }


def _text(about: About, into: Path, size: int) -> Config:
    import pyarrow as pa

    writer = _Writer(into, pa.schema(list(text_columns().items())), size)
    # Documents stand in the file of their input, as the events of the ledger do, unless they were shuffled.
    shuffled = bool(about.uses("shuffle"))
    edits = _edits(about.ledgers) if shuffled else {}
    for place in about.texts:
        if not shuffled:
            number = place.name.partition(".")[0]
            edits = _edits([one for one in about.ledgers if one.name.partition(".")[0] == number])
        for row in read_text_shard(place):
            key = row["id"].rpartition("#")[0] or row["id"]
            writer.add(text_row(row, edits.get(row["id"]) or edits.get(key) or []), len(row["text"]))
    return writer.closed("text", "data/*.parquet")


def _edits(ledgers: list[Place]) -> dict[str, list[str]]:
    """Which steps edited which documents."""
    edits: dict[str, list[str]] = {}
    for place in ledgers:
        for row in read_ledger(place, ["event", "key", "step"]):
            if row["event"] == "edit":
                edits.setdefault(row["key"], []).append(row["step"])
    return edits


def _ledger(about: About, into: Path) -> Config:
    """The ledger without the texts of dropped documents, some of whose owners refused."""
    import pyarrow as pa

    types = {str: pa.string(), int: pa.int64()}
    columns = {name: types[kind] for name, kind in COLUMNS.items() if name != "text"}
    writer = _Writer(into, pa.schema(list(columns.items())), 1 << 30)
    for place in about.ledgers:
        for row in read_ledger(place, list(columns)):
            for name in ("value", "threshold"):
                row[name] = None if row.get(name) is None else orjson.dumps(row[name]).decode()
            writer.add({"id": row["key"], **row}, 200)
    return writer.closed("ledger", "ledger/*.parquet")


def _facts(about: About, into: Path) -> Config:
    import pyarrow as pa

    from synth.facts import FactTable

    table = FactTable.load(Path(str(about.folder / "facts")))
    kinds = {"entity": pa.int64(), "name": pa.string(), "attribute": pa.string(), "value": pa.string()}
    writer = _Writer(into, pa.schema([*kinds.items(), ("exposures", pa.int64())]), 1 << 30)
    names = table.names(range(len(table)))
    for entity, name in enumerate(names):
        shown = int(table.exposure_counts[entity])
        for attribute, value in table.facts(entity).items():
            row = {"entity": entity, "name": name, "attribute": attribute, "value": value, "exposures": shown}
            writer.add({"id": f"{entity}", **row}, 50)
    return writer.closed("facts", "facts/*.parquet")


class _Writer:
    """Rows as Parquet files of about `size` bytes of text, whose row groups end where the ids say."""

    def __init__(self, into: Path, schema: pa.Schema, size: int) -> None:
        into.mkdir(parents=True)
        self._into, self._schema, self._size = into, schema, size
        self._rows: list[dict[str, Any]] = []
        self._file: Any = None
        self._group = self._in_file = self._files = self._count = self._bytes = 0

    def add(self, row: dict[str, Any], size: int) -> None:
        self._rows.append(row)
        self._group += size
        ends = not xxhash.xxh3_64_intdigest(row["id"].encode("utf-8", "replace")) % GROUP
        if ends or self._group >= LARGEST:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._file is None:
            path = self._into / f"{self._files:05d}.parquet"
            given: dict[str, Any] = {_OPTION: PAGES, "compression": "zstd", "write_page_index": True}
            self._file = pq.ParquetWriter(path, self._schema, **given)
            self._files += 1
        table = pa.Table.from_pylist(self._rows, schema=self._schema)
        if self._rows:
            self._file.write_table(table, row_group_size=len(self._rows))
        self._count += len(self._rows)
        self._bytes += table.nbytes
        self._in_file += self._group
        self._rows, self._group = [], 0
        if self._in_file >= self._size:
            self._close()

    def _close(self) -> None:
        self._file.close()
        self._file, self._in_file = None, 0

    def closed(self, name: str, files: str) -> Config:
        """Writes what is left, and says what was written."""
        if self._rows or not self._files:
            self._flush()
        if self._file is not None:
            self._close()
        stored = sum(one.stat().st_size for one in self._into.iterdir())
        return Config(name, files, list(map(_feature, self._schema)), self._count, self._bytes, stored)


def _feature(field: pa.Field) -> dict[str, Any]:
    """A column as the Hub's card names it."""
    import pyarrow as pa

    kind = field.type
    if pa.types.is_list(kind):
        if pa.types.is_struct(kind.value_type):
            return {"name": field.name, "list": [_feature(one) for one in kind.value_type]}
        return {"name": field.name, "list": "string"}
    return {"name": field.name, "dtype": {"string": dtype(str), "int64": dtype(int), "bool": dtype(bool)}[str(kind)]}


def _require_pyarrow() -> None:
    """Raises Refused where pyarrow cuts no pages by content (before 21)."""
    import inspect

    import pyarrow.parquet as pq

    if _OPTION not in inspect.signature(pq.ParquetWriter.__init__).parameters:
        raise Refused("publish needs pyarrow 21 or later, which cuts pages by content: pip install -U 'pyarrow>=21'")
