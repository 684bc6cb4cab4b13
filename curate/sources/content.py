"""The size of a partition, and the identity of its content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import xxhash

from curate.places import remote_input as remote
from curate.places.patience import patiently
from curate.places.store import Place, checksum
from curate.sources.hub import hub_content
from curate.sources.partition import Partition

if TYPE_CHECKING:
    from upath import UPath

BLOCK = 1 << 20


def size_of(partition: Partition) -> int:
    """Bytes of the file, or of all pages that are there; 0 for a data set of the hub, whose size is not known.

    Raises OSError when the size of a file cannot be read.
    """
    if partition.dataset is not None:
        return 0
    return sum(_page_size(path) for path, _ in partition.files) if partition.files else _size(partition.path)


def content_of(partition: Partition) -> str:
    """Identity of the content: for a remote file the store's own (MD5, ETag, generation), else XXH3-128 of the bytes.
    In an HTML partition all pages count; for a data set of the hub see `hub_content`.

    Raises OSError when a file cannot be read, after several tries; NotAsWritten for a shard that is not what its run
    wrote.
    """
    if partition.dataset is not None:
        return hub_content(partition.dataset)
    if not partition.files:
        content = _content(partition.path)
        if partition.written is not None:
            partition.written.check(cast(Place, partition.path), content)
        return content
    digest = xxhash.xxh3_128()
    for path, _ in partition.files:
        digest.update(f"{_content(path)}\n".encode())
    return digest.hexdigest()


def _size(path: Path | UPath) -> int:
    return path.stat().st_size if isinstance(path, Path) else remote.size_of(path)


def _page_size(path: Path | UPath) -> int:
    try:
        return _size(path)
    except OSError:
        return 0


def _content(path: Path | UPath) -> str:
    if isinstance(path, Path):
        return patiently(checksum, path)
    if mark := remote.identity(patiently(remote.properties, path)):
        return mark
    digest = xxhash.xxh3_128()
    data = remote.RemoteFile(path)
    for place in range(0, len(data), BLOCK):
        digest.update(data[place : place + BLOCK])
    return digest.hexdigest()
