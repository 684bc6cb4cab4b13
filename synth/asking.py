"""Questions as rows of tokens, for trainers without a text pipeline: each with where its answer begins.

Of sentences, a question is `Question: ...` and `Answer: ...` in all forms of its table. Of bioD it is the mark of an
attribute, the name, and the value: what training text states name first. Compact records name no attribute that could
be asked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curate.shards.vocabulary import Vocabulary
from synth.facts import FactsError, FactTable
from synth.questions import MOST_ASKED, questions, split_of


def write_question_rows(path: Path | str, table: FactTable, vocabulary: Vocabulary) -> None:
    """Write an npz file: `tokens`, `row_ends`, and for each row `entity`, `attribute`, `form`, the first token of its
    `answer`, `size` (how many values there are) and `split` (0: those that may be shown, 1: those that are only asked).

    Raises FactsError where the facts have no questions, or an answer begins inside a token.
    """
    shown = np.flatnonzero(table.exposure_counts > 0)[:MOST_ASKED]
    rows = _of_records(table, vocabulary, shown) if table.kind == "biod" else _of_sentences(table, vocabulary, shown)
    if not rows:
        raise FactsError(f"facts of `kind: {table.kind}` have no questions: take people, relations or biod")
    tokens, entity, attribute, form, answer = zip(*rows, strict=True)
    split = split_of(table, np.array(entity))
    if len(set(split.tolist())) < 2:
        raise FactsError("of so few people none are left to ask about: show more")
    np.savez(
        path,
        tokens=np.concatenate([np.array(one, np.int32) for one in tokens]),
        row_ends=np.cumsum([len(one) for one in tokens]).astype(np.uint64),
        entity=np.array(entity, np.int32),
        attribute=np.array(attribute, np.int32),
        form=np.array(form, np.int32),
        answer=np.array(answer, np.int32),
        size=np.array([_sizes(table)[one] for one in attribute], np.int64),
        split=split.astype(np.int32),
    )


Row = tuple[list[int], int, int, int, int]


def _sizes(table: FactTable) -> list[int]:
    """How many values each attribute has; of bioD each announced one, which is several chunks."""
    chunks = table.details.get("chunks", 1) if table.kind == "biod" else 1
    return [one.size**chunks for one in table.attributes[::chunks]]


def _of_records(table: FactTable, vocabulary: Vocabulary, shown: np.ndarray) -> list[Row]:
    chunks = table.details["chunks"]
    rows: list[Row] = []
    for entity, name in zip(shown.tolist(), table.names(shown), strict=True):
        values = table.facts(entity)
        for number, mark in enumerate(table.pools["a"]):
            said = [values[one.name] for one in table.attributes[number * chunks : (number + 1) * chunks]]
            question = vocabulary.encode_words(f"{mark} {name}")
            rows.append((question + vocabulary.encode_words(" ".join(said)), entity, number, 0, len(question)))
    return rows


def _of_sentences(table: FactTable, vocabulary: Vocabulary, shown: np.ndarray) -> list[Row]:
    if not table.questions:
        return []
    number = {one.name: place for place, one in enumerate(table.attributes)}
    rows: list[Row] = []
    for one in questions(table, shown, all_forms=True):
        text = one["text"] + "\n"
        ids, offsets = vocabulary.encode_with_offsets(text)
        begins = len(text) - 1 - len(one["answer"])
        # The space in front of the answer belongs to its first token, or is one.
        answer = next(place for place, (_, end) in enumerate(offsets) if end > begins)
        if offsets[answer][0] < begins - 1:
            raise FactsError(
                f"the answer {one['answer']!r} begins inside a token; take a tokenizer that splits at spaces"
            )
        rows.append((ids, one["entity"], number[one["attribute"]], one["form"], answer))
    return rows
