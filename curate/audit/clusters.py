"""The clusters of a finished run: which survivor replaces which duplicates, what differs, whether each merge holds.

Read from the folder alone: the ledger names each duplicate's survivor, and the stage before holds the texts.
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import xxhash

from curate.audit.verify import intact, whole_manifests
from curate.dedup.minhash import MinHashDedup
from curate.dedup.shingles import jaccard
from curate.document import Document
from curate.places.store import Place
from curate.run.engine import RunError
from curate.run.ledger import read_ledger
from curate.run.tasks import DOCUMENTS, read_documents

AT_ONCE = 100_000
"""Documents whose shingles are in memory at once while merges are checked."""

_COLUMNS = ("event", "stage", "step", "rule", "key", "value", "url", "characters")
_WORD = re.compile(r"\S+")
_LONGEST = 3000


@dataclass
class Cluster:
    """A survivor, the number of documents in its cluster (itself among them), and some of the duplicates."""

    survivor: str
    size: int
    members: list[tuple[str, float]] = field(default_factory=list)


def drops(out: Place, step: str | None = None) -> Iterator[dict[str, Any]]:
    """The ledger's rows of near-duplicates that were dropped. Raises RunError when `out` has no finished run."""
    for name, manifest in whole_manifests(out).items():
        if name.startswith("ledger/"):
            for row in read_ledger(intact(out, out / f"{name}.parquet", manifest), _COLUMNS):
                if row["event"] == "drop" and row["rule"] == "near_duplicate" and step in (None, row["step"]):
                    yield row


def largest(out: Place, count: int, members: int, survivor: str | None = None) -> list[Cluster]:
    """The largest clusters (or that of one document), each with the duplicates least similar to its survivor."""
    sizes: Counter[str] = Counter()
    for row in drops(out):
        sizes[row["value"]["survivor"]] += 1
        if survivor == row["key"]:
            survivor = row["value"]["survivor"]
    if survivor is None:
        chosen = heapq.nsmallest(count, sizes, key=lambda one: (-sizes[one], one))
    else:
        chosen = [survivor] if survivor in sizes else []
    clusters = {one: Cluster(one, sizes[one] + 1) for one in chosen}
    for row in drops(out):
        cluster = clusters.get(row["value"]["survivor"])
        if cluster is not None:
            cluster.members.append((row["key"], row["value"]["similarity"]))
            if len(cluster.members) > 4 * members:
                cluster.members = _least(cluster.members, members)
    for cluster in clusters.values():
        cluster.members = _least(cluster.members, members)
    return list(clusters.values())


def _least(members: list[tuple[str, float]], count: int) -> list[tuple[str, float]]:
    return sorted(members, key=lambda member: (member[1], member[0]))[:count]


def before(out: Place, stage: str) -> Iterator[Document]:
    """Every document that a stage read: what the stage before it wrote."""
    manifests = whole_manifests(out)
    stages = sorted({name.split("/")[1] for name in manifests if name.startswith("stages/")})
    if stage not in stages[1:]:
        raise RunError(f"{out} holds no documents from before {stage}")
    last = stages[stages.index(stage) - 1]
    for name in manifests:
        if name.startswith(f"stages/{last}/"):
            yield from read_documents(intact(out, out / f"{name}{DOCUMENTS}", manifests[name]))


def texts(out: Place, keys: Iterable[str]) -> dict[str, str]:
    """The texts of documents as the (first) step that dropped near-duplicates read them."""
    wanted = set(keys)
    by_key: dict[str, str] = {}
    stage = next((row["stage"] for row in drops(out)), None)
    if stage is not None:
        for document in before(out, stage):
            if document.key in wanted:
                by_key[document.key] = document.text
                if len(by_key) == len(wanted):
                    break
    return by_key


def differences(one: str, other: str, around: int = 4) -> Iterator[tuple[str, str]]:
    """The differences of the second text from the first, by words: ("same" | "gone" | "new" | "skipped", words).

    The first 3 000 words of each text are compared.
    """
    a, b = (_WORD.findall(text)[:_LONGEST] for text in (one, other))
    for what, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if what == "equal":
            if j - i > 2 * around + 1:
                yield "same", " ".join(a[i : i + around])
                yield "skipped", f"{j - i - 2 * around} words"
                yield "same", " ".join(a[j - around : j])
            else:
                yield "same", " ".join(a[i:j])
            continue
        if j > i:
            yield "gone", " ".join(a[i:j])
        if m > k:
            yield "new", " ".join(b[k:m])


def check(out: Place, step: MinHashDedup, label: str) -> Iterator[str]:
    """A sentence for each merge of one step that does not hold; the last item is the number of merges checked.

    From the texts alone: each duplicate's similarity with its own survivor must reach the threshold and equal the
    ledger's; under the guard both must have the same figures; the survivor must not be dropped itself.
    """
    rows = [(row["key"], row["value"]["survivor"], row["value"]["similarity"]) for row in drops(out, label)]
    gone = {key for key, _, _ in rows}
    stage = next((row["stage"] for row in drops(out, label)), None)
    indexed = sum(survivor.startswith("index:") for _, survivor, _ in rows)
    parts = 2 * len(rows) // AT_ONCE + 1
    for part in range(parts if stage else 0):
        some = [row for row in rows if xxhash.xxh3_64_intdigest(row[1].encode("utf-8", "replace")) % parts == part]
        wanted = {key for row in some for key in row[:2]}
        sketches = {
            document.key: step.sketcher.sketch(document.text)
            for document in before(out, stage or "")
            if document.key in wanted
        }
        for key, survivor, similarity in some:
            if survivor.startswith("index:"):
                continue
            if survivor in gone:
                yield f"{key} was dropped for {survivor}, which was dropped itself"
                continue
            one, other = sketches.get(key), sketches.get(survivor)
            if one is None or other is None:
                yield f"{key} was dropped for {survivor}, and one of them has no shingles"
            elif one[1] != other[1]:
                yield f"{key} was dropped for {survivor}, whose figures differ"
            else:
                true = jaccard(one[0], other[0])
                if step.measure == "containment":
                    shared = true * (len(one[0]) + len(other[0])) / (1 + true)
                    true = round(shared) / len(one[0])
                if true < step.threshold or abs(true - similarity) > 1e-12:
                    yield f"{key} was dropped for {survivor} at {similarity}; their similarity is {true}"
    yield f"{len(rows) - indexed} merges checked" + (f", {indexed} against an index not checked" if indexed else "")
