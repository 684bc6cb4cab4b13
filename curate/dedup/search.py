"""What the rounds of a near-duplicate search use of the step that runs them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from curate.dedup.index import Index
from curate.dedup.layouts import TEXT_HASH, Layouts
from curate.dedup.signatures import Sketcher
from curate.dedup.survivors import Policy


@dataclass(frozen=True)
class Search:
    """How signatures are made, who survives, what verifies a pair, and what the corpus is searched against.

    `threshold` and `measure` ("jaccard" or "containment") verify a pair; `ranges` is the number of parts that all
    hashes are cut into; `waves` of how many rounds in which many units decide clusters; `index` holds the signatures of
    earlier corpora, or is None.
    """

    sketcher: Sketcher
    policy: Policy
    threshold: float
    measure: str
    ranges: int
    waves: int = 0
    index: Index | None = None

    @property
    def order(self) -> int:
        """Bytes of a document's survivor order: in an index or not, the policy's, the hash of the text."""
        return 1 + self.policy.width + TEXT_HASH

    @cached_property
    def layouts(self) -> Layouts:
        return Layouts(self.order)
