"""A unit of work: one partition through one stage, and the manifest that says when it need not be done again.

Outputs are written under a temporary name, synced and renamed; the manifest follows last. A unit is skipped only if
its manifest carries the same fingerprint (content of the inputs, resolved configuration, versions of what shaped the
output) and every output still has the checksum that the manifest gives.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
import xxhash

from curate.errors import Refused
from curate.outside import code_of
from curate.places.address import InputError
from curate.places.failpoint import reached
from curate.places.manifest import FORMAT, NotAsWritten, files_named, fingerprint, manifest_path, read_manifest, seal_of
from curate.places.patience import patiently
from curate.places.store import (
    TEMPORARY,
    Hashed,
    Place,
    checksum,
    is_local,
    linked,
    make_folder,
    mark,
    name_below,
    sync_together,
    working_folder,
    write_atomically,
    written_beside,
)
from curate.run.made_of import NEVER, made_of, why
from curate.step import Step

READING = "reading"
"""The name in hand between two documents."""

ENDING = "ending"
"""The name in hand behind the last document."""

CUTTING = "cutting"
"""The name in hand while an input file is looked through for places to cut it."""


def reading_of(key: str) -> str:
    """The name in hand between two documents of one of several files; keys begin with a source, which has no spaces."""
    return f"{READING} {key}"


def is_reading(in_hand: str) -> bool:
    return in_hand == READING or in_hand.startswith(f"{READING} ")


class Pulse:
    """The reports of a unit to its engine while it works. This one discards them: for units run without an engine."""

    def hold(self, document: str | None) -> None:
        """Name the document in hand (or READING, or None), so that one that hangs or kills the worker is identified."""

    def count(self, *, size: int = 0, documents: int = 0, kept: int = 0) -> None:
        """Add to the counts: bytes of the input read, documents begun, documents that came out."""

    def peak(self) -> int:
        """Bytes that the process held at most since it was last asked; 0 where nobody knows."""
        return 0


@functools.lru_cache(maxsize=256)
def library_version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@functools.lru_cache(maxsize=1024)
def _resource_checksum(path: str, size: int, modified: int, inode: int, altered: int) -> str:
    return checksum(Path(path))


def _resource(path: Path) -> str:
    """The checksum of a file or folder that a step reads; unchanged files are hashed once a process."""
    if path.is_dir():
        listing = {str(item.relative_to(path)): _resource(item) for item in sorted(path.rglob("*")) if item.is_file()}
        return fingerprint(listing)
    status = path.stat()
    return _resource_checksum(str(path), status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def files_of(steps: Iterable[Step]) -> list[Path]:
    """The files and folders that steps read, and the steps within them."""
    files: list[Path] = []
    for step in steps:
        files += step.resources()
        for value in (getattr(step, item.name) for item in fields(step)):  # type: ignore[arg-type]
            if isinstance(value, (tuple, list)):
                files += files_of(one for one in value if isinstance(one, Step))
    return files


@contextlib.contextmanager
def unchanged(files: Iterable[Path]) -> Iterator[None]:
    """Raises InputError, behind the block, where a file that it read is not what it was before; OSError where one
    cannot be read."""
    before = {path: patiently(_resource, path) for path in files}
    yield
    for path, known in before.items():
        if patiently(_resource, path) != known:
            raise InputError(
                f"{path} changed while the run was using it: run the same command again, which does again what depends"
                " on it"
            )


def describe_step(step: Step) -> dict[str, Any]:
    """All that shapes a step's output: name, version, parameters, content of its files, versions of its libraries; of a
    step from outside goldsand its code too."""
    parameters = {}
    for item in fields(step):  # type: ignore[arg-type]
        # A moved file with the same content is the same parameter: its content is added below.
        if not item.metadata.get("path"):
            value = getattr(step, item.name)
            steps = isinstance(value, (tuple, list)) and any(isinstance(one, Step) for one in value)
            parameters[item.name] = [describe_step(one) for one in value] if steps else value
    code = code_of(type(step))
    described = {
        "step": step.name,
        "version": step.version,
        "parameters": parameters,
        "resources": [_resource(path) for path in step.resources()],
        "libraries": {name: library_version(name) for name in step.libraries},
        **({"code": code} if code else {}),
    }
    try:
        orjson.dumps(described, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise Refused(
            f"a parameter of the step {step.name} is no value that can be written down ({error}): a run takes numbers,"
            " texts, truth values, and lists and tables of them"
        ) from None
    return described


class Outputs:
    """The files of one unit while they are being written; `commit` makes them appear, and then the manifest."""

    def __init__(self, root: Place, name: str, many: bool = False, apart: str = "") -> None:
        """`many`: hundreds of small files are to be written, which are synced together. `apart` is a part of temporary
        names that nobody else uses, where another process might be writing the same unit."""
        self.root = root
        self._apart = apart
        self.manifest = manifest_path(root, name)
        self._many = many and is_local(root)
        self._folders: set[Place] = set()
        self._checksums: dict[Place, str] = {}
        self._earlier: list[str] = []

    @contextlib.contextmanager
    def open(self, path: Place) -> Iterator[BinaryIO]:
        self._make(path.parent)
        self._replace_earlier()
        place = path
        if isinstance(path, Path):
            place = self._temporary(path)
            # What a killed run left under this name may be a second name of a file that other folders have.
            place.unlink(missing_ok=True)
        with place.open("wb") as raw:
            stream = Hashed(raw)
            yield cast(BinaryIO, stream)
            reached("after the temporary write")
            raw.flush()
            reached("before the sync")
            if is_local(path) and not self._many:
                os.fsync(raw.fileno())
        self._checksums[path] = stream.checksum()

    def put(self, path: Place, data: bytes) -> None:
        """A small file, whole: what `open` does, in less time where there are hundreds."""
        if not self._many:
            with self.open(path) as stream:
                stream.write(data)
            return
        self._make(path.parent)
        self._replace_earlier()
        temporary = self._temporary(cast(Path, path))
        temporary.unlink(missing_ok=True)
        left = memoryview(data)
        with io.FileIO(temporary, "w") as raw:
            while left:
                left = left[raw.write(left) :]
        reached("after the temporary write")
        self._checksums[path] = xxhash.xxh3_128_hexdigest(data)

    def _temporary(self, path: Path) -> Path:
        return path.with_name(f"{path.name}{self._apart}{TEMPORARY}")

    def _make(self, folder: Place) -> None:
        if folder not in self._folders:
            make_folder(folder)
            self._folders.add(folder)

    def _replace_earlier(self) -> None:
        """Before the first output: note what an earlier manifest names."""
        if not self._checksums:
            self._earlier = files_named(self.manifest)
            if not is_local(self.root):
                # It must not be taken for that of the new outputs: it goes before the first of them.
                self.manifest.unlink(missing_ok=True)

    def take(self, path: Place, source: Place, known: str) -> None:
        """A file that another unit wrote as an output of this one: under a second name, or as a copy. `known` is its
        checksum. Raises FileNotFoundError where it is gone, and NotAsWritten for a copy that is something else."""
        self._make(path.parent)
        temporary = self._temporary(path)
        if is_local(path):
            temporary.unlink(missing_ok=True)
        if linked(source, temporary):
            self._replace_earlier()
            self._checksums[path] = known
            return
        with source.open("rb") as incoming, self.open(path) as outgoing:
            shutil.copyfileobj(incoming, outgoing, 1 << 20)
        if self._checksums[path] != known:
            raise NotAsWritten(f"{source} is not what its run wrote: its checksum is not {known}")

    @contextlib.contextmanager
    def scratch(self, folder: Place) -> Iterator[Path]:
        """A folder of this machine for a writer that names its own files; then they become outputs in `folder`."""
        with working_folder(self.root) as scratch:
            yield scratch
            for path in sorted(scratch.iterdir()):
                with path.open("rb") as incoming, self.open(folder / path.name) as outgoing:
                    while block := incoming.read(1 << 20):
                        outgoing.write(block)

    def commit(self, fingerprint: str, **counts: Any) -> dict[str, Any]:
        outputs = {name_below(path, self.root): written for path, written in self._checksums.items()}
        manifest = {"format": FORMAT, "fingerprint": fingerprint, "outputs": outputs, **counts}
        if isinstance(self.manifest, Path):
            if self._many:
                reached("before the sync")
                sync_together([self._temporary(path) for path in self._checksums])
            # First of all what the data will be: nothing lies in a folder of which no manifest says whose it is.
            complete = written_beside(self.manifest, _sealed(manifest), self._apart)
            for path in self._checksums:
                reached("before the rename")
                self._temporary(path).replace(path)
            reached("between data and manifest")
            self._remove_earlier(outputs)
            complete.replace(self.manifest)
            return manifest
        if marks := {name: own for name in outputs if (own := mark(self.root / name))}:
            manifest["marks"] = marks
        sealed = _sealed(manifest)
        reached("between data and manifest")
        self._remove_earlier(outputs)
        write_atomically(self.manifest, sealed)
        return manifest

    def _remove_earlier(self, outputs: Mapping[str, str]) -> None:
        """Remove what the unit's earlier manifest names and the new one does not: nobody would know whose it is."""
        for name in self._earlier:
            if name not in outputs:
                (self.root / name).unlink(missing_ok=True)


def _sealed(manifest: dict[str, Any]) -> bytes:
    """A manifest as it is written, with its seal, which it gets here."""
    manifest["seal"] = seal_of(manifest)
    # A step's parameter may be a table with numbers as keys.
    return orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)


def reusable(root: Place, name: str, wanted: str) -> dict[str, Any] | None:
    """The manifest of a unit whose outputs are there, with this fingerprint, so that it need not run again; or None."""
    try:
        manifest = read_manifest(manifest_path(root, name))
    except OSError:
        return None
    if manifest is None or manifest.get("format") != FORMAT or manifest.get("fingerprint") != wanted:
        return None
    marks = manifest.get("marks", {})
    for relative, expected in manifest["outputs"].items():
        try:
            # A store's own identity of an object counts; an object without one is read again.
            if relative in marks:
                if mark(root / relative) != marks[relative]:
                    return None
            elif checksum(root / relative) != expected:
                return None
        except OSError:
            return None
    return manifest


def content_of(manifests: Iterable[dict[str, Any]], ending: str = "") -> list[str]:
    """The checksums of what some units wrote (under names with this ending): the identity of another unit's input."""
    return [
        value for manifest in manifests for name, value in sorted(manifest["outputs"].items()) if name.endswith(ending)
    ]


@dataclass
class Unit:
    """One unit of work below an output folder. Plain data: it travels to a worker, which calls `run`.

    A kind of unit defines its place (`name`), all that shapes its output (`configuration`, with the checksums of what
    it reads), and the work (`write`, which returns the counts for its manifest).
    """

    root: Place

    apart = ""
    """A part of the temporary names of its files, where another process might be writing the same unit."""

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def source_read(self) -> str:
        """The source of the input that it reads; empty for one that reads none."""
        return ""

    @property
    def many(self) -> bool:
        """Whether it writes many small files."""
        return False

    @property
    def reads_input(self) -> bool:
        """Whether it reads a file of the input, which may be hostile."""
        return False

    @property
    def input_file(self) -> str:
        """The name of that file, for messages."""
        return ""

    @property
    def files_read(self) -> list[Path]:
        """Files beside its input that it reads: word lists, models, test sets."""
        return []

    def size(self) -> int:
        """Bytes of input that the unit goes through, as `Pulse.count` counts them; 0 when not known."""
        return 0

    def configuration(self) -> dict[str, Any]:
        raise NotImplementedError

    def write(self, outputs: Outputs, pulse: Pulse) -> dict[str, Any]:
        raise NotImplementedError

    def expected(self) -> dict[str, Any]:
        """A substitute for the manifest in a dry run: it equals the input of no other unit."""
        return {"outputs": {self.name: "not done"}}

    def done(self) -> tuple[dict[str, Any] | None, str]:
        """The unit's manifest, when it is already done; or None, and why it is not."""
        if not manifest_path(self.root, self.name).is_file():
            # Its input need not be read.
            return None, NEVER
        configuration = self.configuration()
        manifest = reusable(self.root, self.name, fingerprint(configuration))
        return manifest, "" if manifest else why(self.root, self.name, configuration)

    def run(self, pulse: Pulse) -> dict[str, Any]:
        """The unit's manifest: an earlier run's, marked `skipped_unit`, when the unit is already done, or a new one,
        with `because`, why it is made again, where it is."""
        with unchanged(self.files_read):
            configuration = self.configuration()
            wanted = fingerprint(configuration)
            earlier = reusable(self.root, self.name, wanted)
            if earlier is not None:
                return {**earlier, "skipped_unit": True}
            reason = why(self.root, self.name, configuration)
            outputs = Outputs(self.root, self.name, self.many, self.apart)
            pulse.peak()
            written = self.write(outputs, pulse)
        if memory := pulse.peak():
            written["memory"] = memory
        manifest = outputs.commit(wanted, made_of=made_of(configuration), **written)
        return manifest if reason == NEVER else {**manifest, "because": reason}
