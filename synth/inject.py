"""Facts placed in a corpus: every fact as often as asked, where asked, and every page left as it was."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson

from curate.document import Document
from curate.shards.vocabulary import OTHER, token_counter
from curate.step import Drop, Injection, Record, Round, param, partition_key, refuse_unknown
from synth.codes import RECORDS, biod_table, compact_table, reserved_words
from synth.domains import DOMAINS, Domains
from synth.exposures import Schedule, blocks_of, exposure_counts
from synth.facts import FactsError, FactTable
from synth.kinds import writer_of
from synth.own.table import ENTROPIES, OwnTable, read_once
from synth.people import NAME_PARTS, people_table, read_pools
from synth.placed import Placed
from synth.relations import EMPLOYERS, relations_table
from synth.share import SHARES, share_counts

_SENTENCES = {"frozen", "held_out_templates"}

_USES = {
    "compact": {"people", "name_parts", "values", "attributes", "majority"},
    "people": {"people", "pools"} | _SENTENCES,
    "biod": {"people", "name_parts", "attributes", "chunks", "strings", "length", "alphabet", "frozen"},
    "relations": {"people", "employers", "pools"} | _SENTENCES,
    "table": {"facts", "entity", "columns", "templates", "entropy"} | _SENTENCES,
}
"""The parameters that not every kind takes, by kind."""


@dataclass(frozen=True)
class _CorpusSize(Round):
    """Counts what each partition holds, so that each learns its place in the whole corpus."""

    tokenizer: str | None
    tokens: bool
    domains: bool
    name = "count"

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        count = tokens = 0
        counted = token_counter(self.tokenizer) if self.tokens else None
        domains: Counter[str] = Counter()
        for _, document in documents:
            if document.protected and "entity" in document.metadata:
                raise FactsError(
                    f"{document.key} states facts of an earlier run, whose entities have the numbers of these: leave"
                    " the step `inject` out, or read that input with `format: jsonl`, as text like any other"
                )
            count += 1
            if counted is not None:
                tokens += counted(document.text)
            if self.domains and document.domain:
                domains[document.domain] += 1
        size = {"partition": partition, "count": count, "tokens": tokens, "domains": sorted(domains.items())}
        yield b"", orjson.dumps(size)

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        sizes = sorted(map(orjson.loads, values), key=lambda one: one["partition"])
        domains: Counter[str] = Counter()
        for one in sizes:
            domains.update(dict(one["domains"]))
        # The most frequent, because every partition receives them all.
        kept = sorted(domains.items(), key=lambda one: (-one[1], one[0]))[: Domains.MOST]
        whole = {
            "total": sum(one["count"] for one in sizes),
            "tokens": sum(one["tokens"] for one in sizes),
            "domains": kept,
        }
        offset = 0
        for place, one in enumerate(sizes):
            own = {"first": place == 0, "offset": offset, "count": one["count"]}
            yield partition_key(one["partition"]), orjson.dumps(own | whole)
            offset += one["count"]


@dataclass(frozen=True)
class Inject(Injection):
    """Adds documents that state known facts, each entity's as often as `exposures` says.

    Injected document j of J comes after document floor((j + 0.5) D / J) of the corpus's D. The documents are protected:
    no later step reads or changes them.
    """

    name: ClassVar[str] = "inject"
    version: ClassVar[int] = 2

    kind: str = param(
        "compact",
        "compact: records of reserved words, the cheapest text for a small model; people: biographies (bioS); biod: "
        "values of chosen length and diversity, in reserved words; relations: people, their employers, and these "
        "companies' cities, so that two facts lead to a third; table: a file of your own facts",
        source="Allen-Zhu & Li, arXiv 2404.05405",
        choices=tuple(_USES),
    )
    people: int = param(
        400, "how many people (or other entities) there are facts of; not for a table, which has its own", ge=1
    )
    exposures: int | list[int] | dict[str, float] = param(
        100,
        "how often each of them appears: a number; a list, whose counts go to equal parts of the people; a power law "
        "{power: 1.0, most: 1000, least: 1}; or the injected documents' share of the whole: {document_share: 0.1} or "
        "{token_share: 0.125}",
    )
    placement: str | dict[str, int] = param(
        "even",
        "even: spread over the whole corpus; clustered: all appearances of one entity together; curriculum: entities "
        "enter one after another over the first half; {blocks: n}: in n blocks of entities, one after another",
    )
    held_out: int = param(0, "how many more people there are, whose facts are never shown", ge=0)
    held_out_templates: int = param(0, "sentences: how many templates of each attribute are never shown", ge=0)
    seed: int = param(0, "names, values, templates and order follow from it", ge=0)
    domain: str = param("facts", "the domain of the documents, with `domains: own`")
    domains: str = param(
        "own",
        "own: one domain of their own, an oracle; corpus: each entity has one, drawn from the corpus's distribution; "
        "shuffled: each document has one, drawn anew, which predicts no fact (a placebo)",
        choices=DOMAINS,
    )
    tokenizer: str | None = param(
        None,
        "a tokenizer.json that counts the tokens of `token_share`; left out: words and marks are counted",
        path=True,
    )
    frozen: bool = param(False, "sentences, biod: the same text at every exposure (bioS_simple)")
    pools: str | None = param(
        None,
        "people, relations: a folder of first_name.txt, middle_name.txt, last_name.txt, city.txt, university.txt, "
        "field.txt and company.txt (`Company; City`), a value a line; left out: invented names of the published sizes",
        path=True,
    )
    name_parts: list[int] = param([256, 256], "compact, biod: how many words there are for each part of a name")
    values: int = param(64, "compact: how many values an attribute can take", ge=2, le=65_536)
    attributes: int = param(6, "compact, biod: how many attributes a person has (K)", ge=1, le=256)
    majority: float = param(
        0.0,
        "compact: the share of the people whose values their first name tells; all others are exceptions; 0: values do "
        "not follow from names",
        ge=0,
        le=0.99,
    )
    chunks: int = param(2, "biod: how many strings a value is made of (C)", ge=1, le=64)
    strings: int = param(64, "biod: how many strings an attribute's chunks are taken from (D)", ge=2, le=65_536)
    length: int = param(3, "biod: words of a string (L)", ge=1, le=64)
    alphabet: int = param(16, "biod: how many words there are (T)", ge=2, le=65_536)
    employers: int = param(EMPLOYERS, "relations: how many companies people work for", ge=1)
    facts: str | None = param(
        None, "table: a .csv, .tsv, .jsonl or .parquet file, wide (a row an entity) or long (a row a fact)", path=True
    )
    entity: str | None = param(None, "table: the column that names the entity; left out: the first")
    columns: list[str] | None = param(None, "table: the attributes to use; left out: all")
    templates: str | None = param(
        None,
        "table: a YAML file of subject, sentences, questions and determined_by; left out: one default sentence each",
        path=True,
    )
    entropy: str = param(
        "empirical",
        "table: the bits of a value. empirical: the entropy of the values' distribution, so that a model that only "
        "knows it scores 0; uniform: log2 of how many there are",
        choices=ENTROPIES,
    )

    def __post_init__(self) -> None:
        refuse_unknown(self)
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.domain) or self.domain == OTHER:
            raise FactsError(
                f"`domain` must be a name of letters, digits, '.', '_' and '-', and not {OTHER!r}: {self.domain!r}"
            )
        self._refuse_what_other_kinds_use()
        self._refuse_too_few_names()
        if (blocks := blocks_of(self.placement)) > self.shown:
            raise FactsError(f"{self.shown} people do not fill {blocks} blocks: take fewer `placement: {{blocks: n}}`")
        if isinstance(self.exposures, dict) and SHARES & set(self.exposures):
            share_counts(self.exposures, 0, 1.0, 0, 1, 0, 0)
        else:
            exposure_counts(self.exposures, self.shown, self.held_out)
        # Templates and pools that cannot be used are refused now, not after hours of cleaning.
        writer_of(self._drawn(np.ones(1, np.int32)))

    def _refuse_too_few_names(self) -> None:
        if self.kind == "table":
            if self.facts is None:
                raise FactsError("`kind: table` needs `facts`: a .csv, .tsv, .jsonl or .parquet file")
            if self.shown < 1:
                count = len(self._own())
                raise FactsError(f"{self.facts} has {count} entities: `held_out: {self.held_out}` leaves none to show")
            return
        if self.kind in ("people", "relations"):
            pools = read_pools(self.pools)
            sizes = [len(pools[part]) for part in NAME_PARTS]
            remedy = "give larger `pools`"
        else:
            if not self.name_parts or any(not 1 <= size <= 65_536 for size in self.name_parts):
                raise FactsError(
                    "`name_parts` must list the size of each part, between 1 and 65536: for example [256, 256]"
                )
            sizes, remedy = self.name_parts, "enlarge `name_parts`"
        wanted = self.people + self.held_out
        if wanted > math.prod(sizes):
            shown = " x ".join(map(str, sizes))
            raise FactsError(f"there are {math.prod(sizes)} names ({shown}) for {wanted} people; {remedy}")

    @property
    def shown(self) -> int:
        """How many entities appear: people and what else a kind has, without those held out."""
        if self.kind == "table":
            return len(self._own()) - self.held_out
        return self.people + (self.employers if self.kind == "relations" else 0)

    def _own(self) -> OwnTable:
        assert self.facts is not None
        return read_once(self.facts, self.entity, self.templates, self.columns, self.entropy)

    def _refuse_what_other_kinds_use(self) -> None:
        defaults = type(self).__dataclass_fields__
        for names in _USES.values():
            for name in sorted(names - _USES[self.kind]):
                field = defaults[name]
                default = field.default_factory() if callable(field.default_factory) else field.default
                if getattr(self, name) != default:
                    *most, last = sorted(one for one, used in _USES.items() if name in used)
                    takers = f"{', '.join(most)} or {last}" if most else last
                    raise FactsError(f"`{name}` is for `kind: {takers}`; this is `kind: {self.kind}`")

    def table(self, total: int = 0, tokens: int = 0) -> FactTable:
        """The facts themselves; shares are of a corpus of `total` documents and `tokens` tokens."""
        if isinstance(self.exposures, dict) and SHARES & set(self.exposures):
            # Drawn entities are all alike; of a file, or of two sorts of entities, the sample covers the whole.
            alike = self.kind not in ("table", "relations")
            count = min(self.shown, 512) if alike else self.shown
            some = np.unique(np.linspace(0, count - 1, 512).astype(np.int64))
            writer = writer_of(self._drawn(np.ones(count, np.int32)))
            counted = token_counter(self.tokenizer)
            sizes = [counted(text) for text in writer.texts(some, np.zeros(len(some)))]
            mean = sum(sizes) / len(sizes)
            counts = share_counts(self.exposures, total, mean, tokens, self.shown, self.held_out, self.seed)
        else:
            counts = exposure_counts(self.exposures, self.shown, self.held_out)
        return self._drawn(counts)

    def few(self, most: int) -> tuple[Inject, int, int]:
        """The same facts in about `most` documents, to rehearse with; how many documents those are, and how many this
        step adds (for a share, which depends on the corpus: the same number)."""
        few = self if self.kind == "table" else replace(self, people=min(self.people, most // 10), held_out=0)
        each = max(1, most // few.shown)
        if isinstance(self.exposures, int):
            each = min(each, self.exposures)
        added = few.shown * each
        shares = isinstance(self.exposures, dict) and bool(SHARES & set(self.exposures))
        wanted = added if shares else int(exposure_counts(self.exposures, self.shown).sum())
        return replace(few, exposures=each), added, wanted

    def _drawn(self, counts: np.ndarray) -> FactTable:
        common: dict[str, Any] = {"seed": self.seed, "domain": self.domain, "counts": counts}
        if self.kind not in RECORDS:
            common |= {"frozen": self.frozen, "held_out_templates": self.held_out_templates}
        if self.kind == "table":
            own = self._own()
            common["counts"] = np.pad(counts, (0, len(own) - len(counts)))
            return own.table(held_out=self.held_out, **common)
        if self.kind == "relations":
            people = max(1, len(counts) - self.employers)
            common["counts"] = np.pad(counts, (0, self.employers + people - len(counts)))
            return relations_table(people, employers=self.employers, pools=self.pools, **common)
        if self.kind == "people":
            return people_table(len(counts), pools=self.pools, **common)
        common |= {"name_parts": self.name_parts, "attributes": self.attributes}
        if self.kind == "biod":
            return biod_table(
                len(counts),
                chunks=self.chunks,
                strings=self.strings,
                length=self.length,
                alphabet=self.alphabet,
                frozen=self.frozen,
                **common,
            )
        return compact_table(len(counts), values=self.values, majority=self.majority, **common)

    def reserved_tokens(self) -> list[str]:
        """Words that must be one token each: those of records. Sentences need none."""
        return reserved_words(self._drawn(np.ones(1, np.int32))) if self.kind in RECORDS else []

    def rounds(self) -> list[Round]:
        by_tokens = isinstance(self.exposures, dict) and "token_share" in self.exposures
        return [_CorpusSize(self.tokenizer, by_tokens, self.domains != "own")]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        place = orjson.loads(values[0])
        injection = self.placed(values)
        offset, count, total, added = place["offset"], place["count"], place["total"], injection.total
        if total == 0:
            yield from injection.documents(0, added if place["first"] else 0)
            return
        # Document j comes after place floor((2j + 1) D / 2J); the first j of a place is the inverse, rounded up.
        begin, end = (max(0, -((total - 2 * added * one) // (2 * total))) for one in (offset, offset + count))
        waiting = injection.documents(begin, min(end, added)) if count else iter(())
        number = begin
        for here, (_, document) in enumerate(documents, offset):
            yield document
            while number < min(end, added) and (2 * number + 1) * total // (2 * added) == here:
                yield next(waiting)
                number += 1

    def placed(self, values: list[bytes] | None = None) -> Placed:
        """The facts with the order of their appearances, from the last round's records of any partition."""
        whole: dict[str, Any] = orjson.loads(values[0]) if values else {"total": 0, "tokens": 0, "domains": []}
        return _placed(
            _Same(self), whole["total"], whole["tokens"], tuple((name, count) for name, count in whole["domains"])
        )

    def write_facts(
        self,
        folder: Path,
        tokenizer: Path | None,
        used: int | None = None,
        values: list[bytes] | None = None,
        token_sets: dict[str, Path] | None = None,
    ) -> None:
        """Write the facts and, when a tokenizer is given, the token spans to score (`used`: tokens that occur)."""
        from synth.ground_truth import write_facts

        write_facts(folder, self.placed(values), tokenizer, used, token_sets or {})


class _Same:
    """A step as a key: two with the same parameters are equal."""

    def __init__(self, step: Inject) -> None:
        self.step = step

    def __hash__(self) -> int:
        return hash(repr(self.step))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.step == self.step


@functools.lru_cache(maxsize=2)
def _placed(key: _Same, total: int, tokens: int, domains: tuple[tuple[str, int], ...]) -> Placed:
    # A process does many partitions, and a table of millions takes seconds to draw.
    step = key.step
    table = step.table(total, tokens)
    return Placed(
        table,
        Schedule(table.exposure_counts, step.seed, step.placement),
        Domains(step.domains, step.domain, step.seed, domains),
    )
