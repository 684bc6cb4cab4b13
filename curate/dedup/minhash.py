"""Near-duplicate documents: candidates by MinHash and banding, each merge verified by the true similarity.

The bands and their sizes are FineWeb's (Penedo et al. 2024, section 3.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from curate.dedup.candidates import TEXT_HASH, VERDICTS, Band, Layouts
from curate.dedup.index import Index, index_file
from curate.dedup.merges import Cluster, Gather, Verdict, Verify
from curate.dedup.sketch import DIALECTS, Sketcher
from curate.dedup.survivors import Policy
from curate.document import Document, Drop
from curate.errors import Refused
from curate.step import CorpusStep, Round, param


@dataclass(frozen=True)
class MinHashDedup(CorpusStep):
    """Keep one document of each group of near-duplicates, by a stated policy: the longest, unless said.

    Candidates share a band of their MinHash signatures; a document is dropped only when its true similarity with the
    survivor named beside it reaches `threshold` and, under the guard, both hold the same numbers as often. The
    ledger's value is `{"similarity", "survivor", "cluster"}`; a survivor's `metadata` has `cluster` and
    `cluster_size`, which counts it and those it stands for. Texts of fewer words than `min_words` are kept. Ties of
    the policy go to the smallest hash of the text, then to the smallest document key.
    """

    name: ClassVar[str] = "minhash_dedup"
    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("rensa", "xxhash", "numpy")

    threshold: float = param(0.8, "smallest similarity of two sets of shingles that merges", ge=0.0, le=1.0)
    measure: str = param(
        "jaccard",
        "jaccard: shared shingles over all; containment: over those of the document that goes (candidates are found"
        " by Jaccard all the same)",
        choices=("jaccard", "containment"),
    )
    unit: str = param("words", "what a shingle is made of", choices=("words", "characters"))
    shingle: int = param(5, "words (or characters) in a shingle", source="FineWeb (datatrove n_grams)", ge=1, le=64)
    bands: int = param(14, "bands of a signature", source="FineWeb (datatrove num_buckets)", ge=1, le=1000)
    rows: int = param(8, "values in a band", source="FineWeb (datatrove hashes_per_bucket)", ge=1, le=64)
    seed: int = param(1, "seed of the signatures", ge=0)
    numbers: str = param(
        "guard",
        "guard: texts whose numbers differ are never merged; ignore: a figure is a word like any other",
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
        ["longest"], "who survives, in order: source, longest, shortest, newest, oldest, most:NAME, least:NAME"
    )
    sources: list[str] = param([], "names of inputs, the best first, for `survivor: [source]`")
    index: str | None = param(
        None, "a folder that `goldsand index build` made: what is near a document in it goes", path=True
    )
    ranges: int = param(
        256, "into how many parts the work is cut: memory goes down with it, nothing else changes", ge=1, le=65536
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
    def layouts(self) -> Layouts:
        return Layouts(1 + self.policy.width + TEXT_HASH)

    @cached_property
    def opened_index(self) -> Index | None:
        """The index, if there is one. Raises IndexMismatch when it was made with other parameters."""
        return None if self.index is None else Index(Path(self.index)).matching(self)

    def open(self) -> None:
        _ = self.opened_index

    def resources(self) -> list[Path]:
        # It holds the checksums of all its files.
        return [] if self.index is None else [index_file(Path(self.index))]

    def memory(self, documents: int, characters: int) -> int:
        # Three copies of a range's rows while they are sorted; six characters a word; at worst all are clustered.
        order = 1 + self.policy.width + TEXT_HASH
        bands = 3 * documents * self.bands * (24 + order) // self.ranges
        classes = 3 * (documents * (120 + order) + 8 * characters // (6 if self.unit == "words" else 1)) // self.ranges
        return max(bands, classes, documents * (order + 8 + 8))

    def rounds(self) -> list[Round]:
        return [Band(self), Gather(self), Verify(self), Cluster(self), Verdict(self)]

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
            group = f"{int(verdict['cluster']):016x}"
            if verdict["kept"]:
                document.metadata["cluster"] = group
                document.metadata["cluster_size"] = int(verdict["count"])
                yield document
            else:
                survivor = table.items(row, ends).tobytes().decode("utf-8", "surrogatepass")
                found = {"similarity": float(verdict["similarity"]), "survivor": survivor, "cluster": group}
                yield Drop(document, self.name, "near_duplicate", found, self.threshold)
