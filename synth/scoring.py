"""Which tokens to score: after tokenisation, the rows and spans on which the probe measures what a model has learnt.

Spans are exact: a value that begins or ends inside a token is an error, except for the space in front of it, which
byte-level BPE makes part of the value's first token. Where the tokens of one value begin those of another ("White",
"Whitehead"), the token after the shorter one is scored too, or a model that knows only their common start would seem
to know the value.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.shards.text import well_formed
from curate.shards.vocabulary import Vocabulary, domain_word
from synth.codes import RECORDS, numbered, record_word_numbers, reserved_words
from synth.domains import Domains
from synth.draws import distinct, stream
from synth.facts import FactsError, FactTable
from synth.kinds import writer_of
from synth.sentences import NAME, Span

DRAWS = 4
"""Scored texts of each entity, whose losses are averaged."""

MOST_SCORED = 50_000
"""At most so many entities are scored: of more, a sample drawn from the seed, whose mean estimates that of all."""

_PREFIX_CHECKED = 1 << 17


def write_scoring(
    folder: Path | str,
    table: FactTable,
    vocabulary: Vocabulary,
    *,
    draws: int = DRAWS,
    used: int | None = None,
    tokenizer: str = "../tokens/tokenizer.json",
    domains: Domains | None = None,
) -> None:
    """Write `scoring.npz` and `scoring.json` into a facts folder, and the same for what was held out:
    `scoring-held-out-entities.npz`, `scoring-held-out-templates.npz`.

    Compact records have one row each, other texts `draws` rows. `used` is how many tokens of the vocabulary occur in
    what is trained on (default: all of it). Raises FactsError that names entity, attribute and value where a value
    begins or ends inside a token.
    """
    shown = _sample(np.flatnonzero(table.exposure_counts > 0), table.seed)
    hidden = _sample(np.flatnonzero(table.exposure_counts == 0), table.seed)
    sets = {"scoring": (shown, False)}
    if len(hidden):
        sets["scoring-held-out-entities"] = (hidden, False)
    if table.held_out_templates:
        sets["scoring-held-out-templates"] = (shown, True)
    folder = Path(folder)
    domains = domains or Domains("own", table.domain, table.seed)
    begun = _values_that_begin_others(table, vocabulary) if table.kind not in RECORDS else set()
    for name, (entities, held_out) in sets.items():
        if table.kind == "compact":
            arrays = _compact(table, vocabulary, entities)
        else:
            each = 1 if table.frozen and not held_out else draws
            arrays = _written(table, vocabulary, entities, each, held_out, begun)
        rows = arrays["row_entity"].astype(np.int64)
        number = (1 << 23) + np.arange(len(rows)) % draws
        arrays |= {
            "end_of_text": np.int64(vocabulary.end_of_text),
            "tag": np.int64(vocabulary.reserved(domain_word(table.domain))),
            "row_tag": np.array([vocabulary.domain_token(one) for one in domains.of(rows, number)], np.int32),
            "vocabulary": np.int64(vocabulary.size),
            "used_vocabulary": np.int64(vocabulary.size if used is None else used),
        }
        np.savez(folder / f"{name}.npz", **arrays)
    about = {"tokenizer": tokenizer, "tokenizer_hash": vocabulary.hash}
    (folder / "scoring.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _sample(entities: np.ndarray, seed: int) -> np.ndarray:
    if len(entities) <= MOST_SCORED:
        return entities
    return np.sort(entities[distinct(stream(seed, "scored"), np.arange(MOST_SCORED), len(entities))])


def record_tokens(table: FactTable, vocabulary: Vocabulary) -> np.ndarray:
    """The token ids of every compact record, int64 [N, parts + K]."""
    ids = np.array([vocabulary.reserved(word) for word in reserved_words(table)])
    return ids[record_word_numbers(table)]


def _compact(table: FactTable, vocabulary: Vocabulary, entities: np.ndarray) -> dict[str, Any]:
    rows = record_tokens(table, vocabulary)[entities]
    people, length = rows.shape
    parts = len(table.name_parts)
    row = np.array([[NAME, 0, parts], *([k, parts + k, parts + k + 1] for k in range(length - parts))])
    spans = np.concatenate(
        [np.repeat(np.arange(people), len(row))[:, None], np.tile(row, (people, 1))], axis=1, dtype=np.int32
    )
    names = [word for part in table.name_parts for word in table.pools[part]]
    values = numbered("v", table.attributes[0].size)
    return {
        "tokens": rows.reshape(-1).astype(np.int32),
        "row_ends": (np.arange(1, people + 1) * length).astype(np.uint64),
        "row_entity": entities.astype(np.int32),
        "spans": spans,
        "name_tokens": np.array([vocabulary.reserved(word) for word in names], np.int32),
        "value_tokens": np.array([vocabulary.reserved(word) for word in values], np.int32),
    }


def _written(
    table: FactTable,
    vocabulary: Vocabulary,
    entities: np.ndarray,
    draws: int,
    held_out: bool,
    begun: set[tuple[int, str]],
) -> dict[str, Any]:
    tokens: list[int] = []
    ends: list[int] = []
    spans: list[tuple[int, int, int, int]] = []
    writer = writer_of(table)
    for entity in entities.tolist():
        written = [writer.scored(entity, number, held_out) for number in range(draws)]
        encoded = _encoded(vocabulary, [text for text, _ in written], table.kind in RECORDS)
        for (text, marked), (ids, offsets) in zip(written, encoded, strict=True):
            spans += [
                (len(ends), one.attribute, *_token_span(table, entity, text, ids, offsets, one, begun))
                for one in marked
            ]
            tokens += ids
            ends.append(len(tokens))
    return {
        "tokens": np.array(tokens, np.int32),
        "row_ends": np.array(ends, np.uint64),
        "row_entity": np.repeat(entities, draws).astype(np.int32),
        "spans": np.array(spans, np.int32).reshape(-1, 4),
    }


Encoded = tuple[list[int], list[tuple[int, int]]]


def _encoded(vocabulary: Vocabulary, texts: Sequence[str], reserved: bool) -> list[Encoded]:
    """Ids and offsets of texts; of a record, whose words are reserved tokens, one for each word."""
    if not reserved:
        return [vocabulary.encode_with_offsets(text) for text in texts]
    encoded = []
    for text in texts:
        words = text.split(" ")
        ends = list(itertools.accumulate(len(word) + 1 for word in words))
        offsets = [(end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True)]
        encoded.append((vocabulary.encode_words(text), offsets))
    return encoded


def _token_span(
    table: FactTable,
    entity: int,
    text: str,
    ids: list[int],
    offsets: list[tuple[int, int]],
    span: Span,
    begun: set[tuple[int, str]],
) -> tuple[int, int]:
    """The tokens [first, last) that cover a span and at most the space in front of it, and the token after it where
    the value is the beginning of another."""
    value = text[span.start : span.end]
    # A space's token (the space alone, or part of a longer one) depends on the value after it: it is scored.
    front = span.start - 1 if any(left == span.start - 1 for left, _ in offsets) else span.start
    front = front if text[front] == " " else span.start
    inside = [place for place, (left, right) in enumerate(offsets) if right > front and left < span.end]
    sound = inside and not text[min(offsets[inside[0]][0], span.start) : span.start].strip()
    if not sound or offsets[inside[-1]][1] > span.end:
        what = "name" if span.attribute == NAME else table.attributes[span.attribute].name
        raise FactsError(
            f"entity {entity} ({table.names([entity])[0]}), {what}: {value!r} begins or ends inside a token; take a "
            "tokenizer that splits at spaces and punctuation, or other pools or templates"
        )
    last_word = value.rpartition(" ")[2] if span.attribute == NAME and len(table.name_parts) > 1 else value
    more = (span.attribute, last_word) in begun
    return inside[0], min(len(ids), inside[-1] + 1 + more)


def _values_that_begin_others(table: FactTable, vocabulary: Vocabulary) -> set[tuple[int, str]]:
    """(attribute, value) where the value's tokens are the first tokens of another value of its pool."""
    pools = {number: table.words(number) for number in range(len(table.attributes))}
    pools[NAME] = table.pools[table.name_parts[-1]]
    begun = set()
    for number, pool in pools.items():
        if len(pool) > _PREFIX_CHECKED:
            continue
        if vocabulary.plain:
            pool = _beside_their_beginnings(pool)
        for space in (" ", "") if number == NAME and len(table.name_parts) == 1 else (" ",):
            encoded = zip(map(tuple, vocabulary.encode([space + value for value in pool])), pool, strict=True)
            for (ids, value), (following, _) in itertools.pairwise(sorted(encoded)):
                if following[: len(ids)] == ids:
                    begun.add((number, value))
    return begun


def _beside_their_beginnings(pool: Sequence[str]) -> list[str]:
    """The values of a pool that begin another one, and those that another one begins: of 67 200 dates none, which saves
    encoding them."""
    groups: list[tuple[str, list[str]]] = []
    for text, value in sorted(zip(map(well_formed, pool), pool, strict=True)):
        if groups and text.startswith(groups[-1][0]):
            groups[-1][1].append(value)
        else:
            groups.append((text, [value]))
    return [value for _, group in groups if len(group) > 1 for value in group]
