"""What a run is made with, in clear: goldsand's version, the recipe's hash, steps, libraries and files with theirs.

It stands in `goldsand.json` while the run works and afterwards, and in `summary.json`.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from curate.errors import version
from curate.places.manifest import FORMAT, MARKER, fingerprint
from curate.places.store import Place, write_atomically
from curate.run.made_of import Description, descriptions, digest_of
from curate.run.stage import labels_of
from curate.run.unit import describe_step, library_version
from curate.sources import Partition
from curate.sources.formats import FORMATS
from curate.step import Step


def made_with(
    name: str, recipe: str, steps: Sequence[Step], partitions: Sequence[Partition], file: Path | None, limit: int | None
) -> dict[str, Any]:
    """What a run is made with. `recipe` is the SHA-256 of its `recipe.yaml`, empty where there is none; `file` the
    tokenizer's, where it is given."""
    described = [describe_step(step) for step in steps]
    libraries = {"zstandard": library_version("zstandard"), "tokenizers": library_version("tokenizers")}
    for one in described:
        libraries |= _libraries(one)
    for kind in sorted({partition.format for partition in partitions}):
        needs = FORMATS[kind].needs if kind in FORMATS else None
        libraries |= {needs: library_version(needs)} if needs else {}
    labels = labels_of(steps)
    files = [
        {"step": label, **_file(path)} for label, step in zip(labels, steps, strict=True) for path in step.resources()
    ] + ([{"step": "tokenizer", **_file(file)}] if file is not None else [])
    return {
        "goldsand": version(),
        "python": platform.python_version(),
        "recipe": {"name": name, "sha256": recipe or None},
        "limit": limit,
        "steps": [
            {"step": label, "version": one["version"], **({"code": one["code"]} if "code" in one else {})}
            for label, one in zip(labels, described, strict=True)
        ],
        "libraries": dict(sorted(libraries.items())),
        "files": files,
    }


def write_marker(root: Place, made: dict[str, Any], steps: Iterable[Step], keep: bool) -> None:
    """Write `goldsand.json`: what the run is made with, and the descriptions of its steps. `keep`: of earlier runs'
    steps too, of which units may be left."""
    known: dict[str, Description] = descriptions(root) if keep else {}
    for step in steps:
        one = describe_step(step)
        known[digest_of(one)] = {**one, "names": [path.name for path in step.resources()]}
    content = {"format": FORMAT, **made, "described": known}
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    write_atomically(root / MARKER, orjson.dumps(content, option=options))


def read_made_with(root: Place) -> dict[str, Any]:
    """What `goldsand.json` says that a folder's last run was made with; empty where an earlier version wrote it."""
    try:
        made = orjson.loads((root / MARKER).read_bytes())
    except (OSError, ValueError):
        return {}
    return made if isinstance(made, dict) and "libraries" in made else {}


def changed_since(made: dict[str, Any]) -> list[str]:
    """Goldsand and libraries that have another version here than a run was made with."""
    now = {name: library_version(name) for name in made.get("libraries", {})}
    pairs = [("goldsand", made["goldsand"], version())] if "goldsand" in made else []
    pairs += [(name, made["libraries"][name], now[name]) for name in now]
    return [f"{name} {before} -> {here}" for name, before, here in pairs if before != here]


def _libraries(described: Description) -> dict[str, str]:
    found = {**described["libraries"], **described.get("code", {}).get("distributions", {})}
    for value in described["parameters"].values():
        if isinstance(value, list):
            for one in value:
                found |= _libraries(one) if isinstance(one, dict) and "libraries" in one else {}
    return found


def _file(path: Path) -> dict[str, str]:
    """Of a folder, the SHA-256 of its listing with the SHA-256 of each file."""
    if path.is_dir():
        listing = {str(one.relative_to(path)): _file(one) for one in sorted(path.rglob("*")) if one.is_file()}
        return {"name": path.name, "sha256": fingerprint(listing)}
    status = path.stat()
    return {"name": path.name, "sha256": _sha256(str(path), status.st_size, status.st_mtime_ns)}


@functools.lru_cache(maxsize=1024)
def _sha256(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
