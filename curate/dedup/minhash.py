"""Near-duplicate documents: candidates by MinHash and banding, each merge verified by the true similarity.

The bands and their sizes are FineWeb's (Penedo et al. 2024, section 3.4).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from curate.dedup.candidates import BandRound
from curate.dedup.index import Index, index_file
from curate.dedup.layouts import VERDICTS
from curate.dedup.merges import ClusterRound, GatherRound, VerdictRound, VerifyRound
from curate.dedup.search import Search
from curate.dedup.signatures import DIALECTS, NORMALISER, Sketcher
from curate.dedup.survivors import ANNOTATE, Policy, noted
from curate.dedup.waves import WaveRound
from curate.document import Document, Drop
from curate.errors import Refused
from curate.step import CorpusStep, Round, param

_INDEXED = (
    "unit",
    "shingle",
    "bands",
    "rows",
    "seed",
    "numbers",
    "min_words",
    "dialect",
    "survivor",
    "sources",
    "ranges",
)
"""Parameters that shape signatures and survivor orders: an index must have the same."""


@dataclass(frozen=True)
class MinHashDedup(CorpusStep):
    """Keep one document of each cluster of near-duplicates, by policy: the cleanest by default.

    Candidates share a band of their MinHash signatures; a document is dropped only when its true similarity with the
    survivor named beside it reaches `threshold` and, under the guard, both hold the same figures as often (figures.py
    says which count, and in which spelling). The
    ledger's value is `{"similarity", "survivor", "cluster"}`; a survivor's `metadata` has `cluster` and
    `cluster_size`, which counts the survivor and its duplicates. Texts of fewer words than `min_words` are kept. Ties
    of the policy go to the smallest hash of the text, then to the smallest document key.
    """

    name: ClassVar[str] = "minhash_dedup"
    version: ClassVar[int] = 5
    libraries: ClassVar[tuple[str, ...]] = ("rensa", "xxhash", "numpy")

    threshold: float = param(0.8, "smallest similarity of two sets of shingles that merges their texts", ge=0.0, le=1.0)
    measure: str = param(
        "jaccard",
        "jaccard: shared shingles over all; containment: over those of the duplicate (candidates are found by Jaccard"
        " in both cases)",
        choices=("jaccard", "containment"),
    )
    unit: str = param("words", "what a shingle is made of", choices=("words", "characters"))
    shingle: int = param(5, "words (or characters) in a shingle", source="FineWeb (datatrove n_grams)", ge=1, le=64)
    bands: int = param(14, "bands of a signature", source="FineWeb (datatrove num_buckets)", ge=1, le=1000)
    rows: int = param(8, "values in a band", source="FineWeb (datatrove hashes_per_bucket)", ge=1, le=64)
    seed: int = param(1, "seed of the signatures", ge=0)
    numbers: str = param(
        "guard",
        "guard: texts whose figures differ are never duplicates, however they are spelled, those of page furniture"
        " (date of change, page, version, counter, copyright) aside; ignore: a number is a word like any other",
        choices=("guard", "ignore"),
    )
    min_words: int = param(5, "texts of fewer words are kept", source="FineWeb (datatrove)", ge=1)
    dialect: str = param(
        "goldsand",
        "words, shingles and signatures: ours; fineweb and datatrove: datatrove's, numbers folded to 0, by SHA-1 as"
        " FineWeb was made or by xxHash",
        choices=DIALECTS,
    )
    survivor: list[str] = param(
        ["cleanest"],
        "who survives, in order: source, cleanest (most text, less what frames and damages it), longest, shortest,"
        " newest, oldest, most:NAME, least:NAME; or none, alone",
        source="ours: docs/results/survivors.md",
    )
    sources: list[str] = param([], "names of inputs, the best first, for `survivor: [source]`")
    annotate: bool = param(False, ANNOTATE)
    index: str | None = param(
        None, "a folder that `goldsand index build` made: near-duplicates of its documents are dropped", path=True
    )
    ranges: int = param(
        256,
        "number of parts into which the work is cut: more take less memory, and change nothing else",
        ge=1,
        le=65536,
    )
    waves: int = param(
        0,
        "rounds in which many units decide clusters, before one unit decides what is left; 0: one decides all, which is"
        " enough below a billion documents. Changes no outcome",
        ge=0,
        le=64,
    )

    def __post_init__(self) -> None:
        if self.dialect != "goldsand" and self.unit != "words":
            raise Refused("`unit: characters` and a dialect of datatrove do not go together: its shingles are words")
        _ = self.policy
        if self.index is not None and index_file(Path(self.index)).exists():
            _ = self.opened_index

    @cached_property
    def sketcher(self) -> Sketcher:
        return Sketcher(
            dialect=self.dialect,
            unit=self.unit,
            shingle=self.shingle,
            bands=self.bands,
            rows=self.rows,
            seed=self.seed,
            numbers=self.numbers,
            min_words=self.min_words,
        )

    @cached_property
    def policy(self) -> Policy:
        return Policy(tuple(self.survivor), tuple(self.sources))

    @cached_property
    def search(self) -> Search:
        """What the rounds use of this step. Raises IndexMismatch as `opened_index` does."""
        work = (self.ranges, self.waves, self.opened_index)
        return Search(self.sketcher, self.policy, self.threshold, self.measure, *work)

    @cached_property
    def opened_index(self) -> Index | None:
        """The index, if the step has one. Raises IndexMismatch when it was made with other parameters."""
        return None if self.index is None else Index(Path(self.index)).matching(self.index_parameters())

    def index_parameters(self) -> dict[str, Any]:
        """The parameters and versions that an index must share. A threshold and a measure may differ."""
        return {name: getattr(self, name) for name in _INDEXED} | {
            "normaliser": NORMALISER,
            "step version": self.version,
            "rensa": importlib.metadata.version("rensa"),
        }

    def open(self) -> None:
        _ = self.opened_index

    def resources(self) -> list[Path]:
        # It holds the checksums of all its files.
        return [] if self.index is None else [index_file(Path(self.index))]

    def memory(self, documents: int, characters: int) -> int:
        # Three copies of a range's rows while they are sorted; six characters a word; at worst all are clustered.
        order = self.search.order
        bands = 3 * documents * self.bands * (24 + order) // self.ranges
        classes = 3 * (documents * (120 + order) + 8 * characters // (6 if self.unit == "words" else 1)) // self.ranges
        return max(bands, classes, documents * (order + 8 + 8))

    def rounds(self) -> list[Round]:
        search = self.search
        waves = [WaveRound(search, number) for number in range(1, self.waves + 1)]
        rest = [WaveRound(search)] if waves else []
        first = [BandRound(search), GatherRound(search), VerifyRound(search)]
        return [*first, *waves, *rest, ClusterRound(search), VerdictRound(search)]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        table = VERDICTS.gather(values)
        ends = table.ends()
        rows = {place: row for row, place in enumerate(table["place"].tolist())}
        for place, document in documents:
            row = rows.get(place)
            if row is None:
                yield document
                continue
            verdict = table.rows[row]
            cluster = f"{int(verdict['cluster']):016x}"
            if verdict["kept"]:
                document.metadata["cluster"] = cluster
                document.metadata["cluster_size"] = int(verdict["count"])
                if self.policy.drops_all and verdict["count"] > 1:
                    size = {"cluster": cluster, "cluster_size": int(verdict["count"])}
                    drop = Drop(document, self.name, "has_duplicates", size, 1)
                    yield noted(drop) if self.annotate else drop
                    continue
                yield document
            else:
                survivor = table.items(row, ends).tobytes().decode("utf-8", "surrogatepass")
                value = {"similarity": float(verdict["similarity"]), "survivor": survivor, "cluster": cluster}
                drop = Drop(document, self.name, "near_duplicate", value, self.threshold)
                yield noted(drop) if self.annotate else drop
