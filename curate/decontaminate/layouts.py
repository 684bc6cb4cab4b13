"""The layouts in which test sets are published: which fields of a row are its question, answers, choices and passage.

Names of fields are compared in lower case, with `_` for spaces and hyphens: `Correct Answer` is `correct_answer`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from curate.decontaminate.set_files import Row

QUESTION_FIELDS = (
    "question", "query", "prompt", "problem", "question_stem", "stem", "goal", "ctx", "sentence", "instruction",
    "input", "question_content", "question_text", "problem_statement", "turns", "claim", "text", "context",
)  # fmt: skip
ANSWER_FIELDS = (
    "answer", "answers", "best_answer", "correct_answer", "correct_answers", "answers_spans", "canonical_solution",
    "solution", "solutions", "code", "reference_code", "target", "targets", "output", "ideal", "reference",
    "long_answer", "explanation", "rationale", "aliases", "response",
)  # fmt: skip
CHOICE_FIELDS = ("choices", "options", "endings", "mc1_targets", "mc2_targets", "candidates")
PASSAGE_FIELDS = ("passage", "context", "support", "article", "story", "paragraph", "body_text")

# What one row of an evaluation harness or of a viewer wraps around the row of the set.
_WRAPPERS = ("doc", "row", "request")
# Several questions on one text, in one row: SQuAD, DROP, MultiRC.
_GROUPS = ("paragraphs", "qas", "qa_pairs")
_SPLIT_CHOICES = (
    ("sol1", "sol2"), ("option1", "option2"), ("choice1", "choice2"), ("answera", "answerb", "answerc"),
    ("opa", "opb", "opc", "opd"), ("a", "b", "c", "d"), ("randomfifthsentencequiz1", "randomfifthsentencequiz2"),
    ("sentence_good", "sentence_bad"),
)  # fmt: skip
# Sets that count these choices from one.
_FROM_ONE = ("option1", "answera", "randomfifthsentencequiz1")
_WRONG = re.compile(r"(?:incorrect_answers?|distractor)_?\d*")
_GOLD_FIELDS = (
    "gold", "label", "answerkey", "answer_index", "answer_idx", "correct_option", "cop", "answer", "correct_answer",
    "answerrightending", "target",
)  # fmt: skip
# Texts that are one question together.
_TOGETHER = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("body", "question"),
    ("instruction", "input"), ("context", "continuation"), ("question", "sentence"),
    ("inputsentence1", "inputsentence2", "inputsentence3", "inputsentence4"),
)  # fmt: skip
_ASKING = ("user", "human")
_ANSWERING = ("assistant", "gpt", "model", "bot")
# The text of a list's objects, or of an object that stands where a text would.
_TEXT_KEYS = ("text", "choices", "value", "content", "span", "spans", "input_text", "contexts", "stem", "output")


def unfolded(row: Row) -> Iterator[Row]:
    """A row as rows of one question each, with plain names: out of a harness' wrapper, or a question for each."""
    row = {_plain(key): value for key, value in row.items()}
    for key in _WRAPPERS:
        if isinstance(inner := row.get(key), dict):
            row |= {_plain(name): value for name, value in inner.items()}
    for key in ("question", "passage"):
        # CommonsenseQA and ARC keep stem and choices in the question, MultiRC its questions in the passage.
        if isinstance(inner := row.get(key), dict) and (inner.get("stem") or inner.get("questions")):
            row = {name: value for name, value in row.items() if name != key}
            row |= {"passage" if name == "text" else _plain(name): value for name, value in inner.items()}
    for key in (*_GROUPS, "questions"):
        if isinstance(group := row.get(key), list) and group and isinstance(group[0], dict) and len(group[0]) > 1:
            if key == "questions" and "answers" in row:
                break  # CoQA: a list of turns, and one of their answers
            around = {name: value for name, value in row.items() if name != key}
            for one in group:
                yield from unfolded(around | one)
            return
    yield row


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", str(name).strip().lower())


def asked(row: Row, named: str | None) -> list[str]:
    """The wordings of a row's question; of a chat, what the user says."""
    if named:
        return texts(_field(row, named))
    for key in ("messages", "conversations", "conversation", "prompt", "input", "turns"):
        if (said := _said(row.get(key), _ASKING)) is not None:
            return said
    for names in _TOGETHER:
        if names[0] == "context" and texts(row.get("question")):
            continue
        parts = [texts(row.get(name)) for name in names]
        if all(len(part) == 1 for part in parts):
            alone = [part[0] for part in parts] if names == ("question1", "question2") else []
            return alone or [" ".join(part[0].strip() for part in parts)]
    if (premise := texts(row.get("premise"))) and (choices := listed(row, None)):
        return premise + [f"{premise[0]} {choice}" for choice in choices]
    if texts(row.get("sentence_good")):
        return texts(row["sentence_good"]) + texts(row.get("sentence_bad"))
    questions = texts(row.get("questions"))
    return questions or next((found for key in QUESTION_FIELDS if (found := texts(row.get(key)))), [])


def answered(row: Row, named: str | None, choices: list[str]) -> list[str]:
    """The right answers: the choice that a number or letter points to, and the texts of all fields of answers."""
    if named:
        return _pointed_to(row, choices, (named,)) or texts(_field(row, named))
    right = _pointed_to(row, choices, _GOLD_FIELDS)
    for key in ("messages", "conversations", "conversation"):
        right += _said(row.get(key), _ANSWERING) or []
    if isinstance(references := row.get("references"), list):
        right += [text for one in references if "correct" in _tags(one) for text in texts(one)]
    for key in ANSWER_FIELDS:
        value = row.get(key)
        if isinstance(value, str) and value.startswith("["):
            value = _listed_in(value)
        found = _cells(value) if key == "correct_answers" else texts(value)
        right += [text for text in found if not (choices and len(text.strip()) == 1)]
        if isinstance(value, dict):
            right += texts(value.get("aliases"))
    return list(dict.fromkeys(right))


def listed(row: Row, named: str | None) -> list[str]:
    """All choices of a row, in its order."""
    if named:
        return texts(_field(row, named))
    for key in CHOICE_FIELDS:
        if isinstance(value := row.get(key), dict) and value and all(len(name) == 1 for name in value):
            value = list(value.values())  # {"A": ..., "B": ...}
        if found := texts(value):
            return found
    if names := _split_names(row):
        return [text for name in names for text in texts(row[name])]
    if isinstance(row.get("references"), list):
        return texts(row["references"])
    wrong = [text for key in row if _WRONG.fullmatch(key) for text in _cells(row[key])]
    right = texts(row.get("correct_answer")) or texts(row.get("best_answer"))
    return right[:1] + wrong if right and wrong else []


def beside(row: Row, named: str | None) -> str:
    """The text that a question is about."""
    if named:
        return "\n".join(texts(_field(row, named)))
    return next(("\n".join(found) for key in PASSAGE_FIELDS if (found := texts(row.get(key)))), "")


def texts(value: Any) -> list[str]:
    """The non-empty texts of a field that holds one, a list of them, or objects with a text."""
    if isinstance(value, dict):
        value = next((value[key] for key in _TEXT_KEYS if value.get(key)), None)
        return texts(value) if value is not None else []
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        value = [str(value)]
    if not isinstance(value, list):
        return []
    flat: Iterable[str] = (text for one in value for text in (texts(one) if isinstance(one, (dict, list)) else [one]))
    return [text for text in flat if isinstance(text, str) and text.strip()]


def _cells(value: Any) -> list[str]:
    """TruthfulQA's table writes a list into one cell."""
    return texts([one.strip() for one in value.split(";")] if isinstance(value, str) else value)


def _listed_in(value: str) -> Any:
    """APPS keeps its list of solutions as JSON in a text."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _field(row: Row, named: str) -> Any:
    return row.get(_plain(named))


def _split_names(row: Row) -> tuple[str, ...]:
    return next((names for names in _SPLIT_CHOICES if all(texts(row.get(name)) for name in names)), ())


def _pointed_to(row: Row, choices: list[str], names: Iterable[str]) -> list[str]:
    if not choices:
        return []
    labels = _labels(row.get("choices"))
    first = (_split_names(row) or ("",))[0]
    for key in names:
        gold = row.get(_plain(key))
        if gold in labels and labels.index(gold) < len(choices):
            return [choices[labels.index(gold)]]
        if isinstance(gold, str) and gold.strip().isdecimal():
            gold = int(gold) - (first in _FROM_ONE)
        elif isinstance(gold, str) and len(gold.strip()) == 1 and gold.strip().isalpha():
            gold = ord(gold.strip().upper()) - ord("A")
        elif isinstance(gold, str) and gold in choices:
            return [gold]
        if isinstance(gold, int) and not isinstance(gold, bool) and 0 <= gold < len(choices):
            return [choices[gold]]
    return []


def _labels(choices: Any) -> list[Any]:
    """The labels of `{"text": [...], "label": [...]}` or `[{"text": ..., "label": ...}]`."""
    if isinstance(choices, dict):
        labels = choices.get("label")
        return labels if isinstance(labels, list) else []
    return [one.get("label") for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []


def _said(value: Any, by: tuple[str, ...]) -> list[str] | None:
    """What some speakers of a chat say; None where the value is no chat."""
    if not (isinstance(value, list) and value and all(isinstance(one, dict) for one in value)):
        return None
    turns = [(str(one.get("role", one.get("from", ""))).lower(), texts(one)) for one in value]
    return [text for speaker, said in turns if speaker in by for text in said] if any(who for who, _ in turns) else None


def _tags(reference: Any) -> list[Any]:
    return reference.get("tags") or [] if isinstance(reference, dict) else []
