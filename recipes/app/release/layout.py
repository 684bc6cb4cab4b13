"""What the folder of a release holds, by name, and how it is read: `docs/release.md` describes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from curate.errors import Refused

FORMAT = 1
"""Raised when the layout changes."""

INDEX, SUMS, RETRAIN = "release.json", "SHA256SUMS", "retrain.sh"
CONFIG, INPUTS, DATA, CHECKPOINTS, EVALUATIONS, SPIKES = (
    "config", "inputs", "data", "checkpoints", "evaluations", "spikes"
)  # fmt: skip
PLAN = f"{CONFIG}/plan.json"
METRICS, EVENTS, RESULTS, GALLERY, MIX, CARD, DATA_CARD = (
    "metrics.jsonl", "events.jsonl", "results.json", "gallery.json", "mix.csv", "README.md", f"{DATA}/README.md"
)  # fmt: skip
NATIVE = "goldsand"
"""The folder, beside the class of transformers, that holds a checkpoint as goldsand wrote it."""


def chunk_file(root: Path, stream: str, chunk: int) -> Path:
    """The texts that were read between the checkpoint before and the one of so many exposures, in training order."""
    return root / DATA / stream / f"{chunk}.jsonl.zst"


def checkpoint_folder(root: Path, run: str, exposures: int) -> Path:
    """A checkpoint as a class of transformers."""
    return root / CHECKPOINTS / run / str(exposures)


def spike_folder(root: Path, run: str, step: int | str) -> Path:
    """Both continuations of the spike at a step, each weights a class of transformers."""
    return root / SPIKES / run / str(step)


def plain(text: bytes | str) -> Any:
    """JSON as Python writes it, read: what is not finite, which JSON does not have, is None."""
    return json.loads(text, parse_constant=lambda name: None)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines that a trainer wrote of a run; none where the file is missing."""
    return [plain(line) for line in path.read_bytes().splitlines()] if path.is_file() else []


def numbered(folder: Path) -> list[int]:
    """The folders in a folder that are named after a step, in order; none where it is missing."""
    return sorted(int(one.name) for one in folder.glob("*") if one.name.isdecimal() and one.is_dir())


def files_of(root: Path) -> Iterator[Path]:
    """All files of a release but its checksums, in the order of their names."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and path != root / SUMS:
            yield path


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_sums(root: Path) -> int:
    """Write the checksums of all files, as `sha256sum -c` reads them; returns how many there are."""
    lines = [f"{sha256(path)}  {path.relative_to(root).as_posix()}\n" for path in files_of(root)]
    (root / SUMS).write_text("".join(lines), encoding="utf-8")
    return len(lines)


def read_index(root: Path) -> dict[str, Any]:
    """What a release says of itself. Raises Refused for a folder that is none, or that another version wrote."""
    path = root / INDEX
    try:
        index = orjson.loads(path.read_bytes())
        written, _ = index["format"], index["runs"]
    except FileNotFoundError:
        raise Refused(f"{root} is no release: it has no {INDEX}; `goldsand release PROBE -o DIR` makes one") from None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Refused(f"{path} is damaged: take a sound copy of the release") from None
    if written != FORMAT:
        raise Refused(f"{root} is a release of format {written}, and this version reads {FORMAT}")
    return index


def check_sums(root: Path) -> int:
    """Hold every file against SHA256SUMS; returns how many there are.

    Raises Refused that names what was changed, what is missing, and what is not listed.
    """
    path, listed = root / SUMS, {}
    try:
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        raise Refused(f"{path} is missing: nobody can say whether {root} is what was released") from None
    for number, line in enumerate(lines, 1):
        digest, mark, name = line.partition("  ")
        if not mark or len(digest) != 64 or name in listed:
            raise Refused(f"{path}, line {number}, is not a checksum and a name; take a sound copy of the release")
        listed[name] = digest
    there = {one.relative_to(root).as_posix(): one for one in files_of(root)}
    wrong = [f"{root / name} is missing" for name in sorted(listed.keys() - there.keys())]
    wrong += [f"{one} is not listed in {SUMS}" for name, one in sorted(there.items()) if name not in listed]
    wrong += [
        f"{one} is not what {SUMS} says"
        for name, one in there.items()
        if name in listed and sha256(one) != listed[name]
    ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise Refused("; ".join(wrong[:5]) + f"{more}. Take a sound copy of the release")
    return len(listed)
