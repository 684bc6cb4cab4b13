"""Fuzzy deduplication at scale: the rounds of `minhash_dedup` as real units on two workers. One JSON line a size.

    python tests/bench/dedup_scale.py [--documents N ...] [--waves N ...] [--folder DIR] [--memory N]

Documents are sets of 48 shingle hashes from a seeded generator, with known clusters; all that follows the hashing of a
text is the real thing: signatures, bands, gathering, verification, clusters, verdicts, manifests. Of the documents 80 %
are alone; the rest stands in clusters of 2, 5 and 50 whose members share at least 0.846 of their shingles with one
another; 1 % of the single ones are pairs at 0.714, which must not merge. Neighbours of a cluster lie in different
partitions. `found` is the share of documents dropped of those that should be; `wrong` counts drops across clusters.

`--memory` measures what deciding the clusters takes for each clustered document, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from curate.dedup import MinHashDedup
from curate.dedup.candidates import BandRound, Batch
from curate.dedup.clusters import cluster
from curate.dedup.layouts import VERDICTS
from curate.dedup.search import Search
from curate.document import Document
from curate.run import corpus
from curate.run.corpus import CorpusRun
from curate.run.engine import Progress
from curate.run.folder import OutputFolder
from curate.run.local import LocalEngine
from curate.run.lots import Lot
from curate.run.stage import Stage
from curate.shards.records import read_section
from curate.step import Record, Round, param

SHINGLES = 48
PARTITION = 50_000
BATCH = 20_000
SECTIONS = ((0.79, 1, 0), (0.01, 2, 4), (0.08, 2, 2), (0.08, 5, 2), (0.04, 50, 2))
"""Share of the documents, documents in a cluster, shingles of each that are its own."""


def mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def layout(numbers: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each document: its cluster, and how many of its shingles are its own."""
    cluster, own = np.zeros(len(numbers), np.int64), np.zeros(len(numbers), np.int64)
    start, first = 0, 0
    for share, size, fresh in SECTIONS:
        count = round(total * share) // 50 * 50
        inside = (numbers >= start) & (numbers < start + count)
        cluster[inside] = first + (numbers[inside] - start) // size
        own[inside] = fresh
        start, first = start + count, first + count
    rest = numbers >= start
    cluster[rest] = first + numbers[rest]
    return cluster, own


def shingles(numbers: np.ndarray, total: int) -> np.ndarray:
    """Sorted sets of shingle hashes: shape (documents, SHINGLES)."""
    cluster, own = layout(numbers, total)
    places = np.arange(SHINGLES, dtype=np.uint64)
    sets = mixed(mixed(cluster.astype(np.uint64))[:, None] + places[None, :])
    for change in range(int(own.max(initial=0))):
        rows = np.flatnonzero(own > change)
        draw = mixed(numbers[rows].astype(np.uint64) * np.uint64(8) + np.uint64(change) + np.uint64(1 << 60))
        # Each change has a stretch of places to itself, and of these neighbours have their own halves: none undoes
        # another, and two neighbours share exactly 48 less twice their changes.
        half = SHINGLES // 8
        where = (2 * change + numbers[rows] % 2) * half + (draw % np.uint64(half)).astype(np.int64)
        sets[rows, where] = mixed(draw)
    sets.sort(axis=1)
    return sets


class GeneratedBand(BandRound):
    """The first round without texts: the documents of a partition are drawn."""

    def __init__(self, search: Search, documents: int) -> None:
        super().__init__(search)
        self.documents = documents

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        total = self.documents
        first = partition * PARTITION
        for start in range(first, min(first + PARTITION, total), BATCH):
            index = np.arange(start, min(start + BATCH, first + PARTITION, total))
            # A permutation of all documents: 2 147 483 647 is prime, and no total here is a multiple of it.
            numbers = index * 2_147_483_647 % total
            batch = Batch()
            orders = mixed(numbers.astype(np.uint64)).astype(">u8").tobytes()
            for row, (one, number) in enumerate(zip(shingles(numbers, total), numbers.tolist(), strict=True)):
                place = partition << 32 | start - first + row
                batch.add(
                    one, b"", b"\x01" + orders[8 * row : 8 * row + 8] + b"\x00", place, b"generated/%012d" % number
                )
            yield from self.flush(batch)


@dataclass(frozen=True)
class GeneratedDedup(MinHashDedup):
    documents: int = param(0, "how many")

    def rounds(self) -> list[Round]:
        return [GeneratedBand(self.search, self.documents), *super().rounds()[1:]]


@dataclass
class FakePart:
    number: int

    @property
    def label(self) -> str:
        return f"generated-{self.number:05d}"

    content = ""


@dataclass
class FakeOutputs:
    """What the rounds read of the stage before them."""

    count: int
    out: Path

    @cached_property
    def parts(self) -> list[FakePart]:
        return [FakePart(number) for number in range(self.count)]

    @property
    def lots(self) -> list[Lot]:
        return [Lot(part.label, (part,)) for part in self.parts]  # type: ignore[arg-type]

    def counts(self, lot: int) -> tuple[int, ...]:
        return ()

    @property
    def manifests(self) -> list[list[dict[str, Any]]]:
        return [[{"outputs": {}}] * self.count]

    @property
    def documents(self) -> list[list[Path]]:
        return [[self.out / "none"] * self.count]


def measure(total: int, folder: Path, waves: int = 0) -> dict[str, Any]:
    out = folder / f"scale-{total}"
    shutil.rmtree(out, ignore_errors=True)
    step = GeneratedDedup(documents=total, waves=waves)
    run = CorpusRun("scale", [step], [], out, buckets=16)
    groups: list[Progress] = []
    engine = LocalEngine(2, 600.0, lambda one: None if one in groups else groups.append(one), 4096)
    started = time.perf_counter()
    with mock.patch.object(corpus, "content_of", lambda *_: []), OutputFolder(out) as output, engine:
        outputs = FakeOutputs((total - 1) // PARTITION + 1, out)
        reduced = run._rounds(Stage(1, step, (), ("minhash_dedup",)), step, outputs, output, engine)
        notes: dict[str, int] = {}
        for manifest in output.manifests.values():
            for name, count in manifest.get("notes", {}).items():
                notes[name] = max(notes.get(name, 0), count) if "largest" in name else notes.get(name, 0) + count
    seconds = time.perf_counter() - started
    dropped = wrong = kept = 0
    for unit in reduced:
        for section in range(outputs.count):
            for _, value in read_section(unit.path, section):
                table = VERDICTS.unpack(value)
                goes = table.take(table["kept"] == 0)
                kept += len(table) - len(goes)
                if len(goes):
                    place = goes["place"].astype(np.int64)
                    numbers = ((place >> 32) * PARTITION + (place & 0xFFFFFFFF)) * 2_147_483_647 % total
                    keys = goes.payload.reshape(len(goes), -1)[:, len("generated/") :]
                    survivors = keys.astype(np.int64) - ord("0")
                    survivors = survivors @ 10 ** np.arange(survivors.shape[1] - 1, -1, -1)
                    (theirs, _), (mine, own) = layout(survivors, total), layout(numbers, total)
                    wrong += int(((mine != theirs) | (own == 4)).sum())
                    dropped += len(goes)
    should = sum(round(total * share) // 50 * 50 * (size - 1) // size for share, size, own in SECTIONS if own == 2)
    disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    shutil.rmtree(out)
    return {
        "documents": total,
        "waves": waves,
        "seconds": round(seconds, 1),
        "docs_per_s": round(total / seconds),
        "worker_peak_mb": engine.peak_memory >> 20,
        "parent_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "disk_mb": disk >> 20,
        "found": round(dropped / should, 4),
        "wrong": wrong,
        "survivors_with_copies": kept,
        **notes,
        "rounds": {f"{one.label} {half}": round(one.seconds(), 1) for one, half in halves(groups)},
    }


def halves(groups: list[Progress]) -> Iterator[tuple[Progress, str]]:
    """Each group of units with the half of its round that it is."""
    for place, group in enumerate(groups):
        yield group, "emit" if place % 2 == 0 else "reduce"


def memory(count: int, folder: Path) -> dict[str, Any]:
    """What `cluster` takes for `count` documents in pairs and chains, over what the process had before."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = MinHashDedup().search.layouts.pairs.dtype

    width = fields["later"].itemsize

    def keys(numbers: np.ndarray) -> np.ndarray:
        whole = np.ones((len(numbers), width), np.uint8)
        whole[:, 1:6] = (numbers % (1 << 20)).astype(">u8").view("u1").reshape(-1, 8)[:, 3:]
        whole[:, width - 8 :] = mixed(numbers.astype(np.uint64)).view("u1").reshape(-1, 8)
        return whole.reshape(-1).view(f"S{width}")

    def pairs() -> Iterator[np.ndarray]:
        for start in range(0, count, 1 << 16):
            own = np.arange(start, min(start + (1 << 16), count))
            for distance in (1, 2, 3):
                a, b = keys(own), keys((own // 4 * 4 + (own + distance) % 4) % count)
                some = np.empty(len(own), fields)
                some["later"], some["earlier"] = np.where(a < b, b, a), np.where(a < b, a, b)
                some["similarity"], some["later_count"], some["earlier_count"] = 0.9, 1, 1
                yield some[some["later"] != some["earlier"]]

    for _ in cluster(iter([next(pairs())]), folder):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    decided = sum(len(some.key) for some in cluster(pairs(), folder))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return {
        "clustered_documents": decided,
        "pairs": 3 * count,
        "seconds": round(time.perf_counter() - started, 1),
        "bytes_a_clustered_document": round(grown / decided, 1),
    }


def plot(results: Path, target: Path) -> None:
    """Seconds, and memory and disk, over documents, from lines that this benchmark printed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "goldsand"
    rows = sorted((json.loads(line) for line in results.read_text().splitlines()), key=lambda row: row["documents"])
    rows = [row for row in rows if "documents" in row]
    counts = [row["documents"] for row in rows]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5))
    for label in dict.fromkeys(name.split(" ")[1] for name in rows[0]["rounds"]):
        left.loglog(
            counts,
            [sum(one for name, one in row["rounds"].items() if f": {label} " in name) for row in rows],
            label=label,
        )
    left.loglog(counts, [row["seconds"] for row in rows], "k.-", label="all")
    left.set(xlabel="documents", ylabel="seconds, 2 workers")
    left.legend(fontsize=7)
    right.loglog(counts, [row["worker_peak_mb"] for row in rows], ".-", label="memory of a worker")
    right.loglog(counts, [row["disk_mb"] for row in rows], ".-", label="disk")
    right.set(xlabel="documents", ylabel="MB")
    right.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--plot", type=Path, nargs=2, metavar=("RESULTS", "SVG"), help="draw printed lines")
    arguments.add_argument("--documents", type=int, nargs="*", default=[100_000, 300_000])
    arguments.add_argument("--waves", type=int, nargs="*", default=[0])
    arguments.add_argument("--folder", type=Path, default=Path("scale"))
    arguments.add_argument("--memory", type=int, default=0, metavar="DOCUMENTS")
    given = arguments.parse_args()
    if given.plot:
        plot(*given.plot)
        return
    if given.memory:
        print(json.dumps(memory(given.memory, given.folder / "memory")), flush=True)
        return
    for total in given.documents:
        for waves in given.waves:
            print(json.dumps(measure(total, given.folder, waves)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
