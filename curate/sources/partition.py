"""What a worker reads: partitions of the inputs, and pieces of a big one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

if TYPE_CHECKING:
    from upath import UPath

BLOCK = 1 << 20


@dataclass(frozen=True)
class Input:
    """Where documents come from. `path` is a file, a folder (with all below it) or a glob (`**` goes into folders), of
    this machine or of a store; with `format` hub it is an id of the Hugging Face hub or a folder that `load_dataset`
    takes, and `subset`, `split`, `streaming` and `revision` are what `load_dataset` makes of them.
    """

    name: str
    path: str
    format: str = "auto"
    text_field: str = "text"
    id_field: str = "id"
    subset: str | None = None
    split: str = "train"
    streaming: bool = True
    revision: str | None = None


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

    `format` is one of `curate.sources.formats.FORMATS` (`hub` with what to load in `dataset`), `unknown` for a file
    of none of these kinds, or names a reader from outside goldsand, of which `code` is a digest.
    """

    source: str
    path: Path | UPath
    relative: str
    format: str
    text_field: str = "text"
    id_field: str = "id"
    files: tuple[tuple[Path | UPath, str], ...] = ()
    dataset: HubSet | None = None
    code: str = ""

    @property
    def prefix(self) -> str:
        """What stands before `@` in the keys of its documents."""
        return f"{self.source}/{self.relative}"

    def describe(self) -> dict[str, Any]:
        """What shapes the documents beside the content, for fingerprints."""
        return {
            "source": self.source,
            "relative": self.relative,
            # A reader's file that was moved is the same reader.
            "format": self.format.rpartition("/")[2],
            "text_field": self.text_field,
            "id_field": self.id_field,
            "files": [relative for _, relative in self.files],
            **({"code": self.code} if self.code else {}),
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
