"""The settings of a run's output: how text and token shards are written, and with which vocabulary.

Light: recipes are checked against it before heavy modules are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.places.store import checksum
from curate.shards.text import RENDERINGS as TEXT_RENDERINGS
from curate.shards.vocabulary import KINDS, RENDERINGS
from curate.step import param, refuse_unknown

KEEP_DROPPED = ("none", "sample", "all")


@dataclass(frozen=True)
class VocabularyChoice:
    """Which vocabulary token shards use."""

    kind: str = param(
        "bpe",
        "a small BPE trained on the corpus; joint adds a token for each compact name and value",
        choices=KINDS,
    )
    size: int = param(1024, "tokens of the trained BPE, its 256 bytes included", ge=257, le=65_000)
    file: Path | None = param(None, "a tokenizer.json, for kind: file")
    domains: int = param(64, "the most frequent domains get a token of their own", ge=0, le=4096)
    buckets: int = param(
        0, "tokens that domains are hashed to: the rarer ones, or all; 0: the rarer ones share one token", ge=0, le=4096
    )

    def describe(self) -> dict[str, Any]:
        content = checksum(self.file) if self.file else None
        return {
            "kind": self.kind, "size": self.size, "file": content, "domains": self.domains, "buckets": self.buckets
        }  # fmt: skip


@dataclass(frozen=True)
class Rendering:
    """One set of token shards. Raises Refused for an unknown source or rendering."""

    name: str
    source: str = param(
        "end", "extract: every extracted page, before any rule; end: the finished corpus", choices=("extract", "end")
    )
    domain: str = param(
        "none",
        "what precedes each document: no prefix; the domain as text; the domain's own token; the token of one of"
        " `tokenizer.buckets` that it is hashed to; the whole URL as text",
        choices=RENDERINGS,
    )
    bare: float = param(0.0, "share of the documents without the domain", ge=0, le=1)

    def __post_init__(self) -> None:
        refuse_unknown(self)


@dataclass(frozen=True)
class Publication:
    """The output that a run publishes. Raises Refused for an unknown rendering or sample."""

    text_domain: str = param("none", "prefix: the domain on a line before the text", choices=TEXT_RENDERINGS)
    keep_dropped: str = param("sample", "of which dropped documents the ledger keeps the text", choices=KEEP_DROPPED)
    vocabulary: VocabularyChoice = field(default_factory=VocabularyChoice)
    renderings: list[Rendering] = field(default_factory=list)

    def __post_init__(self) -> None:
        refuse_unknown(self)
