"""How much of each source or domain a corpus holds: shares, budgets, caps, and repeated documents."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import orjson

from curate.dedup.survivors import measured
from curate.document import Document, Drop
from curate.errors import Refused, nearest
from curate.shards.vocabulary import token_counter
from curate.shuffle import drawn
from curate.step import CorpusStep, Record, Round, param, partition_key

_Entry = TypeVar("_Entry")

OTHER = "other"
"""In `weights`, `repeat` and `cap`: every group that is not named."""

BINS = 1 << 16
_OWN_NUMBERS = 1 << 63
_TOTAL, _HISTOGRAM = b"t", b"h"
_ROW = np.dtype([("bin", "<u2"), ("documents", "<u4"), ("size", "<u8")])


class MixError(Refused):
    """A mixture that cannot be made: its numbers do not fit together, or a group does not exist."""


class _GroupSizes(Round):
    """Adds up the size of each group, and derives the target size of each."""

    name = "count"

    def __init__(self, step: Mix) -> None:
        self.step = step

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        size_of = self.step.measure()
        groups: dict[str, int] = defaultdict(int)
        protected = 0
        for _, document in documents:
            if document.protected:
                protected += size_of(document.text)
            else:
                groups[self.step.group_of(document)] += size_of(document.text) * self.step.copies_of(document)
        yield b"", orjson.dumps([protected, groups])

    def reduce(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        available: dict[str, int] = defaultdict(int)
        protected = 0
        for value in values:
            more, groups = orjson.loads(value)
            protected += more
            for name, size in groups.items():
                available[name] += size
        targets = self.step.targets(dict(sorted(available.items())), protected)
        whole = sum(targets.values())
        for name, target in targets.items():
            yield name.encode("utf-8", "surrogatepass"), orjson.dumps([target, whole, available[name]])


class _Choose(Round):
    """Chooses, for each group, how many times all its documents come, and which come once more: those with the
    smallest hashes."""

    name = "choose"
    takes_records = True

    def __init__(self, step: Mix) -> None:
        self.step = step

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        size_of = self.step.measure()
        groups: dict[str, dict[int, list[int]]] = defaultdict(dict)
        for _, document in documents:
            if not document.protected:
                counts = groups[self.step.group_of(document)].setdefault(self.step.bin_of(document), [0, 0])
                copies = self.step.copies_of(document)
                counts[0] += copies
                counts[1] += copies * size_of(document.text)
        for name, bins in groups.items():
            rows = np.array([(place, *counts) for place, counts in sorted(bins.items())], _ROW)
            yield name.encode("utf-8", "surrogatepass"), _HISTOGRAM + partition_key(partition) + rows.tobytes()

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        for key, value in records:
            yield key, _TOTAL + value

    def reduce(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        documents, sizes = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
        partitions = []
        target, total, available = 0.0, 0.0, 0
        for value in values:
            if value[:1] == _TOTAL:
                target, total, available = orjson.loads(value[1:])
                continue
            rows = np.frombuffer(value, _ROW, offset=5)
            partitions.append(value[1:5])
            np.add.at(documents, rows["bin"], rows["documents"])
            np.add.at(sizes, rows["bin"], rows["size"].astype(np.int64))
        rounds = int(target // available) if available else 1
        limit = _limit(sizes, target - rounds * available)
        verdict = {
            "group": key.decode("utf-8", "surrogatepass"),
            "rounds": rounds,
            "limit": limit,
            "available": available,
            "asked": target,
            "asked_in_all": total,
            "realised": rounds * available + int(sizes[:limit].sum()),
            "documents": rounds * int(documents.sum()) + int(documents[:limit].sum()),
        }
        for partition in partitions:
            yield partition, orjson.dumps(verdict)


def at_least(table: Mapping[Any, _Entry], value: float) -> _Entry | None:
    """The entry of the largest bound that a value reaches; None below all of them."""
    reached = [bound for bound in table if value >= bound]
    return table[max(reached)] if reached else None


def _limit(sizes: np.ndarray, wanted: float) -> int:
    """The number of leading bins whose total size is nearest to `wanted`."""
    sums = np.concatenate(([0], np.cumsum(sizes)))
    above = int(np.searchsorted(sums, wanted))
    if above == 0 or (above < len(sums) and sums[above] - wanted <= wanted - sums[above - 1]):
        return above
    return above - 1


@dataclass(frozen=True)
class Mix(CorpusStep):
    """Give each source, or each domain, its share of the corpus, or at most a number of tokens.

    Surplus documents are dropped, chosen by a keyed hash of their keys; where a group has too few, some are repeated,
    as copies with `#2`, `#3`, ... at the end of their keys. Shares are exact to a document, and counted:
    `mix/mix.json` in the folder says for each group what was available, asked and realised. Injected
    documents are never touched; `junk_ratio` is the share of all others. Memory holds an entry for each group.
    """

    name: ClassVar[str] = "mix"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("xxhash", "numpy")
    reports: ClassVar[bool] = True

    by: str = param("source", "how documents are grouped: by source or by domain", choices=("source", "domain"))
    weights: dict[str, float] | None = param(
        None,
        "shares of the groups by name, in any unit; `other` is all groups not named, which are dropped without it",
    )
    budget: float | None = param(
        None, "size of the whole without injected documents; less where there is not enough", ge=1
    )
    cap: float | dict[str, float] | None = param(None, "largest size of each group, or of groups by name (`other`)")
    repeat: dict[str, float] | None = param(
        None, "how often groups are repeated, by name (`other`): 2.5 is twice, and half of the documents a third time"
    )
    max_repeats: float = param(
        1.0,
        "how often a document may be repeated to reach a share or a budget",
        source="Muennighoff et al. 2023: up to 4 is nearly as good as new text",
        ge=1.0,
    )
    cluster_copies: dict[int, int] | None = param(
        None,
        "copies of a document by the size of its cluster of duplicates: {2: 2, 10: 3} gives two from two and three from"
        " ten on",
    )
    quality: str | None = param(None, "for `quality_copies`: a number in the metadata, or a signal of the text")
    quality_copies: dict[float, dict[int, int]] | None = param(
        None,
        "`cluster_copies` by the least `quality`: {0: {1: 1}, 0.8: {1: 2, 10: 5}}; documents below the lowest, or"
        " without the number, have `cluster_copies`",
    )
    junk_ratio: float | None = param(
        None, "share of documents that are not injected in the whole; sets the budget", ge=0.0, le=0.999999
    )
    unit: str = param("tokens", "what sizes are counted in", choices=("tokens", "characters", "documents"))
    tokenizer: str | None = param(
        None, "a tokenizer.json that counts tokens; without it, words and punctuation marks are counted", path=True
    )
    seed: int = param(0, "decides which documents are taken where not all are", ge=0, le=2**62)

    def __post_init__(self) -> None:
        if self.weights is not None and self.repeat is not None:
            raise MixError("`weights` and `repeat` both set the size of a group: give one of them")
        if self.budget is not None and self.junk_ratio is not None:
            raise MixError("`budget` and `junk_ratio` both set the size of the whole: give one of them")
        if self.weights is not None and (not sum(self.weights.values()) > 0 or min(self.weights.values()) < 0):
            raise MixError(f"`weights` must not be below 0, and one must be above: {self.weights}")
        for name, factors in (("repeat", self.repeat), ("cap", self.cap if isinstance(self.cap, dict) else None)):
            if factors and min(factors.values()) < 0:
                raise MixError(f"`{name}` must not be below 0: {factors}")
        if isinstance(self.cap, (int, float)) and self.cap < 0:
            raise MixError(f"`cap` must not be below 0: {self.cap}")
        for name, table in (
            ("cluster_copies", self.cluster_copies or {}),
            *(("quality_copies", table) for table in (self.quality_copies or {}).values()),
        ):
            if table and min(table.values()) < 1:
                raise MixError(f"`{name}` must be at least 1: {table}")
        if (self.quality is None) != (self.quality_copies is None):
            raise MixError("`quality` and `quality_copies` go together: name the number and give its table, or neither")

    def rounds(self) -> list[Round]:
        return [_GroupSizes(self), _Choose(self)]

    def rehearsed(self) -> Mix:
        # A sample of a few documents may lack some groups.
        return Mix(by=self.by, unit=self.unit, tokenizer=self.tokenizer, seed=self.seed)

    def measure(self) -> Callable[[str], int]:
        """The size of a text."""
        if self.unit == "tokens":
            return token_counter(self.tokenizer)
        return len if self.unit == "characters" else lambda text: 1

    def group_of(self, document: Document) -> str:
        return document.source if self.by == "source" else document.domain or ""

    def copies_of(self, document: Document) -> int:
        """How often a document comes each time its whole group does."""
        size = document.metadata.get("cluster_size", 1)
        # Metadata of a page may claim anything.
        size = size if isinstance(size, int) else 1
        return at_least(self._copies_table(document), size) or 1

    def _copies_table(self, document: Document) -> Mapping[int, int]:
        value = None if self.quality is None else measured(document, self.quality)
        table = None if value is None else at_least(self.quality_copies or {}, value)
        return self.cluster_copies or {} if table is None else table

    def bin_of(self, document: Document) -> int:
        return drawn(self.seed + _OWN_NUMBERS, document.key) * BINS >> 64

    def targets(self, available: Mapping[str, int], protected: int = 0) -> dict[str, float]:
        """The target size of each group, from the available sizes and that of the injected documents.

        Raises MixError for an unknown group, and for a junk ratio without injected documents.
        """
        self._know(available)
        total = self.budget
        if self.junk_ratio is not None:
            if not protected:
                raise MixError(
                    "`junk_ratio` is the share of documents that are not injected, and `mix` gets no injected ones:"
                    " put `inject` in front of it, or give `weights` or a `budget`"
                )
            total = protected * self.junk_ratio / (1 - self.junk_ratio)
        caps = {name: self._named(self.cap, name, float("inf")) for name in available}
        limits = {name: min(caps[name], self.max_repeats * size) for name, size in available.items()}
        if self.weights is not None:
            shares = self._shares(self.weights, available)
            most = min((limits[name] / share for name, share in shares.items() if share), default=0.0)
            total = most if total is None else min(total, most)
            return {name: share * total for name, share in shares.items()}
        wanted = {name: min(caps[name], self._named(self.repeat, name, 1.0) * size) for name, size in available.items()}
        return wanted if total is None else _scaled(wanted, limits, total)

    def _know(self, available: Mapping[str, int]) -> None:
        for name, given in (("weights", self.weights), ("repeat", self.repeat), ("cap", self.cap)):
            for group in given if isinstance(given, dict) else ():
                if group not in available and group != OTHER:
                    hint = nearest(group, available) or f"; there are {', '.join(sorted(available)[:10])}"
                    raise MixError(f"`{name}` of mix: no document has the {self.by} '{group}'{hint}")

    @staticmethod
    def _named(given: float | Mapping[str, float] | None, name: str, default: float) -> float:
        if isinstance(given, Mapping):
            return given.get(name, given.get(OTHER, default))
        return default if given is None else given

    @staticmethod
    def _shares(weights: Mapping[str, float], available: Mapping[str, int]) -> dict[str, float]:
        """Each group's share of the whole; groups not named divide that of `other` by their sizes."""
        rest = {name: size for name, size in available.items() if name not in weights and size}
        whole = sum(weight for name, weight in weights.items() if name in available or (name == OTHER and rest))
        shares = {name: weights.get(name, 0.0) / whole if whole else 0.0 for name in available}
        others = sum(rest.values())
        for name, size in rest.items():
            shares[name] = weights.get(OTHER, 0.0) / whole * size / others if whole else 0.0
        return shares

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: Any, partition: int
    ) -> Iterator[Document | Drop]:
        verdicts = {row["group"]: row for row in map(orjson.loads, values)}
        for _, document in documents:
            if document.protected:
                yield document
                continue
            verdict = verdicts[self.group_of(document)]
            rounds = verdict["rounds"] + (self.bin_of(document) < verdict["limit"])
            if not rounds:
                share = round(verdict["asked"] / verdict["available"], 6) if verdict["available"] else 0.0
                yield Drop(document, self.name, "not_drawn", {"group": verdict["group"]}, share)
                continue
            yield document
            for number in range(2, rounds * self.copies_of(document) + 1):
                yield replace(
                    document,
                    key=f"{document.key}#{number}",
                    metadata=dict(document.metadata),
                    edits=[],
                    notes=[],
                    _signals=None,
                )

    def report(self, values: Iterable[bytes]) -> dict[str, Any]:
        """The figures of all groups from the last round's records, the largest first."""
        rows = {row["group"]: row for row in map(orjson.loads, values)}
        whole = sum(row["realised"] for row in rows.values())
        groups = [
            {
                "group": row["group"],
                "available": row["available"],
                "asked": round(row["asked"], 1),
                "realised": row["realised"],
                "documents": row["documents"],
                "share_asked": round(row["asked"] / row["asked_in_all"], 6) if row["asked_in_all"] else 0.0,
                "share_realised": round(row["realised"] / whole, 6) if whole else 0.0,
            }
            for row in sorted(rows.values(), key=lambda row: (-row["realised"], row["group"]))
        ]
        return {"by": self.by, "unit": self.unit, "realised": whole, "groups": groups}


def _scaled(wanted: Mapping[str, float], limits: Mapping[str, float], total: float) -> dict[str, float]:
    """Sizes in the proportions of `wanted` that add up to `total`, as far as `limits` allow.

    The group that meets its limit first is the one whose limit is smallest beside what it wants.
    """
    sizes = dict.fromkeys(wanted, 0.0)
    order = sorted((name for name, size in wanted.items() if size), key=lambda name: limits[name] / wanted[name])
    # What the groups from each on want together.
    rest = list(itertools.accumulate(wanted[name] for name in reversed(order)))[::-1]
    left, factor = total, None
    for place, name in enumerate(order):
        if factor is None and wanted[name] * left / rest[place] > limits[name]:
            sizes[name] = limits[name]
            left -= limits[name]
            continue
        factor = left / rest[place] if factor is None else factor
        sizes[name] = wanted[name] * factor
    return sizes
