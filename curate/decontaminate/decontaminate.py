"""The step `decontaminate`: drops, cuts, tags or reports documents with hits of test items."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import orjson

from curate.decontaminate.held_out import DOCUMENT, PIECE, check_runs, read_held_out, text_files
from curate.decontaminate.items import Fields, Item, read_items
from curate.decontaminate.matching import PARTS, Hit, ItemIndex
from curate.decontaminate.set_files import NAMED, ItemsError, item_files
from curate.document import Document, Drop
from curate.errors import Refused
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Rule, Verdict, param

ACTIONS = ("drop", "cut", "tag", "report")
CONTAMINATED = "contaminated"
LISTED = 20
"""Hits of one document that its evidence lists; all are counted."""

SHOWN = 400
"""Characters of the passage in the evidence."""


@lru_cache(maxsize=4)
def _index_of(
    files: tuple[Stamp, ...], texts: tuple[Stamp, ...], fields: bytes, numbers: bool, parts: tuple[str, ...]
) -> ItemIndex:
    """One index in a process for all the units that need it."""
    return ItemIndex(_items(files, texts, orjson.loads(fields)), numbers, parts)


def _items(files: Iterable[Stamp], texts: Iterable[Stamp], fields: Mapping[str, Mapping[str, str]]) -> Iterator[Item]:
    for file in files:
        yield from read_items(Path(file.path), Fields.of(Path(file.path), fields))
    for file in texts:
        yield from read_held_out(Path(file.path), Fields.of(Path(file.path), fields))


@dataclass(frozen=True)
class Decontaminate(Rule):
    """Find test items, or held-out text, in documents, and drop the documents, cut the items out, tag the documents or
    only report them.

    A question is found anywhere in a document, without its answer, in other case, spacing and punctuation, and with a
    few words changed. The words found are scored by inverse document frequency. Questions so short that they look like
    ordinary language are searched for together with an answer, with all choices, or with the end of their passage. The
    evidence, in the ledger, is `{"item", "benchmark", "part", "score", "bits", "passage", "hits", "all"}`.
    """

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 3
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)

    questions: str | list[str] | None = param(None, f"test sets: {NAMED}, or folders of them", path=True)
    held_out: str | list[str] | None = param(
        None,
        "text of your own that training must not hold, a validation split: the same files with a `text`, .txt files, "
        "folders, or a finished run",
        path=True,
    )
    action: str = param(
        "drop",
        "drop the document; cut the items out of it; tag: keep it, with the evidence in its metadata; report: in the "
        "ledger only",
        choices=ACTIONS,
    )
    parts: list[str] = param(
        ["question", "answer", DOCUMENT, PIECE],
        "what is searched for: of a test item its question, answer, passage; of held-out text the document, and each "
        "piece of some 50 words",
    )
    min_score: float = param(0.6, "share of a part's words that must be found, by their bits", ge=0.1, le=1.0)
    evidence: float = param(
        32.0, "bits that the words found must have; a part with fewer in all must be there whole", ge=0.0
    )
    numbers: str = param(
        "guard",
        "guard: a question whose numbers differ is another question; ignore: all numbers are alike",
        choices=("guard", "ignore"),
    )
    margin: int = param(200, "cut: characters that are cut on either side", source="GPT-3 (Brown et al. 2020)", ge=0)
    min_piece: int = param(200, "cut: shorter pieces of what is left are cut too", source="GPT-3", ge=0)
    max_cuts: int = param(10, "cut: a document with more is dropped", source="GPT-3", ge=1)
    fields: dict[str, dict[str, str]] | None = param(
        None,
        "fields of rows by file name, where they are not known: {'mine*.csv': {question: stem, answer: key}}, also "
        "`choices` and `passage`; of held-out text, `question` is its text",
    )

    def __post_init__(self) -> None:
        strangers = [part for part in self.parts if part not in PARTS]
        if strangers or not self.parts:
            raise Refused(f"`parts` lists some of {', '.join(PARTS)}: {', '.join(strangers) or 'it is empty'}")

        if not self.questions and not self.held_out:
            raise Refused("name test sets with `questions`, or text of your own with `held_out`")
        known = {item.name for item in dataclasses.fields(Fields)}
        for pattern, named in (self.fields or {}).items():
            if strange := sorted(set(named) - known):
                raise Refused(f"`fields` of {pattern!r} names some of {', '.join(sorted(known))}, not {strange[0]!r}")

    def test_sets(self) -> list[Path]:
        """The files of `questions`."""
        return item_files(_paths(self.questions))

    def resources(self) -> list[Path]:
        return self.test_sets() + text_files(_paths(self.held_out))

    def open(self) -> None:
        if not hasattr(self, "_index"):
            check_runs(_paths(self.held_out))
            # A missing file is refused by its reader.
            files, texts = (
                tuple(stamp(path) if path.is_file() else Stamp(str(path), 0, 0) for path in paths)
                for paths in (self.test_sets(), text_files(_paths(self.held_out)))
            )
            if not files and not texts:
                where = self.questions or self.held_out
                raise ItemsError(f"{where}: no test sets in it; name {NAMED}, or their folder")
            parts, fields = tuple(self.parts), orjson.dumps(self.fields or {})
            index = _index_of(files, texts, fields, self.numbers == "guard", parts)
            object.__setattr__(self, "_index", index)

    def items(self, files: Collection[str]) -> Iterator[Item]:
        """The items of files of these names, read again."""
        sets, texts = (
            [stamp(path) for path in paths if path.name in files and path.is_file()]
            for paths in (self.test_sets(), text_files(_paths(self.held_out)))
        )
        return _items(sets, texts, self.fields or {})

    def __getstate__(self) -> dict[str, Any]:
        # Steps travel to every worker; the index is built there, not sent.
        return {key: value for key, value in vars(self).items() if key != "_index"}

    @property
    def index(self) -> ItemIndex:
        self.open()
        return self._index  # type: ignore[attr-defined]

    @property
    def undetectable(self) -> list[str]:
        """Items so short that they look like ordinary language, even with their answers."""
        return self.index.undetectable

    @property
    def undetectable_alone(self) -> list[str]:
        """Items whose question is too short to be found without its answer; the undetectable ones among them."""
        return self.index.undetectable_alone

    def hits(self, text: str) -> list[Hit]:
        """The items found in a text, the best first."""
        return self.index.search(text, self.min_score, self.evidence)

    def checks(self, document: Document) -> Iterator[Check]:
        hits = self.hits(document.text)
        yield Check(CONTAMINATED, evidence_of(document.text, hits), self.min_score, bool(hits))

    def apply(self, documents: Iterable[Document]) -> Iterator[Document | Drop]:
        for document in documents:
            hits = [] if document.protected else self.hits(document.text)
            yield self._act(document, hits) if hits else document

    def __call__(self, text: str, *, url: str | None = None) -> Verdict:
        outcome = super().__call__(text, url=url)
        return Verdict(True, text=self._cut(text, self.hits(text))[0]) if outcome and self.action == "cut" else outcome

    def _act(self, document: Document, hits: list[Hit]) -> Document | Drop:
        evidence = evidence_of(document.text, hits)
        if self.action == "drop":
            return Drop(document, self.name, CONTAMINATED, evidence, self.min_score)
        if self.action == "cut":
            text, cuts = self._cut(document.text, hits)
            if not text or cuts > self.max_cuts:
                return Drop(document, self.name, CONTAMINATED, evidence, self.min_score)
            document.edits.append((self.name, len(document.text), len(text)))
            document.rewrite(text)
        elif self.action == "tag":
            document.metadata["contamination"] = evidence
        document.notes.append((self.name, CONTAMINATED, evidence))
        return document

    def _cut(self, text: str, hits: list[Hit]) -> tuple[str, int]:
        """The text with every copy of every item cut out, and the number of cuts."""
        cuts = 0
        while hits and cuts <= self.max_cuts:
            pieces, place = [], 0
            for begin, end in _united([(hit.begin - self.margin, hit.end + self.margin) for hit in hits]):
                pieces.append(text[place : max(0, begin)])
                place = end
                cuts += 1
            pieces.append(text[place:])
            text = "\n".join(piece.strip() for piece in pieces if len(piece.strip()) >= max(1, self.min_piece))
            hits = self.hits(text)
        return text, cuts


def _paths(given: str | list[str] | None) -> list[Path]:
    return [Path(one) for one in (given if isinstance(given, list) else [given]) if one]


def _united(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping spans as one, in order."""
    united: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if united and begin <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((begin, end))
    return united


def evidence_of(text: str, hits: list[Hit]) -> dict[str, Any] | None:
    """The evidence of a document for the ledger: the best hit with its passage, and the other items by name.

    `passage` is the text of the hit, at most `SHOWN` characters; `all` lists item, part and score of the hits.
    """
    if not hits:
        return None
    best = hits[0]
    return {
        "item": best.item,
        "benchmark": best.benchmark,
        "part": best.part,
        "score": round(best.score, 4),
        "bits": round(best.bits, 1),
        "begin": best.begin,
        "end": best.end,
        "passage": text[best.begin : best.begin + min(SHOWN, best.end - best.begin)],
        "hits": len(hits),
        "all": [[hit.item, hit.part, round(hit.score, 4)] for hit in hits[:LISTED]],
    }
