"""A page as the extractor `blocks` sees it, for a person: every block, how sure the model is, and what was kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from curate.extract.blocks.inline import said
from curate.extract.blocks.model import CERTAIN, SHIPPED, load
from curate.extract.blocks.segment import segment

_AROUND = 4


@dataclass(frozen=True, slots=True)
class ShownBlock:
    """`probability` is that of being content, in thousandths; `where` the innermost elements around the block."""

    kept: bool
    probability: int
    words: int
    where: str
    text: str


def shown(html: str, model: Path | None = None, point: str = "balanced") -> list[ShownBlock]:
    """The blocks of a page, in reading order."""
    page = segment(html)
    judged = load(model or SHIPPED).judged(page, point)
    kept = set(judged.chosen)
    blocks = []
    for block, (probability, words) in enumerate(zip(judged.probabilities, judged.words, strict=True)):
        element = page.element[block]
        around: list[str] = []
        while element > 0 and len(around) < _AROUND:
            around.append(page.tags[element])
            element = page.parents[element]
        text = said(page.tokens, page.begins[block], page.ends[block]).replace("\n", " / ")
        where = " ".join(reversed(around))
        blocks.append(ShownBlock(block in kept, probability * 1000 // CERTAIN, words, where, text))
    return blocks
