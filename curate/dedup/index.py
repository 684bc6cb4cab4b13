"""The signatures of earlier corpora, against which a new crawl is deduplicated.

An index is a folder with `index.json` (parameters, versions, checksums, and a seal over all of these) and a layer for
each corpus that was added: `00000.0000.bands` and `00000.0000.classes`, the very records that the first round of
MinHash emits, a section for each range. The ranges of a large layer are shared out among several files of each kind.
Every file is held against its checksum when the index is opened, so that a damaged one is refused before a run begins;
a file that is another one when it is read ends the run.
"""

from __future__ import annotations

import re
import struct
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import xxhash
import zstandard

from curate.dedup.layouts import Layouts
from curate.dedup.tables import HEAD, Layout, Table
from curate.errors import Refused
from curate.places.stamp import Stamp, stamp
from curate.places.store import checksum
from curate.shards.records import read_section

FORMAT = 3
KINDS = ("bands", "classes")

_HASH = re.compile(r"[0-9a-f]{32}")
_FRESH = 2_000_000_000
"""Nanoseconds after a change within which a file may change again and keep its time."""


class IndexMismatch(Refused):
    """A missing or damaged index, or one of other parameters; the message says which."""


def index_file(folder: Path) -> Path:
    return folder / "index.json"


def layer_name(number: int) -> str:
    return f"{number:05d}"


def file_name(layer: str, number: int, what: str) -> str:
    return f"{layer}.{number:04d}.{what}"


def file_of(number: int, files: int, ranges: int) -> int:
    """Which of a layer's files has this range."""
    return number * files // ranges


def sealed(about: dict[str, Any]) -> dict[str, Any]:
    """The content of an `index.json` with its own checksum, which covers those of the layers."""
    content = {name: value for name, value in about.items() if name != "seal"}
    seal = xxhash.xxh3_128_hexdigest(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    return content | {"seal": seal}


class Index:
    """An index in a folder, every file of it as it was written.

    Raises IndexMismatch when the folder has none, one of another format, or one that is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = _read(folder)
        self._files: dict[str, Stamp] = {}
        for layer in self.about["layers"]:
            for what in KINDS:
                for number, expected in enumerate(layer["checksums"][what]):
                    name = file_name(layer["name"], number, what)
                    self._files[name] = _intact(folder / name, expected)

    def matching(self, parameters: dict[str, Any]) -> Index:
        """This index, if it has these parameters and versions. Raises IndexMismatch, naming those that differ."""
        own = self.about["parameters"]
        other = [
            f"{name}: {own.get(name)!r} in the index, {wanted!r} here"
            for name, wanted in parameters.items()
            if own.get(name) != wanted
        ]
        if other:
            raise IndexMismatch(
                f"{self.folder} was made with other parameters ({'; '.join(other)}): use these, or build it again"
            )
        return self

    def _tables(self, what: str, number: int, layouts: tuple[Layout, ...]) -> Iterable[Table]:
        for layer in self.about["layers"]:
            files = len(layer["checksums"][what])
            name = file_name(layer["name"], file_of(number, files, self.about["parameters"]["ranges"]), what)
            path = self.folder / name
            if _stamp(path) != self._files[name]:
                raise IndexMismatch(f"{path} was changed while it was in use: do not touch an index during a run")
            try:
                for _, value in read_section(path, number):
                    yield _table(value, layouts)
            except (ValueError, IndexError, OverflowError, MemoryError, struct.error, zstandard.ZstdError):
                raise IndexMismatch(_damaged(path)) from None

    def bands(self, number: int, layout: Layout) -> list[Table]:
        """The bands of one range of hashes."""
        return list(self._tables("bands", number, (layout,)))

    def classes(self, number: int, layouts: Layouts, wanted: npt.NDArray[Any]) -> tuple[Table, Table]:
        """Members and shingles of those classes of one range whose names are in `wanted` (sorted)."""
        members: list[Table] = []
        shingles: list[Table] = []
        for table in self._tables("classes", number, (layouts.members, layouts.shingles)):
            taken = table.take(np.isin(table["name"], wanted))
            (members if table.layout is layouts.members else shingles).append(taken)
        return layouts.members.gather([], members), layouts.shingles.gather([], shingles)


def _damaged(path: Path) -> str:
    return f"{path} is damaged: it is not what `goldsand index` wrote; build the index again, or restore the file"


def _read(folder: Path) -> dict[str, Any]:
    """The content of `index.json`: its form is checked, so that all else may rely on it."""
    path = index_file(folder)
    try:
        about = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        about = None
    if not isinstance(about, dict):
        raise IndexMismatch(
            f"{folder} is not an index (it has no sound index.json); `goldsand index build` makes one"
        ) from None
    if about.get("format") != FORMAT:
        raise IndexMismatch(
            f"{folder} has index format {about.get('format')!r}, this version reads {FORMAT}: build it again"
        )
    layers = about.get("layers")
    sound = (
        about == sealed(about)
        and isinstance(parameters := about.get("parameters"), dict)
        and type(parameters.get("ranges")) is int
        and isinstance(layers, list)
        and all(_is_layer(layer, number) for number, layer in enumerate(layers))
    )
    if not sound:
        raise IndexMismatch(_damaged(path))
    return about


def _is_layer(layer: Any, number: int) -> bool:
    """Whether this is the description of the layer of that number. Names are numbers: none leaves the folder."""
    return (
        isinstance(layer, dict)
        and layer.get("name") == layer_name(number)
        and isinstance(layer.get("from"), str)
        and all(type(layer.get(count)) is int and layer[count] >= 0 for count in ("documents", "characters"))
        and isinstance(layer.get("checksums"), dict)
        and all(_are_checksums(layer["checksums"].get(what)) for what in KINDS)
    )


def _are_checksums(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(one, str) and _HASH.fullmatch(one) is not None for one in value)
    )


def _stamp(path: Path) -> Stamp:
    try:
        return stamp(path)
    except FileNotFoundError:
        raise IndexMismatch(f"{path} is missing: restore the file, or build the index again") from None


def _intact(path: Path, expected: str) -> Stamp:
    """A file's stamp, once its content is what it was when it was written."""
    file = _stamp(path)
    # A step is built several times in a process, and an index is large: it is read once, unless it is so new that its
    # time would not tell of a change.
    fresh = time.time_ns() - file.modified < _FRESH
    if (checksum(path) if fresh else _checksum(file)) != expected:
        raise IndexMismatch(_damaged(path))
    return file


@lru_cache(maxsize=1024)
def _checksum(file: Stamp) -> str:
    return checksum(Path(file.path))


def _table(value: bytes, layouts: tuple[Layout, ...]) -> Table:
    """The table in a value. Raises ValueError for one of another kind or size."""
    layout = next((one for one in layouts if one.kind == value[:1]), None)
    if layout is None:
        raise ValueError("a table of another kind")
    table = layout.unpack(value)
    size = HEAD + table.rows.nbytes
    if table.payload is not None:
        size += int(table.rows["size"].sum(dtype=np.uint64)) * table.payload.itemsize
    if size != len(value):
        raise ValueError("a table of another size")
    return table
