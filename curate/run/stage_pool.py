"""Stages that output folders share: a pool of units by fingerprint, from which every folder has files of its own.

A folder and its pool on one disk hold one file under two names; elsewhere the folder has a copy. So no folder needs the
pool once its run has ended, and a unit may leave the pool at any time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import xxhash

from curate.errors import Refused
from curate.places.lease import holder_of_lease
from curate.places.manifest import FORMAT, MARKER, manifest_path, read_manifest
from curate.places.store import (
    TEMPORARY,
    Place,
    files_below,
    is_local,
    linked,
    make_folder,
    place_of,
    store_errors,
    write_atomically,
)

BESIDE = ".goldsand-stages"
"""The pool's name beside the output folders that share it."""

POOL = "goldsand-stages.json"
"""The file that makes a folder a pool."""


def beside(out: Place) -> Place | None:
    """Where the pool of an output folder is, unless another one is named; None in a store."""
    return out.resolve().parent / BESIDE if isinstance(out, Path) else None


def pool_beside(out: Place) -> Place | None:
    """The pool beside a local output folder, made where it is missing; None where it cannot be, or where the disk knows
    no hard links: there each unit would lie on it twice."""
    pool = beside(out)
    if pool is None:
        return None
    trial = pool / f".trial-{os.getpid()}{TEMPORARY}"
    try:
        open_pool(pool)
        try:
            os.link(pool / POOL, trial)
        finally:
            trial.unlink(missing_ok=True)
    except (OSError, Refused):
        return None
    return pool


def open_pool(pool: Place) -> Place:
    """The pool, made where there is none. Raises Refused for a folder that holds something else, and where it cannot be
    written."""
    try:
        with store_errors(pool):
            make_folder(pool)
            if not is_pool(pool):
                there = pool.iterdir() if pool.is_dir() else ()
                if any(one.name != POOL and not one.name.endswith(TEMPORARY) for one in there):
                    raise Refused(f"{pool} holds other files than shared stages: name a new or an empty folder")
                write_atomically(pool / POOL, orjson.dumps({"format": FORMAT}), alone=False)
    except OSError as error:
        raise Refused(f"stages cannot be shared in {pool}: {error.strerror or error}") from None
    return pool


def is_pool(pool: Place) -> bool:
    """Whether a folder is a pool. Raises Refused for one of another version."""
    try:
        written = orjson.loads((pool / POOL).read_bytes())["format"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        written = "unknown"
    except OSError:
        return False
    if written != FORMAT:
        raise Refused(
            f"{pool} was written in format {written}, and this version reads and writes {FORMAT}: name another"
        )
    return True


def unit_name(key: str) -> str:
    """The name in the pool of the unit with a fingerprint."""
    return f"units/{key[:2]}/{key}"


def put(source: Place, target: Place) -> None:
    """A file under a second name, or, where that cannot be, a copy: there whole or not at all. Raises OSError."""
    make_folder(target.parent)
    if not isinstance(target, Path):
        with source.open("rb") as incoming, target.open("wb") as outgoing:
            shutil.copyfileobj(incoming, outgoing, 1 << 20)
        return
    temporary = target.with_name(f"{target.name}.{uuid.uuid4().hex}{TEMPORARY}")
    try:
        if not linked(source, temporary):
            with source.open("rb") as incoming, temporary.open("wb") as outgoing:
                shutil.copyfileobj(incoming, outgoing, 1 << 20)
                outgoing.flush()
                os.fsync(outgoing.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def escaped(place: Place | str) -> str:
    """A place as JSON can hold it: names of files need not be valid Unicode."""
    return str(place).encode("utf-8", "backslashreplace").decode()


def note_use(pool: Place, out: Place, keys: Sequence[str], inputs: dict[str, Any]) -> None:
    """Write down which units an output folder holds, for `contents`, and what its input files were, for
    `known_inputs`."""
    folder = escaped(out.resolve() if is_local(out) else out)
    host = socket.gethostname() if is_local(out) else ""
    row = {"folder": folder, "host": host, "time": time.time(), "keys": keys, "inputs": inputs}
    with store_errors(pool):
        place = pool / "folders" / f"{xxhash.xxh3_64_hexdigest(folder.encode())}.json"
        write_atomically(place, orjson.dumps(row), alone=False)


def known_inputs(pool: Place) -> dict[str, Any]:
    """What runs that share a pool found in their input files, by what the file looked like then. It is for plans: a run
    reads again."""
    with contextlib.suppress(OSError), store_errors(pool):
        return {key: found for _, row in _folders(pool) for key, found in row["inputs"].items()}
    return {}


@dataclass(frozen=True)
class KeptUnit:
    """A unit in a pool: the bytes of its files, whether the pool alone holds them on its disk, the folders that use
    it, and when it was made or last used by a run."""

    key: str
    source: str
    steps: str
    size: int
    alone: bool
    folders: tuple[str, ...]
    last: float

    @property
    def unused(self) -> bool:
        return self.alone and not self.folders


def contents(pool: Place) -> list[KeptUnit]:
    """All units of a pool. Raises OSError, and Refused for a folder that is none."""
    with store_errors(pool):
        if not is_pool(pool):
            raise Refused(f"{pool} holds no shared stages")
        users: dict[str, list[str]] = {}
        last: dict[str, float] = {}
        for _, row in _folders(pool):
            if not _is_there(row):
                continue
            for key in row["keys"]:
                users.setdefault(key, []).append(row["folder"])
                last[key] = max(last.get(key, 0.0), row["time"])
        units = []
        for path in files_below(pool / "manifests" / "units"):
            manifest = read_manifest(path)
            key = path.name.removesuffix(".json")
            if manifest is None:
                units.append(KeptUnit(key, "?", "damaged", 0, True, (), 0.0))
                continue
            status = [(pool / name).stat() for name in manifest["outputs"] if (pool / name).is_file()]
            about = manifest["about"]
            units.append(
                KeptUnit(
                    key,
                    about["source"],
                    f"{' -> '.join(about['steps'])} {about['stage']}",
                    sum(one.st_size for one in status),
                    all(getattr(one, "st_nlink", 1) < 2 for one in status),
                    tuple(sorted(users.get(key, ()))),
                    max(last.get(key, 0.0), about["made"]),
                )
            )
    return units


def alone(pool: Place) -> int:
    """Bytes of a pool beside its folders that none of them has: their files have no other name."""
    sizes = (path.stat() for path in files_below(pool / "units"))
    return sum(one.st_size for one in sizes if one.st_nlink < 2)


def prune(pool: Place, units: Sequence[KeptUnit], unused: bool, keep: int | None, dry_run: bool) -> list[KeptUnit]:
    """Remove the units that no folder uses (`unused`), and, beyond `keep` bytes, what no folder uses and then what was
    used longest ago; returns what goes. A unit that a run makes at this moment stays."""
    goes = [one for one in units if unused and one.unused]
    left = [one for one in units if not (unused and one.unused)]
    if keep is not None:
        size = sum(one.size for one in left)
        for one in sorted(left, key=lambda one: (not one.unused, one.last, one.key)):
            if size <= keep:
                break
            goes.append(one)
            size -= one.size
    goes = [one for one in goes if holder_of_lease(pool / "leases" / f"{one.key}.json") is None]
    if not dry_run:
        with store_errors(pool):
            for one in goes:
                _remove(pool, one.key)
            _tidy(pool)
    return goes


def _remove(pool: Place, key: str) -> None:
    # The manifest first: nobody takes files that go.
    manifest_path(pool, unit_name(key)).unlink(missing_ok=True)
    folder = pool / unit_name(key)
    for path in files_below(folder.parent):
        if path.name.startswith(key):
            path.unlink(missing_ok=True)


def _tidy(pool: Place) -> None:
    """Remove what killed runs left, and the records of folders that are gone."""
    for path in files_below(pool / "leases"):
        if holder_of_lease(path) is None:
            path.unlink(missing_ok=True)
    for path in files_below(pool / "units"):
        key = path.name.partition(".")[0]
        stray = path.name.endswith(TEMPORARY) or not manifest_path(pool, unit_name(key)).is_file()
        if stray and not (pool / "leases" / f"{key}.json").is_file():
            path.unlink(missing_ok=True)
    for path, row in _folders(pool):
        if not _is_there(row):
            path.unlink(missing_ok=True)


def _folders(pool: Place) -> Iterator[tuple[Place, dict[str, Any]]]:
    for path in files_below(pool / "folders"):
        with contextlib.suppress(OSError, orjson.JSONDecodeError):
            row = orjson.loads(path.read_bytes())
            if isinstance(row, dict) and {"folder", "host", "time", "keys", "inputs"} <= row.keys():
                yield path, row


def _is_there(row: dict[str, Any]) -> bool:
    """Whether an output folder still exists; those of another machine's disk count as there."""
    if row["host"] not in ("", socket.gethostname()):
        return True
    return (place_of(row["folder"]) / MARKER).is_file()
