"""Pages with their content as people wrote it down, as examples for training: which blocks are content.

A folder has the pages, in any format of an input, and `gold.jsonl` (or `gold.jsonl.gz`): a row a page, with `url`,
`text`, and, where known, `page_type`, and snippets that must (`with`) and must not (`without`) stand in its text.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from curate.errors import Refused
from curate.extract.blocks.segment import Page, segment

GOLD = ("gold.jsonl.gz", "gold.jsonl")
_WORD = re.compile(r"\w+")
_LARGEST = 400_000_000
"""Most pairs of words of a page and its gold that are aligned; of a larger page nothing is learnt."""


@dataclass
class Example:
    """A page, its gold, and of each of its blocks the words and the share of them that is content."""

    url: str
    domain: str
    kind: str
    text: str
    must: list[str]
    must_not: list[str]
    page: Page
    words: Any
    share: Any


def read_gold(folder: Path) -> Iterator[Example]:
    """Every page of a folder that has a row of gold. Raises Refused where the folder is not as described above."""
    from curate.document import Document
    from curate.domains import registered_domain
    from curate.extract.encoding import decode_html
    from curate.sources import open_source

    rows = _rows(folder)
    for source in sorted(one for one in folder.iterdir() if one.is_file() and one.name not in GOLD):
        for item in open_source(source, "gold"):
            if not isinstance(item, Document) or item.html is None or not rows.get(item.url or ""):
                continue
            row = rows[item.url or ""].pop(0)
            page = segment(decode_html(item.html, item.metadata.get("content_type", "")))
            words, share = aligned(page, row["text"] or "")
            domain = registered_domain(row["url"] or "") or row["url"] or item.key
            must, must_not = row.get("with") or [], row.get("without") or []
            kind = row.get("page_type") or "page"
            yield Example(row["url"], domain, kind, row["text"] or "", must, must_not, page, words, share)


def _rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    named = next((folder / name for name in GOLD if (folder / name).is_file()), None)
    if named is None:
        raise Refused(f"{folder} has no gold.jsonl (or gold.jsonl.gz), with a row `url`, `text` for each page")
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with gzip.open(named, "rt", encoding="utf-8") if named.suffix == ".gz" else named.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                rows[row["url"] or ""].append({**row, "text": row["text"]})
            except (ValueError, KeyError, TypeError):
                raise Refused(f"{named}, line {number}: no JSON object with `url` and `text`") from None
    return rows


def aligned(page: Page, gold: str) -> tuple[Any, Any]:
    """Of each block its words, and the share of them that is gold: in the longest common subsequence of the page's and
    the gold's words; or, of a block less than half in it, in gold's three-word phrases that are left (moved text)."""
    from rapidfuzz.distance import LCSseq

    numbers: dict[str, int] = {}
    wanted = [numbers.setdefault(word, len(numbers)) for word in _WORD.findall(gold.lower())]
    blocks = [
        [numbers.get(word, -1) for word in _WORD.findall(page.raw(block).lower())] for block in range(len(page.begins))
    ]
    count = np.array([len(block) for block in blocks], dtype=np.int64)
    found = np.zeros(len(blocks), dtype=np.int64)
    owners = [number for number, block in enumerate(blocks) for word in block if word >= 0]
    said = [word for block in blocks for word in block if word >= 0]
    left = [True] * len(wanted)
    if said and len(said) * len(wanted) < _LARGEST:
        for op in LCSseq.opcodes(said, wanted):
            if op.tag == "equal":
                np.add.at(found, owners[op.src_start : op.src_end], 1)
                left[op.dest_start : op.dest_end] = [False] * (op.dest_end - op.dest_start)
    share = found / np.maximum(count, 1)
    phrases: dict[tuple[int, ...], int] = defaultdict(int)
    for place in range(len(wanted) - 2):
        if all(left[place : place + 3]):
            phrases[tuple(wanted[place : place + 3])] += 1
    for number, block in enumerate(blocks):
        if phrases and share[number] < 0.5 and len(block) > 2:
            met = [place for place in range(len(block) - 2) if phrases.get(tuple(block[place : place + 3]), 0) > 0]
            covered = len({place + step for place in met for step in range(3)})
            if 2 * covered >= len(block):
                share[number] = max(share[number], covered / len(block))
                for place in met:
                    phrases[tuple(block[place : place + 3])] -= 1
    return count, share


def harmonic(precision: float, recall: float) -> float:
    """F1."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def word_scores(text: str, gold: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of the multiset of lower-case words, as WCXB has it. Two empty texts
    agree."""
    got, wanted = Counter(_WORD.findall(text.lower())), Counter(_WORD.findall(gold.lower()))
    if not got or not wanted:
        same = float(not got and not wanted)
        return same, same, same
    common = (got & wanted).total()
    precision, recall = common / got.total(), common / wanted.total()
    return precision, recall, harmonic(precision, recall)


def snippet_share(text: str, snippets: list[str]) -> float:
    """The share of snippets that stand in the text, in whatever case; 1 where there are none."""
    lowered = text.lower()
    return fmean(snippet.lower() in lowered for snippet in snippets) if snippets else 1.0
