"""Questions about injected facts, to fine-tune on and to test with: can what was stored be extracted?

People are split in two halves: a model may be shown the answers about the train half; those about the others it must
take from what it read in pretraining (Allen-Zhu & Li, "Physics of Language Models: Part 3.1", arXiv 2309.14316,
section 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from synth.draws import scaled, stream, words
from synth.facts import FactTable

SPLITS = ("train", "test")

MOST_ASKED = 50_000
"""At most so many people are asked about in the files of a run."""


def split_of(table: FactTable, entities: np.ndarray) -> np.ndarray:
    """0 (train) or 1 (test) for each entity, drawn for it alone: other entities do not matter."""
    return scaled(words(stream(table.seed, "question split"), entities), 2)


def questions(
    table: FactTable, entities: Sequence[int] | np.ndarray, all_forms: bool = False
) -> Iterator[dict[str, Any]]:
    """Question and answer for each attribute of each entity that has question forms, in one form drawn for it, or in
    all of them.

    Fields: entity, name, attribute, form, question, answer, `text` (plain, for a completion) and `messages` (chat).
    """
    entities = np.asarray(entities, np.int64)
    asked = [(number, one.name) for number, one in enumerate(table.attributes) if table.questions.get(one.name)]
    pools = {number: table.words(number) for number, _ in asked}
    for entity, name in zip(entities.tolist(), table.names(entities), strict=True):
        for number, attribute in asked:
            value = int(table.values[entity, number])
            if value < 0:
                continue
            forms = table.questions[attribute]
            word = words(stream(table.seed, f"question/{attribute}"), np.array([entity]))
            chosen = range(len(forms)) if all_forms else scaled(word, len(forms)).tolist()
            for form in chosen:
                question, answer = forms[form].replace("{}", name), pools[number][value]
                yield {
                    "entity": entity,
                    "name": name,
                    "attribute": attribute,
                    "form": form,
                    "question": question,
                    "answer": answer,
                    "text": f"Question: {question}\nAnswer: {answer}",
                    "messages": [
                        {"role": "user", "content": question},
                        {"role": "assistant", "content": answer},
                    ],
                }


def write_questions(folder: Path, table: FactTable) -> None:
    """Write `questions.train.jsonl` and `questions.test.jsonl` about entities that appear, where the table has
    questions at all."""
    if not table.questions:
        return
    shown = np.flatnonzero(table.exposure_counts > 0)[:MOST_ASKED]
    split = split_of(table, shown)
    for number, name in enumerate(SPLITS):
        with (folder / f"questions.{name}.jsonl").open("wb") as stream_:
            for one in questions(table, shown[split == number]):
                stream_.write(orjson.dumps(one, option=orjson.OPT_APPEND_NEWLINE))
