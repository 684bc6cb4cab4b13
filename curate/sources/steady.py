"""Whether an input is the same file before and after it was read. What is read of one that changes stands in no input:
it is an error of the run, and so is a file that cannot be read now."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from curate.places import patience
from curate.places import remote_input as remote
from curate.places.address import InputError, reason_of
from curate.places.patience import patiently
from curate.sources.content import content_of
from curate.sources.partition import Partition

if TYPE_CHECKING:
    from upath import UPath

ASKED_AT_ONCE = 16
"""Input files that are looked at at once, to see whether they have changed."""

FRESH = 2_000_000_000
"""Nanoseconds after a change within which a file may change again and keep its time."""

_Mark: TypeAlias = tuple[int | str | None, ...]


class Changed(InputError):
    """A file was not the same from the first time it was read in a run to the last; the message names it."""


class CannotBeRead(InputError):
    """A file that was there cannot be opened or read now; the message names it."""


@dataclass(frozen=True)
class Stamp:
    """What the files of a partition are without being read: of one on this machine size, time of the last change, inode
    and time of the inode's last change, of one in a store its size, and its mark or else its time.

    `fresh` is true where a file had changed so recently that its time may not tell of the next change.
    """

    marks: tuple[_Mark, ...]
    fresh: bool = False


def stamp_of(partition: Partition) -> Stamp:
    """Raises CannotBeRead. A data set of the hub has no files, and only its content counts."""
    with reading(partition):
        marks = tuple(patiently(_mark, path) for path in _paths(partition))
    begin = time.time_ns() - FRESH
    local = (mark[1] for path, mark in zip(_paths(partition), marks, strict=False) if isinstance(path, Path))
    return Stamp(marks, any(isinstance(changed, int) and changed > begin for changed in local))


def refuse_changed(partition: Partition, before: Stamp, content: str, *, last: bool = False) -> None:
    """Raises Changed where a partition is not what it was when `before` was taken and `content` (see `content_of`) was
    its content; CannotBeRead.

    The content is read again only where the stamp leaves doubt: something but size and time differs (a file got another
    name, or was replaced and its time set back), or, in the `last` check of a run, a time that cannot tell.
    """
    now = stamp_of(partition)
    names = [str(path) for path in _paths(partition)] or [partition.prefix]
    if len(now.marks) != len(before.marks):
        raise changed(str(partition.path))
    for name, one, other in zip(names, before.marks, now.marks, strict=False):
        if one[:2] != other[:2]:
            raise changed(name)
    doubt = now.marks != before.marks or not before.marks or (last and before.fresh)
    if doubt and _is_another(content_now(partition), content):
        different = (name for name, one, other in zip(names, before.marks, now.marks, strict=False) if one != other)
        raise changed(next(different, names[0]))


def _is_another(content: str, before: str) -> bool:
    """Whether these are two contents. A hub out of reach does not tell the commit: then nobody can say."""
    kind = content.partition(":")[0]
    return content != before and not (kind in ("cached", "commit") and kind != before.partition(":")[0])


def content_now(partition: Partition) -> str:
    """`content_of`. Raises CannotBeRead."""
    with reading(partition):
        return content_of(partition)


@contextmanager
def reading(partition: Partition) -> Iterator[None]:
    """Turn the error of a file that cannot be opened, or read on, into an error of the run: it may be there later, so
    it is no outcome that a run would keep."""
    try:
        yield
    except OSError as error:
        name = f"{partition.source}/{partition.relative}"
        if error.filename and str(error.filename) != name:
            name += f" ({error.filename})"
        says = "it cannot be read" if isinstance(partition.path, Path) else "the store stopped serving it"
        raise CannotBeRead(
            f"{name}: {says} ({reason_of(error)}; tried {len(patience.PAUSES) + 1} times). Nothing of it"
            " counts as lost: the same command goes on from here"
        ) from None


def changed(name: str) -> Changed:
    return Changed(
        f"{name} changed while the run read it, and what was read of it stands in no input: run the same command again,"
        " which reads the file as it is then"
    )


def _paths(partition: Partition) -> list[Path | UPath]:
    if partition.dataset is not None:
        folder = Path(partition.dataset.path)
        return sorted(one for one in folder.rglob("*") if one.is_file()) if folder.is_dir() else []
    return [path for path, _ in partition.files] or [partition.path]


def _mark(path: Path | UPath) -> _Mark:
    if not isinstance(path, Path):
        return remote.stamp(remote.properties(path))
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def refuse_any_changed(first_read: Iterable[tuple[Partition, Stamp, str]]) -> None:
    """Raises Changed where a file is not what it was when the run first read it, CannotBeRead. Each with its stamp and
    content of then; a file of several pieces is looked at once."""
    known = {id(partition): (partition, stamp, content) for partition, stamp, content in first_read}
    # A store takes its time to answer for each.
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        deque(pool.map(lambda one: refuse_changed(*one, last=True), known.values()), maxlen=0)
