"""The finished corpus that a changed run replaces: it stays whole in `OUT/previous` until the new one is whole.

On a disk its files are linked there, so that they take room only once the run has written others in their place. A
store has no links: what is published is copied, and stages are not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from curate.places.manifest import MARKER, PREVIOUS, files_named, manifests_below
from curate.places.store import TEMPORARY, Place, files_below, is_local, make_folder
from curate.run.engine import RunError

_FILES = ("recipe.yaml", "report.html", "profile.json", "kills.jsonl", "summary.json")
"""Files of a finished folder beside its mark and those that its manifests name; the last says that it is finished."""

_WORKING = ("stages", "rounds")


def keep(out: Place) -> None:
    """Keep the finished corpus in `out` as it is now. Raises RunError where that folder holds something else."""
    place = out / PREVIOUS
    forget(out)
    if _is_there(place):
        raise RunError(
            f"{place} holds files that no run wrote, and is where the finished corpus would be kept: move it"
        )
    if isinstance(place, Path):
        scratch = out / f".{PREVIOUS}{TEMPORARY}"
        shutil.rmtree(str(scratch), ignore_errors=True)
        for name in _names(out):
            _linked(out / name, scratch / name)
        scratch.rename(place)
        return
    for name in _names(out):
        if name.partition("/")[0] not in _WORKING:
            _copied(out / name, place / name)


def restore(out: Place) -> None:
    """Put the files of the kept corpus back in their places, for a run that would make them again."""
    for name in _names(out / PREVIOUS) if is_local(out) else ():
        if name != "summary.json":
            _linked(out / PREVIOUS / name, out / name)


def forget(out: Place) -> None:
    """Remove what was kept, file by file: what else lies there stays."""
    place = out / PREVIOUS
    if not (place / MARKER).is_file():
        return
    # In the reverse order: what is half removed is no finished corpus, and is still known as what it was.
    for name in reversed(list(_names(place))):
        (place / name).unlink(missing_ok=True)
        remove_empty((place / name).parent, out)


def remove_empty(folder: Place, root: Place) -> None:
    """Remove a folder, and those above it, up to `root`, where a file was the last in it."""
    with contextlib.suppress(OSError):
        while isinstance(folder, Path) and folder != root:
            folder.rmdir()
            folder = folder.parent


def _names(root: Place) -> Iterator[str]:
    """The files of a finished run, by their names in its folder: its mark, manifests each before the files that it
    names, and last what makes it finished. So whatever part of them is there, is known to be a run's."""
    yield MARKER
    for path in manifests_below(root):
        yield path.relative_to(root).as_posix()
        yield from files_named(path)
    yield from _FILES


def _is_there(place: Place) -> bool:
    return place.exists() if is_local(place) else bool(files_below(place))


def _linked(source: Path, target: Path) -> None:
    """A file under a second name, in place of what had that name; nothing where the file is missing."""
    with contextlib.suppress(FileNotFoundError):
        if target.exists() and source.samefile(target):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + TEMPORARY)
        temporary.unlink(missing_ok=True)
        # A link must not be one to a file that is written in place.
        if source.name != "kills.jsonl":
            with contextlib.suppress(OSError):
                os.link(source, temporary)
        if not temporary.exists():
            shutil.copy2(source, temporary)
        temporary.replace(target)


def _copied(source: Place, target: Place) -> None:
    with contextlib.suppress(FileNotFoundError):
        make_folder(target.parent)
        source.fs.copy(source.path, target.path)  # type: ignore[attr-defined]


def size_of(out: Place, names: Iterable[str]) -> int:
    """Bytes of files in a folder; of those that are there."""
    total = 0
    for name in names:
        with contextlib.suppress(OSError):
            total += (out / name).stat().st_size
    return total
