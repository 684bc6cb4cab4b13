"""Where each text of a batch is from: document, source, domain, licence."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash

from curate.shards.text import document_from_json, domain_prefix, read_lines, read_text_shard, text_row
from curate.shards.tokens import NO_DOMAIN, TokenShards
from curate.shards.vocabulary import Vocabulary
from recipes.app.measure.corpora import open_corpus
from synth.placed import SOURCE
from train_probe.inputs import Pages

GENERATED = "generated"
"""The licence of texts that a program drew from pools of its own; what is empty was not stated."""

_ENCODED = 256


@dataclass(frozen=True, slots=True)
class Origin:
    """What a text is, and where it is from."""

    kind: str
    document: str
    source: str
    domain: str = ""
    url: str = ""
    licence: str = ""
    whole: int = 0
    """Tokens of a page that windows cut, of which this may be a part; 0: it is all that is here."""


def fact(entity: int, exposure: int, domain: str, drawn: bool) -> Origin:
    """The text that shows an entity for this time; `drawn` where the facts came from pools, not from somebody's
    table."""
    key = f"{SOURCE}/{entity}@{exposure}"
    return Origin("fact", key, SOURCE, domain, licence=GENERATED if drawn else "")


def generated(kind: str, number: int) -> Origin:
    """Junk that was drawn."""
    return Origin("junk", f"{kind}/{number}", GENERATED, licence=GENERATED)


class PageDocuments:
    """The pages of a token set by number. `corpus`: a finished run, whose documents are known by their tokens; without
    one, or where it lacks a page, a page is named by its place in the set. `unnamed` are
    those."""

    def __init__(self, shards: TokenShards, pages: Pages, name: str, corpus: Path | None, known: Vocabulary) -> None:
        self.name = name
        self.unnamed: set[int] = set()
        self._length = np.diff(pages.ends, prepend=0)
        table = shards.documents()
        self._table = table[table["entity"] < 0]
        self._sources = shards.metadata["sources"]
        self._domains = [one["name"] for one in shards.metadata["domains"]]
        # Opening a corpus holds its text against what its run wrote down.
        self._found = {} if corpus is None else _found(pages, open_corpus(name, corpus).folder, known)

    def __getitem__(self, page: int) -> Origin:
        row = self._table[page]
        number, size = int(row["domain"]), int(self._length[page])
        known = self._found.get(page)
        if known is None:
            self.unnamed.add(page)
            domain = "" if number == NO_DOMAIN else self._domains[number]
            return Origin("page", f"{self.name}#{page}", self._sources[row["source"]], domain, whole=size)
        return Origin("page", known["id"], known["source"], known["domain"], known["url"], _licence(known), size)


def _licence(row: dict[str, Any]) -> str:
    stated = orjson.loads(row["metadata"]).get("license")
    return stated if isinstance(stated, str) else ""


def _found(pages: Pages, corpus: Path, known: Vocabulary) -> dict[int, dict[str, Any]]:
    """Of each page the corpus' document that has its tokens: the finished text first, then what was extracted."""
    places: defaultdict[bytes, deque[int]] = defaultdict(deque)
    starts = np.concatenate([[0], pages.ends[:-1]]) + pages.prefix
    for page, (start, end) in enumerate(zip(starts.tolist(), pages.ends.tolist(), strict=True)):
        places[_digest(pages.tokens[start : end - 1])].append(page)
    found: dict[int, dict[str, Any]] = {}
    for rows in (_finished(corpus), _extracted(corpus)):
        while some := list(itertools.islice(rows, _ENCODED)):
            for row, ids in zip(some, known.encode([row.pop("text") for row in some]), strict=True):
                waiting = places.get(_digest(np.asarray(ids)))
                if waiting:
                    found[waiting.popleft()] = row
        if len(found) == len(pages.ends):
            break
    return found


def _digest(ids: np.ndarray) -> bytes:
    return xxhash.xxh3_128_digest(np.ascontiguousarray(ids, np.uint32).tobytes())


def _finished(corpus: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((corpus / "text").glob("*.jsonl.zst")):
        for row in read_text_shard(path):
            if not row["injected"]:
                row["text"] = row["text"].removeprefix(domain_prefix(row["domain"] or None))
                yield row


def _extracted(corpus: Path) -> Iterator[dict[str, Any]]:
    for path in _in_order((corpus / "stages").glob("*-extract/*.jsonl.zst")):
        for line in read_lines(path):
            yield text_row(document_from_json(line))


def _in_order(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.name)
