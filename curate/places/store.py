"""Where a run writes: a folder of this machine, or an address in a store that fsspec knows.

A local file is written under a temporary name, synced and renamed. A store has no rename, but an object appears whole
when its writing ends: there a unit's old manifest is removed first, then the data are written, then the new manifest,
so that no manifest ever lies beside data that it does not describe.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import xxhash

from curate.places.address import path_of

Place: TypeAlias = Path
"""A Path, or a UPath of a store, which answers to the same methods."""

TEMPORARY = ".writing"

_WITHOUT_FOLDERS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory")


def is_local(place: Place) -> bool:
    return isinstance(place, Path)


def place_of(address: str | Path) -> Place:
    """The place behind an address. Raises InputError for one that cannot be used (see `path_of`)."""
    place: Any = path_of(address)
    # Several processes write there: a listing that one of them caches is outdated at once.
    return place if is_local(place) else type(place)(place, use_listings_cache=False)


@contextlib.contextmanager
def store_errors(place: Place) -> Iterator[None]:
    """Turn what a store's client raises into OSError with a reason; local errors are OSError already."""
    if is_local(place):
        yield
        return
    from curate.places import remote_input as remote

    with remote.store_errors(cast(Any, place)):
        yield


def is_private(place: Any) -> bool:
    """Whether no other process can see this place: `memory://` exists within one process."""
    return getattr(place, "protocol", "") == "memory"


def checksum(place: Place) -> str:
    """XXH3-128 of a file's content, as hex."""
    digest = xxhash.xxh3_128()
    with place.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def mark(place: Place) -> str | None:
    """The store's own name for an object's content (an ETag, an MD5), or None: local files and some stores have none.

    Raises OSError when the object is not there.
    """
    if is_local(place):
        return None
    from curate.places.remote_input import identity, properties

    return identity(properties(cast(Any, place)))


class Hashed:
    """A stream that computes the checksum of what is written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = xxhash.xxh3_128()

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def checksum(self) -> str:
        return self._digest.hexdigest()


def make_folder(place: Place) -> None:
    """Make a folder and those above it, where folders exist: an object store has none, and there `mkdir` of a misspelt
    name would make a bucket."""
    if is_local(place) or getattr(place, "protocol", "") not in _WITHOUT_FOLDERS:
        place.mkdir(parents=True, exist_ok=True)


def write_atomically(place: Place, data: bytes, alone: bool = True) -> None:
    """Write a small file so that it is there whole or not at all. Other processes may write the same file at the same
    time where `alone` is false."""
    make_folder(place.parent)
    if not is_local(place):
        with place.open("wb") as stream:
            stream.write(data)
        return
    written_beside(place, data, "" if alone else f".{uuid.uuid4().hex}").rename(place)


def written_beside(place: Path, data: bytes, apart: str = "") -> Path:
    """A small local file under its temporary name, synced: it becomes `place` when it is renamed."""
    make_folder(place.parent)
    temporary = place.with_name(place.name + apart + TEMPORARY)
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return temporary


def linked(source: Place, target: Place) -> bool:
    """Whether a file has a second name now: not on two disks, in a store, or where a disk knows no hard links.

    Raises FileNotFoundError where there is no such file."""
    if not isinstance(source, Path) or not isinstance(target, Path):
        return False
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


@contextlib.contextmanager
def working_folder(root: Place) -> Iterator[Path]:
    """A local folder that is removed afterwards; beside the output where that is local, so that it has room."""
    beside = root if isinstance(root, Path) else None
    with tempfile.TemporaryDirectory(prefix=".scratch-", suffix=TEMPORARY, dir=beside) as folder:
        yield Path(folder)


@contextlib.contextmanager
def local_copy(place: Place) -> Iterator[Path]:
    """A file or folder with a local path, for libraries that need one: itself, or a temporary copy."""
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="goldsand-") as scratch:
        copy = Path(scratch) / place.name
        sources = [place] if place.is_file() else files_below(place)
        for source in sources:
            target = copy if source == place else copy / str(source.relative_to(place))
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as incoming, target.open("wb") as outgoing:
                shutil.copyfileobj(incoming, outgoing, 1 << 20)
        yield copy


def files_below(place: Place) -> list[Place]:
    """Every file below a folder, in order; an empty list when the folder is missing."""
    if isinstance(place, Path):
        return sorted((one for one in place.rglob("*") if one.is_file()), key=str) if place.is_dir() else []
    # One listing: to ask for each file would be a request each.
    begin = f"{place.path.rstrip('/')}/"
    return sorted((place / name[len(begin) :] for name in place.fs.find(begin) if name.startswith(begin)), key=str)
