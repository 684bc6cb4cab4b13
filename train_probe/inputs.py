"""What the probe reads: the ground truth of the injected facts, and the token shards that hold them or pages."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from curate.errors import Unchecked
from curate.shards.tokens import ShardError, TokenShards, read_checked
from train_probe.facts_files import INJECTION, FactsFiles, read_as, refused
from train_probe.plan import Plan, PlanError
from train_probe.question_rows import Questions, read_questions

Ids = NDArray[np.int64]
T = TypeVar("T")

PLACEMENTS = ("even", "clustered", "curriculum")
"""How facts are spread over their corpus (`synth/exposures.py`)."""


@dataclass(frozen=True)
class Strings:
    """bioD: K attributes, whose values are C chunks, each one of D strings of L words over an alphabet of T."""

    attributes: int
    chunks: int
    strings: int
    length: int
    alphabet: int


@dataclass(frozen=True)
class Facts:
    """A `facts/` folder (docs/architecture.md). `exposures` [N] is how often each person appears, `names` numbers each
    one's name (and those of people held out) among the N0 possible ones. `told` [N, K] numbers the values
    that each one's first name tells, where most people have those."""

    folder: Path
    kind: str
    people: int
    exposures: NDArray[np.int64]
    name_parts: tuple[int, ...]
    values_per_person: int
    name_pool_bits: float
    value_pool_bits: float
    names: NDArray[np.int64] | None
    name_tokens: Ids | None
    value_tokens: Ids | None
    rows: tuple[Ids, ...]
    row_entity: NDArray[np.int64]
    spans: NDArray[np.int64]
    row_tag: Ids
    end_of_text: int
    tag: int
    vocabulary: int
    used_vocabulary: int
    tokenizer_hash: str
    tokenizer: str
    sha256: str

    placement: str  # one of PLACEMENTS, or "blocks"
    blocks: int
    strings: Strings | None
    sealed: dict[str, Any] | None = None
    told: NDArray[np.int64] | None = None
    attributes: tuple[tuple[str, float], ...] = ()
    """The name of each attribute, and the bits of one value of it."""

    def check(self, name: str) -> Path:
        """The path of another file of the folder. Raises PlanError where it is not what was written with the facts."""
        path = self.folder / name
        if path.is_file():
            refused(read_checked, path, self.sealed)
        return path

    def only(self, chosen: NDArray[np.bool_]) -> Facts:
        """The same facts with some of their rows [rows] to score."""
        rows = np.flatnonzero(chosen)
        spans = self.spans[np.isin(self.spans[:, 0], rows)]
        spans[:, 0] = np.searchsorted(rows, spans[:, 0])
        return dataclasses.replace(
            self,
            rows=tuple(self.rows[row] for row in rows),
            row_entity=self.row_entity[rows],
            row_tag=self.row_tag[rows],
            spans=spans,
        )

    def part(self, members: NDArray[np.int64]) -> Facts:
        """The facts about some people alone, whose numbers ascend; they are numbered anew."""
        one = self.only(np.isin(self.row_entity, members))
        return dataclasses.replace(
            one,
            people=len(members),
            exposures=self.exposures[members],
            row_entity=np.searchsorted(members, one.row_entity),
            told=None if self.told is None else self.told[members],
        )

    def begins(self, tagged: bool, front: tuple[int, ...] = ()) -> Ids:
        """The tokens in front of each row to score, [rows, k]; of tagged rows `front`, or the token of the domain."""
        if tagged and front:
            return np.tile(np.array(front, np.int64), (len(self.rows), 1))
        return (self.row_tag if tagged else np.full(len(self.rows), self.end_of_text))[:, None]


def read_facts(folder: Path) -> Facts:
    """The facts of a run with what their tokenisation added. Raises PlanError for a missing or invalid file."""
    files = FactsFiles(folder)
    facts, scoring_words = files.json("facts.json"), files.json("scoring.json")
    placement = files.placed.get("placement", "even")
    blocks = placement.get("blocks") if isinstance(placement, dict) else 0
    if isinstance(placement, dict) and isinstance(blocks, int) and blocks >= 1:
        placement = "blocks"
    elif placement not in PLACEMENTS:
        raise PlanError(
            f"{folder / 'injection.json'}: placement must be one of {', '.join(PLACEMENTS)}, not {placement!r}"
        )
    if files.sealed is None:
        message = f"nobody can check the facts in {folder}: they were written without hashes, by an older version"
        warnings.warn(message, Unchecked, stacklevel=2)
    arrays = files.arrays("scoring.npz")
    arrays |= {name: files.arrays(name)[name] for name in ("entities.npy", "exposures.npy")}
    held_out = [f"scoring-held-out-{what}.npz" for what in HELD_OUT]
    for name in held_out:
        if files.has(name):
            files.content(name)
    with read_as(folder, "facts; write them again with this version of goldsand"):
        return _facts(folder, facts, scoring_words, (placement, blocks or 0), arrays, files)


HELD_OUT = ("entities", "templates")


def read_held_out(facts: Facts, what: str) -> Facts | None:
    """The same facts with other rows to score: `what` was held out, people who were never shown, or sentences that were
    never shown, about known people. None where that was not held out. Raises PlanError."""
    files, name = FactsFiles(facts.folder), f"scoring-held-out-{what}.npz"
    if not files.has(name):
        return None
    arrays = files.arrays(name)
    with read_as(facts.folder / name, "rows to score; write the facts again"):
        return _inside(dataclasses.replace(facts, **_scored(arrays)), name)


def _scored(arrays: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Facts` that say which rows are scored, and which of their tokens."""
    ends, tokens = arrays["row_ends"].astype(np.int64), arrays["tokens"].astype(np.int64)
    return {
        "rows": tuple(np.split(tokens, ends[:-1])) if len(ends) else (),
        "row_entity": arrays["row_entity"].astype(np.int64),
        "row_tag": arrays["row_tag"].astype(np.int64),
        "spans": arrays["spans"].astype(np.int64).reshape(-1, 4),
    }


def _facts(
    folder: Path, facts: Any, scoring: Any, placed: tuple[str, int], arrays: dict[str, Any], files: FactsFiles
) -> Facts:
    people, parts = int(facts["people"]), tuple(int(size) for size in facts["name_parts"])
    entities = arrays["entities.npy"]
    compact = facts["kind"] == "compact"
    strings = None
    if facts["kind"] == "biod":
        strings = Strings(**{name: int(facts["details"][name]) for name in Strings.__dataclass_fields__})
    result = Facts(
        folder=folder,
        kind=facts["kind"],
        people=people,
        exposures=arrays["exposures.npy"].astype(np.int64)[:people],
        name_parts=parts,
        values_per_person=len(facts["attributes"]),
        name_pool_bits=float(facts["name_pool_bits"]),
        value_pool_bits=float(facts["value_pool_bits"]),
        names=np.ravel_multi_index(tuple(entities.T.astype(np.int64)), parts) if compact else None,
        name_tokens=arrays["name_tokens"].astype(np.int64) if compact else None,
        value_tokens=arrays["value_tokens"].astype(np.int64) if compact else None,
        placement=placed[0],
        blocks=placed[1],
        strings=strings,
        end_of_text=int(arrays["end_of_text"]),
        tag=int(arrays["tag"]),
        vocabulary=int(arrays["vocabulary"]),
        used_vocabulary=int(arrays["used_vocabulary"]),
        tokenizer_hash=str(scoring["tokenizer_hash"]),
        tokenizer=str(scoring["tokenizer"]),
        sha256=files.sha256,
        sealed=files.sealed,
        told=_told(facts, entities),
        attributes=_attributes(facts, strings),
        **_scored(arrays),
    )
    rows = result.rows
    if (
        len(result.row_entity) != len(rows)
        or not rows
        or not 0 <= result.row_entity.min() <= result.row_entity.max() < people
    ):
        raise PlanError(f"{folder / 'scoring.npz'}: its rows must score people of the {people}")
    return _inside(result, "scoring.npz")


def _told(facts: Any, entities: NDArray[np.integer]) -> NDArray[np.int64] | None:
    """The values that first names tell, int64 [N, K], in numbers; None where names tell nothing."""
    told = facts.get("details", {}).get("told")
    if not told:
        return None
    return np.array([told[one["name"]] for one in facts["attributes"]], np.int64).T[entities[:, 0]]


def _attributes(facts: Any, strings: Strings | None) -> tuple[tuple[str, float], ...]:
    if strings is not None:
        return tuple(
            (f"a{number + 1}", strings.chunks * math.log2(strings.strings)) for number in range(strings.attributes)
        )
    return tuple((str(one["name"]), float(one.get("bits") or 0.0)) for one in facts["attributes"])


def _inside(facts: Facts, name: str) -> Facts:
    """The facts themselves, where each span lies in its row. Raises PlanError."""
    lengths = np.array([len(row) for row in facts.rows])
    row, _, start, end = facts.spans.T
    if np.any(row < 0) or np.any(row >= len(lengths)) or np.any(start < 0) or np.any(end > lengths[row]):
        raise PlanError(f"{facts.folder / name}: a span lies outside its row")
    return facts


@dataclass(frozen=True)
class Documents:
    """Bodies of useful documents, as slices of one array: `start` and `length` [D], `entity` and `exposure` [D]; `tag`
    [D] is the token of each one's domain."""

    tokens: NDArray[np.integer]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    entity: NDArray[np.int64]
    exposure: NDArray[np.int64]
    tag: NDArray[np.int64]


@dataclass(frozen=True)
class Pages:
    """The documents of token shards that are pages: their tokens, where each ends in them, int64 [D], and how many
    tokens of rendered domain each begins with, int64 [D]."""

    tokens: NDArray[np.integer]
    ends: NDArray[np.int64]
    prefix: NDArray[np.int64]


@dataclass(frozen=True)
class Cloze:
    """Sentences with a span to score in each: `rows`, `spans` [spans, 3] (row, first token, past the last), and the
    `group` [spans] that each belongs to, whose losses are summed apart."""

    rows: tuple[Ids, ...]
    spans: NDArray[np.int64]
    group: NDArray[np.int64]
    sha256: str


def read_cloze(path: Path, vocabulary: int) -> Cloze:
    """Read `tokens`, `row_ends`, `spans`, `group` of an npz file. Raises PlanError for an invalid one."""
    try:
        content = path.read_bytes()
        arrays = {name: array.astype(np.int64) for name, array in np.load(path, allow_pickle=False).items()}
        tokens, ends, spans = arrays["tokens"], arrays["row_ends"], arrays["spans"].reshape(-1, 3)
        rows = tuple(np.split(tokens, ends[:-1]))
        row, first, last = spans.T
        lengths = np.diff(ends, prepend=0)
        sound = len(spans) == len(arrays["group"]) and tokens.max() < vocabulary and lengths.min() > 0
        if not sound or row.min() < 0 or row.max() >= len(rows) or first.min() < 0 or np.any(last > lengths[row]):
            raise ValueError("its spans lie outside its rows, or its tokens outside the vocabulary")
    except (Exception, MemoryError) as error:
        raise PlanError(f"{path} does not hold sentences to score ({error})") from error
    return Cloze(rows, spans, arrays["group"], hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Inputs:
    """All that the runs of a plan read. `documents` is None where texts are drawn from the facts' bundle; `pages` by
    the plan's name of their shards, `text` the held-out pages on which models are measured.

    `held_out` are the facts with other rows to score, by what was held out. `hashes` are the sha256 of the token shards
    of each folder, under its name in the plan; "" names the useful ones.
    """

    facts: Facts
    held_out: dict[str, Facts]
    documents: Documents | None
    pages: dict[str, Pages]
    text: dict[str, Pages]
    cloze: dict[str, Cloze]
    hashes: dict[str, list[str]]
    fingerprints: dict[str, str]
    questions: Questions | None = None


def read_inputs(plan: Plan, verify: bool = True) -> Inputs:
    """Map what the plan names; `verify` reads and checks all of it, and warns of what nobody can check. Raises
    PlanError that names what is wrong."""
    with warnings.catch_warnings():
        if not verify:
            warnings.simplefilter("ignore", Unchecked)
        facts = read_facts(plan.facts)
    wanted = {run.junk_shards for run in plan.runs if run.junk_shards is not None}
    useful = {} if plan.useful is None else {"": plan.useful}
    folders = useful | {name: plan.junk_shards[name] for name in sorted(wanted)}
    shards = {name: _open_shards(folder, facts, verify) for name, folder in folders.items()}
    if plan.useful is not None and facts.sealed is not None:
        _bound(facts, shards[""])
    return Inputs(
        facts,
        {name: held for name in HELD_OUT if (held := read_held_out(facts, name)) is not None},
        _parts(useful_documents, shards[""]) if plan.useful is not None else None,
        {name: _parts(pages_of, one) for name, one in shards.items() if name},
        {name: _parts(pages_of, _open_shards(path, facts, verify)) for name, path in plan.held_out_text.items()},
        {name: read_cloze(path, facts.vocabulary) for name, path in plan.cloze.items()},
        {name: [entry["sha256"] for entry in one.metadata["shards"]] for name, one in shards.items()},
        {name: one.identity for name, one in shards.items()},
        None if plan.questions is None else read_questions(plan.questions, _before_questions(facts), facts.vocabulary),
    )


def _before_questions(facts: Facts) -> int:
    """The token in front of a question: of records one that no text has, since no word of theirs says that one is
    asked."""
    return facts.vocabulary if facts.strings is not None else facts.end_of_text


def _bound(facts: Facts, useful: TokenShards) -> None:
    """Raises PlanError where token shards are not those that the facts were written with."""
    assert facts.sealed is not None
    if useful.identity not in facts.sealed.get("token_sets", {}).values():
        raise PlanError(
            f"{useful.folder} was not written with the facts in {facts.folder}: {facts.folder / INJECTION} does not"
            " name it; take facts and tokens of one run"
        )


def _parts(of: Callable[[TokenShards], T], shards: TokenShards) -> T:
    with read_as(shards.folder, "token shards"):
        return of(shards)


def _open_shards(folder: Path, facts: Facts, verify: bool) -> TokenShards:
    try:
        shards = TokenShards.open(folder)
        if shards.metadata["tokenizer_hash"] != facts.tokenizer_hash:
            raise PlanError(
                f"the shards in {folder} were written with tokenizer '{shards.metadata['tokenizer']}', the facts in"
                f" {facts.folder} with '{facts.tokenizer}': their hashes differ, so the same token ids mean different"
                " tokens"
            )
        if verify:
            shards.verify()
    except (ShardError, OSError) as error:
        raise PlanError(str(error)) from error
    return shards


def useful_documents(shards: TokenShards) -> Documents:
    """The documents that expose a fact, each without its rendered domain and its end of text."""
    parts: list[tuple[np.ndarray, ...]] = []
    tag_of = np.array([entry["token"] for entry in shards.metadata["domains"]], np.int64)
    offset = 0
    for shard in shards.shards:
        chosen = np.flatnonzero(shard.documents["entity"] >= 0)
        table = shard.documents[chosen]
        ends = shard.ends.astype(np.int64)
        starts = np.concatenate([[0], ends[:-1]])[chosen] + table["prefix"]
        parts.append(
            (starts + offset, ends[chosen] - 1 - starts, table["entity"], table["exposure"], tag_of[table["domain"]])
        )
        offset += len(shard.tokens)
    tokens = _joined([shard.tokens for shard in shards.shards])
    start, length, entity, exposure, tag = (
        np.concatenate([part[column] for part in parts] or [np.zeros(0)]).astype(np.int64) for column in range(5)
    )
    if len(length) and length.min() < 1:
        raise PlanError(f"{shards.folder}: a document that exposes a fact holds no tokens of it")
    return Documents(tokens, start, length, entity, exposure, tag)


def pages_of(shards: TokenShards) -> Pages:
    """The documents that are pages, in order, rendered domains and ends of text included."""
    tokens, lengths, prefix = [], [], []
    for shard in shards.shards:
        ends = shard.ends.astype(np.int64)
        is_page = shard.documents["entity"] < 0
        length = np.diff(ends, prepend=0)
        tokens.append(np.asarray(shard.tokens)[np.repeat(is_page, length)])
        lengths.append(length[is_page])
        prefix.append(shard.documents["prefix"][is_page].astype(np.int64))
    empty = [np.zeros(0, np.int64)]
    return Pages(_joined(tokens), np.cumsum(np.concatenate(lengths or empty)), np.concatenate(prefix or empty))


def _joined(arrays: list[np.ndarray]) -> NDArray[np.integer]:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays or [np.zeros(0, np.uint16)])
