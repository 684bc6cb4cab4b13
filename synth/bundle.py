"""Facts compiled to arrays, for trainers without a text pipeline: from them `train_probe/render.py` draws texts on its
device, with the same tokens as the texts that `synth` writes and `curate` encodes.

A bundle holds each entity's name parts and values as indices, and every name part, value and template as tokens. A
text is a sequence of pieces: for each sentence its lead, its subject, the words before the value, the value, the words
after it; for a record the name parts, and for each attribute its mark and its chunks.

The arrays of `bundle.npz` (K attributes, P name parts, S sentences, V prefixes, T templates):

- `meta`: JSON text, the content of `_meta`; its `told` is the attribute of each sentence;
- `tokens`, `piece_ends`: all pieces' tokens, and where each piece ends in them; piece 0 is empty;
- `name_0` .. `name_P-1`, `value_0` .. `value_K-1`, `exposure_counts`, each [N]: the table in its smallest types; a
  value of -1 is not known;
- `name_base` [P, V], `value_base` [K, V], `subject_base` [V]: the first piece of a pool, for each prefix (-1: never
  needed); a prefix is what precedes a word, such as a space;
- `closed`, `closed_begin` [K]: for each value of each attribute whether it ends in a punctuation mark, after which a
  sentence that would end in "." alone has no full stop;
- `template_begin` [S + 1], `templates` [T, 8]: for each template the pieces of its lead at the start of a text and
  later, the prefixes of its subject there and later, the piece before the value, the value's prefix, the piece after
  it, and that after a closed value;
- `marks` [S]: for records, the piece that announces each attribute;
- `follows_k` [values of what determines it]: the value of attribute k for each value of the one that determines it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from curate.shards.vocabulary import Vocabulary, domain_word
from synth.codes import RECORDS
from synth.draws import below, distinct, stream
from synth.facts import FactsError, FactTable
from synth.pieces import EMPTY, Borders, Pieces, Prefix
from synth.sentences import Sentences, draw_stride

FORMAT = 1

_WHOLE_TEXTS = 256
"""Texts that are written, encoded and compared with their pieces before a bundle is trusted."""

_VALUES_CHECKED = 8192

_DRAWN_CHECKED = 1024

(LEAD_FIRST, LEAD_LATER, SUBJECT_FIRST, SUBJECT_LATER, BEFORE, VALUE, AFTER, AFTER_CLOSED) = range(8)


@dataclass(frozen=True)
class Bundle:
    """Arrays by name, as the module describes them; `meta` is the content of the array of that name."""

    meta: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(repr=False)

    def save(self, path: Path | str) -> None:
        """Write one `.npz` file; the same facts and vocabulary give the same bytes."""
        with Path(path).open("wb") as file:
            np.savez(file, **self.arrays)  # type: ignore[arg-type]


def compile_bundle(table: FactTable, vocabulary: Vocabulary) -> Bundle:
    """The table as arrays of indices and tokens.

    Raises FactsError that names the pieces where the tokens of a text are not those of its pieces, and
    VocabularyError where the vocabulary has no tokens for the facts.
    """
    records = table.kind in RECORDS
    pieces = Pieces(vocabulary, records)
    arrays, stated = _records(table, pieces) if records else _Compiler(table, vocabulary, pieces).compiled()
    tokens, ends = pieces.flat()
    arrays |= {"tokens": tokens, "piece_ends": ends, "exposure_counts": table.exposure_counts}
    for name, columns in (("name", table.entities.T), ("value", table.values.T)):
        arrays |= {f"{name}_{number}": column for number, column in enumerate(columns)}
    follows = _population(table)
    arrays |= {f"follows_{number}": values for number, values in (follows or {}).items()}
    meta = _meta(table, vocabulary, stated, follows is not None)
    narrow = {name: _narrow(array) for name, array in sorted(arrays.items())}
    return Bundle(meta, {"meta": np.array(json.dumps(meta)), **narrow})


def _meta(table: FactTable, vocabulary: Vocabulary, stated: list[int], drawn: bool) -> dict[str, Any]:
    names = [one.name for one in table.attributes]
    tag = domain_word(table.domain)
    chunks = table.details.get("chunks", 1) if table.kind in RECORDS else 1
    return {
        "format": FORMAT,
        "kind": table.kind,
        "layout": "records" if table.kind in RECORDS else "sentences",
        "entities": len(table),
        "people": table.people,
        "exposures": table.exposures,
        "seed": table.seed,
        "frozen": table.frozen,
        "stride": draw_stride(len(stated) // chunks),
        "chunks": chunks,
        "ordered": table.kind == "compact",
        "told": stated,
        "subject": names.index(table.subject) if table.subject in names else -1,
        "subject_is_name": table.subject is None,
        "held_out_templates": table.held_out_templates,
        "missing": bool((table.values < 0).any()),
        "drawn": drawn,
        "name_sizes": list(table.name_sizes),
        "attributes": [
            {
                "name": one.name,
                "size": one.size,
                "bits": one.bits,
                "determined_by": None if one.determined_by is None else names.index(one.determined_by),
            }
            for one in table.attributes
        ],
        "bits": asdict(table.bits()),
        "domain": table.domain,
        "tag": vocabulary.reserved(tag) if vocabulary.has([tag]) else -1,
        "end_of_text": vocabulary.end_of_text,
        "vocabulary": vocabulary.size,
        "tokenizer_hash": vocabulary.hash,
    }


def _narrow(array: np.ndarray) -> np.ndarray:
    """The same integers in the smallest type that holds them."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return array.astype(np.min_scalar_type(high if low >= 0 else min(low, -1 - high)))


def _records(table: FactTable, pieces: Pieces) -> tuple[dict[str, np.ndarray], list[int]]:
    if (table.values < 0).any():
        entity = int(np.flatnonzero((table.values < 0).any(axis=1))[0])
        raise FactsError(f"entity {entity} lacks a value: records state every attribute of every entity")
    plain = Prefix(False, "")
    chunks = table.details.get("chunks", 1)
    pools: dict[tuple[str, str], int] = {}
    bases = []
    for number, one in enumerate(table.attributes):
        # The attributes of compact records share one pool.
        if (one.pool, one.form) not in pools:
            pools[one.pool, one.form] = pieces.add_pool(table.words(number), plain)
        bases.append(pools[one.pool, one.form])
    sentences = len(table.attributes) // chunks
    marks = [pieces.add(word) for word in table.pools.get("a", [])[:sentences]] or [EMPTY] * sentences
    names = [pieces.add_pool(table.pools[part], plain) for part in table.name_parts]
    arrays = {
        "name_base": np.array(names)[:, None],
        "value_base": np.array(bases)[:, None],
        "marks": np.array(marks),
    }
    return arrays, list(range(len(table.attributes)))


class _Compiler:
    """Splits sentences into numbered pieces, and checks every border between two."""

    def __init__(self, table: FactTable, vocabulary: Vocabulary, pieces: Pieces) -> None:
        self._table, self._vocabulary, self._pieces = table, vocabulary, pieces
        self._writer = Sentences(table)
        self._prefixes: dict[Prefix, int] = {}
        self._bases: dict[tuple[str, int, int], int] = {}
        stated = self._writer.stated
        self._words = {number: table.words(number) for number in stated}
        self._closed = {number: [not word[-1:].isalnum() for word in words] for number, words in self._words.items()}
        self._templates = [
            [self._template(one, number) for one in templates]
            for templates, number in zip(self._writer.templates, stated, strict=True)
        ]

    def compiled(self) -> tuple[dict[str, np.ndarray], list[int]]:
        """The arrays of pools and templates, and the attribute of each sentence."""
        self._check()
        table, stated = self._table, self._writer.stated
        size = len(self._prefixes)
        bases = {
            "name": np.full((len(table.name_parts), size), -1),
            "value": np.full((len(table.attributes), size), -1),
            "subject": np.full((1, size), -1),
        }
        for (what, number, prefix), base in self._bases.items():
            bases[what][number, prefix] = base
        flags = [self._closed.get(number, []) for number in range(len(table.attributes))]
        sizes = [len(rows) for rows in self._templates]
        arrays = {f"{what}_base": base for what, base in bases.items()}
        arrays["subject_base"] = bases["subject"][0]
        arrays["closed"] = np.array([flag for values in flags for flag in values], np.uint8)
        arrays["closed_begin"] = np.cumsum([0, *map(len, flags)])[:-1]
        arrays["template_begin"] = np.cumsum([0, *sizes])
        arrays["templates"] = np.array([row for rows in self._templates for row in rows])
        return arrays, list(stated)

    def _template(self, one: Any, number: int) -> list[int]:
        """The row of a template; the spaces at the end of a part belong to the word after it."""
        lead, before = one.lead.rstrip(), one.before.rstrip()
        space = one.lead[len(lead) :]
        first, later = Prefix(not lead, space), Prefix(False, space if lead else f" {space}")
        value = Prefix(False, one.before[len(before) :])
        self._name(first)
        self._subject(later)
        row = [0] * 8
        row[LEAD_FIRST] = self._pieces.add(lead, at_start=True)
        row[LEAD_LATER] = self._pieces.add(f" {lead}") if lead else EMPTY
        row[SUBJECT_FIRST], row[SUBJECT_LATER], row[VALUE] = map(self._prefix, (first, later, value))
        row[BEFORE] = self._pieces.add(before)
        self._base("value", number, self._words[number], value)
        row[AFTER] = self._pieces.add(one.after)
        row[AFTER_CLOSED] = EMPTY if one.after == "." else row[AFTER]
        return row

    def _prefix(self, prefix: Prefix) -> int:
        return self._prefixes.setdefault(prefix, len(self._prefixes))

    def _base(self, what: str, number: int, words: Sequence[str], prefix: Prefix) -> int:
        key = (what, number, self._prefix(prefix))
        if key not in self._bases:
            self._bases[key] = self._pieces.add_pool(words, prefix)
        return self._bases[key]

    def _name(self, prefix: Prefix) -> None:
        for part, pool in enumerate(self._table.name_parts):
            self._base("name", part, self._table.pools[pool], Prefix(False, " ") if part else prefix)

    def _subject(self, prefix: Prefix) -> None:
        """The words that replace a name; where they are the values of an attribute that is not known, the name."""
        table, number = self._table, self._writer.subject
        if number is not None:
            self._base("subject", 0, table.words(number), prefix)
            if (table.values[:, number] < 0).any():
                self._name(prefix)
        elif table.subject is None:
            self._name(prefix)
        else:
            self._base("subject", 0, [table.subject], prefix)

    def _range(self, what: str, number: int, prefix: int) -> range:
        base = self._bases.get((what, number, prefix))
        if base is None:
            return range(0)
        if what == "name":
            return range(base, base + self._table.name_sizes[number])
        if what == "value":
            return range(base, base + len(self._words[number]))
        subject = self._writer.subject
        return range(base, base + (1 if subject is None else len(self._table.words(subject))))

    def _check(self) -> None:
        """Encode neighbours together: every sort of border, values in sentences, names, then whole texts."""
        self._pieces.check(self._borders())
        self._pieces.check(self._sentences())
        self._pieces.check(self._names())
        table = self._table
        count = np.arange(_WHOLE_TEXTS)
        entities = (count * max(1, len(table) // _WHOLE_TEXTS)) % len(table)
        self._pieces.check(run for run in map(self._composed, entities.tolist(), count.tolist()) if run)

    def _borders(self) -> list[tuple[int, int]]:
        borders = Borders(self._pieces)
        parts = len(self._table.name_parts)
        space = self._prefixes.get(Prefix(False, " "), -1)
        last_part = lambda prefix: self._range("name", parts - 1, space if parts > 1 else prefix)  # noqa: E731
        for part in range(parts - 1):
            fronts = range(len(self._prefixes)) if part == 0 else [space]
            for prefix in fronts:
                left = borders.ends(self._range("name", part, prefix))
                borders.add(left, borders.starts(self._range("name", part + 1, space)))
        endings: dict[str, int] = {}
        beginnings: dict[str, int] = {}
        for number, rows in zip(self._writer.stated, self._templates, strict=True):
            closed = np.array(self._closed[number], bool)
            grouped: dict[int, list[dict[str, int]]] = {}
            for row in rows:
                if row[VALUE] not in grouped:
                    values = np.array(self._range("value", number, row[VALUE]))
                    sorts = [borders.ends(values[where].tolist()) for where in (~closed, closed)]
                    grouped[row[VALUE]] = [borders.starts(values.tolist()), *sorts]
                values_start, *value_ends = grouped[row[VALUE]]
                behind = borders.starts([row[BEFORE]]) or values_start
                first = borders.ends(last_part(row[SUBJECT_FIRST]))
                subject = borders.ends(self._range("subject", 0, row[SUBJECT_LATER]))
                again = subject | borders.ends(last_part(row[SUBJECT_LATER]))
                borders.add(first, behind)
                borders.add(again, behind)
                borders.add(borders.ends([row[BEFORE]]), values_start)
                for lead, prefix in ((LEAD_FIRST, SUBJECT_FIRST), (LEAD_LATER, SUBJECT_LATER)):
                    named, others = (borders.starts(self._range(what, 0, row[prefix])) for what in ("name", "subject"))
                    who = named | others
                    borders.add(borders.ends([row[lead]]), who)
                    if lead == LEAD_LATER:
                        beginnings |= borders.starts([row[lead]]) or who
                for ends, after in zip(value_ends, (row[AFTER], row[AFTER_CLOSED]), strict=True):
                    borders.add(ends, borders.starts([after]))
                    endings |= borders.ends([after]) if after else ends
        borders.add(endings, beginnings)
        return borders.pairs()

    def _sentences(self) -> list[list[int]]:
        """Each value of every attribute with the end of one of its sentences; of a very large pool an even sample."""
        runs = []
        for number, rows in zip(self._writer.stated, self._templates, strict=True):
            closed = self._closed[number]
            for value in range(0, len(closed), -(-len(closed) // _VALUES_CHECKED)):
                row = rows[value % len(rows)]
                after = row[AFTER_CLOSED if closed[value] else AFTER]
                if after:
                    runs.append([self._bases["value", number, row[VALUE]] + value, after])
        return runs

    def _names(self) -> list[list[int]]:
        """Names that together hold every word of every name part."""
        sizes = self._table.name_sizes
        space = self._prefixes.get(Prefix(False, " "), -1)
        return [
            [self._bases["name", part, space if part else prefix] + number % size for part, size in enumerate(sizes)]
            for prefix in range(len(self._prefixes))
            if ("name", 0, prefix) in self._bases
            for number in range(max(sizes) if len(sizes) > 1 else 0)
        ]

    def _composed(self, entity: int, exposure: int) -> list[int]:
        """One whole text as pieces."""
        writer, table = self._writer, self._table
        (order,), (chosen,) = writer.drawn(np.array([entity]), np.array([exposure]))
        row, parts = table.values[entity].tolist(), table.entities[entity].tolist()
        space = self._prefixes.get(Prefix(False, " "), -1)
        subject = -1 if writer.subject is None else row[writer.subject]
        named = table.subject is None or (writer.subject is not None and subject < 0)
        run: list[int] = []
        for place in order:
            number = writer.stated[place]
            if row[number] < 0:
                continue
            one, first = self._templates[place][chosen[place]], not run
            prefix = one[SUBJECT_FIRST if first else SUBJECT_LATER]
            run.append(one[LEAD_FIRST if first else LEAD_LATER])
            if first or named:
                run += [self._bases["name", k, space if k else prefix] + part for k, part in enumerate(parts)]
            else:
                run.append(self._bases["subject", 0, prefix] + max(0, subject))
            closed = self._closed[number][row[number]]
            value = self._bases["value", number, one[VALUE]] + row[number]
            run += [one[BEFORE], value, one[AFTER_CLOSED if closed else AFTER]]
        return [piece for piece in run if self._pieces.texts[piece]]


def _population(table: FactTable) -> dict[int, np.ndarray] | None:
    """For each attribute that another determines, its value for each value of that one; None unless the table is one
    that `synth.facts.draw` draws (then entities beyond it are known too)."""
    numbers = np.unique(np.linspace(0, len(table) - 1, _DRAWN_CHECKED).astype(np.int64))
    sizes = table.name_sizes
    available = int(np.prod([int(size) for size in sizes], dtype=object))
    if not len(table) <= available <= 1 << 62 or any(one.size > 1 << 19 for one in table.attributes):
        return None
    names = np.stack(np.unravel_index(distinct(stream(table.seed, "name"), numbers, available), sizes), axis=1)
    if not np.array_equal(names, table.entities[numbers]):
        return None
    follows = {}
    for number, one in enumerate(table.attributes):
        if one.determined_by is None:
            drawn = below(stream(table.seed, f"value/{one.name}"), numbers, one.size)
            if not np.array_equal(drawn, table.values[numbers, number]):
                return None
            continue
        by = table.column(one.determined_by)
        values = np.full(table.attributes[by].size, -1)
        values[table.values[:, by]] = table.values[:, number]
        if one.name in table.determined:
            values = np.asarray(table.determined[one.name], np.int64)
        if (values < 0).any() or not np.array_equal(values[table.values[:, by]], table.values[:, number]):
            return None
        follows[number] = values
    return follows
