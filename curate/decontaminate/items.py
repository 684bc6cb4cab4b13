"""Test sets as they are published: JSON Lines or Parquet of questions, answers, choices and passages."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from curate.errors import Refused

QUESTION_FIELDS = ("question", "query", "prompt", "problem", "question_stem", "goal", "ctx", "sentence", "text")
ANSWER_FIELDS = ("answer", "answers", "best_answer", "canonical_solution", "solution", "correct_answers", "target")
CHOICE_FIELDS = ("choices", "options", "endings", "mc1_targets")
PASSAGE_FIELDS = ("passage", "context", "support", "article", "story")
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".json.zst", ".parquet")

_SPLIT_CHOICES = (("sol1", "sol2"), ("option1", "option2"), ("opa", "opb", "opc", "opd"), ("A", "B", "C", "D"))
_GOLD_FIELDS = ("gold", "label", "answerKey", "answer_index", "answer")
_ID_FIELDS = ("id", "task_id", "question_id")
# Test sets rendered for a model carry labels that no page repeats.
_QUESTION_LABEL = re.compile(r"^[ \t]*(?:question|problem|(q))[ \t]*:", re.IGNORECASE | re.MULTILINE)
_PASSAGE_LABEL = re.compile(r"\A[ \t]*(?:passage|context|article)[ \t]*:", re.IGNORECASE)
_ENDING_LABEL = re.compile(r"^[ \t]*(?:choices|options|answer)[ \t]*:", re.IGNORECASE | re.MULTILINE)
# Without a `Q:` before it, `A:` is the question's own: the first of some speakers, sentences or assignments.
_SHORT_ENDING = re.compile(r"^[ \t]*(?:choices|options|answer|a)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_CHOICE_LINE = re.compile(r"^[ \t]*\(?[A-H1-8][.):][ \t]+(\S.*)$", re.MULTILINE)
# GSM8K notes the sums of its solutions for a calculator; no page repeats that either.
_CALCULATION = re.compile(r"<<[^<>]*>>")
_BLANK = re.compile(r"(?<!\w)_+(?!\w)")
_PART = re.compile(r"(?:[-_.](?:test|validation|valid|val|dev|train|part|\d+))+$", re.IGNORECASE)


class ItemsError(Refused):
    """An invalid test set, with file and line."""


@dataclass(frozen=True, slots=True)
class Item:
    """One test item: the wordings of its question, the right answers, all choices, and the passage.

    The first of `questions` is the question alone. `answers` are texts, the right ones of `choices`.
    """

    name: str
    benchmark: str
    questions: tuple[str, ...]
    answers: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    passage: str = ""

    @property
    def question(self) -> str:
        return self.questions[0]


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a row; None: the first known name that the row has."""

    question: str | None = None
    answer: str | None = None
    choices: str | None = None
    passage: str | None = None


def item_files(paths: Iterable[Path]) -> list[Path]:
    """The files themselves; of a folder, the JSON Lines and Parquet files in it by name."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(one for one in path.iterdir() if one.name.endswith(SUFFIXES) and one.is_file())
        else:
            files.append(path)
    return files


def benchmark_of(path: Path) -> str:
    """A file's benchmark: its name without suffixes, split and part number (`mmlu_test-2.jsonl.gz` is `mmlu`)."""
    name = path.name
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        name = name.removesuffix(suffix)
    return _PART.sub("", name) or name


def read_items(path: Path, fields: Fields = Fields()) -> Iterator[Item]:
    """The test items of a JSONL (plain, .gz or .zst) or Parquet file, named `file:line` or `file:id`.

    Rows with the same question are one item: some sets have a row for each answer. Raises ItemsError with file and
    line when the file is missing, a line is not a JSON object, or none of the fields for a question is a text.
    """
    if not path.is_file():
        raise ItemsError(f"{path}: there is no such file; `questions` names JSONL (plain, .gz, .zst) or Parquet files")
    items: dict[str, Item] = {}
    for number, row in _rows(path):
        item = _item(row, f"{path}, line {number}", f"{path.name}:{number}", fields)
        known = items.get(item.question)
        items[item.question] = item if known is None else _joined(known, item)
    if not items:
        raise ItemsError(f"{path}: no test items in it; each line must be a JSON object with a question")
    yield from items.values()


def _joined(known: Item, other: Item) -> Item:
    return replace(
        known,
        questions=tuple(dict.fromkeys(known.questions + other.questions)),
        answers=tuple(dict.fromkeys(known.answers + other.answers)),
        choices=tuple(dict.fromkeys(known.choices + other.choices)),
        passage=known.passage or other.passage,
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file with their line (of Parquet: row) numbers, counted from 1."""
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
        return
    try:
        for number, line in enumerate(_lines(path), start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise ItemsError(f"{where}: not JSON ({error}); each line must be an object with a question") from error
            if not isinstance(row, dict):
                raise ItemsError(f"{where}: not a JSON object; each line must be an object with a question")
            yield number, row
    except (OSError, EOFError, _zstd_error()) as error:
        raise ItemsError(f"{path}: cannot be read ({error}); it must be JSONL, plain, .gz or .zst") from error


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise ItemsError(f"{path}: a Parquet file needs pyarrow: pip install 'goldsand[hub]'") from None
    try:
        number = 0
        for batch in ParquetFile(path).iter_batches(1024):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise ItemsError(f"{path}: cannot be read as Parquet ({error})") from error


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as lines:
            yield from lines
    elif path.suffix == ".zst":
        import zstandard

        # The library's stream reader accepts a truncated file as complete.
        packed, plain = path.read_bytes(), io.BytesIO()
        while packed:
            frame = zstandard.ZstdDecompressor().decompressobj()
            plain.write(frame.decompress(packed))
            if not frame.eof:
                raise EOFError("it ends in the middle")
            packed = frame.unused_data
        plain.seek(0)
        yield from plain
    else:
        with path.open("rb") as lines:
            yield from lines


def _item(row: dict[str, Any], where: str, name: str, fields: Fields) -> Item:
    identifier = next((row[key] for key in _ID_FIELDS if isinstance(row.get(key), (str, int))), None)
    file = name.rpartition(":")[0]
    if identifier is not None:
        name = f"{file}:{identifier}"
    benchmark = benchmark_of(Path(file))
    if fields.question is None and (sentences := _continued(row)):
        right, everything = sentences
        return Item(name, benchmark, everything, (right,) if right else ())
    questions = _first(row, fields.question, QUESTION_FIELDS)
    if not questions:
        wanted = (fields.question,) if fields.question else QUESTION_FIELDS
        raise ItemsError(
            f"{where}: no question in it: expected a text in {' or '.join(repr(key) for key in wanted)}, "
            f"found the fields {sorted(row)}; name the right one with `question_field`"
        )
    choices = _first(row, fields.choices, CHOICE_FIELDS) or _split_choices(row)
    passage = "\n".join(_first(row, fields.passage, PASSAGE_FIELDS))
    forms: dict[str, None] = {}
    for question in questions:
        alone, before, listed = _parts(question)
        passage = passage or before
        # Choices that are letters only point to those listed in the question.
        choices = listed if listed and all(len(choice) == 1 for choice in choices) else choices
        filled = [_BLANK.sub(choice.replace("\\", " "), alone) for choice in choices] if _BLANK.search(alone) else []
        forms |= dict.fromkeys([alone, *filled])
    answers = _right(row, choices, fields)
    if row.get("is_correct") is False:
        choices, answers = choices + answers, []
    elif row.get("is_correct") is True:
        choices = choices + answers
    answers = list(dict.fromkeys(text for answer in answers for text in (answer, _CALCULATION.sub("", answer))))
    return Item(name, benchmark, tuple(forms), tuple(answers), tuple(choices), passage)


def _continued(row: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    """Winogrande as harnesses store it: two beginnings of one sentence; the sentence with each, and with neither."""
    beginnings, end = _texts(row.get("context_options")), row.get("continuation")
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
    listed = _CHOICE_LINE.findall(bare[ending.end() :]) if ending else []
    passage = _PASSAGE_LABEL.sub("", question[: label.start()]).strip() if label else ""
    return (alone.strip() or question.strip()), passage, listed


def _first(row: dict[str, Any], named: str | None, known: tuple[str, ...]) -> list[str]:
    return next((texts for key in ((named,) if named else known) if (texts := _texts(row.get(key)))), [])


def _split_choices(row: dict[str, Any]) -> list[str]:
    for names in _SPLIT_CHOICES:
        texts = [text for name in names for text in _texts(row.get(name))]
        if len(texts) == len(names):
            return texts
    return []


def _right(row: dict[str, Any], choices: list[str], fields: Fields) -> list[str]:
    """The right answers as texts: those of the answer field, or the choice that a number or letter points to."""
    if choices:
        for key in (fields.answer,) if fields.answer else _GOLD_FIELDS:
            gold = row.get(key)
            labels = row["choices"].get("label") if isinstance(row.get("choices"), dict) else None
            if isinstance(labels, list) and gold in labels and labels.index(gold) < len(choices):
                return [choices[labels.index(gold)]]
            if isinstance(gold, str) and gold.isdecimal():
                gold = int(gold)
            elif isinstance(gold, str) and len(gold) == 1 and gold.isalpha():
                gold = ord(gold.upper()) - ord("A")
            if isinstance(gold, int) and not isinstance(gold, bool) and 0 <= gold < len(choices):
                return [choices[gold]]
    return _first(row, fields.answer, ANSWER_FIELDS)


def _texts(value: Any) -> list[str]:
    """The non-empty texts of a field that holds one, or a list of them, or a dict of lists (`{"text": [...]}`)."""
    if isinstance(value, dict):
        value = value.get("text") or value.get("choices")
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        value = [str(value)]
    if not isinstance(value, list):
        return []
    return [text for text in value if isinstance(text, str) and text.strip()]
