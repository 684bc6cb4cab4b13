"""Survivors among millions of verified pairs, in memory for a few numbers of each clustered document.

Greedily in survivor order: a document is a duplicate only if it has a verified pair with a survivor. So there is no
transitive closure, and each duplicate was itself compared with the survivor that replaces it. Pairs lie on disk;
memory holds, for each document with a pair, its key, its survivor's rank and a count: key width + 8 bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.dedup.tables import leading
from curate.errors import Refused

PARTS = 64
CHUNK = 1 << 16
RANKS = 1 << 16
"""Ranks whose pairs are decided together, at least; there are at most `FILES` such stretches."""
FILES = 512

_RANKED = np.dtype([("later", "<u4"), ("earlier", "<u4"), ("similarity", "<f8")])


@dataclass(frozen=True)
class Decisions:
    """For some documents: each one's `key`, its survivor's key (its own if it survives), their similarity (1.0 with
    itself), and the number of documents in a survivor's cluster, itself among them (0 for a duplicate)."""

    key: npt.NDArray[Any]
    survivor: npt.NDArray[Any]
    similarity: npt.NDArray[np.float64]
    count: npt.NDArray[np.uint32]


def cluster(pairs: Iterable[npt.NDArray[Any]], scratch: Path) -> Iterator[Decisions]:
    """Decide over all verified pairs, which come in arrays with the fields of `Layouts.pairs`: `later` and `earlier`
    (keys of one width that sort in survivor order and end in a hash), `similarity`, and the documents that each has.

    Each key is decided exactly once. The order of the pairs, and how they are cut into arrays, changes nothing.
    """
    few, more = _held(pairs)
    if not few:
        return
    if more is None:
        some = np.concatenate(few)
        keys = np.unique(np.concatenate([some["later"], some["earlier"]]))
        sizes = np.ones(len(keys), np.uint32)
        parts = iter([_ranks(some, keys, sizes)])
    else:
        raw = scratch / "pairs"
        dtype = _split(itertools.chain(few, more), raw, scratch)
        keys = _distinct_keys(scratch, dtype["later"])
        if len(keys) >= 1 << 32:
            raise Refused("more than 2^32 documents have near-duplicates: deduplicate in increments, with an index")
        sizes = np.ones(len(keys), np.uint32)
        parts = _rank(raw, dtype, keys, sizes, scratch)
    survivors = np.arange(len(keys), dtype=np.uint32)
    for ranked in parts:
        # The best survivor first: the most similar one, of those the first.
        order = np.lexsort((ranked["earlier"], -ranked["similarity"], ranked["later"]))
        ranked = ranked[order]
        dropped = ranked[_greedy(ranked, survivors)]
        yield Decisions(
            keys[dropped["later"]],
            keys[dropped["earlier"]],
            dropped["similarity"],
            np.zeros(len(dropped), np.uint32),
        )
    yield from _survivors(keys, survivors, sizes)


def _held(pairs: Iterable[npt.NDArray[Any]]) -> tuple[list[npt.NDArray[Any]], Iterator[npt.NDArray[Any]] | None]:
    """The first pairs, as many as memory always has room for, and the others; None: these are all."""
    rest = iter(pairs)
    few: list[npt.NDArray[Any]] = []
    count = 0
    for some in rest:
        few.append(some)
        count += len(some)
        if count > CHUNK:
            return few, rest
    return few, None


def _split(pairs: Iterable[npt.NDArray[Any]], raw: Path, scratch: Path) -> np.dtype[Any]:
    """Write the pairs down, and both keys of each into a file by its hash; returns the type of the pairs."""
    dtype: np.dtype[Any] | None = None
    files = [(scratch / f"keys-{part:02d}").open("wb") for part in range(PARTS)]
    try:
        with raw.open("wb") as stream:
            for some in pairs:
                dtype = some.dtype
                stream.write(some.tobytes())
                for side in ("later", "earlier"):
                    keys = np.ascontiguousarray(some[side])
                    part = _hash_end(keys) & np.uint64(PARTS - 1)
                    for number in range(PARTS):
                        files[number].write(keys[part == number].tobytes())
    finally:
        for file in files:
            file.close()
    assert dtype is not None
    return dtype


def _hash_end(keys: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """The last eight bytes of keys, which are hashes."""
    width = keys.dtype.itemsize
    ends = np.ascontiguousarray(keys.view("u1").reshape(len(keys), width)[:, width - 8 :])
    return leading(ends.reshape(-1).view("S8"))


def _distinct_keys(scratch: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """All keys, each once, sorted: the rank of a document is its place here."""
    keys = np.empty(0, dtype)
    for part in range(PARTS):
        path = scratch / f"keys-{part:02d}"
        some = np.unique(np.fromfile(path, dtype))
        path.unlink()
        filled = len(keys)
        # In place, so that memory never holds two copies.
        keys.resize(filled + len(some), refcheck=False)
        keys[filled:] = some
    keys.sort()
    return keys


def _rank(
    raw: Path, dtype: np.dtype[Any], keys: npt.NDArray[Any], sizes: npt.NDArray[np.uint32], scratch: Path
) -> Iterator[npt.NDArray[Any]]:
    """The pairs with ranks for keys, in stretches of the later one's rank, in order; `sizes` is filled with the counts.
    They wait in files."""
    stretch = max(RANKS, len(keys) // FILES + 1)
    paths = [scratch / f"ranked-{part:05d}" for part in range((len(keys) - 1) // stretch + 1)]
    files = [path.open("wb") for path in paths]
    try:
        with raw.open("rb") as stream:
            while block := stream.read(CHUNK * dtype.itemsize):
                ranked = _ranks(np.frombuffer(block, dtype), keys, sizes)
                part = ranked["later"] // stretch
                for number in np.unique(part).tolist():
                    files[number].write(ranked[part == number].tobytes())
    finally:
        for file in files:
            file.close()
    raw.unlink()
    return map(_read_once, paths)


def _read_once(path: Path) -> npt.NDArray[Any]:
    ranked = np.fromfile(path, _RANKED)
    path.unlink()
    return ranked


def _ranks(some: npt.NDArray[Any], keys: npt.NDArray[Any], sizes: npt.NDArray[np.uint32]) -> npt.NDArray[Any]:
    ranked = np.empty(len(some), _RANKED)
    for side in ("later", "earlier"):
        ranked[side] = np.searchsorted(keys, np.ascontiguousarray(some[side]))
        sizes[ranked[side]] = some[f"{side}_count"]
    ranked["similarity"] = some["similarity"]
    return ranked


def _greedy(ranked: npt.NDArray[Any], survivors: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Give each later document the first survivor among its pairs; returns the rows of the pairs that decided."""
    survivor = memoryview(survivors)  # type: ignore[arg-type]
    taken = []
    last = -1
    for start in range(0, len(ranked), CHUNK):
        some = ranked[start : start + CHUNK]
        pairs = zip(some["later"].tolist(), some["earlier"].tolist(), strict=True)
        for place, (later, earlier) in enumerate(pairs, start):
            # All earlier ones are decided by now: pairs come by the rank of the later one.
            if later != last and survivor[earlier] == earlier:
                survivor[later] = earlier
                taken.append(place)
                last = later
    return np.array(taken, np.int64)


def _survivors(
    keys: npt.NDArray[Any], survivors: npt.NDArray[np.uint32], sizes: npt.NDArray[np.uint32]
) -> Iterator[Decisions]:
    for start in range(0, len(keys), CHUNK):
        some = survivors[start : start + CHUNK]
        own = np.arange(start, start + len(some), dtype=np.uint32)
        duplicates = np.flatnonzero(some != own)
        # A duplicate adds its copies to its survivor's.
        np.add.at(sizes, some[duplicates], sizes[own[duplicates]])
    for start in range(0, len(keys), CHUNK):
        some = survivors[start : start + CHUNK]
        own = np.arange(start, start + len(some), dtype=np.uint32)
        alive = own[some == own]
        yield Decisions(keys[alive], keys[alive], np.ones(len(alive)), sizes[alive])
