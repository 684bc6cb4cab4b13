"""Signatures that are kept: a new crawl is deduplicated against what earlier ones left.

An index is a folder with `index.json` (parameters, versions, checksums) and a layer for each corpus that was added:
`00000.bands` and `00000.classes`, the very records that the first round of MinHash emits, a section for each range.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import orjson

from curate.dedup.sketch import NORMALISER
from curate.document import Document
from curate.errors import Refused
from curate.places.store import TEMPORARY, checksum, write_atomically
from curate.shards.records import SectionWriter, read_section

if TYPE_CHECKING:
    from curate.dedup.candidates import Layouts
    from curate.dedup.minhash import MinHashDedup
    from curate.dedup.tables import Layout, Table

FORMAT = 1
SHAPING = (
    "unit",
    "shingle",
    "bands",
    "rows",
    "seed",
    "numbers",
    "min_words",
    "dialect",
    "survivor",
    "sources",
    "ranges",
)
"""Parameters of `minhash_dedup` that must be the same on both sides. A threshold and a measure may differ."""


class IndexMismatch(Refused):
    """An index that is not there, is damaged, or was made with other parameters; the message says which."""


def index_file(folder: Path) -> Path:
    return folder / "index.json"


def shaping(step: MinHashDedup) -> dict[str, Any]:
    """All that two sets of signatures must share to be compared."""
    own = {item.name: getattr(step, item.name) for item in dataclasses.fields(step)}
    return {name: own[name] for name in SHAPING} | {
        "normaliser": NORMALISER,
        "step version": step.version,
        "rensa": importlib.metadata.version("rensa"),
    }


class Index:
    """An index that is there already. Raises IndexMismatch when there is none, or one of another format."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.about = orjson.loads(index_file(folder).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            raise IndexMismatch(
                f"{folder} is no index (it has no sound index.json); `goldsand index build` makes one"
            ) from None
        if self.about.get("format") != FORMAT:
            raise IndexMismatch(f"{folder} has index format {self.about.get('format')}, this version reads {FORMAT}")

    def matching(self, step: MinHashDedup) -> Index:
        """This index, for a step with the same parameters. Raises IndexMismatch, naming those that differ."""
        wanted, found = shaping(step), self.about["parameters"]
        other = [
            f"{name}: {found.get(name)!r} in the index, {wanted[name]!r} here"
            for name in wanted
            if found.get(name) != wanted[name]
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
        """The bands of one range."""
        return [layout.unpack(value) for value in self._values("bands", number)]

    def classes(self, number: int, layouts: Layouts, wanted: npt.NDArray[Any]) -> tuple[Table, Table]:
        """Members and shingles of the wanted classes (sorted names) of one range."""
        members: list[Table] = []
        shingles: list[Table] = []
        for value in self._values("classes", number):
            layout = layouts.members if value[:1] == layouts.members.kind else layouts.shingles
            table = layout.unpack(value)
            table = table.take(np.isin(table["name"], wanted))
            (members if layout is layouts.members else shingles).append(table)
        return layouts.members.gather([], members), layouts.shingles.gather([], shingles)


def add_to_index(folder: Path, step: MinHashDedup, documents: Iterable[Document], name: str) -> dict[str, Any]:
    """Add a layer of documents' signatures to an index, or make one; returns what `index.json` says.

    `name` says where the documents came from; a survivor in it is named `index:KEY`. Memory holds one batch of
    documents. Raises IndexMismatch when the index that is there has other parameters, or holds that name already.
    """
    from curate.dedup.candidates import NOWHERE, Band

    if index_file(folder).exists():
        about = Index(folder).matching(step).about
        if any(layer["from"] == name for layer in about["layers"]):
            raise IndexMismatch(f"{folder} holds {name} already")
    else:
        about = {"format": FORMAT, "parameters": shaping(step), "layers": []}
    folder.mkdir(parents=True, exist_ok=True)
    layer = f"{len(about['layers']):05d}"
    counts = {"documents": 0, "characters": 0}

    def counted() -> Iterable[tuple[int, Document]]:
        for document in documents:
            counts["documents"] += 1
            counts["characters"] += len(document.text)
            yield NOWHERE, dataclasses.replace(document, key=f"index:{document.key}")

    paths = {what: folder / f"{layer}.{what}" for what in ("bands", "classes")}
    streams = {what: path.with_name(path.name + TEMPORARY).open("wb") for what, path in paths.items()}
    writers = {what: SectionWriter(stream, step.ranges) for what, stream in streams.items()}
    for key, value in Band(step).sketches(counted(), b"\x00"):
        what = "bands" if key[:1] == b"b" else "classes"
        writers[what].add(int.from_bytes(key[1:], "big"), (b"", value))
    for what, path in paths.items():
        writers[what].close()
        streams[what].close()
        path.with_name(path.name + TEMPORARY).replace(path)
    about["layers"].append(
        {"name": layer, "from": name, **counts, "checksums": {what: checksum(path) for what, path in paths.items()}}
    )
    write_atomically(index_file(folder), orjson.dumps(about, option=orjson.OPT_INDENT_2))
    return about
