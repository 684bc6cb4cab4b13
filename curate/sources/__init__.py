"""Files in, documents out: WARC, WET and ARC, JSON Lines, Parquet, data sets of the hub, folders of HTML.

A *partition* is one file, or up to 500 HTML files of one input. Partitions are sorted by (source, relative path), so
numbering does not depend on the command line or on the file system. A big one can be read in *pieces*, by several
workers, with exactly the items of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from curate.document import Document, Skipped, Unreadable
from curate.places.address import InputError, path_of
from curate.sources.compressed import Meter, mapped
from curate.sources.content import size_of
from curate.sources.find import find_inputs
from curate.sources.partition import WHOLE, Input, Partition, Piece

__all__ = [
    "WHOLE",
    "Input",
    "InputError",
    "Partition",
    "Piece",
    "find_inputs",
    "open_source",
    "path_of",
    "read_partition",
]


def read_partition(
    partition: Partition, piece: Piece = WHOLE, on_bytes: Callable[[int], None] | None = None
) -> Iterator[Document | Skipped | Unreadable]:
    """Every record of a partition, or of one piece that `split.cut` made of it, each as exactly one item.

    `on_bytes(n)` is told that n more bytes of the file were read; its calls sum to the piece's size in the end.
    Raises OSError only.
    """
    from curate.sources.html import read_html
    from curate.sources.jsonl import read_jsonl, row_document, shard_document
    from curate.sources.warc import read_warc

    prefix = f"{partition.source}/{partition.relative}"
    meter = None
    if on_bytes is not None:
        meter = Meter(piece.start, size_of(partition) if piece.end is None else piece.end, on_bytes)
    reached = meter.reached if meter else None
    if partition.format in ("warc", "wet"):
        yield from read_warc(partition.path, prefix, partition.source, piece, reached)
    elif partition.format in ("jsonl", "shards"):
        fields = (partition.text_field, partition.id_field)
        made = shard_document if partition.format == "shards" else row_document
        yield from read_jsonl(partition.path, prefix, partition.source, *fields, made, piece=piece, reached=reached)
    elif partition.format == "html":
        yield from read_html(partition.files, partition.source, reached)
    elif partition.format == "parquet":
        from curate.sources.parquet import read_parquet

        yield from read_parquet(partition.path, prefix, partition, piece, reached)
    elif partition.format == "arrow":
        from curate.sources.arrow import read_arrow

        yield from read_arrow(partition.path, prefix, partition, reached)
    elif partition.dataset is not None:
        from curate.sources.hub import read_hub

        yield from read_hub(partition.dataset, prefix, partition)
    else:
        with mapped(partition.path) as data:
            raw = bytes(data[:4096])
        yield Unreadable(
            f"{prefix}@0", "not a known kind of input (WARC, WET, ARC, JSON Lines, Parquet, Arrow or HTML)", raw
        )
    if meter:
        meter.finish()


def open_source(path: Path | str, name: str = "source") -> Iterator[Document | Skipped | Unreadable]:
    """Every record of a file, folder or glob, without a recipe. Raises InputError."""
    for partition in find_inputs([Input(name, str(path))]):
        yield from read_partition(partition)
