"""The signatures of earlier corpora, against which a new crawl is deduplicated.

An index is a folder with `index.json` (parameters, versions, checksums) and a layer for each corpus that was added:
`00000.bands` and `00000.classes`, the very records that the first round of MinHash emits, a section for each range.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from curate.dedup.layouts import Layouts
from curate.dedup.tables import Layout, Table
from curate.errors import Refused
from curate.shards.records import read_section

FORMAT = 1


class IndexMismatch(Refused):
    """A missing or damaged index, or one of other parameters; the message says which."""


def index_file(folder: Path) -> Path:
    return folder / "index.json"


class Index:
    """An index in a folder. Raises IndexMismatch when the folder has none, or one of another format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.about = orjson.loads(index_file(folder).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            raise IndexMismatch(
                f"{folder} is not an index (it has no sound index.json); `goldsand index build` makes one"
            ) from None
        if self.about.get("format") != FORMAT:
            raise IndexMismatch(f"{folder} has index format {self.about.get('format')}, this version reads {FORMAT}")

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

    def _values(self, what: str, number: int) -> Iterable[bytes]:
        for layer in self.about["layers"]:
            for _, value in read_section(self.folder / f"{layer['name']}.{what}", number):
                yield value

    def bands(self, number: int, layout: Layout) -> list[Table]:
        """The bands of one range of hashes."""
        return [layout.unpack(value) for value in self._values("bands", number)]

    def classes(self, number: int, layouts: Layouts, wanted: npt.NDArray[Any]) -> tuple[Table, Table]:
        """Members and shingles of those classes of one range whose names are in `wanted` (sorted)."""
        members: list[Table] = []
        shingles: list[Table] = []
        for value in self._values("classes", number):
            layout = layouts.members if value[:1] == layouts.members.kind else layouts.shingles
            table = layout.unpack(value)
            table = table.take(np.isin(table["name"], wanted))
            (members if layout is layouts.members else shingles).append(table)
        return layouts.members.gather([], members), layouts.shingles.gather([], shingles)
