"""Files in, documents out: WARC, WET and ARC, JSON Lines, Parquet, data sets of the hub, folders of HTML.

A *partition* is one file, or up to 500 HTML files of one input. Partitions are sorted by (source, relative path), so
numbering does not depend on the command line or on the file system. A big one can be read in *pieces*, by several
workers, which together give exactly the items of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from curate.document import Document, Skipped, Unreadable
from curate.errors import Refused
from curate.places.address import InputError, path_of, reason_of
from curate.places.patience import patiently
from curate.sources.content import content_of, size_of
from curate.sources.find import find_inputs
from curate.sources.formats import reader_of
from curate.sources.meter import Meter, Volume
from curate.sources.partition import WHOLE, Input, Partition, Piece

__all__ = [
    "WHOLE",
    "Input",
    "InputError",
    "Partition",
    "Piece",
    "Volume",
    "find_inputs",
    "open_source",
    "path_of",
    "read_partition",
]


def read_partition(
    partition: Partition,
    piece: Piece = WHOLE,
    on_bytes: Callable[[int], None] | None = None,
    volume: Volume | None = None,
) -> Iterator[Document | Skipped | Unreadable]:
    """Every record of a partition, or of one piece that `split.cut` made of it, each as exactly one item.

    `on_bytes(n)` is called for every n more bytes of the file that were read; in the end the calls sum to the piece's
    size. `volume` is filled in when reading ends. A reader that fails loses the rest of the file, which is one item.
    Raises OSError; Refused where a reader from outside goldsand is missing, or gives items that are not valid.
    """
    meter = None
    if on_bytes is not None or volume is not None:
        end = patiently(size_of, partition) if piece.end is None else piece.end
        meter = Meter(piece.start, end, on_bytes or (lambda size: None))
    try:
        yield from _items(partition, piece, meter)
        if meter:
            meter.finish()
    finally:
        if meter and volume:
            volume.packed, volume.unpacked = meter.read, meter.unpacked


def _items(partition: Partition, piece: Piece, meter: Meter | None) -> Iterator[Document | Skipped | Unreadable]:
    try:
        yield from reader_of(partition.format)(partition, piece, meter.reached if meter else None)
    except (OSError, Refused, ImportError, MemoryError):
        raise
    except Exception as error:
        failed = f"the rest of the file cannot be read: {type(error).__name__}: {reason_of(error)}"
        left = meter.left if meter else 0
        yield Unreadable(f"{partition.prefix}@{piece.start}/rest", failed, size=left, packed=left)


def open_source(path: Path | str, name: str = "source") -> Iterator[Document | Skipped | Unreadable]:
    """Every record of a file, folder or glob, without a recipe. Raises InputError; NotAsWritten for shards that are not
    what their run wrote."""
    for partition in find_inputs([Input(name, str(path))]):
        if partition.written is not None:
            content_of(partition)
        yield from read_partition(partition)
