"""What a worker reads: partitions of the inputs, and pieces of a big one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.places.manifest import Written
from curate.step import param

if TYPE_CHECKING:
    from upath import UPath


@dataclass(frozen=True)
class Input:
    """Where documents come from. `path` is a file, a folder (with all below it) or a glob (`**` goes into folders), of
    this machine or of a store; with `format` hub it is an id of the Hugging Face hub or a folder that `load_dataset`
    takes, and `subset`, `split`, `streaming` and `revision` are passed to `load_dataset`.
    """

    name: str = param(..., "source name: the first part of every key", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    path: str = param(
        ...,
        "file, folder or glob (** goes into folders), here or in a store (s3://bucket/crawl/**); with format hub an id"
        " of the Hugging Face hub, or a folder that `load_dataset` takes. Credentials never go here: they come from"
        " the environment, as the store's own tools take them",
    )
    format: str = param(
        "auto",
        "a format by its name, or a reader of your own, `module:Name` or `file.py:Name`. auto: by the file's name; a"
        " folder that `save_to_disk` wrote is recognised by its files. shards: the text of an earlier run, whose"
        " injected documents stay protected",
    )
    text_field: str = param("text", "JSONL, Parquet, hub: the field that holds the text")
    id_field: str = param("id", "JSONL, Parquet, hub: the field kept as the document's own id")
    url_field: str | None = param(
        None,
        "JSONL, Parquet, hub: the field that holds the address, with points where it lies within others"
        " (`metadata.source.url`); when absent, `url` and the other names that corpora give it",
    )
    subset: str | None = param(None, "hub: the configuration of the data set, where it has several")
    split: str = param("train", "hub: which split is read", pattern=r"^[A-Za-z0-9._\[\]:%+-]+$")
    streaming: bool = param(True, "hub: read while it is fetched, instead of copying the data set first")
    revision: str | None = param(
        None, "hub: commit, tag or branch; a commit never changes, and can be used without reaching the hub"
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

    A piece that begins within a compressed member has the byte and the position at which that begins in `stream`: what
    lies between is decompressed and not read; `start` is about where its first line lies. Where the next piece begins
    so, `until` is its position.
    """

    start: int = 0
    end: int | None = None
    position: int = 0
    stream: tuple[int, int] | None = None
    until: int | None = None

    def plain(self) -> list[Any]:
        """As a list for JSON."""
        within = [] if self.stream is None and self.until is None else [self.stream, self.until]
        return [self.start, self.end, self.position, *within]

    @classmethod
    def of(cls, plain: Sequence[Any]) -> Piece:
        """The piece that `plain` gave."""
        start, end, position, stream, until = [*plain, None, None][:5]
        return cls(start, end, position, None if stream is None else (stream[0], stream[1]), until)


WHOLE = Piece()


@dataclass(frozen=True)
class Partition:
    """One unit of reading. `relative` is `path` below the input's root; `files` are the pages of an HTML partition.

    `format` is one of `curate.sources.formats.FORMATS` (`hub` with what to load in `dataset`), `unknown` for a file
    of none of these kinds, or names a reader from outside goldsand, of which `code` is a digest. `written` is what the
    run that wrote a shard says of it; None where nobody does.
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
    written: Written | None = None
    url_field: str | None = None

    @property
    def prefix(self) -> str:
        """The part before `@` in the keys of its documents."""
        return f"{self.source}/{self.relative}"

    def describe(self) -> dict[str, Any]:
        """What shapes the documents besides the content, for fingerprints."""
        return {
            "source": self.source,
            "relative": self.relative,
            # A reader whose file was moved is the same reader.
            "format": self.format.rpartition("/")[2],
            "text_field": self.text_field,
            "id_field": self.id_field,
            "files": [relative for _, relative in self.files],
            **({"code": self.code} if self.code else {}),
            **({"url_field": self.url_field} if self.url_field else {}),
        }

    def holds(self, key: str) -> bool:
        """Whether a document's key belongs to this partition."""
        names = [relative for _, relative in self.files] or [self.relative]
        return any(key.startswith(f"{self.source}/{name}@") for name in names)
