"""Files in a store that fsspec knows: listed, named and read in ranges, without a copy on this machine."""

from __future__ import annotations

import errno
import fnmatch
import posixpath
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, SupportsIndex

from curate.errors import Refused
from curate.places.address import InputError, reason_of, scheme_of
from curate.places.patience import patiently

if TYPE_CHECKING:
    from upath import UPath

BLOCK = 4 << 20
BLOCKS_HELD = 3
"""Bytes of one range request, and how many of them an open file keeps: the most it holds of the store's file."""

_MARKS = ("md5", "md5Hash", "content_md5", "blob_id", "ETag", "etag", "generation")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
_WILD = "*?["


@contextmanager
def store_errors(path: UPath) -> Iterator[None]:
    """Turn what a store's client raises into OSError with a reason: clients have exceptions of their own."""
    try:
        yield
    except OSError as error:
        if error.strerror:
            raise
        code = {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES}.get(type(error), errno.EIO)
        raise OSError(code, reason_of(error), str(path)) from None
    except Refused:
        raise
    except Exception as error:
        reason = reason_of(error)
        if scheme_of(path) in ("s3", "s3a") and "credentials" in reason.lower():
            reason += " (FSSPEC_S3_ANON=true reads a public bucket without any)"
        raise OSError(errno.EIO, reason, str(path)) from None


def properties(path: UPath) -> dict[str, Any]:
    """What a store says of one object now: `size`, `type`, an ETag ... Raises OSError."""
    with store_errors(path):
        # A client caches listings; a cached object may have been replaced.
        path.fs.invalidate_cache()
        return path.fs.info(path.path)


def identity(status: dict[str, Any]) -> str | None:
    """The store's own name for an object's content (MD5, ETag, generation) with its size; None where the store gives
    none."""
    mark = next((str(status[name]).strip('"') for name in _MARKS if status.get(name)), None)
    return f"{mark}:{status.get('size')}" if mark else None


def stamp(status: dict[str, Any]) -> tuple[int | str | None, ...]:
    """What a store says of an object that another one would not have: its size, and its mark or else its time; None for
    what it does not say."""
    time = next((str(status[name]) for name in _TIMES if status.get(name)), None)
    return status.get("size"), identity(status) or time


def size_of(path: UPath) -> int:
    """Bytes of an object. Raises OSError, also for a store that does not say."""
    size = properties(path).get("size")
    if size is None:
        raise OSError(errno.EIO, "the store does not say how large it is", str(path))
    return int(size)


class RemoteFile:
    """A store's file as if it were bytes: length, slices and `find`, fetched by ranges of BLOCK bytes.

    A request that fails is made again after a pause; then the failure is an OSError with a reason.
    """

    def __init__(self, path: UPath) -> None:
        self._path = path
        self._size = patiently(size_of, path)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, where: slice) -> bytes:
        start, stop, _ = where.indices(self._size)
        parts = []
        while start < stop:
            number, offset = divmod(start, BLOCK)
            part = self._block(number)[offset : offset + stop - start]
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def find(self, sought: bytes, start: SupportsIndex = 0) -> int:
        """The first place of `sought` at or after `start`; -1 when it is not there."""
        place = start.__index__()
        while place < self._size:
            # To the end of its block, and as far beyond as a match may reach.
            end = (place // BLOCK + 1) * BLOCK
            found = self[place : end + len(sought) - 1].find(sought)
            if found >= 0:
                return place + found
            place = end
        return -1

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        block = patiently(self._fetched, number * BLOCK, min(self._size, (number + 1) * BLOCK))
        while len(self._blocks) >= BLOCKS_HELD:
            self._blocks.popitem(last=False)
        self._blocks[number] = block
        return block

    def _fetched(self, start: int, end: int) -> bytes:
        with store_errors(self._path):
            block: bytes = self._path.fs.cat_file(self._path.path, start=start, end=end)
        if len(block) != end - start:
            reason = f"the store gave {len(block)} bytes for a range of {end - start}: does it serve ranges?"
            raise OSError(errno.EIO, reason, str(self._path))
        return block


def remote_files(name: str, path: UPath) -> tuple[list[tuple[UPath, str]], bool]:
    """The files of a remote input with their paths below its root, and whether the user named the file itself.

    The rules are those for local inputs. Raises InputError.
    """
    try:
        kind = patiently(_kind, path)
    except OSError as error:
        raise InputError(f"input '{name}': '{path}' cannot be read: {error.strerror}") from None
    if kind == "file":
        return [(path, posixpath.basename(path.path))], True
    if kind == "directory":
        files = _below(name, path, path.path, [])
        if not files:
            raise InputError(f"input '{name}': the folder '{path}' holds no files")
        return files, False
    parts = path.path.split("/")
    # A folder that is there may have a name with brackets in it.
    first = next(
        (
            place
            for place, part in enumerate(parts)
            if any(sign in part for sign in _WILD)
            and not (place < len(parts) - 1 and _is_folder(name, path, "/".join(parts[: place + 1])))
        ),
        None,
    )
    if first is None or scheme_of(path) in ("http", "https"):
        raise InputError(f"input '{name}': there is no file or folder '{path}'")
    files = _below(name, path, "/".join(parts[:first]), parts[first:] + (["*"] if parts[-1] == "**" else []))
    if not files:
        raise InputError(f"input '{name}': no file matches '{path}'")
    return files, False


def _kind(path: UPath) -> str:
    try:
        return str(properties(path)["type"])
    except FileNotFoundError:
        return "missing"


def _is_folder(name: str, path: UPath, folder: str) -> bool:
    try:
        with store_errors(path):
            return bool(patiently(path.fs.isdir, folder))
    except OSError as error:
        raise InputError(f"input '{name}': '{path}' cannot be listed: {error.strerror}") from None


def _found(path: UPath, root: str) -> list[str]:
    with store_errors(path):
        return [one for one in path.fs.find(root) if not one.endswith("/")]


def _below(name: str, path: UPath, root: str, pattern: list[str]) -> list[tuple[UPath, str]]:
    """All files below a root that are not hidden and fit the pattern (any, when it is empty), sorted."""
    from upath import UPath

    try:
        listed = patiently(_found, path, root)
    except OSError as error:
        raise InputError(f"input '{name}': '{path}' cannot be listed: {error.strerror}") from None
    files = []
    for one in sorted(listed):
        relative = one[len(root.rstrip("/")) + 1 :]
        parts = relative.split("/")
        if not any(part.startswith(".") for part in parts) and (not pattern or _fits(parts, pattern)):
            files.append((UPath(path.fs.unstrip_protocol(one), **path.storage_options), relative))
    return files


def _fits(parts: list[str], pattern: list[str]) -> bool:
    """Whether a path fits a glob: `**` is any number of folders, everything else one part."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or _fits(parts[1:], pattern)
    fits = parts[0] == pattern[0] or fnmatch.fnmatchcase(parts[0], pattern[0])
    return fits and _fits(parts[1:], pattern[1:])
