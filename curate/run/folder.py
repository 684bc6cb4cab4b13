"""The output folder of a run: one holder at a time, what its units wrote, the documents that were set aside."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from curate.run.local import LocalEngine, RunError
from curate.run.unit import TEMPORARY, Unit, manifest_path

OWNED = ("stages", "rounds", "ledger", "quarantine", "text", "tokens", "facts", "manifests")
"""Folders that belong to the run alone: what no unit of the present run wrote is removed from them."""


class OutputFolder:
    """Held by one run from entering to leaving. A dead holder's lock is free by itself.

    `killed` are the documents set aside, key -> reason, in this run and in those before it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.killed: dict[str, str] = {}
        self.manifests: dict[str, dict[str, Any]] = {}
        self._lock: IO[str] | None = None

    def __enter__(self) -> OutputFolder:
        """Take the folder. Raises RunError when it cannot be written, holds other files, or is held by another run."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Strangers are removed from a run's folders: a folder that no run made must not become one.
            ours = (self.path / ".lock").exists() or (self.path / "manifests").is_dir()
            if any(self.path.iterdir()) and not ours:
                raise RunError(f"{self.path} holds files that no run wrote; name a new or an empty folder")
            self._lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise RunError(f"cannot write to {self.path}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise RunError(f"{self.path} is being written by another run (process {holder})") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self.killed = self._read_kills()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            for path in sorted(self.path.rglob(f"*{TEMPORARY}")):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        assert self._lock is not None
        self._lock.close()

    def do(
        self, engine: LocalEngine, label: str, units: Sequence[Unit], on_kill: Callable[..., Unit] | None = None
    ) -> list[dict[str, Any]]:
        """Map units to manifests, and remember what they own."""
        manifests = engine.map(label, units, on_kill)
        self.manifests.update({unit.name: manifest for unit, manifest in zip(units, manifests, strict=True)})
        return manifests

    def set_aside(self, key: str, reason: str) -> None:
        """Write down a document that hung or killed a worker, so that no later run meets it."""
        with (self.path / "kills.jsonl").open("ab") as stream:
            stream.write(orjson.dumps({"key": key, "reason": reason}, option=orjson.OPT_APPEND_NEWLINE))
            stream.flush()
            os.fsync(stream.fileno())
        self.killed[key] = reason

    def remove_strangers(self, below: str | None = None, pattern: str = "*") -> None:
        """Remove what an earlier run with other inputs or steps left, so that the folder holds one corpus."""
        known = {manifest_path(self.path, name) for name in self.manifests}
        known |= {self.path / output for manifest in self.manifests.values() for output in manifest["outputs"]}
        for owned in OWNED if below is None else (below,):
            for path in sorted((self.path / owned).rglob(pattern), reverse=True):
                if path.is_dir():
                    if not any(path.iterdir()):
                        path.rmdir()
                elif path not in known:
                    path.unlink()

    def _read_kills(self) -> dict[str, str]:
        path = self.path / "kills.jsonl"
        if not path.is_file():
            return {}
        # A run that was itself killed while writing leaves half a line, which says nothing.
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines() if line.endswith(b"}")]
        return {row["key"]: row["reason"] for row in rows}
