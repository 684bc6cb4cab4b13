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
    are allowed (for a text, the `pattern` that it must match).

    `path` marks a file or folder of the user's: the recipe resolves it, and its content enters the run's fingerprint.
    Use `...` as the default of a required parameter. A field without `param` is not a parameter: no recipe can set it.
    """
    metadata = {"doc": doc, "source": source, "ge": ge, "le": le, "choices": choices, "pattern": pattern, "path": path}
    if default is ...:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def refuse_unknown(given: Any) -> None:
    """Raises Refused where a value of a dataclass is not among the `choices` of its field."""
    for item in dataclasses.fields(given):
        choices, value = item.metadata.get("choices"), getattr(given, item.name)
        if choices and value not in choices:
            raise Refused(f"`{item.name}` must be one of {', '.join(choices)}, not {value!r}{nearest(value, choices)}")


class Check(NamedTuple):
    """One comparison of one rule: the named value, the threshold, and whether the document fails it.

    `limit` names the parameter that holds the threshold and `side` (of `SIDES`) how the two are compared, so that
    another threshold can be tried on a stored value; `basis` is what is compared where that is not the value itself,
    `factor` the multiplier of a limit for English in the text's language (`curate.text.languages.times`).
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
"""Ways to compare: whether a value fails a limit. `over share` compares a part with a share of the whole
without dividing, `reaches` compares counts."""


def over(rule: str, value: float, threshold: float, limit: str = "", factor: float = 1) -> Check:
    """A value that must not be greater than its threshold, which is the parameter `limit` (times `factor`)."""
    return Check(rule, value, threshold, value > threshold, limit, "over", factor=factor)


def under(rule: str, value: float, threshold: float, limit: str = "", factor: float = 1) -> Check:
    """A value that must not be smaller than its threshold, which is the parameter `limit` (times `factor`)."""
    return Check(rule, value, threshold, value < threshold, limit, "under", factor=factor)


@dataclass(slots=True, frozen=True)
class Verdict:
    """The decision of a rule on one text. True when the text is kept; otherwise `rule` says which comparison failed.

    `step` names the step that dropped it, where several ran.
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
    `libraries` are the distributions whose versions shape the output; every manifest records them.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()
    ends_stage: ClassVar[bool] = False
    # Of a rule or an edit: the parameters that shape what is measured, or the text that is left; all others only
    # decide, so other values of them can be tried on stored values. None: no parameter only decides.
    shaping: ClassVar[tuple[str, ...] | None] = None
    # Whether it takes values from `Document.measured`, which the engine then keeps.
    measures: ClassVar[bool] = False
    # Whether 0 switches a limit off, as None does everywhere.
    zero_is_off: ClassVar[bool] = False
    # Whether documents that it drops go from all that is published: the ledger's texts, those of other steps' drops
    # too, and token sets of earlier stages. Of a rule that decides on a document's key, URL and domain alone.
    removes: ClassVar[bool] = False
    # Limits that are off while another parameter, the file needed to measure their value, is None.
    needs: ClassVar[dict[str, str]] = {}

    def open(self) -> None:
        """Load what is heavy (models, word lists). Called once in each process before `apply`; may be called again."""

    def notice(self) -> str:
        """After `open`: a sentence about a limitation of this step on this machine, for the run's summary and a
        warning; empty where there is none."""
        return ""

    @property
    def drops_texts(self) -> bool:
        """Whether a document that it drops may have a text."""
        return True

    def followed_by(self, steps: Sequence[Step]) -> Step:
        """This step before `steps` in a recipe: for steps whose work depends on what comes after them."""
        return self

    def resources(self) -> list[Path]:
        """Files whose content shapes the output: parameters marked `path`. Manifests record their hashes."""
        files = []
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            if item.metadata.get("path"):
                value = getattr(self, item.name)
                for one in value if isinstance(value, (list, tuple)) else [value]:
                    if one is not None:
                        files.append(Path(one))
        return files

    def apply(self, documents: Iterable[Document]) -> Iterator[Document | Drop]:
        """The documents in their order: each as it leaves the step, or as a Drop."""
        raise NotImplementedError


class Preview(Protocol):
    """A page before its text is extracted: `address` has no text, `content` the likely main content, `whole` all
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
        """Every comparison of this rule, lazily, in its published order: the first failed one decides."""
        raise NotImplementedError

    def foretell(self, page: Preview) -> Check | None:
        """A failed check on the cheap text of a page that its full extraction would almost surely fail too.

        A cascade (`extract: {engine: cascade}`) calls it for every page, to drop some without extracting them."""
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
        """The new text, or its signals where the edit has them, or the failed Check that drops the document."""
        raise NotImplementedError

    def examine(self, document: Document) -> tuple[list[Check], str | TextSignals]:
        """Every comparison, the one that decides first, and the text that is left even where one failed.

        This default is for edits that report only a failed comparison: then the text they would leave is not known.
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
    Records of one key reach `reduce` sorted by value, so that their order of arrival has no effect: as a list, or, in a
    round that `streams`, as an iterator, for keys whose values do not fit in memory. `scratch` is a folder for such a
    reduce.
    """

    name: str
    takes_documents: bool = True
    takes_records: bool = False
    streams: bool = False
    scratch: Path
    # A round that moves documents between partitions gets the input file of each partition in `files` before it
    # reduces.
    moves: bool = False
    files: Sequence[int] = ()

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        """The records of some documents, each given with its place."""
        raise NotImplementedError

    def emit_records(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records that follow from those of the round before."""
        raise NotImplementedError

    def reduce(self, key: bytes, values: Any) -> Iterator[Record]:
        """What follows from all records of one key: a function of the key and the sorted values alone."""
        raise NotImplementedError

    def notes(self) -> dict[str, int]:
        """What `reduce` counted. The summary adds up the counts of all units; of `largest_...` it takes the largest."""
        return {}


class CorpusStep(Step):
    """A step that must see the whole corpus: rounds first, then one `decide` for each partition.

    The last round's records are keyed by `partition_key(partition)`; `decide` receives the values of its own partition:
    a list, or, of a step that `streams`, an iterator for each bucket, in the order in which it was reduced. One that
    `edits` rewrites texts and adds no documents, so that the difference in characters counts as edited.
    """

    edits: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    reports: ClassVar[bool] = False

    def rounds(self) -> list[Round]:
        """The rounds in their order; the last one's records go to `decide`."""
        raise NotImplementedError

    def memory(self, documents: int, characters: int) -> int:
        """Bytes that one unit of the rounds may take for a corpus of this size, beyond what a worker takes anyway."""
        return 0

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: Any, partition: int
    ) -> Iterator[Document | Drop]:
        """The documents of one partition, each as it leaves the step, or as a Drop."""
        raise NotImplementedError

    def rehearsed(self) -> CorpusStep:
        """This step for a rehearsal on a few documents: as costly for each, without limits that a sample may not
        meet."""
        return self

    def report(self, values: Iterable[bytes]) -> dict[str, Any]:
        """For a step that `reports`: its report on the whole, for JSON, from the last round's records of all
        partitions."""
        raise NotImplementedError


class Injection(CorpusStep):
    """A corpus step that adds documents whose knowledge is known, and leaves the ground truth beside the shards.

    `domain` is the domain of its documents; `reserved_tokens` are words that must be one token each.
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
    """The key that sends a record of the last round to the partition that acts on it."""
    return partition.to_bytes(4, "big")
