"""Facts placed in a corpus: every fact as often as asked, spread evenly, and every page left as it was."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.shards.vocabulary import OTHER
from curate.step import Drop, Injection, Record, Round, param, partition_key
from synth.codes import compact_table, record_text, reserved_words
from synth.facts import FactsError, FactTable
from synth.people import biography, people_table, read_pools
from synth.streams import permutation, stream

SOURCE = "inject"

_COUNT = struct.Struct(">IQ")
_PLACE = struct.Struct(">?QQQ")


class _Count(Round):
    """How many documents each partition holds, so that each learns where it stands in the whole corpus."""

    name = "count"

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        yield b"", _COUNT.pack(partition, sum(1 for _ in documents))

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        counts = sorted(_COUNT.unpack(value) for value in values)
        total = sum(count for _, count in counts)
        offset = 0
        for place, (partition, count) in enumerate(counts):
            yield partition_key(partition), _PLACE.pack(place == 0, offset, count, total)
            offset += count


@dataclass(frozen=True)
class Inject(Injection):
    """Adds N x E documents that state known facts, E exposures of each of N people.

    Injected document j of J stands after document floor((j + 0.5) D / J) of the D that are there, counted over the
    whole corpus; all people appear once, in an order of their own, before any appears again. The documents are
    protected: no later step reads or changes them.
    """

    name: ClassVar[str] = "inject"
    version: ClassVar[int] = 1

    kind: str = param(
        "compact",
        "compact: records of reserved words, the cheapest text for a small model; people: biographies (bioS)",
        source="Allen-Zhu & Li, arXiv 2404.05405",
        choices=("compact", "people"),
    )
    people: int = param(400, "how many people the facts are of", ge=1)
    exposures: int = param(100, "how often each of them appears", ge=1)
    seed: int = param(0, "names, values, templates and order follow from it", ge=0)
    domain: str = param("facts", "the domain that the documents carry")
    pools: str | None = param(
        None,
        "people: a folder of first_name.txt, middle_name.txt, last_name.txt, city.txt, university.txt, field.txt and "
        "company.txt (`Company; City`), one value a line; left out: invented names of the published sizes",
        path=True,
    )
    name_parts: list[int] = param([256, 256], "compact: how many words there are for each part of a name")
    values: int = param(64, "compact: how many values an attribute can take", ge=2, le=65_536)
    attributes: int = param(6, "compact: how many attributes a person has", ge=1, le=256)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.domain) or self.domain == OTHER:
            raise FactsError(
                f"`domain` is a name of letters, digits, '.', '_' and '-', and not {OTHER!r}: {self.domain!r}"
            )
        if self.kind == "people":
            pools = read_pools(self.pools)
            sizes = [len(pools[part]) for part in ("first_name", "middle_name", "last_name")]
            remedy = "give larger `pools`"
        else:
            if self.pools is not None:
                raise FactsError("`pools` are names for `kind: people`; compact records have words of their own")
            if not self.name_parts or any(not 1 <= size <= 65_536 for size in self.name_parts):
                raise FactsError(
                    "`name_parts` lists the size of each part, between 1 and 65536: for example [256, 256]"
                )
            sizes, remedy = self.name_parts, "enlarge `name_parts`"
        if self.people > math.prod(sizes):
            shown = " x ".join(map(str, sizes))
            raise FactsError(f"there are {math.prod(sizes)} names ({shown}) for {self.people} people; {remedy}")

    def table(self) -> FactTable:
        """The facts themselves."""
        if self.kind == "people":
            return people_table(self.people, self.exposures, pools=self.pools, seed=self.seed, domain=self.domain)
        return compact_table(
            self.people,
            self.exposures,
            name_parts=self.name_parts,
            values=self.values,
            attributes=self.attributes,
            seed=self.seed,
            domain=self.domain,
        )

    def reserved_tokens(self) -> list[str]:
        """Words that must be one token each: those of compact records. Biographies need none."""
        return reserved_words(self.table()) if self.kind == "compact" else []

    def write_facts(self, folder: Path, tokenizer: Path | None, used: int | None = None) -> None:
        """Write the facts and, when a tokenizer is given, the token spans to score (`used`: tokens that occur)."""
        table = self.table()
        table.save(folder)
        if tokenizer is not None:
            from curate.shards.vocabulary import Vocabulary
            from synth.scoring import write_scoring

            write_scoring(folder, table, Vocabulary.load(tokenizer), used=used)

    def rounds(self) -> list[Round]:
        return [_Count()]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        (value,) = values
        first, offset, count, total = _PLACE.unpack(value)
        added = self.people * self.exposures
        if total == 0:
            yield from injected(self.table(), 0, added if first else 0)
            return
        # Document j stands after place floor((2j + 1) D / 2J); the first j of a place is the inverse, rounded up.
        begin, end = (max(0, -((total - 2 * added * place) // (2 * total))) for place in (offset, offset + count))
        waiting = injected(self.table(), begin, min(end, added)) if count else iter(())
        number = begin
        for place, (_, document) in enumerate(documents, offset):
            yield document
            while number < min(end, added) and (2 * number + 1) * total // (2 * added) == place:
                yield next(waiting)
                number += 1


def injected(table: FactTable, begin: int, end: int) -> Iterator[Document]:
    """Injected documents `begin` to `end` of the N x E: exposure after exposure, each in an order of its own."""
    order = None
    for number in range(begin, end):
        exposure, place = divmod(number, table.people)
        if order is None or place == 0:
            order = exposure_order(table, exposure)
        entity = order[place]
        metadata = {"kind": table.kind, "entity": entity, "exposure": exposure}
        if table.kind == "people":
            text = biography(table, entity, exposure)
            metadata["language"] = "en"
        else:
            text = record_text(table, entity)
        yield Document(
            key=f"{SOURCE}/{entity}@{exposure}",
            text=text,
            domain=table.domain,
            source=SOURCE,
            metadata=metadata,
            protected=True,
        )


def exposure_order(table: FactTable, exposure: int) -> list[int]:
    """The order in which people appear in one exposure."""
    return permutation(stream(table.seed, f"order/{exposure}"), table.people).tolist()
