"""Which tokens to score: after tokenisation, the rows and spans on which the probe measures what a model has learnt.

Spans are exact: a value that begins or ends inside a token is an error, but for the space in front of it, which
byte-level BPE makes part of the value's first token. Where the tokens of one value begin those of another ("White",
"Whitehead"), the token after the shorter one is scored too, or a model that knows only their common start would seem
to know the value.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from curate.shards.vocabulary import Vocabulary, domain_word
from synth.codes import name_words, record_word_numbers, reserved_words, value_words
from synth.facts import FactsError, FactTable
from synth.people import NAME, PRONOUNS, full_name, scored_biography

DRAWS = 4
"""Biographies of each person that are scored, their losses to be averaged."""


def write_scoring(
    folder: Path | str,
    table: FactTable,
    vocabulary: Vocabulary,
    *,
    draws: int = DRAWS,
    used: int | None = None,
    tokenizer: str = "../tokens/tokenizer.json",
) -> None:
    """Write `scoring.npz` and `scoring.json` into a facts folder.

    Compact records have one row each, people `draws` rows. `used` is how many tokens of the vocabulary occur in what
    is trained on (default: all of it). Raises FactsError that names entity, attribute and value where tokens and
    values do not meet.
    """
    arrays = _compact(table, vocabulary) if table.kind == "compact" else _people(table, vocabulary, draws)
    arrays |= {
        "end_of_text": np.int64(vocabulary.end_of_text),
        "tag": np.int64(vocabulary.reserved(domain_word(table.domain))),
        "vocabulary": np.int64(vocabulary.size),
        "used_vocabulary": np.int64(vocabulary.size if used is None else used),
    }
    folder = Path(folder)
    np.savez(folder / "scoring.npz", **arrays)
    words = {"tokenizer": tokenizer, "tokenizer_hash": vocabulary.hash}
    (folder / "scoring.json").write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")


def record_tokens(table: FactTable, vocabulary: Vocabulary) -> np.ndarray:
    """The token ids of every compact record, int64 [N, parts + K]."""
    ids = np.array([vocabulary.reserved(word) for word in reserved_words(table)])
    return ids[record_word_numbers(table)]


def _compact(table: FactTable, vocabulary: Vocabulary) -> dict[str, Any]:
    rows = record_tokens(table, vocabulary)
    people, length = rows.shape
    parts = len(table.name_parts)
    row = np.array([[NAME, 0, parts], *([k, parts + k, parts + k + 1] for k in range(length - parts))])
    spans = np.concatenate(
        [np.repeat(np.arange(people), len(row))[:, None], np.tile(row, (people, 1))], axis=1, dtype=np.int32
    )
    names = [word for part, size in enumerate(table.name_parts, 1) for word in name_words(part, size)]
    return {
        "tokens": rows.reshape(-1).astype(np.int32),
        "row_ends": (np.arange(1, people + 1) * length).astype(np.uint64),
        "row_entity": np.arange(people, dtype=np.int32),
        "spans": spans,
        "name_tokens": np.array([vocabulary.reserved(word) for word in names], np.int32),
        "value_tokens": np.array(
            [vocabulary.reserved(word) for word in value_words(table.attributes[0].size)], np.int32
        ),
    }


def _people(table: FactTable, vocabulary: Vocabulary, draws: int) -> dict[str, Any]:
    tokens: list[int] = []
    ends: list[int] = []
    entities: list[int] = []
    spans: list[tuple[int, int, int, int]] = []
    begun = _values_that_begin_others(table, vocabulary)
    for entity in range(table.people):
        for number in range(draws):
            text, marked = scored_biography(table, entity, number)
            ids, offsets = vocabulary.encode_with_offsets(text)
            for attribute, start, end in marked:
                found = _token_span(text, offsets, start, end)
                if found is None:
                    what = "name" if attribute == NAME else table.attributes[attribute].name
                    raise FactsError(
                        f"person {entity} ({full_name(table, entity)}), {what}: {text[start:end]!r} begins or ends "
                        "inside a token; take a tokenizer that splits at spaces and punctuation, or other pools"
                    )
                first, last = found
                last += (
                    attribute,
                    text[start:end].rpartition(" ")[2] if attribute == NAME else text[start:end],
                ) in begun
                spans.append((len(ends), attribute, first, last))
            tokens.extend(ids)
            ends.append(len(tokens))
            entities.append(entity)
    return {
        "tokens": np.array(tokens, np.int32),
        "row_ends": np.array(ends, np.uint64),
        "row_entity": np.array(entities, np.int32),
        "spans": np.array(spans, np.int32),
    }


def _token_span(text: str, offsets: list[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """The tokens [first, last) that cover characters [start, end) and nothing else but the space in front."""
    inside = [place for place, (left, right) in enumerate(offsets) if right > start and left < end]
    if not inside:
        return None
    first, last = inside[0], inside[-1]
    if text[min(offsets[first][0], start) : start].strip() or offsets[last][1] > end:
        return None
    # A space that is a token of its own belongs to what stands before it.
    return first, last + 1


def _values_that_begin_others(table: FactTable, vocabulary: Vocabulary) -> set[tuple[int, str]]:
    """(attribute, value) where the value's tokens are the first tokens of another value of its pool."""
    pools = {NAME: table.pools["last_name"], len(table.attributes) - 1: PRONOUNS}
    for number, attribute in enumerate(table.attributes):
        if attribute.pool in table.pools:
            pools[number] = table.pools[attribute.pool]
    found = set()
    for number, pool in pools.items():
        encoded = sorted(zip(map(tuple, vocabulary.encode([f" {value}" for value in pool])), pool, strict=True))
        for (ids, value), (following, _) in itertools.pairwise(encoded):
            if following[: len(ids)] == ids:
                found.add((number, value))
    return found
