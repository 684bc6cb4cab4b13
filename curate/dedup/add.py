"""Adds the signatures of a corpus to an index, or makes the index."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from curate.dedup.candidates import BandRound
from curate.dedup.index import FORMAT, KINDS, Index, IndexMismatch, index_file, layer_name, sealed
from curate.dedup.layouts import NOWHERE
from curate.dedup.minhash import MinHashDedup
from curate.document import Document
from curate.places.held import held
from curate.places.store import TEMPORARY, Hashed, write_atomically
from curate.shards.records import SectionWriter


def add_to_index(folder: Path, step: MinHashDedup, documents: Iterable[Document], name: str) -> dict[str, Any]:
    """Add a layer of documents' signatures to an index, or make the index; returns the content of `index.json`.

    `name` says where the documents come from; a survivor among them is named `index:KEY`. Memory holds one batch of
    documents. Raises IndexMismatch when the index is damaged, has other parameters, or a layer of that name already,
    and Busy when another process adds to it; whatever is raised, also by `documents`, leaves the index as it was.
    """
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
            left.unlink()
        layer = layer_name(len(about["layers"]))
        described = {"name": layer, "from": name, **_write(folder, layer, step, documents)}
        about = sealed(about | {"layers": [*about["layers"], described]})
        write_atomically(index_file(folder), orjson.dumps(about, option=orjson.OPT_INDENT_2))
    return about


def _write(folder: Path, layer: str, step: MinHashDedup, documents: Iterable[Document]) -> dict[str, Any]:
    """Write the files of a layer; returns its counts and their checksums."""
    counts = {"documents": 0, "characters": 0}

    def counted() -> Iterable[tuple[int, Document]]:
        for document in documents:
            counts["documents"] += 1
            counts["characters"] += len(document.text)
            yield NOWHERE, dataclasses.replace(document, key=f"index:{document.key}")

    with contextlib.ExitStack() as stack:
        streams = {what: stack.enter_context(_written(folder / f"{layer}.{what}")) for what in KINDS}
        writers = {what: SectionWriter(stream, step.ranges) for what, stream in streams.items()}
        for key, value in BandRound(step.search).sketches(counted(), b"\x00"):
            what = "bands" if key[:1] == b"b" else "classes"
            writers[what].add(int.from_bytes(key[1:], "big"), (b"", value))
        for writer in writers.values():
            writer.close()
    return {**counts, "checksums": {what: stream.checksum() for what, stream in streams.items()}}


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
