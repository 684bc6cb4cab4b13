"""What costly steps measured, kept beside a unit's documents: values, not verdicts.

A later run of the same part measures only what is not there, whatever thresholds, steps or documents changed.

A value is found by what it depends on: the text, and what `describe_step` says of the step without the parameters that
only decide.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any, BinaryIO

import orjson
import zstandard

from curate.document import Document
from curate.places.manifest import Written, fingerprint, read_manifest
from curate.places.store import Place, store_errors
from curate.run.unit import describe_step
from curate.shards.text import read_lines
from curate.step import Step

MEASURED = ".measured.zst"

_Key = tuple[str, str, str]


class Measurements:
    """The values of one unit: those that are known, and in `write` those that were asked for, in that order."""

    def __init__(self, known: dict[_Key, Any] | None = None) -> None:
        self._known = known or {}
        self._asked: dict[_Key, Any] = {}
        self._names: dict[int, tuple[Step, str]] = {}

    def value(self, step: Step, document: Document, of: str, measure: Callable[[], Any]) -> Any:
        """As `Document.measured` says."""
        # Pages are hostile: no other page must be able to have this text's digest.
        digest = blake2b(document.text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        key = (self._name(step), of, digest)
        if key not in self._asked:
            self._asked[key] = self._known[key] if key in self._known else measure()
        return self._asked[key]

    def _name(self, step: Step) -> str:
        if id(step) not in self._names:
            described = describe_step(step)
            if step.shaping is not None:
                described["parameters"] = {name: described["parameters"].get(name) for name in step.shaping}
            self._names[id(step)] = (step, fingerprint(described)[:16])
        return self._names[id(step)][1]

    def write(self, stream: BinaryIO) -> None:
        with zstandard.ZstdCompressor(level=3).stream_writer(stream, closefd=False) as rows:
            for key, value in self._asked.items():
                rows.write(orjson.dumps([*key, value], option=orjson.OPT_APPEND_NEWLINE))


def measured_before(root: Place, label: str) -> Measurements:
    """What earlier runs into a folder measured in one part of the input, in whichever stage. What is damaged, or cannot
    be read, is measured again."""
    known: dict[_Key, Any] = {}
    with contextlib.suppress(OSError), store_errors(root):
        folders = root / "manifests" / "stages"
        for folder in sorted(folders.iterdir(), key=str) if folders.is_dir() else ():
            for *key, value in _rows(root, folder / f"{label}.json"):
                known[key[0], key[1], key[2]] = value
    return Measurements(known)


def _rows(root: Place, path: Place) -> Iterator[list[Any]]:
    try:
        manifest = read_manifest(path)
        for name, known in (manifest or {"outputs": {}})["outputs"].items():
            if name.endswith(MEASURED):
                Written(known).check(root / name)
                yield from map(orjson.loads, read_lines(root / name))
    except (OSError, ValueError):
        return
