"""Test items: rows of published sets as questions, answers, choices and passages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from curate.decontaminate.layouts import QUESTION_FIELDS, answered, asked, beside, listed, texts, unfolded
from curate.decontaminate.set_files import ItemsError, Row, benchmark_of, rows_of

_ID_FIELDS = ("id", "task_id", "question_id", "unique_id", "query_id", "pubid")
# Test sets rendered for a model carry labels that no page repeats.
_QUESTION_LABEL = re.compile(r"^[ \t]*(?:question|problem|(q))[ \t]*:", re.IGNORECASE | re.MULTILINE)
_PASSAGE_LABEL = re.compile(r"\A[ \t]*(?:passage|context|article)[ \t]*:", re.IGNORECASE)
_ENDING_LABEL = re.compile(r"^[ \t]*(?:choices|options|answer)[ \t]*:", re.IGNORECASE | re.MULTILINE)
# Without a `Q:` before it, `A:` is the question's own: the first of some speakers, sentences or assignments.
_SHORT_ENDING = re.compile(r"^[ \t]*(?:choices|options|answer|a)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_CHOICE_LINE = re.compile(r"^[ \t]*\(?[A-H1-8][.):][ \t]+(\S.*)$", re.MULTILINE)
# GSM8K notes the sums of its solutions for a calculator, and the result below; no page repeats that either.
_CALCULATION = re.compile(r"<<[^<>]*>>|\n####[^\n]*\Z")
_BLANK = re.compile(r"(?<!\w)_+(?!\w)")
_SENTENCE = re.compile(r"[^\n.?!:]*[\n.?!:]*")

MANY, MOST = 5, 50
"""A sentence that this many items of one set share (or a twentieth of them, from the first number to the second) is an
instruction of the set."""


@dataclass(frozen=True, slots=True)
class Item:
    """One test item: the wordings of its question, the right answers, all choices, and the passage.

    The first of `questions` is the question alone, without what many items of its set share; it is empty where nothing
    else is left. `answers` are texts, the right ones of `choices`. `pieces` are parts of a text of the user's own
    (`curate.decontaminate.held_out`), which has no question.
    """

    name: str
    benchmark: str
    questions: tuple[str, ...]
    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    passage: str = ""
    pieces: tuple[tuple[str, str], ...] = ()

    @property
    def question(self) -> str:
        return self.questions[0] if self.questions else ""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a row; None: the first known name that the row has."""

    question: str | None = None
    answer: str | None = None
    choices: str | None = None
    passage: str | None = None

    @classmethod
    def of(cls, path: Path, by_file: Mapping[str, Mapping[str, str]]) -> Fields:
        """Those of a file: the first pattern of names that it matches."""
        return next((cls(**named) for pattern, named in by_file.items() if fnmatch(path.name, pattern)), cls())


def read_items(path: Path, fields: Fields = Fields()) -> Iterator[Item]:
    """The test items of a file (JSONL, JSON, CSV, TSV, plain, .gz or .zst, or Parquet), named `file:line` or `file:id`.

    Rows with the same question, passage and choices are one item: some sets have a row for each answer. Raises
    ItemsError with file and line when the file is missing or damaged, or none of the fields for a question is a text.
    """
    items: dict[Any, Item] = {}
    for where, number, whole in rows_of(path):
        rows = list(unfolded(whole))
        for place, row in enumerate(rows, start=1):
            name = number if len(rows) == 1 else f"{number}.{place}"
            item = _item(row, f"{path}, {where}", path.name, name, fields)
            key = item.questions, item.passage, () if "is_correct" in row else item.choices
            items[key] = item if key not in items else _joined(items[key], item)
    if not items:
        raise ItemsError(f"{path}: no test items in it; each row must have a question")
    yield from _without_instructions(list(items.values()))


def _joined(known: Item, other: Item) -> Item:
    return replace(
        known,
        answers=tuple(dict.fromkeys(known.answers + other.answers)),
        choices=tuple(dict.fromkeys(known.choices + other.choices)),
    )


def _item(row: Row, where: str, file: str, number: str, fields: Fields) -> Item:
    identifier = next((row[key] for key in _ID_FIELDS if isinstance(row.get(key), (str, int))), number)
    name, benchmark = f"{file}:{identifier}", benchmark_of(Path(file))
    if fields.question is None and (sentences := _continued(row)):
        right, everything = sentences
        return Item(name, benchmark, everything, (right,) if right else ())
    questions = asked(row, fields.question)
    if not questions:
        wanted = (fields.question,) if fields.question else QUESTION_FIELDS
        raise ItemsError(
            f"{where}: no question in it: expected a text in {' or '.join(repr(key) for key in wanted)}, "
            f"found the fields {sorted(row)}; name the right one with `fields: {{{file}: {{question: NAME}}}}`"
        )
    choices, passage = listed(row, fields.choices), beside(row, fields.passage)
    forms: dict[str, None] = {}
    for question in questions:
        alone, before, within = _parts(question)
        passage = before or ("" if passage in question else passage)
        # Choices that are letters only point to those listed in the question.
        choices = within if within and all(len(choice) == 1 for choice in choices) else choices
        filled = [_BLANK.sub(choice.replace("\\", " "), alone) for choice in choices] if _BLANK.search(alone) else []
        forms |= dict.fromkeys([alone, *filled])
    answers = answered(row, fields.answer, choices)
    if row.get("is_correct") is False:
        choices, answers = choices + answers, []
    elif row.get("is_correct") is True:
        choices = choices + answers
    answers = list(dict.fromkeys(text for answer in answers for text in (answer, _CALCULATION.sub("", answer))))
    return Item(name, benchmark, tuple(forms), tuple(answers), tuple(choices), passage)


def _continued(row: Row) -> tuple[str, tuple[str, ...]] | None:
    """Winogrande as harnesses store it: two beginnings of one sentence; the sentence with each, and with neither."""
    beginnings, end = texts(row.get("context_options")), row.get("continuation")
    if not beginnings or not isinstance(end, str):
        return None
    whole = [f"{beginning} {end}" for beginning in beginnings]
    gold = row.get("gold")
    right = whole[gold] if isinstance(gold, int) and 0 <= gold < len(whole) else ""
    return right, tuple(dict.fromkeys(whole))


def _parts(question: str) -> tuple[str, str, list[str]]:
    """The question without the labels of a prompt; the passage before it; the choices listed after it."""
    label = _QUESTION_LABEL.search(question)
    bare = question[label.end() :] if label else question
    ending = (_SHORT_ENDING if label and label[1] else _ENDING_LABEL).search(bare)
    alone = bare[: ending.start()] if ending else bare
    within = _CHOICE_LINE.findall(bare[ending.end() :]) if ending else []
    passage = _PASSAGE_LABEL.sub("", question[: label.start()]).strip() if label else ""
    return (alone.strip() or question.strip()), passage, within


def _without_instructions(items: list[Item]) -> Iterator[Item]:
    """The items without the sentences that many of them share ("Choose the best answer."): no page is contaminated by
    those."""
    counts: Counter[str] = Counter()
    for item in items:
        counts.update({words_alone(sentence) for sentence in _SENTENCE.findall(item.question)})
    limit = max(MANY, min(MOST, len(items) // 20))
    shared = {sentence for sentence, count in counts.items() if count >= limit and len(sentence.split()) >= 3}
    for item in items:
        if shared and any(words_alone(sentence) in shared for sentence in _SENTENCE.findall(item.question)):
            item = replace(item, questions=tuple(dict.fromkeys(_own(one, shared) for one in item.questions)))
        yield item


def _own(question: str, shared: Iterable[str]) -> str:
    kept = (sentence for sentence in _SENTENCE.findall(question) if words_alone(sentence) not in shared)
    return "".join(kept).strip()


def words_alone(sentence: str) -> str:
    """A sentence or line by which it is told alike: its words in lower case, one space between them."""
    return " ".join(re.findall(r"\w+", sentence.lower()))
