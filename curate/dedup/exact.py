"""Exact duplicates: documents with the same text, byte for byte or by its words, or with the same URL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
from urllib.parse import urlsplit

import xxhash

from curate.dedup.survivors import ANNOTATE, Policy, noted, text_hash
from curate.document import Document, Drop
from curate.step import CorpusStep, Record, Round, param, partition_key
from curate.text.folding import fold, visible

_PLACE_BYTES = 8
_FIRST = b"\0"
"""In front of the key of the next copy: the verdict on the first one, where none survives."""
_HASH_BYTES = 8
_WORDS = re.compile(r"\w+")
_PORTS = {"http": 80, "https": 443}


def same_text(text: str, normalise: str) -> str:
    """The part of a text that is compared."""
    if normalise == "whitespace-and-case":
        return " ".join(visible(text).lower().split())
    if normalise == "words":
        return " ".join(_WORDS.findall(fold(text).decode("utf-8")))
    return text


def same_url(url: str, normalise: str) -> str:
    """The part of a URL that is compared. With `normalise: none` all of it; else without scheme, `www.`, case of the
    host, default port, fragment and a final slash, but with the query."""
    if normalise == "none":
        return url
    try:
        parts = urlsplit(url.strip())
        port = "" if parts.port in (None, _PORTS.get(parts.scheme.lower())) else f":{parts.port}"
    except ValueError:
        return url
    host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    return f"{host}{port}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")


class _ExactRound(Round):
    """Groups documents by a hash of text or URL; sends all but the first in survivor order its document key."""

    name = "text"
    streams = True

    def __init__(self, step: ExactDedup) -> None:
        self.step = step

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        step = self.step
        for place, document in documents:
            if document.protected or (step.by == "url" and document.url is None):
                continue
            if step.by == "url":
                content = same_url(document.url or "", step.normalise)
            else:
                content = same_text(document.text, step.normalise)
            digest = xxhash.xxh3_128_digest(content.encode("utf-8", "surrogatepass"))
            key = document.key.encode("utf-8", "surrogatepass")
            # Values come sorted in survivor order: the first document survives.
            order = step.policy(document) + text_hash(document.text)
            yield digest, order + key + place.to_bytes(_PLACE_BYTES, "big")

    def reduce(self, key: bytes, values: Iterable[bytes]) -> Iterator[Record]:
        survivor = first = None
        for value in values:
            name, place = value[self.step.policy.width + _HASH_BYTES : -_PLACE_BYTES], value[-_PLACE_BYTES:]
            if survivor is None:
                survivor, first = name, place
                continue
            if first is not None and self.step.policy.drops_all:
                yield partition_key(int.from_bytes(first, "big") >> 32), first + _FIRST + name
                first = None
            yield partition_key(int.from_bytes(place, "big") >> 32), place + survivor


@dataclass(frozen=True)
class ExactDedup(CorpusStep):
    """Keep one document of each text, or of each URL: by policy, then by hash of the text, then by document key.

    The ledger's value is the survivor's document key. Texts are compared by a 128-bit hash (xxh3). With `by: url`,
    documents without a URL are kept.
    """

    name: ClassVar[str] = "exact_dedup"
    version: ClassVar[int] = 3
    libraries: ClassVar[tuple[str, ...]] = ("xxhash",)

    by: str = param("text", "what duplicates share", choices=("text", "url"))
    normalise: str = param(
        "none",
        "ignored in a text: nothing; runs of white space, upper case and signs without a width; all but words."
        " In a URL: nothing, or else"
        " scheme, www., case of the host, default port, fragment and a slash at the end",
        choices=("none", "whitespace-and-case", "words"),
    )
    survivor: list[str] = param(
        [], "who survives, in order: source, longest, shortest, newest, oldest, most:NAME, least:NAME; or none, alone"
    )
    sources: list[str] = param([], "names of inputs, the best first, for `survivor: [source]`")
    annotate: bool = param(False, ANNOTATE)

    def __post_init__(self) -> None:
        _ = self.policy

    @cached_property
    def policy(self) -> Policy:
        return Policy(tuple(self.survivor), tuple(self.sources))

    def rounds(self) -> list[Round]:
        return [_ExactRound(self)]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        survivors = {int.from_bytes(value[:_PLACE_BYTES], "big"): value[_PLACE_BYTES:] for value in values}
        for place, document in documents:
            survivor = survivors.get(place)
            if survivor is None:
                yield document
                continue
            rule = "has_duplicates" if survivor.startswith(_FIRST) else "duplicate"
            drop = Drop(document, self.name, rule, survivor.removeprefix(_FIRST).decode("utf-8", "surrogatepass"))
            yield noted(drop) if self.annotate else drop
