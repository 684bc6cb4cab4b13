"""Files in, documents out: WARC, WET and ARC, JSON Lines, folders of HTML.

A *partition* is the unit that a worker reads: one file, or up to 500 HTML files of one input. Partitions are sorted by
(source, relative path), so numbering does not depend on the command line or on the file system.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.document import Document, Skipped, Unreadable
from curate.sources.streams import compression, mapped, runs

FORMATS = ("auto", "warc", "wet", "jsonl", "html")
PAGES_A_PARTITION = 500
_NAMES = (
    ("warc", re.compile(r"\.w?arc(?:\.(?:gz|zst))?(?:\.bad)?\Z", re.IGNORECASE)),
    ("wet", re.compile(r"\.wet(?:\.(?:gz|zst))?\Z", re.IGNORECASE)),
    ("jsonl", re.compile(r"\.(?:jsonl|ndjson|json\.l)(?:\.(?:gz|zst))?\Z", re.IGNORECASE)),
    ("html", re.compile(r"\.x?html?(?:\.(?:gz|zst))?\Z", re.IGNORECASE)),
)
_GLOB = re.compile(r"[*?\[]")


class InputError(ValueError):
    """An input that is not there, or of no known kind; the message says what to give instead."""


@dataclass(frozen=True)
class Input:
    """Where documents come from. `path` is a file, a folder (with all below it) or a glob (`**` goes into folders)."""

    name: str
    path: str
    format: str = "auto"
    text_field: str = "text"
    id_field: str = "id"


@dataclass(frozen=True)
class Partition:
    """One unit of reading. `relative` is `path` below the input's root; `files` are the pages of an HTML partition.

    `format` is `warc`, `wet`, `jsonl`, `html`, or `unknown` for a file found in a folder that is none of these.
    """

    source: str
    path: Path
    relative: str
    format: str
    text_field: str = "text"
    id_field: str = "id"
    files: tuple[tuple[Path, str], ...] = ()

    def describe(self) -> dict[str, Any]:
        """What shapes the documents beside the content of `path`, for fingerprints."""
        pages = []
        for path, relative in self.files:
            with path.open("rb") as stream:
                pages.append([relative, hashlib.file_digest(stream, "sha256").hexdigest()])
        return {
            "source": self.source,
            "relative": self.relative,
            "format": self.format,
            "text_field": self.text_field,
            "id_field": self.id_field,
            "files": pages,
        }

    def holds(self, key: str) -> bool:
        """Whether a document's key is of this partition."""
        names = [relative for _, relative in self.files] or [self.relative]
        return any(key.startswith(f"{self.source}/{name}@") for name in names)


def find_inputs(inputs: Iterable[Input]) -> list[Partition]:
    """The partitions of all inputs. Raises InputError for a missing file, an empty glob, a kind that is not known."""
    found: list[Partition] = []
    for item in inputs:
        if item.format not in FORMATS:
            raise InputError(f"input '{item.name}': format '{item.format}' is none of {', '.join(FORMATS)}")
        found += _partitions(item)
    found.sort(key=lambda partition: (partition.source, partition.relative))
    seen: dict[tuple[str, str], Partition] = {}
    for partition in found:
        for name in [relative for _, relative in partition.files] or [partition.relative]:
            other = seen.setdefault((partition.source, name), partition)
            if other is not partition:
                raise InputError(
                    f"'{partition.path}' and '{other.path}' would both be '{partition.source}/{name}': "
                    "give the inputs different names"
                )
    return found


def read_partition(partition: Partition) -> Iterator[Document | Skipped | Unreadable]:
    """Every record of a partition, each as exactly one item. Raises OSError only."""
    from curate.sources.html import read_html
    from curate.sources.jsonl import read_jsonl
    from curate.sources.warc import read_warc

    prefix = f"{partition.source}/{partition.relative}"
    if partition.format in ("warc", "wet"):
        yield from read_warc(partition.path, prefix, partition.source)
    elif partition.format == "jsonl":
        fields = (partition.text_field, partition.id_field)
        yield from read_jsonl(partition.path, prefix, partition.source, *fields)
    elif partition.format == "html":
        yield from read_html(partition.files, partition.source)
    else:
        with mapped(partition.path) as data:
            raw = bytes(data[:4096])
        yield Unreadable(f"{prefix}@0", "not a known kind of input (WARC, WET, ARC, JSON Lines or HTML)", raw)


def open_source(path: Path | str, name: str = "source") -> Iterator[Document | Skipped | Unreadable]:
    """Every record of a file, folder or glob, without a recipe. Raises InputError."""
    for partition in find_inputs([Input(name, str(path))]):
        yield from read_partition(partition)


def _partitions(item: Input) -> list[Partition]:
    root, files, named = _files(item)
    pages: list[tuple[Path, str]] = []
    partitions = []
    for path in files:
        relative = path.relative_to(root).as_posix()
        kind = item.format if item.format != "auto" else _kind(path)
        if kind == "unknown" and named:
            raise InputError(
                f"input '{item.name}': '{path}' is of no known kind; name it .warc, .warc.gz, .wet.gz, .arc.gz, .jsonl "
                "or .html, or say `format:`"
            )
        if kind == "html":
            pages.append((path, relative))
        else:
            partitions.append(Partition(item.name, path, relative, kind, item.text_field, item.id_field))
    pages.sort(key=lambda page: page[1])
    for place in range(0, len(pages), PAGES_A_PARTITION):
        group = tuple(pages[place : place + PAGES_A_PARTITION])
        partitions.append(Partition(item.name, *group[0], "html", files=group))
    return partitions


def _files(item: Input) -> tuple[Path, list[Path], bool]:
    """The root that relative paths start from, the files, and whether the user named the file itself."""
    path = Path(item.path).expanduser()
    if path.is_file():
        return path.parent, [path], True
    if path.is_dir():
        files = _below(path)
        if not files:
            raise InputError(f"input '{item.name}': the folder '{path}' holds no files")
        return path, files, False
    if not _GLOB.search(item.path):
        raise InputError(f"input '{item.name}': there is no file or folder '{path}'")
    parts = path.parts
    first = next(place for place, part in enumerate(parts) if _GLOB.search(part))
    root = Path(*parts[:first]) if first else Path()
    if not root.is_dir():
        raise InputError(f"input '{item.name}': there is no folder '{root}' for the glob '{item.path}'")
    pattern = "/".join(parts[first:])
    # A final ** means the files below, as a shell has it; pathlib before 3.13 gives folders only.
    pattern += "/*" if parts[-1] == "**" else ""
    matched = {one for one in root.glob(pattern) if one.is_file() and not _hidden(one, root)}
    if not matched:
        raise InputError(f"input '{item.name}': no file matches '{item.path}' below '{root}'")
    return root, sorted(matched), False


def _below(folder: Path) -> list[Path]:
    found = []
    for base, folders, names in os.walk(folder):
        folders.sort()
        found += [Path(base) / name for name in names]
    return sorted(one for one in found if one.is_file() and not _hidden(one, folder))


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _kind(path: Path) -> str:
    for kind, name in _NAMES:
        if name.search(path.name):
            return kind
    with mapped(path) as data:
        if not data:
            return "unknown"
        head = next(runs(data)).peek(512) if compression(bytes(data[:4])) != "plain" else bytes(data[:512])
    if re.match(rb"WARC/\d|filedesc://", head):
        return "warc"
    return "html" if re.match(rb"\s*<(?:!doctype html|html)", head, re.IGNORECASE) else "unknown"
