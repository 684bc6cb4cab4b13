"""A folder of HTML files: one document a file."""

from __future__ import annotations

from collections.abc import Iterator

from curate.document import Document, Skipped, Unreadable
from curate.sources.compressed import KEPT, mapped, runs
from curate.sources.http import MAX_BODY
from curate.sources.meter import Reached
from curate.sources.partition import Partition, Piece


def read_html(partition: Partition, piece: Piece, reached: Reached | None) -> Iterator[Document | Skipped | Unreadable]:
    """Every file of a partition, in order; keys are `source/relative@0`.

    Such pages have no URL: their domain is the source's name.
    """
    read = 0
    source = partition.source
    for path, relative in partition.files:
        key = f"{source}/{relative}@0"
        with mapped(path) as data:
            size = len(data)
            run = next(runs(data, name=path.name))
            body = run.read(MAX_BODY + 1)
        read += size
        if reached:
            reached(read)
        if len(body) > MAX_BODY:
            yield Unreadable(key, f"a page of more than {MAX_BODY} bytes", body[:KEPT], size, packed=size)
        elif run.damage is not None:
            yield Unreadable(key, run.damage.error, run.damage.raw, run.damage.size, packed=run.damage.size)
        elif not body.strip():
            yield Skipped(key, "empty body")
        else:
            yield Document(key=key, domain=source, source=source, html=body)
