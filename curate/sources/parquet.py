"""Parquet files: row groups are streamed, with only the columns that a document needs."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from curate.document import Document, Unreadable
from curate.places.address import need, reason_of
from curate.sources.arrow import ROWS, ArrowStream, batch_items, columns_of, left_out, no_text, select
from curate.sources.compressed import KEPT, Data, mapped
from curate.sources.meter import Reached
from curate.sources.partition import Partition, Piece

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData, ParquetFile


def read_parquet(partition: Partition, piece: Piece, reached: Reached | None) -> Iterator[Document | Unreadable]:
    """Every row of a file, or of the row groups of one piece; keys count the rows of the file. Raises OSError only.

    Metadata follow the rules of JSON Lines. A row without a string is one loss; so is the rest of a row group that
    breaks, from its first row that was not read, and a file without a sound footer.
    """
    need("pyarrow", "a Parquet file")
    prefix = partition.prefix
    with mapped(partition.path) as data:
        stream = ArrowStream(data)
        try:
            file = _opened(stream, data)
            names = columns_of(file.schema_arrow, partition.text_field, partition.id_field, partition.url_field)
            starts = _starts(file.metadata)
            sizes = [file.metadata.row_group(group).num_rows for group in range(len(starts))]
        except Exception as error:
            if stream.failure is not None:
                raise stream.failure from None
            raw = bytes(data[:KEPT])
            unsound = f"not a sound Parquet file: {reason_of(error)}"
            yield Unreadable(f"{prefix}@0", unsound, raw, len(data), packed=len(data))
            return
        if partition.text_field not in names:
            yield no_text(file.schema_arrow.names, prefix, partition.text_field, len(data), sum(sizes))
            return
        row = 0
        if file.metadata.num_rows != sum(sizes) and not piece.start:
            differs = f"the footer says {file.metadata.num_rows} rows, and its row groups hold {sum(sizes)}"
            yield Unreadable(f"{prefix}@{sum(sizes)}", differs, rows=max(1, file.metadata.num_rows - sum(sizes)))
        for group, (start, size) in enumerate(zip(starts, sizes, strict=True)):
            if piece.start <= start and (piece.end is None or start < piece.end):
                if reached:
                    reached(start)
                yield from _group(file, group, row, names, prefix, partition, stream)
            row += size


def _opened(stream: ArrowStream, data: Data) -> ParquetFile:
    from pyarrow.parquet import ParquetFile

    if not len(data):
        raise ValueError("the file is empty")
    return ParquetFile(stream, page_checksum_verification=True, pre_buffer=False)


def _group(
    file: ParquetFile, group: int, row: int, names: list[str], prefix: str, partition: Partition, stream: ArrowStream
) -> Iterator[Document | Unreadable]:
    left = left_out(file.schema_arrow.names, names)
    metadata = file.metadata.row_group(group)
    size = metadata.num_rows
    end = row + size
    try:
        for batch in file.iter_batches(ROWS, row_groups=[group], columns=names, use_threads=False):
            yield from batch_items(select(batch, names), row, prefix, partition, left)
            row += batch.num_rows
        if row < end:
            raise ValueError(f"{end - row} rows are missing")
        if (more := _texts(file, group, partition.text_field) - size) > 0:
            raise ValueError(f"{more} texts belong to no row")
    except Exception as error:
        if stream.failure is not None:
            raise stream.failure from None
        broken = f"the row group is broken before row {end}: {reason_of(error)}"
        packed = sum(metadata.column(place).total_compressed_size for place in range(metadata.num_columns))
        share = (end - row) / size if size > 0 else 1
        lost = max(0, round(packed * share))
        yield Unreadable(f"{prefix}@{row}", broken, size=lost, packed=lost, rows=max(1, end - row))


def _texts(file: ParquetFile, group: int, text_field: str) -> int:
    """How many texts the column of a row group says it has: as many as there are rows, in a sound one."""
    metadata = file.metadata.row_group(group)
    columns = [metadata.column(place) for place in range(metadata.num_columns)]
    return next((one.num_values for one in columns if one.path_in_schema == text_field), 0)


def row_group_starts(partition: Partition) -> list[tuple[int, int]]:
    """The byte at which each row group but the first begins, and the number of its first row.

    Empty where a file cannot be divided. Raises OSError.
    """
    need("pyarrow", "a Parquet file")
    with mapped(partition.path) as data:
        stream = ArrowStream(data)
        with contextlib.suppress(Exception):
            file = _opened(stream, data)
            if partition.text_field not in file.schema_arrow.names:
                return []
            starts = _starts(file.metadata)
            if all(0 <= one < other < len(data) for one, other in itertools.pairwise(starts)):
                rows = [0]
                for group in range(len(starts)):
                    rows.append(rows[-1] + file.metadata.row_group(group).num_rows)
                return list(zip(starts, rows, strict=False))[1:]
        if stream.failure is not None:
            raise stream.failure
    return []


def _starts(metadata: FileMetaData) -> list[int]:
    """The byte of the file at which each row group begins; 0 for the first, which a piece from the beginning holds."""
    starts = []
    for group in range(metadata.num_row_groups):
        columns = [metadata.row_group(group).column(place) for place in range(metadata.row_group(group).num_columns)]
        pages = [place for one in columns for place in (one.dictionary_page_offset, one.data_page_offset) if place]
        starts.append(max(0, min(pages, default=0)) if group else 0)
    return starts
