"""Documents whose text is the same, byte for byte or up to white space and case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import xxhash

from curate.document import Document, Drop
from curate.step import CorpusStep, Record, Round, param, partition_key

_PLACE_BYTES = 8


class _Text(Round):
    """Records of equal texts meet; all but the one with the smallest document key get a verdict."""

    name = "text"

    def __init__(self, normalise: str) -> None:
        self.normalise = normalise

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        for place, document in documents:
            if document.protected:
                continue
            text = document.text
            if self.normalise == "whitespace-and-case":
                text = " ".join(text.lower().split())
            digest = xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass"))
            yield digest, place.to_bytes(_PLACE_BYTES, "big") + document.key.encode("utf-8", "surrogatepass")

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        if len(values) < 2:
            return
        survivor = min(values, key=lambda value: value[_PLACE_BYTES:])
        for value in values:
            if value is not survivor:
                place = value[:_PLACE_BYTES]
                partition = int.from_bytes(place, "big") >> 32
                yield partition_key(partition), place + survivor[_PLACE_BYTES:]


@dataclass(frozen=True)
class ExactDedup(CorpusStep):
    """Keep one document of each text: the one with the smallest document key.

    The ledger's value is the survivor's document key. Texts meet by a 128-bit hash (xxh3), never side by side.
    """

    name: ClassVar[str] = "exact_dedup"
    libraries: ClassVar[tuple[str, ...]] = ("xxhash",)

    normalise: str = param(
        "none",
        "what is ignored when texts are compared: nothing, or runs of white space and upper case",
        choices=("none", "whitespace-and-case"),
    )

    def rounds(self) -> list[Round]:
        return [_Text(self.normalise)]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        survivors = {int.from_bytes(value[:_PLACE_BYTES], "big"): value[_PLACE_BYTES:] for value in values}
        for place, document in documents:
            survivor = survivors.get(place)
            if survivor is None:
                yield document
            else:
                yield Drop(document, self.name, "duplicate", survivor.decode("utf-8", "surrogatepass"))
