"""The files of a facts folder as they were written: each is read once and held against the hash in `injection.json`,
which `synth/ground_truth.py` writes last. Damage is a refusal with the file's path, whatever a reader makes of it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from curate.shards.tokens import ShardError, read_checked, read_sealed
from train_probe.plan import PlanError

T = TypeVar("T")

INJECTION = "injection.json"


class FactsFiles:
    """The files of a facts folder, each read and checked once. `placed` says how the facts were, `sealed` is the same
    where it has a seal and the others' hashes, and `sha256` is of all that were read. Raises PlanError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sealed = refused(read_sealed, folder / INJECTION)
        self._content: dict[str, bytes] = {}

    @functools.cached_property
    def placed(self) -> dict[str, Any]:
        return self.json(INJECTION) if self.sealed is None else self.sealed

    @property
    def sha256(self) -> str:
        # What else was written, such as further token sets, shapes no figure.
        hashes = {name: hashlib.sha256(one).hexdigest() for name, one in self._content.items() if name != INJECTION}
        hashes["placement"] = str(self.placed.get("placement"))
        return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()

    def has(self, name: str) -> bool:
        """Whether there is such a file, or should be."""
        listed = self.sealed is not None and name in self.sealed["files"]
        return listed or (self.folder / name).is_file()

    def content(self, name: str) -> bytes:
        """A file's bytes. Raises PlanError where it is missing, or not what was written with the others."""
        if name not in self._content:
            path = self.folder / name
            try:
                self._content[name] = refused(read_checked, path, self.sealed)
            except FileNotFoundError:
                raise PlanError(f"{path} is missing; a finished run writes it beside its shards") from None
        return self._content[name]

    def json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self.content(name))
        except (ValueError, RecursionError) as error:
            if isinstance(error, PlanError):
                raise
            raise PlanError(f"{self.folder / name} is not a readable JSON file ({error})") from error
        if not isinstance(content, dict):
            raise PlanError(f"{self.folder / name} must hold a JSON object")
        return content

    def arrays(self, name: str) -> dict[str, Any]:
        """The arrays of a numpy file: by their names, or one under the file's."""
        stream = io.BytesIO(self.content(name))
        with read_as(self.folder / name, "a numpy file of plain arrays"):
            loaded = np.load(stream, allow_pickle=False)
            return {name: loaded} if name.endswith(".npy") else dict(loaded)


def refused(read: Callable[..., T], *arguments: Any) -> T:
    """What `read` returns of these arguments; its ShardError as a PlanError."""
    try:
        return read(*arguments)
    except ShardError as error:
        raise PlanError(str(error)) from error


@contextlib.contextmanager
def read_as(path: Path, what: str) -> Iterator[None]:
    """Refuse a file that does not read as what it should be: numpy, zipfile and what follows them raise whatever comes
    when they meet damage."""
    try:
        yield
    except PlanError:
        raise
    except (Exception, MemoryError) as error:
        raise PlanError(f"{path} does not read as {what} ({type(error).__name__}: {error})") from error
