"""Kinds of input: the names of their files, what reads them, and readers from outside goldsand."""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from errno import EIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from curate.document import Document, Skipped, Unreadable
from curate.domains import registered_domain
from curate.errors import Refused
from curate.outside import code_of, load, target_of
from curate.places import patience
from curate.places.address import reason_of
from curate.places.patience import passes, patiently
from curate.sources.compressed import mapped
from curate.sources.content import size_of
from curate.sources.meter import Reached
from curate.sources.partition import Partition, Piece

if TYPE_CHECKING:
    from upath import UPath

GROUP = "goldsand.sources"
"""The entry points by which a package makes its readers known."""

Item = Document | Skipped | Unreadable
Read = Callable[[Partition, Piece, Reached | None], Iterator[Item]]
Reader = Callable[["Path | UPath"], Iterable[Item]]
"""A reader of another package: every record of one whole file, each as one item, in the order of their keys.

A key is the place of the record in its file, a byte or a row: a whole number greater than the one before."""


@dataclass(frozen=True)
class Format:
    """One kind of input: the function that reads it, the names of its files, the package that it needs. `version` is
    another when files are read to other documents than before."""

    read: str
    names: re.Pattern[str] | None = None
    needs: str = ""
    version: int = 1


def _named(ending: str) -> re.Pattern[str]:
    return re.compile(rf"\.(?:{ending})\Z", re.IGNORECASE)


_PACKED = r"(?:\.(?:gz|zst|zstd))?"
FORMATS = {
    "warc": Format("curate.sources.warc:read_warc", _named(rf"w?arc{_PACKED}(?:\.bad)?"), version=2),
    "wet": Format("curate.sources.warc:read_warc", _named(rf"wet{_PACKED}"), version=2),
    "jsonl": Format("curate.sources.jsonl:read_jsonl", _named(rf"(?:jsonl|ndjson|json\.l){_PACKED}"), version=2),
    "shards": Format("curate.sources.jsonl:read_shards"),
    "html": Format("curate.sources.html:read_html", _named(rf"x?html?{_PACKED}")),
    "parquet": Format("curate.sources.parquet:read_parquet", _named("parquet"), needs="pyarrow", version=2),
    "arrow": Format("curate.sources.arrow:read_arrow", _named("arrow"), needs="pyarrow", version=2),
    "hub": Format("curate.sources.hub:read_hub", version=2),
}
AUTO = "auto"
_END: Any = object()
UNKNOWN = "unknown"
"""The format that `auto` gives to a file of unknown kind in a folder."""

_OWN = {AUTO: "curate.sources.formats:read_unknown"} | {name: kind.read for name, kind in FORMATS.items()}


def reader_of(format: str) -> Read:
    """The reader of a format: one of goldsand's own, one that a package declares, `module:Name`, or `file.py:Name`.

    Raises Refused, with the nearest match, for a missing one.
    """
    if format == UNKNOWN:
        return read_unknown
    target = target_of(format, GROUP, _OWN, "format")
    reader = load(target)
    if target in _OWN.values():
        return reader
    if not callable(reader):
        raise Refused(f"`{target}` is not a reader: name a function, or a class, that takes the path of a file")
    return functools.partial(_read_theirs, reader, format.rpartition("/")[2])


def code_of_reader(format: str) -> str:
    """The digest of the code of a reader from outside goldsand; empty for one of its own. Raises Refused."""
    reader = reader_of(format)
    code = code_of(reader.args[0]) if isinstance(reader, functools.partial) else {}
    return hashlib.sha256(orjson.dumps(code, option=orjson.OPT_SORT_KEYS)).hexdigest() if code else ""


def read_unknown(partition: Partition, piece: Piece, reached: Reached | None) -> Iterator[Item]:
    """A file of unknown kind in a folder, as one loss."""
    with mapped(partition.path) as data:
        raw, size = bytes(data[:4096]), len(data)
    error = "not a known kind of input (WARC, WET, ARC, JSON Lines, Parquet, Arrow or HTML)"
    yield Unreadable(f"{partition.prefix}@0", error, raw, size, packed=size)


def _read_theirs(
    reader: Reader, name: str, partition: Partition, piece: Piece, reached: Reached | None
) -> Iterator[Item]:
    """Every item of a reader from outside, under goldsand's keys. An error of the reader is one loss: the file's rest.

    Raises OSError where the file, or a store, cannot be read now, Refused where an item of the reader is not valid.
    """
    place = -1
    items: Iterator[Any] | None = None
    again = -1
    pauses = iter(patience.PAUSES)
    while True:
        try:
            items = iter(reader(partition.path)) if items is None else items
            item = next(items, _END)
        except MemoryError:
            raise
        except Exception as error:
            if _may_pass(error, partition):
                if (pause := next(pauses, None)) is None:
                    raise OSError(EIO, reason_of(error), str(partition.path)) from None
                time.sleep(pause)
                # It begins again, and what was read before is passed over.
                items, again, place = None, max(again, place), -1
                continue
            failed = f"the reader {name} failed: {type(error).__name__}: {reason_of(error)}"
            # How far it came, it alone knows: at most all of the file's bytes are lost.
            size = patiently(size_of, partition)
            yield Unreadable(f"{partition.prefix}@{place + 1}", failed, size=size, packed=size)
            return
        if item is _END:
            return
        place = _place(item, place, name)
        if place <= again:
            continue
        key = f"{partition.prefix}@{place}"
        if isinstance(item, Document):
            yield _document(item, key, partition.source, name)
        else:
            yield replace(item, key=key)


def _may_pass(error: Exception, partition: Partition) -> bool:
    """Whether a file may be given later that is not given now; broken content stays broken."""
    remote = not isinstance(partition.path, Path)
    return passes(error) or (remote and isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile))


def _place(item: Any, before: int, name: str) -> int:
    if not isinstance(item, (Document, Skipped, Unreadable)):
        raise Refused(f"the reader {name} gives a {type(item).__name__}: give Document, Skipped or Unreadable")
    if not (isinstance(item.key, str) and item.key.isascii() and item.key.isdigit() and int(item.key) > before):
        raise Refused(
            f"the reader {name} gives the key {item.key!r}"
            + (f" after '{before}'" if before >= 0 else "")
            + ": a key must be"
            " the place of a record in its file, in digits, and greater than the one before"
        )
    return int(item.key)


def _document(item: Document, key: str, source: str, name: str) -> Document | Unreadable:
    wrong = [one for one in ("text", "url", "domain") if not isinstance(getattr(item, one) or "", str)]
    wrong += ["html"] if not isinstance(item.html, (bytes, type(None))) else []
    try:
        orjson.dumps([item.text, item.url, item.domain])
        orjson.dumps(item.metadata)
    except TypeError as error:
        if "surrogate" in str(error) or "UTF-8" in str(error):
            return Unreadable(key, f"the reader {name} gives text with lone surrogates, which is none")
        wrong += ["metadata"] if not wrong else []
    if wrong or not isinstance(item.metadata, dict) or item.text is None:
        raise Refused(
            f"the reader {name} gives a Document, at {key}, whose {(wrong or ['text or metadata'])[0]} is of another"
            " type: text, url and domain must be strings, html bytes, metadata a dictionary that JSON can hold"
        )
    domain = item.domain or registered_domain(item.url) or source
    return Document(key, item.text, item.url, domain, source, item.metadata, item.html)
