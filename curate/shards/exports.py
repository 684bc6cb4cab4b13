"""Token and text shards in the formats of trainers: Megatron's indexed data set, and MDS of Mosaic's streaming.

Written after the layouts that their readers expect (megatron-core 0.16 `indexed_dataset.py`, mosaicml-streaming 0.13
`format/mds`); `make test-slow` reads the files with those libraries. datatrove's `.ds` needs no export: it is what
`curate.shards.tokens` writes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import Refused
from curate.shards.tokens import TokenShards

MEGATRON = b"MMIDIDX\x00\x00"
_CODES = {"uint16": 8, "int32": 4}
"""Megatron's numbers of the types that tokens may have."""

SHARD = 1 << 26
"""Bytes of samples of an MDS shard, the library's own default."""
_CHUNK = 1 << 24


def write_megatron(shards: TokenShards, prefix: Path) -> dict[str, int]:
    """Write `PREFIX.bin` and `PREFIX.idx`, a sequence for each document, end of text included; returns the numbers of
    documents and tokens. Ids of 65 536 and more make it int32, as Megatron has no uint32. The index is written last.
    """
    # Ids are below the vocabulary, and no vocabulary has 2^31 tokens.
    name = "uint16" if shards.metadata["dtype"] == "uint16" else "int32"
    dtype = np.dtype(name).newbyteorder("<")
    lengths = [np.diff(shard.ends.astype(np.int64), prepend=0) for shard in shards.shards]
    sizes = np.concatenate([*lengths, np.zeros(0, np.int64)])
    if len(sizes) and sizes.max() >= 1 << 31:
        raise Refused(f"a document of {sizes.max()} tokens is longer than Megatron's index can say (2^31)")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{prefix}.bin").open("wb") as stream:
        for shard in shards.shards:
            for start in range(0, len(shard.tokens), _CHUNK):
                stream.write(shard.tokens[start : start + _CHUNK].astype(dtype).tobytes())
    starts = (np.cumsum(sizes) - sizes) * dtype.itemsize
    with Path(f"{prefix}.idx").open("wb") as stream:
        stream.write(MEGATRON + struct.pack("<QBQQ", 1, _CODES[name], len(sizes), len(sizes) + 1))
        for array, kind in ((sizes, "<i4"), (starts, "<i8"), (np.arange(len(sizes) + 1), "<i8")):
            stream.write(array.astype(kind).tobytes())
    return {"documents": len(sizes), "tokens": int(sizes.sum())}


def write_mds(samples: Iterable[Mapping[str, Any]], columns: Mapping[str, str], folder: Path) -> dict[str, int]:
    """Write samples as MDS, in shards of about 64 MB; returns how many there are, and shards. `columns` names the
    encoding of each: `str`, or `ndarray:TYPE` for one-dimensional arrays that are not empty. `index.json` is written
    last."""
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(columns)
    settings: dict[str, Any] = {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": SHARD,
        "column_names": names,
        "column_encodings": [columns[name] for name in names],
        "column_sizes": [None] * len(names),
    }
    head = json.dumps(settings, sort_keys=True).encode()
    shards: list[dict[str, Any]] = []
    count = 0
    for group in _groups((_encoded(sample, columns, names) for sample in samples), 12 + len(head)):
        if sum(map(len, group)) >= 1 << 32:
            raise Refused("a sample of 4 GB is larger than MDS can say")
        offsets = accumulate(map(len, group), initial=4 + 4 * (len(group) + 1) + len(head))
        content = struct.pack(f"<{len(group) + 2}I", len(group), *offsets) + head + b"".join(group)
        basename = f"shard.{len(shards):05d}.mds"
        (folder / basename).write_bytes(content)
        raw = {"basename": basename, "bytes": len(content), "hashes": {}}
        shards.append({**settings, "samples": len(group), "raw_data": raw, "zip_data": None})
        count += len(group)
    index = {"version": 2, "shards": shards}
    (folder / "index.json").write_text(json.dumps(index, sort_keys=True), encoding="utf-8")
    return {"samples": count, "shards": len(shards)}


def _groups(samples: Iterable[bytes], head: int) -> Iterator[list[bytes]]:
    """Samples of one shard, which with what is in front of them is no larger than SHARD, or is one sample."""
    group: list[bytes] = []
    size = head
    for sample in samples:
        if group and size + len(sample) + 4 > SHARD:
            yield group
            group, size = [], head
        group.append(sample)
        size += len(sample) + 4
    if group:
        yield group


def _encoded(sample: Mapping[str, Any], columns: Mapping[str, str], names: list[str]) -> bytes:
    values = [_value(sample[name], columns[name]) for name in names]
    return struct.pack(f"<{len(values)}I", *map(len, values)) + b"".join(values)


def _value(value: Any, encoding: str) -> bytes:
    if encoding == "str":
        return value.encode("utf-8", "replace")
    array = np.asarray(value, encoding.partition(":")[2])
    kind = next(code for code in range(4) if len(array) < 1 << (8 << code))
    # How many axes, and with how many bytes the length is written.
    return bytes([1 << 2 | kind]) + len(array).to_bytes(1 << kind, "little") + array.tobytes()
