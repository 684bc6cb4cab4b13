"""Facts that the corpora state themselves: how many bits of them does each arm's model store?

Compared with a model that never saw them: facts are divided into two halves by the documents that state them, and every
arm is trained twice more, without the documents of each half (counterfactual memorisation, Zhang et al., arXiv
2112.12938). The model that saw a half has a lower loss on its values than the one that did not: the difference is what
it stores of them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.document import Document
from curate.errors import Refused
from curate.shards.vocabulary import Vocabulary
from recipes.app.measure.corpora import Corpus, Entry, write_set
from recipes.app.measure.statistics import interval

FOUND = 400
"""Sentences that are taken from the corpora where no table of facts is given."""
WORDS = (8, 40)
"""Words of such a sentence, at least and at most."""
_BREAK = re.compile(r"(?<=[.!?])\s+|\n+")
_NUMBER = re.compile(r"\b\d[\d.,:]*\d\b")
_NAME = re.compile(r"\b[A-Z][a-z]+(?: [A-Z][a-z]+)+\b")
_WORD = re.compile(r"\S+")
_LOOKED_UP = 5  # first words of a sentence, by which it is looked up


@dataclass(frozen=True)
class Fact:
    """A sentence and the characters [start, end) of it that are the fact's value."""

    sentence: str
    start: int
    end: int


@dataclass(frozen=True)
class OwnFacts:
    """Facts as the probe scores them: `cloze` is their file, `without` are the arms' token shards without each half."""

    cloze: Path
    without: dict[tuple[str, int], Path]
    counts: dict[str, Any]

    @classmethod
    def of(cls, asked: str, entries: Sequence[Entry], vocabulary: Vocabulary, folder: Path) -> OwnFacts:
        """Find the facts ("found": sentences with numbers and names; else those of a table) and write the files that
        the probe reads. Raises Refused where the corpora state too few of them.
        """
        corpora = list({entry.corpus.name: entry.corpus for entry in entries}.values())
        facts = list(_found_in(corpora)) if asked == "found" else read_table(Path(asked))
        spans = [(fact, span) for fact in facts if (span := _token_span(vocabulary, fact)) is not None]
        whole = [fact for fact, _ in spans]
        stated = {corpus.name: _stated(corpus, whole) for corpus in corpora}
        halves = _halves(whole, stated)
        if len(set(halves.values())) < 2:
            raise Refused(
                f"{len(halves)} of {len(facts)} facts are stated in a corpus, too few for two halves without a shared"
                f" document; {'name more of them' if asked != 'found' else 'take larger corpora'}"
            )
        scored = [number for number in range(len(whole)) if number in halves]
        _write_cloze(folder / "own-facts.npz", [spans[n][1] for n in scored], [halves[n] for n in scored])
        without: dict[tuple[str, int], Path] = {}
        written: dict[tuple[str, str, int], Path] = {}  # arms may share a corpus and a rendering
        for entry in entries:
            name, domain = entry.corpus.name, entry.rendering.domain
            for half in (0, 1):
                if (name, domain, half) not in written:
                    keys = stated[name]
                    left_out = {key for number in scored if halves[number] == half for key in keys.get(number, ())}
                    path = folder / "own-facts" / f"{len(written):03d}"
                    documents = (one for one in entry.corpus.documents() if one.key not in left_out)
                    write_set(documents, vocabulary, path, domain)
                    written[name, domain, half] = path
                without[entry.name, half] = written[name, domain, half]
        counts = {
            "asked": len(facts),
            "unscorable": len(facts) - len(whole),
            "stated": {name: sum(number in halves for number in keys) for name, keys in stated.items()},
            "scored": len(scored),
        }
        return cls(folder / "own-facts.npz", without, counts)

    def planned(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The plan with the shards of the halves, and the facts to score."""
        shards = {_without(arm, half): str(path.resolve()) for (arm, half), path in self.without.items()}
        return plan | {
            "junk_shards": plan["junk_shards"] | shards,
            "cloze": {"own": str(self.cloze.resolve())},
        }

    def runs(self, middle: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Every arm's runs at the middle rung again, without each half of the facts."""
        arms = {arm for arm, _ in self.without}
        return [
            run | {"arm": _without(run["arm"], half), "junk_shards": _without(run["arm"], half)}
            for run in middle
            if run["arm"] in arms and "junk_shards" in run
            for half in (0, 1)
        ]

    def stored(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        """Bits of the facts that each arm's models store, mean and 95 % interval over seeds, and the bits of them for a
        model that never saw them; `results` are those of the runs without a half."""
        rows = {(row["arm"], row["seed"]): row for row in results if not row.get("error")}
        figures: dict[str, Any] = {"counts": self.counts, "arms": {}}
        for arm in dict.fromkeys(arm for arm, _ in self.without):
            stored, unseen = [], []
            for seed in sorted({seed for name, seed in rows if name == _without(arm, 0)}):
                one, other = rows[_without(arm, 0), seed], rows.get((_without(arm, 1), seed))
                if other is None:
                    continue
                first, second = one["cloze"]["own"], other["cloze"]["own"]
                lacking = first[0]["nats"] + second[1]["nats"]
                knowing = second[0]["nats"] + first[1]["nats"]
                stored.append((lacking - knowing) / math.log(2))
                unseen.append(lacking / math.log(2))
            if stored:
                bits = interval(stored)
                figures["arms"][arm] = {
                    "bits": bits.mean, "low": bits.low, "high": bits.high, "seeds": len(stored),
                    "unseen_bits": sum(unseen) / len(unseen), "by_seed": stored,
                }  # fmt: skip
        return figures


def _without(arm: str, half: int) -> str:
    return f"{arm}, without half {half + 1} of its facts"


def read_table(path: Path) -> list[Fact]:
    """The facts of a table (.csv, .tsv, .jsonl, .parquet) with columns `value` and `sentence`, and any others, such as
    `entity` and `attribute`. The last occurrence of the value in its sentence is scored. Raises Refused."""
    from synth.own.rows import read_rows

    rows = read_rows(path)
    for column in ("value", "sentence"):
        if column not in rows.columns:
            raise Refused(
                f"{path}: facts of a corpus need the column {column!r}; the table has {', '.join(rows.columns)}"
            )
    value_at, sentence_at = rows.columns.index("value"), rows.columns.index("sentence")
    facts = []
    for place, cells in rows.rows:
        value, sentence = cells[value_at], _plain(cells[sentence_at])
        start = sentence.rfind(value) if value else -1
        if start < 1:
            raise Refused(
                f"{rows.at(place)}: the value {value!r} must occur in the sentence {sentence!r}, not at its beginning"
            )
        facts.append(Fact(sentence, start, start + len(value)))
    if not facts:
        raise Refused(f"{path} holds no facts")
    return facts


def _found_in(corpora: Sequence[Corpus]) -> Iterator[Fact]:
    """Sentences of the corpora that hold a number of two digits or more, or a name of two words, after their third
    word: the `FOUND` with the smallest hashes. The value is the last such number or name."""
    chosen: dict[str, Fact] = {}
    for corpus in corpora:
        for document in corpus.documents():
            for sentence in sentences(document.text):
                if sentence not in chosen and (fact := _fact_in(sentence)) is not None:
                    chosen[sentence] = fact
        if len(chosen) > 20 * FOUND:
            chosen = dict(sorted(chosen.items(), key=lambda one: _order(one[0]))[:FOUND])
    yield from (fact for _, fact in sorted(chosen.items(), key=lambda one: _order(one[0]))[:FOUND])


def _fact_in(sentence: str) -> Fact | None:
    words = [match.start() for match in _WORD.finditer(sentence)]
    if not WORDS[0] <= len(words) <= WORDS[1]:
        return None
    values = [
        one.span() for pattern in (_NUMBER, _NAME) for one in pattern.finditer(sentence) if one.start() >= words[3]
    ]
    return Fact(sentence, *max(values)) if values else None


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, by their end marks, with single spaces."""
    for piece in _BREAK.split(text):
        if piece.endswith((".", "!", "?")):
            yield _plain(piece)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _order(sentence: str) -> bytes:
    return hashlib.blake2b(sentence.encode(), digest_size=8).digest()


def _stated(corpus: Corpus, facts: Sequence[Fact]) -> dict[int, set[str]]:
    """The keys of the documents that state each fact, by its number."""
    by_words: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, fact in enumerate(facts):
        by_words[tuple(fact.sentence.split()[:_LOOKED_UP])].append(number)
    lengths = sorted({len(words) for words in by_words})
    keys: dict[int, set[str]] = defaultdict(set)
    for document in corpus.documents():
        for number in _stated_in(document, by_words, lengths, facts):
            keys[number].add(document.key)
    return keys


def _stated_in(
    document: Document, by_words: dict[tuple[str, ...], list[int]], lengths: Sequence[int], facts: Sequence[Fact]
) -> set[int]:
    words = document.text.split()
    maybe = {
        number
        for length in lengths
        for place in range(len(words) - length + 1)
        for number in by_words.get(tuple(words[place : place + length]), ())
    }
    if not maybe:
        return set()
    text = " ".join(words)
    return {number for number in maybe if facts[number].sentence in text}


def _halves(facts: Sequence[Fact], stated: dict[str, dict[int, set[str]]]) -> dict[int, int]:
    """The half of every fact that a corpus states. Facts that share a document are in the same half."""
    above: dict[Any, Any] = {}

    def root(one: Any) -> Any:
        while above.setdefault(one, one) != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for keys_of in stated.values():
        for number, keys in keys_of.items():
            for key in keys:
                above[root(number)] = root(key)
    members: dict[Any, list[int]] = defaultdict(list)
    for number in sorted({number for keys_of in stated.values() for number in keys_of}):
        members[root(number)].append(number)
    halves: dict[int, int] = {}
    sizes = [0, 0]
    # The largest first, each to the smaller half.
    for group in sorted(members.values(), key=lambda one: (-len(one), _order(facts[one[0]].sentence))):
        half = int(sizes[1] < sizes[0])
        sizes[half] += len(group)
        halves.update(dict.fromkeys(group, half))
    return halves


_Span = tuple[list[int], int, int]


def _token_span(vocabulary: Vocabulary, fact: Fact) -> _Span | None:
    """The ids of a fact's sentence and the tokens [first, last) of its value; None where a token
    holds both the value and other text."""
    ids, offsets = vocabulary.encode_with_offsets(fact.sentence)
    inside = [place for place, (left, right) in enumerate(offsets) if right > fact.start and left < fact.end]
    if not inside or inside[0] == 0 or offsets[inside[-1]][1] > fact.end:
        return None
    if fact.sentence[min(offsets[inside[0]][0], fact.start) : fact.start].strip():
        return None
    return ids, inside[0], inside[-1] + 1


def _write_cloze(path: Path, facts: Sequence[_Span], halves: Sequence[int]) -> None:
    tokens: list[int] = []
    ends, spans = [], []
    for number, (ids, first, last) in enumerate(facts):
        tokens += ids
        ends.append(len(tokens))
        spans.append((number, first, last))
    np.savez(
        path, tokens=np.array(tokens, np.int32), row_ends=np.array(ends, np.int64), spans=np.array(spans, np.int32),
        group=np.array(halves, np.int32),
    )  # fmt: skip
