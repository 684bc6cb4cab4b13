"""What a worker reads: partitions of the inputs, and pieces of a big one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from curate.step import param

if TYPE_CHECKING:
    from upath import UPath

BLOCK = 1 << 20

FORMATS = ("auto", "warc", "wet", "jsonl", "shards", "html", "parquet", "arrow", "hub")
"""What an input can be said to be."""


@dataclass(frozen=True)
class Input:
    """Where documents come from. `path` is a file, a folder (with all below it) or a glob (`**` goes into folders), of
    this machine or of a store; with `format` hub it is an id of the Hugging Face hub or a folder that `load_dataset`
    takes, and `subset`, `split`, `streaming` and `revision` are what `load_dataset` makes of them.
    """

    name: str = param(..., "source name: the first part of every key", pattern=r"^[A-Za-z0-9._-]+$")
    path: str = param(
        ...,
        "file, folder or glob (** goes into folders), here or in a store (s3://bucket/crawl/**); with format hub an id"
        " of the Hugging Face hub, or a folder that `load_dataset` takes. Credentials never stand here: they come from"
        " the environment, as the store's own tools take them",
    )
    format: str = param(
        "auto",
        "auto: told from the file name; a folder that `save_to_disk` wrote is known by its files. shards: the text of"
        " an earlier run, whose injected documents stay protected",
        choices=FORMATS,
    )
    text_field: str = param("text", "JSONL, Parquet, hub: the field that holds the text")
    id_field: str = param("id", "JSONL, Parquet, hub: the field kept as the document's own id")
    subset: str | None = param(None, "hub: the configuration of the data set, where it has several")
    split: str = param("train", "hub: which split is read", pattern=r"^[A-Za-z0-9._\[\]:%+-]+$")
    streaming: bool = param(True, "hub: read while it is fetched, instead of copying the data set first")
    revision: str | None = param(
        None, "hub: commit, tag or branch; a commit is read the same for ever, and needs no look at the hub"
    )


@dataclass(frozen=True)
class HubSet:
    """What `load_dataset` is asked for: an id of the hub or a local folder, and which part of it."""

    path: str
    subset: str | None
    split: str
    streaming: bool
    revision: str | None


@dataclass(frozen=True)
class Piece:
    """The records of a file that begin at byte `start` or after it, and before byte `end` (None: the file's end).

    `position` counts what lies before `start` in the unit of the keys: bytes after decompression in JSON Lines. It is 0
    where keys do not need it.
    """

    start: int = 0
    end: int | None = None
    position: int = 0


WHOLE = Piece()


@dataclass(frozen=True)
class Partition:
    """One unit of reading. `relative` is `path` below the input's root; `files` are the pages of an HTML partition.

    `format` is `warc`, `wet`, `jsonl`, `html`, `parquet`, `arrow`, `hub` (with what to load in `dataset`), or `unknown`
    for a file found in a folder that is none of these.
    """

    source: str
    path: Path | UPath
    relative: str
    format: str
    text_field: str = "text"
    id_field: str = "id"
    files: tuple[tuple[Path | UPath, str], ...] = ()
    dataset: HubSet | None = None

    def describe(self) -> dict[str, Any]:
        """What shapes the documents beside the content, for fingerprints."""
        return {
            "source": self.source,
            "relative": self.relative,
            "format": self.format,
            "text_field": self.text_field,
            "id_field": self.id_field,
            "files": [relative for _, relative in self.files],
        }

    def size(self) -> int:
        """Bytes of the file, or of all pages that are there; 0 for a data set of the hub, whose size is not known.

        Raises OSError when a file cannot be asked.
        """
        if self.dataset is not None:
            return 0
        return sum(_page_size(path) for path, _ in self.files) if self.files else _size(self.path)

    def content(self) -> str:
        """Identity of the content: what the store calls it (MD5, ETag, generation) for a remote file, else XXH3-128 of
        the bytes. In an HTML partition all pages count; of a data set of the hub see `hub_content`.

        Raises OSError when the file cannot be read; a page that cannot be read counts with its reason.
        """
        if self.dataset is not None:
            from curate.sources.hub import hub_content

            return hub_content(self.dataset)
        if not self.files:
            return _content(self.path)
        digest = xxhash.xxh3_128()
        for path, _ in self.files:
            try:
                content = _content(path)
            except OSError as error:
                content = f"unreadable: {error.strerror or error}"
            digest.update(f"{content}\n".encode())
        return digest.hexdigest()

    def holds(self, key: str) -> bool:
        """Whether a document's key is of this partition."""
        names = [relative for _, relative in self.files] or [self.relative]
        return any(key.startswith(f"{self.source}/{name}@") for name in names)


def _size(path: Path | UPath) -> int:
    if isinstance(path, Path):
        return path.stat().st_size
    from curate.places.remote import size_of

    return size_of(path)


def _page_size(path: Path | UPath) -> int:
    try:
        return _size(path)
    except OSError:
        return 0


def _content(path: Path | UPath) -> str:
    digest = xxhash.xxh3_128()
    if isinstance(path, Path):
        with path.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()
    from curate.places.remote import RemoteFile, identity, properties

    if mark := identity(properties(path)):
        return mark
    data = RemoteFile(path)
    for place in range(0, len(data), BLOCK):
        digest.update(data[place : place + BLOCK])
    return digest.hexdigest()
