"""Near-duplicate documents: candidates by MinHash and banding, each merge verified by the true Jaccard similarity.

Broder 1997 ("On the resemblance and containment of documents") for shingles and min-wise hashing; the bands and their
sizes are FineWeb's (Penedo et al. 2024, section 3.4). Texts that share a *set* of shingles are one *class*: what holds
of one member in a comparison holds of all, so candidates and edges are pairs of classes, and identical pages by the
thousand cost one comparison.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import numpy as np
import xxhash

from curate.dedup.shingles import Hashes, fold, jaccard, numbers, shingle_set, word_hashes
from curate.document import Document, Drop
from curate.step import CorpusStep, Record, Round, param, partition_key

_CLASS_BYTES = 16
_PLACE = struct.Struct(">Q")
# Members of a bucket that are all compared with one another; in a larger one, with the first few and the next few.
_ALL_PAIRS = 64
_CENTRES = 8
_NEIGHBOURS = 8

_BAND, _CLASS = b"b", b"c"
_EDGE, _MEMBER, _SHINGLES = b"e", b"m", b"s"
_DROPPED, _KEPT = b"d", b"k"
_SIMILARITY = struct.Struct(">d")
_COUNT = struct.Struct(">I")


def signature_bands(shingles: Hashes, bands: int, rows: int, seed: int) -> list[bytes]:
    """The MinHash signature of a set of shingles, cut into `bands` pieces of `rows` 32-bit values.

    R-MinHash (rensa), which is Fast Similarity Sketching (Dahlgaard, Knudsen, Thorup 2017): two sets share each value
    with a probability of their Jaccard similarity s, and at least one band with about 1 - (1 - s^rows)^bands.
    """
    from rensa import RMinHash

    ends = np.array([0, len(shingles)], np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, ends, bands * rows, seed)
    values = np.array(matrix.to_rows()[0], "<u4").tobytes()
    return [values[start : start + 4 * rows] for start in range(0, len(values), 4 * rows)]


def survivor_order(document: Document, name: bytes) -> bytes:
    """Sorts documents by who survives: the longest text, then the smallest content hash (the class), then the key."""
    inverted_length = (1 << 40) - 1 - len(document.text)
    return inverted_length.to_bytes(5, "big") + name + document.key.encode("utf-8", "surrogatepass")


def _document_key(order: bytes) -> bytes:
    return order[5 + _CLASS_BYTES :]


class _Band(Round):
    """Classes that share a band of their signatures become candidate edges; members and shingles pass through.

    Under the guard the numbers of a text are part of every band's key: texts whose numbers differ never meet.
    """

    name = "band"

    def __init__(self, step: MinHashDedup) -> None:
        self.step = step

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        step = self.step
        seen = set()
        for place, document in documents:
            if document.protected:
                continue
            folded = fold(document.text)
            words = word_hashes(folded)
            if len(words) < max(step.min_words, step.shingle):
                continue
            shingles = shingle_set(words, step.shingle)
            content = shingles.astype("<u8").tobytes()
            figures = numbers(folded) if step.numbers == "guard" else b""
            name = xxhash.xxh3_128_digest(content + figures)
            order = survivor_order(document, name)
            yield _CLASS + name, _MEMBER + _PLACE.pack(place) + order
            # Copies in one partition need the same signature and the same shingles only once.
            if name in seen:
                continue
            seen.add(name)
            yield _CLASS + name, _SHINGLES + content
            guarded = xxhash.xxh3_64_digest(figures)
            for index, band in enumerate(signature_bands(shingles, step.bands, step.rows, step.seed)):
                key = _BAND + index.to_bytes(2, "big") + xxhash.xxh3_128_digest(band + guarded)
                yield key, order[: 5 + _CLASS_BYTES]

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        if key[:1] == _CLASS:
            for value in values:
                yield key, value
            return
        # In survivor order: whoever may survive is a centre, texts of like length are neighbours.
        classes = list(dict.fromkeys(value[5:] for value in values))
        for a, b in _candidates(classes):
            yield _CLASS + a, _EDGE + b
            yield _CLASS + b, _EDGE + a


def _candidates(classes: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Pairs within one bucket: all of them up to `_ALL_PAIRS` classes, a number linear in the classes above."""
    for index, one in enumerate(classes):
        if len(classes) <= _ALL_PAIRS:
            others = classes[:index]
        else:
            others = classes[: min(index, _CENTRES)] + classes[max(_CENTRES, index - _NEIGHBOURS) : index]
        for other in others:
            yield other, one


class _Verify(Round):
    """Shingles meet the edges that need them; a class without edges and copies ends here."""

    name = "verify"
    takes_documents = False
    takes_records = True

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        yield from records

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        name = key[1:]
        edges = {value[1:] for value in values if value[:1] == _EDGE}
        members = [value for value in values if value[:1] == _MEMBER]
        if not edges and len(members) < 2:
            return
        for member in members:
            yield name, member
        shingles = next(value for value in values if value[:1] == _SHINGLES)
        for other in sorted(edges):
            yield min(name, other) + max(name, other), shingles


class _Jaccard(Round):
    """Both sets of shingles of an edge meet: it is verified, or it ends here."""

    name = "jaccard"
    takes_documents = False
    takes_records = True

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        yield from records

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        if len(key) == _CLASS_BYTES:
            for value in values:
                yield b"", value[:1] + key + value[1:]
            return
        a, b = (np.frombuffer(value, "<u8", offset=1) for value in values)
        similarity = jaccard(a, b)
        if similarity >= self.threshold:
            yield b"", _EDGE + key + _SIMILARITY.pack(similarity)


class _Cluster(Round):
    """Survivors, greedily: in survivor order, a class goes only if it has a verified edge with one that stays."""

    name = "cluster"
    takes_documents = False
    takes_records = True

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        yield from records

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        neighbours: dict[bytes, list[tuple[bytes, float]]] = defaultdict(list)
        members: dict[bytes, list[tuple[bytes, bytes]]] = {}
        rows = (value for value in values if value[:1] == _MEMBER)
        for name, group in groupby(rows, key=lambda value: value[1 : 1 + _CLASS_BYTES]):
            places = (value[1 + _CLASS_BYTES :] for value in group)
            members[name] = sorted((place[_PLACE.size :], place[: _PLACE.size]) for place in places)
        for value in values:
            if value[:1] == _EDGE:
                a, b = value[1 : 1 + _CLASS_BYTES], value[1 + _CLASS_BYTES : 1 + 2 * _CLASS_BYTES]
                (similarity,) = _SIMILARITY.unpack(value[1 + 2 * _CLASS_BYTES :])
                neighbours[a].append((b, similarity))
                neighbours[b].append((a, similarity))
        sizes: dict[bytes, int] = {}
        for name in sorted(members, key=lambda name: members[name][0]):
            staying = [
                (-similarity, members[other][0], other) for other, similarity in neighbours[name] if other in sizes
            ]
            if staying:
                minus_similarity, _, home = min(staying)
                dropped = members[name]
            else:
                minus_similarity, home = -1.0, name
                sizes[name] = 1
                dropped = members[name][1:]
            sizes[home] += len(dropped)
            verdict = _SIMILARITY.pack(-minus_similarity) + _document_key(members[home][0][0])
            for _, place in dropped:
                yield _of_partition(place), _DROPPED + place + verdict
        for name, size in sizes.items():
            if size > 1:
                place = members[name][0][1]
                yield _of_partition(place), _KEPT + place + _COUNT.pack(size)


def _of_partition(place: bytes) -> bytes:
    return partition_key(_PLACE.unpack(place)[0] >> 32)


@dataclass(frozen=True)
class MinHashDedup(CorpusStep):
    """Keep one document of each group of near-duplicates: the longest.

    Candidates share a band of their MinHash signatures; a document is dropped only when its true Jaccard similarity
    with the survivor named beside it reaches `threshold` and, under the guard, both hold the same numbers as often.
    The ledger's value is `{"jaccard": similarity, "survivor": document key}`; `metadata["cluster_size"]` of a survivor
    counts it and those it stands for. Texts of fewer words than `min_words` are kept.
    """

    name: ClassVar[str] = "minhash_dedup"
    libraries: ClassVar[tuple[str, ...]] = ("rensa", "xxhash", "numpy")

    threshold: float = param(0.8, "smallest Jaccard similarity of two sets of shingles that merges", ge=0.0, le=1.0)
    shingle: int = param(5, "words in a shingle", source="FineWeb (datatrove n_grams)", ge=1, le=64)
    bands: int = param(14, "bands of a signature", source="FineWeb (datatrove num_buckets)", ge=1, le=1000)
    rows: int = param(8, "values in a band", source="FineWeb (datatrove hashes_per_bucket)", ge=1, le=64)
    seed: int = param(1, "seed of the signatures", ge=0)
    numbers: str = param(
        "guard",
        "guard: texts whose numbers differ are never merged; ignore: a figure is a word like any other",
        choices=("guard", "ignore"),
    )
    min_words: int = param(5, "texts of fewer words are kept", source="FineWeb (datatrove)", ge=1)

    def rounds(self) -> list[Round]:
        return [_Band(self), _Verify(), _Jaccard(self.threshold), _Cluster()]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        verdicts = {value[1 : 1 + _PLACE.size]: value for value in values}
        for place, document in documents:
            value = verdicts.get(_PLACE.pack(place))
            if value is None:
                yield document
            elif value[:1] == _KEPT:
                (document.metadata["cluster_size"],) = _COUNT.unpack(value[1 + _PLACE.size :])
                yield document
            else:
                (similarity,) = _SIMILARITY.unpack_from(value, 1 + _PLACE.size)
                survivor = value[1 + _PLACE.size + _SIMILARITY.size :].decode("utf-8", "surrogatepass")
                found = {"jaccard": similarity, "survivor": survivor}
                yield Drop(document, self.name, "near_duplicate", found, self.threshold)
