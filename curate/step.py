"""What a step is: a name, a version, typed parameters, and what it does to documents. `registry.py` knows the names.

A step is a frozen dataclass: its fields are its parameters, its class names itself and its version. `Rule` reads and
decides, `Edit` rewrites, `CorpusStep` sees the whole corpus through rounds before it decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from curate.document import Document, Drop
from curate.errors import Refused, nearest

if TYPE_CHECKING:
    from curate.text.signals import TextSignals

Record = tuple[bytes, bytes]
"""A keyed record of a round: both halves are bytes, so that sorting and hashing are the same on every machine."""


def param(
    default: Any,
    doc: str,
    *,
    source: str = "",
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[Any, ...] | None = None,
    pattern: str | None = None,
    path: bool = False,
) -> Any:
    """A parameter of a step, an input or an output: default, meaning, where the default was published, and what values
    are allowed (of a text, what `pattern` it has).

    `path` marks a file or folder of the user's: the recipe resolves it, and its content shapes the run's fingerprint.
    Use `...` as the default of a required parameter. A field without `param` is none: no recipe can set it.
    """
    metadata = {"doc": doc, "source": source, "ge": ge, "le": le, "choices": choices, "pattern": pattern, "path": path}
    if default is ...:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def refuse_unknown(given: Any) -> None:
    """Raises Refused where a dataclass holds what is none of the `choices` of its field."""
    for item in dataclasses.fields(given):
        choices, value = item.metadata.get("choices"), getattr(given, item.name)
        if choices and value not in choices:
            raise Refused(f"`{item.name}` is one of {', '.join(choices)}, not {value!r}{nearest(value, choices)}")


class Check(NamedTuple):
    """One comparison of one rule: the named value, the threshold, and whether the document fails it.

    `limit` names the parameter that holds the threshold and `side` (of `SIDES`) how the two are compared, so that
    another threshold can be tried on a stored value; `basis` is what is compared where that is not the value itself,
    `factor` what a limit for English is multiplied by in the text's language (`curate.text.languages.times`).
    Without a limit the verdict follows from the text alone.
    """

    rule: str
    value: Any
    threshold: Any
    failed: bool
    limit: str = ""
    side: str = ""
    basis: Any = None
    factor: float = 1


SIDES: dict[str, Callable[[Any, Any], bool]] = {
    "over": lambda value, limit: value > limit,
    "under": lambda value, limit: value < limit,
    "not over": lambda value, limit: value <= limit,
    "reaches": lambda value, limit: value >= limit,
    "over share": lambda counts, limit: counts[0] > limit * counts[1],
    "outside": lambda value, allowed: value not in allowed,
    "on": lambda _, on: bool(on),
    "always": lambda *_: True,
}
"""Ways to compare: whether a value fails a limit. `over share` counts a part of a whole without dividing,
`reaches` is of counts."""


def over(rule: str, value: float, threshold: float, limit: str = "", factor: float = 1) -> Check:
    """A value that may not be greater than its threshold, which is the parameter `limit` (times `factor`)."""
    return Check(rule, value, threshold, value > threshold, limit, "over", factor=factor)


def under(rule: str, value: float, threshold: float, limit: str = "", factor: float = 1) -> Check:
    """A value that may not be smaller than its threshold, which is the parameter `limit` (times `factor`)."""
    return Check(rule, value, threshold, value < threshold, limit, "under", factor=factor)


@dataclass(slots=True, frozen=True)
class Verdict:
    """What a rule says of one text. True when the text is kept; otherwise `rule` says which comparison failed.

    `step` names the step that dropped it, where several were asked.
    """

    keep: bool
    rule: str = ""
    value: Any = None
    threshold: Any = None
    text: str | None = None
    step: str = ""

    def __bool__(self) -> bool:
        return self.keep


class Step:
    """A named, versioned, typed transformation of a stream of documents.

    `version` is raised whenever the same input and parameters would give another output.
    `libraries` are the distributions whose versions shape the output; they stand in every manifest.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()
    ends_stage: ClassVar[bool] = False
    # Of a rule or an edit: the parameters that shape what is measured, or the text that is left; all others only
    # decide, and can be tried on stored values. None: nothing can.
    shaping: ClassVar[tuple[str, ...] | None] = None
    # Whether 0 switches a limit off, as None does everywhere.
    zero_is_off: ClassVar[bool] = False
    # Limits that are off while another parameter is None: the file with which their value is measured.
    needs: ClassVar[dict[str, str]] = {}

    def open(self) -> None:
        """Load what is heavy (models, word lists). Called once in each process before `apply`; may be called again."""

    def notice(self) -> str:
        """What a person should know of how this step works here, once it is open: a sentence for the run's summary and
        a warning; empty where all is well."""
        return ""

    def followed_by(self, steps: Sequence[Step]) -> Step:
        """This step where it stands in a recipe: for steps whose work depends on what comes after them."""
        return self

    def resources(self) -> list[Path]:
        """Files whose content shapes the output: parameters marked `path`. Their hashes stand in the manifests."""
        found = []
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            if item.metadata.get("path"):
                value = getattr(self, item.name)
                for one in value if isinstance(value, (list, tuple)) else [value]:
                    if one is not None:
                        found.append(Path(one))
        return found

    def apply(self, documents: Iterable[Document]) -> Iterator[Document | Drop]:
        raise NotImplementedError


class Preview(Protocol):
    """A page before its text is extracted: `address` has no text, `content` what looks like the content, `whole` all
    text, menus included. What a rule writes into `metadata` stays with a page that it drops."""

    metadata: dict[str, Any]

    @property
    def address(self) -> Document: ...

    @property
    def content(self) -> Document: ...

    @property
    def whole(self) -> Document: ...


class Rule(Step):
    """A step that reads and decides: documents leave as they came, or as a Drop with the first failed check."""

    def checks(self, document: Document) -> Iterator[Check]:
        """Every comparison of this rule in its published order, lazily: the first failed one decides."""
        raise NotImplementedError

    def foretell(self, page: Preview) -> Check | None:
        """A failed check that the good extract of a page will almost surely fail too, told from its cheap text.

        A cascade (`extract: {engine: cascade}`) asks it of every page, to drop some without extracting them."""
        return None

    def apply(self, documents: Iterable[Document]) -> Iterator[Document | Drop]:
        for document in documents:
            failed = None
            if not document.protected:
                failed = next((check for check in self.checks(document) if check.failed), None)
            if failed is None:
                yield document
            else:
                yield Drop(document, self.name, failed.rule, failed.value, failed.threshold)

    def __call__(self, text: str, *, url: str | None = None) -> Verdict:
        """The verdict on one text, the same as in a run."""
        self.open()
        outcome = next(self.apply([Document(key="", text=text, url=url)]))
        if isinstance(outcome, Drop):
            return Verdict(False, outcome.rule, outcome.value, outcome.threshold)
        return Verdict(True)


class Edit(Step):
    """A step that rewrites the text, and may drop a document of which too little is left."""

    def edit(self, document: Document) -> str | TextSignals | Check:
        """The new text, or its signals where the edit has them, or the failed Check that ends the document."""
        raise NotImplementedError

    def examine(self, document: Document) -> tuple[list[Check], str | TextSignals]:
        """Every comparison, the one that decides first, and what is left of the text whatever they say.

        Here for edits that tell of a comparison only where it failed: what they would have left nobody knows.
        """
        outcome = self.edit(document)
        if isinstance(outcome, Check):
            return [Check(outcome.rule, outcome.value, outcome.threshold, True)], document.text
        return [], outcome

    def apply(self, documents: Iterable[Document]) -> Iterator[Document | Drop]:
        for document in documents:
            if document.protected:
                yield document
                continue
            outcome = self.edit(document)
            if isinstance(outcome, Check):
                yield Drop(document, self.name, outcome.rule, outcome.value, outcome.threshold)
                continue
            text, signals = (outcome, None) if isinstance(outcome, str) else (outcome.text, outcome)
            if text != document.text:
                document.edits.append((self.name, len(document.text), len(text)))
                document.rewrite(text, signals)
            yield document

    def __call__(self, text: str, *, url: str | None = None) -> Verdict:
        """The verdict on one text; `text` of the verdict is what a run would write."""
        self.open()
        outcome = next(self.apply([Document(key="", text=text, url=url)]))
        if isinstance(outcome, Drop):
            return Verdict(False, outcome.rule, outcome.value, outcome.threshold)
        return Verdict(True, text=outcome.text)


class Round:
    """One pass over the corpus: emit keyed records, then reduce all records of one key together.

    A round takes `documents` of the stage before it, `records` of the round before it, or both. A document's *place* is
    partition << 32 | ordinal in its partition: it identifies the document until the step has been applied.
    Records of one key reach `reduce` sorted by value, so that no order of arrival can show: as a list, or, in a round
    that `streams`, as an iterator, for keys whose values no memory holds. `scratch` is a folder for such a reduce.
    """

    name: str
    takes_documents: bool = True
    takes_records: bool = False
    streams: bool = False
    scratch: Path
    # A round that sends documents elsewhere is told the input file of each partition before it reduces.
    moves: bool = False
    files: Sequence[int] = ()

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        raise NotImplementedError

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        raise NotImplementedError

    def reduce(self, key: bytes, values: Any) -> Iterator[Record]:
        raise NotImplementedError

    def notes(self) -> dict[str, int]:
        """What `reduce` counted. Units' counts are added up in the summary; of `largest_...` the largest stays."""
        return {}


class CorpusStep(Step):
    """A step that must see the whole corpus: rounds first, then one `decide` for each partition.

    The last round's records are keyed by `partition_key(partition)`; `decide` receives the values of its own partition:
    a list, or, of a step that `streams`, an iterator for each bucket, in the order in which it was reduced. One that
    `edits` rewrites texts and adds no documents, so that the difference in characters is the work of edits.
    """

    edits: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    reports: ClassVar[bool] = False

    def rounds(self) -> list[Round]:
        raise NotImplementedError

    def memory(self, documents: int, characters: int) -> int:
        """Bytes that one unit of the rounds may take for a corpus of this size, beside what a worker takes anyway."""
        return 0

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: Any, partition: int
    ) -> Iterator[Document | Drop]:
        raise NotImplementedError

    def rehearsed(self) -> CorpusStep:
        """This step for a rehearsal on a few documents: as costly for each of them, and content with what is there."""
        return self

    def report(self, values: Iterable[bytes]) -> dict[str, Any]:
        """Of a step that `reports`: what the last round's records of all partitions say of the whole, for JSON."""
        raise NotImplementedError


class Injection(CorpusStep):
    """A corpus step that adds documents whose knowledge is known, and leaves the ground truth beside the shards.

    `domain` is the domain its documents carry; `reserved_tokens` are words that must be one token each.
    """

    domain: str

    def reserved_tokens(self) -> list[str]:
        raise NotImplementedError

    def write_facts(
        self,
        folder: Path,
        tokenizer: Path | None,
        used: int | None = None,
        values: list[bytes] | None = None,
        token_sets: dict[str, Path] | None = None,
    ) -> None:
        """Write the facts, and, when a tokenizer is given, the token spans to score.

        `used` is the number of tokens that occur in the shards, where that is less than the vocabulary; `values` are
        what `decide` received for the first partition, `token_sets` the folders of token shards by name.
        """
        raise NotImplementedError


def partition_key(partition: int) -> bytes:
    """The key that sends a record of a last round to the partition that must act on it."""
    return partition.to_bytes(4, "big")
