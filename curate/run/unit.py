"""A unit of work: one partition through one stage, and the manifest that says it is done (contract 3).

Outputs are written under a temporary name, synced and renamed; the manifest follows last. A unit is skipped only if
its manifest carries the same fingerprint (content of the inputs, resolved configuration, versions of what shaped the
output) and every output still has the checksum that stands in it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import xxhash

from curate.run.failpoint import reached
from curate.step import Step

FORMAT = 1
"""Raised when the layout of an output folder or of a manifest changes."""

TEMPORARY = ".writing"

READING = "reading"
"""What is in hand between two documents."""


class Pulse:
    """What a unit tells its engine while it works. This one tells nobody: for units that run without an engine."""

    def hold(self, document: str | None) -> None:
        """Name the document in hand (or READING, or None), so that one that hangs or kills the worker is known."""

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        """Add to what was done: bytes of the input read, documents begun, documents that came out."""


def checksum(path: Path) -> str:
    """XXH3-128 of a file's content, as hex."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value: equal for equal configurations, whatever the order of keys."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


@functools.lru_cache(maxsize=256)
def library_version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@functools.lru_cache(maxsize=1024)
def _resource_checksum(path: str, size: int, modified: int) -> str:
    return checksum(Path(path))


def _resource(path: Path) -> str:
    """The content of a file or folder that a step reads; unchanged files are hashed once a process."""
    if path.is_dir():
        listing = {str(item.relative_to(path)): _resource(item) for item in sorted(path.rglob("*")) if item.is_file()}
        return fingerprint(listing)
    status = path.stat()
    return _resource_checksum(str(path), status.st_size, status.st_mtime_ns)


def describe_step(step: Step) -> dict[str, Any]:
    """All that shapes a step's output: name, version, parameters, content of its files, versions of its libraries."""
    parameters = {}
    for item in fields(step):  # type: ignore[arg-type]
        # A moved file with the same content is the same parameter: its content stands below.
        if not item.metadata.get("path"):
            parameters[item.name] = getattr(step, item.name)
    return {
        "step": step.name,
        "version": step.version,
        "parameters": parameters,
        "resources": [_resource(path) for path in step.resources()],
        "libraries": {name: library_version(name) for name in step.libraries},
    }


def manifest_path(root: Path, name: str) -> Path:
    """Manifests stand apart from the data, so that a folder of shards holds shards and nothing else."""
    return root / "manifests" / f"{name}.json"


class Outputs:
    """The files of one unit while they are being written; `commit` makes them appear, and then the manifest."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.manifest = manifest_path(root, name)
        self._paths: list[Path] = []

    @contextlib.contextmanager
    def open(self, path: Path) -> Iterator[BinaryIO]:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(path.name + TEMPORARY).open("wb") as stream:
            yield stream
            reached("after the temporary write")
            stream.flush()
            reached("before the sync")
            os.fsync(stream.fileno())
        self._paths.append(path)

    @contextlib.contextmanager
    def scratch(self, folder: Path) -> Iterator[Path]:
        """A folder for a writer that names its own files; on leaving, they become outputs in `folder`."""
        scratch = self.manifest.with_name(self.manifest.name + TEMPORARY)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        yield scratch
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(scratch.iterdir()):
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            path.replace(folder / (path.name + TEMPORARY))
            self._paths.append(folder / path.name)
        scratch.rmdir()

    def commit(self, fingerprint: str, **counts: Any) -> dict[str, Any]:
        outputs = {}
        for path in self._paths:
            temporary = path.with_name(path.name + TEMPORARY)
            outputs[str(path.relative_to(self.root))] = checksum(temporary)
            reached("before the rename")
            temporary.replace(path)
        reached("between data and manifest")
        manifest = {"format": FORMAT, "fingerprint": fingerprint, "outputs": outputs, **counts}
        write_atomically(self.manifest, orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        return manifest


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + TEMPORARY)
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def finished(root: Path, name: str, wanted: str) -> dict[str, Any] | None:
    """The manifest of a unit that need not run again, or None."""
    try:
        found = orjson.loads(manifest_path(root, name).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    if found.get("format") != FORMAT or found.get("fingerprint") != wanted:
        return None
    for relative, expected in found["outputs"].items():
        path = root / relative
        if not path.is_file() or checksum(path) != expected:
            return None
    return found


def content_of(manifests: Iterable[dict[str, Any]]) -> list[str]:
    """The checksums of everything some units wrote: the identity of an input that is another unit's output."""
    return [value for manifest in manifests for _, value in sorted(manifest["outputs"].items())]


@dataclass
class Unit:
    """One unit of work below an output folder. Plain data: it travels to a worker, which calls `run`.

    A kind of unit says its place (`name`), all that shapes its output (`configuration`, with the checksums of what it
    reads), and how it is done (`write`, which returns what its manifest counts).
    """

    root: Path

    @property
    def name(self) -> str:
        raise NotImplementedError

    def size(self) -> int:
        """Bytes of input that the unit goes through, as `Pulse.count` counts them; 0 when nobody knows."""
        return 0

    def configuration(self) -> dict[str, Any]:
        raise NotImplementedError

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        raise NotImplementedError

    def run(self, pulse: Pulse) -> dict[str, Any]:
        """The unit's manifest: found, when it is already done, or new."""
        wanted = fingerprint(self.configuration())
        done = finished(self.root, self.name, wanted)
        if done is not None:
            return {**done, "skipped_unit": True}
        outputs = Outputs(self.root, self.name)
        return outputs.commit(wanted, **self.write(outputs, pulse))
