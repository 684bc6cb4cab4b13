"""Adds the signatures of a corpus to an index, or makes the index."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from curate.dedup.candidates import BandRound
from curate.dedup.index import FORMAT, Index, IndexMismatch, index_file
from curate.dedup.layouts import NOWHERE
from curate.dedup.minhash import MinHashDedup
from curate.document import Document
from curate.places.store import TEMPORARY, checksum, write_atomically
from curate.shards.records import SectionWriter


def add_to_index(folder: Path, step: MinHashDedup, documents: Iterable[Document], name: str) -> dict[str, Any]:
    """Add a layer of documents' signatures to an index, or make the index; returns the content of `index.json`.

    `name` says where the documents come from; a survivor among them is named `index:KEY`. Memory holds one batch of
    documents. Raises IndexMismatch when the index has other parameters, or a layer of that name already.
    """
    if index_file(folder).exists():
        about = Index(folder).matching(step.index_parameters()).about
        if any(layer["from"] == name for layer in about["layers"]):
            raise IndexMismatch(f"{folder} holds {name} already")
    else:
        about = {"format": FORMAT, "parameters": step.index_parameters(), "layers": []}
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
    for key, value in BandRound(step.search).sketches(counted(), b"\x00"):
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
