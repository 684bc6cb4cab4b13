"""Adds the signatures of a corpus to an index, or makes the index.

Signatures are written twice: first by part of the corpus (`sketch`), with a section for each file of the new layer,
then by file (`write_file`), in order. `curate/run/index_units.py` makes units of both, for a corpus of many parts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from curate.dedup.candidates import BandRound
from curate.dedup.index import FORMAT, KINDS, Index, IndexMismatch, file_name, file_of, index_file, layer_name, sealed
from curate.dedup.layouts import NOWHERE
from curate.dedup.minhash import MinHashDedup
from curate.document import Document
from curate.places.held import held
from curate.places.store import TEMPORARY, Hashed, Place, write_atomically
from curate.shards.records import SectionWriter, Writable, in_order, read_section


def add_to_index(folder: Path, step: MinHashDedup, documents: Iterable[Document], name: str) -> dict[str, Any]:
    """Add a layer of documents' signatures to an index, or make the index; returns the content of `index.json`.

    `name` says where the documents come from; a survivor among them is named `index:KEY`. Memory holds one batch of
    documents. Raises IndexMismatch when the index is damaged, has other parameters, or a layer of that name already,
    and Busy when another process adds to it; whatever is raised, also by `documents`, leaves the index as it was.
    """

    def write(layer: str) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(dir=folder, suffix=TEMPORARY) as scratch, contextlib.ExitStack() as stack:
            sketched = Path(scratch) / "sketches"
            with sketched.open("wb") as stream:
                counts = sketch(step, documents, stream, 1)
            streams = {what: stack.enter_context(_written(folder / file_name(layer, 0, what))) for what in KINDS}
            write_file(step, [sketched], 0, streams, Path(scratch))
            checksums = {what: [stream.checksum()] for what, stream in streams.items()}
        return {"documents": counts["documents"], "characters": counts["characters"], "checksums": checksums}

    return add_layer(folder, step, name, write)


def add_layer(
    folder: Path, step: MinHashDedup, name: str, write: Callable[[str], dict[str, Any]], keep: str = ""
) -> dict[str, Any]:
    """Add the layer whose files `write` leaves in the folder under the layer's name, and of which it returns documents,
    characters and checksums. What an earlier writer left under the name `keep` stays. Raises as `add_to_index` does."""
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / ".lock", "`goldsand index`"):
        if index_file(folder).exists():
            about = Index(folder).matching(step.index_parameters()).about
            if any(layer["from"] == name for layer in about["layers"]):
                raise IndexMismatch(f"{folder} holds {name} already")
        else:
            about = {"format": FORMAT, "parameters": step.index_parameters(), "layers": []}
        # Nobody else writes here now: what is left over is of a writer that was killed.
        for left in folder.glob(f"*{TEMPORARY}"):
            if left.name != keep:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        layer = layer_name(len(about["layers"]))
        described = {"name": layer, "from": name, **write(layer)}
        about = sealed(about | {"layers": [*about["layers"], described]})
        write_atomically(index_file(folder), orjson.dumps(about, option=orjson.OPT_INDENT_2))
    return about


def sketch(step: MinHashDedup, documents: Iterable[Document], stream: Writable, files: int) -> dict[str, Any]:
    """Write the signatures and shingles of documents, with a section for each of so many files of the layer; returns
    the counts of documents and characters, and a digest of each section."""
    counts = {"documents": 0, "characters": 0}

    def counted() -> Iterator[tuple[int, Document]]:
        for document in documents:
            counts["documents"] += 1
            counts["characters"] += len(document.text)
            yield NOWHERE, dataclasses.replace(document, key=f"index:{document.key}")

    writer = SectionWriter(stream, files)
    for key, value in BandRound(step.search).sketches(counted(), b"\x00"):
        writer.add(file_of(_range(key), files, step.ranges), (key, value))
    return {**counts, "sections": writer.close()}


def write_file(
    step: MinHashDedup, sketches: Iterable[Place], number: int, streams: Mapping[str, Writable], scratch: Path
) -> None:
    """Write one file of each kind of a layer, from that section of all sketches; whatever their order, these bytes."""
    writers = {what: SectionWriter(stream, step.ranges) for what, stream in streams.items()}
    records = itertools.chain.from_iterable(read_section(one, number) for one in sketches)
    for key, value in in_order(records, scratch):
        writers["bands" if key[:1] == b"b" else "classes"].add(_range(key), (b"", value))
    for writer in writers.values():
        writer.close()


def _range(key: bytes) -> int:
    return int.from_bytes(key[1:], "big")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Hashed]:
    """A file that is there whole, and on the disk, or not at all; its temporary name is no other writer's."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("wb") as raw:
            yield Hashed(cast(BinaryIO, raw))
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
