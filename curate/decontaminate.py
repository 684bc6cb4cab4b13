"""Documents that contain test questions, so that a score measures knowledge and not memory of the test.

Word n-grams as in GPT-3 (Brown et al. 2020, appendix C: 13 words, lower case, no punctuation), but a document counts as
contaminated by the *share* of one test item's n-grams it holds, not by any single n-gram.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson

from curate.dedup.shingles import Hashes, distinct, fold, ngram_hashes, prefix_sums, word_hashes
from curate.document import Document
from curate.step import Check, Rule, param

QUESTION_FIELDS = ("question", "query", "prompt", "text")
ANSWER_FIELDS = ("answer", "answers", "choices")
_ID_FIELDS = ("id", "task_id", "question_id")
SHORTEST = 8
"""Items of fewer words cannot be told from ordinary language: they are undetectable, and listed as such."""

# Test sets rendered for a model carry labels that no page repeats.
_QUESTION_LABEL = re.compile(r"^[ \t]*(?:question|problem|q)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ENDING_LABEL = re.compile(r"^[ \t]*(?:choices|options|answer|a)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_PASSAGE_WORDS = 12
# Deleted punctuation joins words into rarer ones: fewer of them suffice.
_SHORTEST_JOINED = 5
# Pages drop all symbols, all but the underscore, or those of ASCII.
_PUNCTUATION = (re.compile(r"[^\w\s]|_"), re.compile(r"[^\w\s]"), re.compile(r"[!-/:-@\[-`{-~]"))


@dataclass(frozen=True)
class Item:
    """One test item: the question alone, and `forms`, texts of which any gives the item away."""

    name: str
    question: str
    forms: tuple[str, ...]


def read_items(path: Path, question_field: str | None = None, answer_field: str | None = None) -> Iterator[Item]:
    """The test items of a JSONL file (plain, .gz or .zst), named `file:line` or `file:id`.

    Raises ValueError with file and line when there is no such file, a line is no JSON object, or none of the fields
    that may hold a question is a text.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file; `questions` names JSONL files (plain, .gz or .zst)")
    empty = True
    try:
        for number, line in enumerate(_lines(path), start=1):
            if line.strip():
                empty = False
                yield _item(line, f"{path}, line {number}", f"{path.name}:{number}", question_field, answer_field)
    except (OSError, EOFError, _zstd_error()) as error:
        raise ValueError(f"{path}: cannot be read ({error}); it must be JSONL, plain, .gz or .zst") from error
    if empty:
        raise ValueError(f"{path}: no test items in it; each line must be a JSON object with a question")


def _zstd_error() -> type[Exception]:
    import zstandard

    return zstandard.ZstdError


def _lines(path: Path) -> Iterator[bytes]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as lines:
            yield from lines
    elif path.suffix == ".zst":
        import zstandard

        # The library's stream reader takes a torn file for a whole one.
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


def _item(line: bytes, where: str, name: str, question_field: str | None, answer_field: str | None) -> Item:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error}); each line must be an object with a question") from error
    if not isinstance(row, dict):
        raise ValueError(f"{where}: not a JSON object; each line must be an object with a question")
    wanted = (question_field,) if question_field else QUESTION_FIELDS
    questions = next((texts for key in wanted if (texts := _texts(row.get(key)))), None)
    if questions is None:
        raise ValueError(
            f"{where}: no question in it: expected a text in {' or '.join(repr(key) for key in wanted)}, "
            f"found the fields {sorted(row)}; name the right one with `question_field`"
        )
    answers: list[str] = []
    for key in (answer_field,) if answer_field else ANSWER_FIELDS:
        answers = _texts(row.get(key))
        gold = row.get("gold")
        if key == "choices" and isinstance(gold, int) and 0 <= gold < len(answers):
            answers = [answers[gold], " ".join(answers)]
        if answers:
            break
    identifier = next((row[key] for key in _ID_FIELDS if isinstance(row.get(key), (str, int))), None)
    if identifier is not None:
        name = f"{name.rpartition(':')[0]}:{identifier}"
    forms = dict.fromkeys(form for question in questions for form in _forms(question, answers))
    return Item(name, next(iter(forms)), tuple(forms))


def _texts(value: Any) -> list[str]:
    """The non-empty texts of a field that holds one, or a list of them, or a dict of lists (`{"text": [...]}`)."""
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        value = [str(value)]
    if not isinstance(value, list):
        return []
    return [text for text in value if isinstance(text, str) and text.strip()]


def _forms(question: str, answers: list[str]) -> Iterator[str]:
    """The question alone, bare of what was put around it for a model; as it stands; and with each answer."""
    label = _QUESTION_LABEL.search(question)
    bare = question[label.end() :] if label else question
    ending = _ENDING_LABEL.search(bare)
    alone = bare[: ending.start()] if ending else bare
    # A passage in front of the question is a page of its own: only the words that run into the question count.
    passage = question[: label.start()].split()[-_PASSAGE_WORDS:] if label else []
    yield from (alone, bare, " ".join([*passage, bare]))
    for answer in answers:
        yield f"{alone} {answer}"


class QuestionIndex:
    """The n-grams of test items, and which share of an item's a text holds.

    Each form of an item is indexed with punctuation as a space and with punctuation deleted, so that a page matches
    whichever way it was reformatted. A form of at least `SHORTEST` but fewer than `ngram` words is one n-gram: whole.
    """

    def __init__(self, items: Iterator[Item], ngram: int) -> None:
        self.undetectable: list[str] = []
        self.undetectable_alone: list[str] = []
        self.names: list[str] = []
        hashes: list[Hashes] = []
        seen: set[bytes] = set()
        lengths: set[int] = set()
        for item in items:
            detectable = dict.fromkeys(item.forms, False)
            for form in item.forms:
                detectable[form] = len(word_hashes(fold(form))) >= SHORTEST
                if not detectable[form]:
                    continue
                for text in dict.fromkeys([form, *(mark.sub("", form) for mark in _PUNCTUATION)]):
                    words = word_hashes(fold(text))
                    size = min(ngram, len(words))
                    if size < _SHORTEST_JOINED:
                        continue
                    grams = distinct(ngram_hashes(prefix_sums(words), size))
                    content = grams.tobytes()
                    if content not in seen:
                        seen.add(content)
                        lengths.add(size)
                        hashes.append(grams)
                        self.names.append(item.name)
            if not any(detectable.values()):
                self.undetectable.append(item.name)
            if not detectable[item.question]:
                self.undetectable_alone.append(item.name)
        self.sizes = sorted(lengths)
        self.totals = np.array([len(grams) for grams in hashes], np.int64)
        every = np.concatenate(hashes) if hashes else np.empty(0, np.uint64)
        order = np.argsort(every, kind="stable")
        self.hashes = every[order]
        self.forms = np.repeat(np.arange(len(hashes), dtype=np.int32), self.totals)[order]
        # Nearly all n-grams of a page are in no item: a table of bits answers those without a search.
        self.mask = np.uint64(max(1 << 16, 1 << (8 * len(every)).bit_length()) - 1)
        self.occupied = np.zeros(int(self.mask) + 1, np.bool_)
        self.occupied[self.hashes & self.mask] = True

    def best(self, text: str) -> tuple[str | None, float]:
        """The item of which the text holds the largest share of n-grams, and that share; the first of equal ones."""
        sums = prefix_sums(word_hashes(fold(text)))
        met = []
        for size in self.sizes:
            grams = ngram_hashes(sums, size)
            met.append(grams[self.occupied[grams & self.mask]])
        grams = distinct(np.concatenate(met)) if met else np.empty(0, np.uint64)
        first = np.searchsorted(self.hashes, grams)
        known = np.take(self.hashes, first, mode="clip") == grams
        if not known.any():
            return None, 0.0
        last = np.searchsorted(self.hashes, grams[known], "right")
        rows = [self.forms[start:end] for start, end in zip(first[known], last, strict=True)]
        forms, counts = np.unique(np.concatenate(rows), return_counts=True)
        shares = counts / self.totals[forms]
        winner = int(np.argmax(shares))
        return self.names[int(forms[winner])], float(shares[winner])


def _revision(path: Path) -> tuple[int, int]:
    """What tells two states of a file apart; zeros for a file that is missing, of which its reader complains."""
    if not path.is_file():
        return 0, 0
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _index_of(
    files: tuple[tuple[Path, tuple[int, int]], ...], question_field: str | None, answer_field: str | None, ngram: int
) -> QuestionIndex:
    """One index in a process for all the units that need it."""
    items = (item for path, _ in files for item in read_items(path, question_field, answer_field))
    return QuestionIndex(items, ngram)


@dataclass(frozen=True)
class Decontaminate(Rule):
    """Drop documents that contain a test question, with or without its answer.

    A document is contaminated when it holds at least `min_overlap` of the word n-grams of a question, or of a question
    and its answer, wherever in the document they stand. The ledger's value is
    `{"item": "file:line", "overlap": share}`. `undetectable` names items too short to be found in any form.
    """

    name: ClassVar[str] = "decontaminate"
    libraries: ClassVar[tuple[str, ...]] = ("xxhash", "numpy")

    questions: str | list[str] = param(..., "JSONL files of test items (plain, .gz or .zst)", path=True)
    question_field: str | None = param(
        None, "field of the question; by default the first of " + ", ".join(QUESTION_FIELDS)
    )
    answer_field: str | None = param(None, "field of the answer; by default the first of " + ", ".join(ANSWER_FIELDS))
    ngram: int = param(13, "words in an n-gram", source="GPT-3 (Brown et al. 2020, appendix C)", ge=SHORTEST, le=64)
    min_overlap: float = param(0.5, "share of one item's n-grams that condemns a document", ge=0.01, le=1.0)

    def open(self) -> None:
        if not hasattr(self, "_index"):
            files = tuple((path, _revision(path)) for path in self.resources())
            index = _index_of(files, self.question_field, self.answer_field, self.ngram)
            object.__setattr__(self, "_index", index)

    def __getstate__(self) -> dict[str, Any]:
        # Steps travel to every worker; the index is built there, not sent.
        return {key: value for key, value in vars(self).items() if key != "_index"}

    @property
    def index(self) -> QuestionIndex:
        self.open()
        return self._index  # type: ignore[attr-defined]

    @property
    def undetectable(self) -> list[str]:
        """Items that are too short to be told from ordinary language, even with their answers."""
        return self.index.undetectable

    @property
    def undetectable_alone(self) -> list[str]:
        """Items whose question is too short to be found without its answer; the undetectable ones among them."""
        return self.index.undetectable_alone

    def checks(self, document: Document) -> Iterator[Check]:
        item, overlap = self.index.best(document.text)
        value = {"item": item, "overlap": overlap}
        yield Check("contaminated", value, self.min_overlap, overlap >= self.min_overlap)
