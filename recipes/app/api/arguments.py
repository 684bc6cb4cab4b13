"""What is given to a call from Python, checked as a command checks its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from curate.errors import Refused, nearest
from curate.places.store import Place, place_of


class InFolder(Protocol):
    """A result that knows its folder."""

    @property
    def folder(self) -> Place: ...


Folder = InFolder | str | Path
"""A result, or the folder of one."""


def folder_of(given: Any) -> Place:
    """The folder of a result, or the one that is named. Raises Refused for anything else."""
    folder = getattr(given, "folder", given)
    if isinstance(folder, str):
        return place_of(folder)
    if isinstance(folder, Path) or hasattr(folder, "joinpath"):
        place: Place = folder
        return place
    raise Refused(f"a folder is a path or a result that has one, not {type(given).__name__}")


def at_least(least: float, **given: float | None) -> None:
    """Raises Refused for a number that is less than what an option of a command takes."""
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < least):
            raise Refused(f"`{name}` must be a number of at least {least:g}, not {value!r}")


def one_of(known: tuple[str, ...], **given: str) -> None:
    """Raises Refused for a word that is none of those known."""
    for name, value in given.items():
        if value not in known:
            raise Refused(f"`{name}` must be one of {', '.join(known)}, not {value!r}{nearest(value, known)}")
