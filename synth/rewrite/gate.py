"""The fact gate: is a rewrite more than a copy, does it state every fact of its statement, and no other value instead?

Facts that a corpus is said to hold must appear in it word for word, or the bits that are counted are not in the text.
So the gate compares values verbatim, and rejects in doubt: a good rewrite that is rejected costs one call of a model, a
bad one that is accepted falsifies the ground truth.

What it cannot see: of whom or what a value is said. "Born in A, works in B" rewritten as "born in B, works in A" passes
where the two share a pool, and so does a sentence that denies a fact.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from curate.text.unspaced import BLOCKS, COMPATIBILITY_IDEOGRAPHS
from synth.facts import FactsError

KEPT, LOST, CHANGED, ADDED, LISTED, COPIED = "kept", "lost", "changed", "added", "listed", "copied"
FAULTS = (LOST, CHANGED, ADDED, LISTED, COPIED)
NAME, TEXT = "name", "text"
"""The attributes under which a verdict speaks of the full name, and of the rewrite as a whole."""

_SENTENCE_END = re.compile(r"(?<=[.!?\u2026])\s+|(?<=[\u3002\uff01\uff1f])")

# Each of these characters is a word of its own, or no value would end at a boundary.
_UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in (*BLOCKS, COMPATIBILITY_IDEOGRAPHS))

Words = tuple[str, ...]


class RewriteError(FactsError):
    """A statement, style, model or file that rewriting cannot work with."""


@dataclass(frozen=True)
class Statement:
    """A text that states facts of one entity: `facts` maps each attribute to its value as written in the text.

    `id` is unique in a file of statements: each exposure of a person has its own.
    """

    id: str
    text: str
    name: str
    facts: Mapping[str, str]

    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256 of everything but the id."""
        content = json.dumps([self.text, self.name, dict(self.facts)], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class GateVerdict:
    """What became of the name and of each attribute: `kept`, `lost`, `changed`, `added` or `listed`.

    `changed`: the true value is missing and another of its pool is there. `added`: the true value is there, and another
    as well; `stated` has those other values. `listed`: it appears only among three or more values in a row without a
    word between them, so no word says what it is. `text` is `kept`, or `copied` where too much of the original is.
    `spans` has (first, end) in characters of the first mention of each true value, in the NFC form of the rewrite.
    """

    attributes: dict[str, str]
    stated: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return all(outcome == KEPT for outcome in self.attributes.values())

    @property
    def rejected(self) -> dict[str, str]:
        """The attributes that are not kept, and what became of them."""
        return {name: outcome for name, outcome in self.attributes.items() if outcome != KEPT}


@dataclass(frozen=True)
class _Mention:
    words: Words
    start: int
    end: int
    attributes: frozenset[str]
    listed: bool = False


class _Node:
    """A node of a trie over words, case folded; `values` are (attribute, words as written) that end here."""

    __slots__ = ("after", "values")

    def __init__(self) -> None:
        self.after: dict[str, _Node] = {}
        self.values: list[tuple[str, Words]] = []

    def add(self, attribute: str, words: Words) -> None:
        node = self
        for word in words:
            node = node.after.setdefault(word.casefold(), _Node())
        node.values.append((attribute, words))


class FactGate:
    """Judges rewrites: `gate(statement, rewrite)` is a GateVerdict.

    `pools` maps attributes to all values they can take, as a collection or, where there are too many to list, as a
    compiled pattern whose matches are such values. An attribute without a pool can be kept or lost only. Values and the
    full name must appear verbatim except for white space, from word boundary to word boundary; `ignore_case` (True, or
    the attributes it holds for) lets case differ. Where values overlap, the one that begins first counts, of those the
    longest: "New York" does not state "York", nor "Fernport College" the city of Fernport.

    Not held against a rewrite: another value of a pool that is the true value of another attribute, part of the name,
    or in the original text too. A value that is true for two attributes must be stated twice, if the original does so.
    A rewrite is `copied` if more than `max_copied` of its words are in sentences of the original (1: copies pass).

    Raises RewriteError for a pool without values.
    """

    version = 1

    def __init__(
        self,
        pools: Mapping[str, Collection[str] | re.Pattern[str]] | None = None,
        *,
        ignore_case: bool | Collection[str] = False,
        max_copied: float = 0.5,
    ) -> None:
        self._patterns: dict[str, re.Pattern[str]] = {}
        self._values = _Node()
        self._max_copied = max_copied
        self._ignore_case = ignore_case if isinstance(ignore_case, bool) else frozenset(ignore_case)
        content: dict[str, object] = {}
        for attribute, pool in (pools or {}).items():
            if isinstance(pool, re.Pattern):
                self._patterns[attribute] = pool
                content[attribute] = [pool.pattern, pool.flags]
                continue
            if isinstance(pool, str) or not pool:
                raise RewriteError(
                    f"the pool of {attribute!r} must be a collection of values or a pattern, not {pool!r}"
                )
            for value in pool:
                self._values.add(attribute, _value_words(value, f"the pool of {attribute!r}"))
            content[attribute] = sorted(pool)
        case = sorted(self._ignore_case) if isinstance(self._ignore_case, frozenset) else self._ignore_case
        shown = json.dumps([self.version, content, case, max_copied], ensure_ascii=False, sort_keys=True)
        self.digest = hashlib.sha256(shown.encode()).hexdigest()[:16]
        """16 hexadecimal digits of a hash of the gate's pools, settings and version."""

    def __call__(self, statement: Statement, rewrite: str) -> GateVerdict:
        true = _truth(statement)
        mentions = self._mentions(true, rewrite)
        source = self._mentions(true, statement.text)
        sharing = Counter(true.values())
        stated, spans = {}, {}
        verdict = {TEXT: COPIED if _copied(rewrite, statement.text) > self._max_copied else KEPT}
        for attribute, words in true.items():
            own = [mention for mention in mentions if self._states(mention, attribute, words)]
            wanted = min(
                sharing[words], max(1, sum(1 for mention in source if self._states(mention, attribute, words)))
            )
            others = [
                mention
                for mention in mentions
                if attribute in mention.attributes
                and not any(self._states(mention, one, value) for one, value in true.items())
                and not _within(mention.words, true[NAME])
                and not any(self._states(one, attribute, mention.words) for one in source)
            ]
            if own:
                spans[attribute] = (own[0].start, own[0].end)
            if others:
                verdict[attribute] = ADDED if own else CHANGED
                stated[attribute] = tuple(dict.fromkeys(" ".join(_text(rewrite, one).split()) for one in others))
            elif len(own) < wanted:
                verdict[attribute] = LOST
            else:
                verdict[attribute] = LISTED if all(mention.listed for mention in own) else KEPT
        return GateVerdict(verdict, stated, spans)

    def check(self, statement: Statement) -> None:
        """Raise RewriteError if the statement's own text does not state its name and every fact."""
        true = _truth(statement)
        mentions = self._mentions(true, statement.text)
        for attribute, words in true.items():
            if not any(self._states(mention, attribute, words) for mention in mentions):
                value = statement.name if attribute == NAME else statement.facts[attribute]
                raise RewriteError(
                    f"statement {statement.id!r}: its own text does not state {attribute} {value!r} word for word, "
                    "so no rewrite of it could"
                )

    def _ignores_case(self, attribute: str) -> bool:
        return self._ignore_case if isinstance(self._ignore_case, bool) else attribute in self._ignore_case

    def _states(self, mention: _Mention, attribute: str, words: Words) -> bool:
        if attribute not in mention.attributes or len(mention.words) != len(words):
            return False
        return mention.words == words or (self._ignores_case(attribute) and _folded(mention.words) == _folded(words))

    def _mentions(self, true: Mapping[str, Words], text: str) -> list[_Mention]:
        """Every value of a pool and every true value that a text states, in order, none overlapping another."""
        text = unicodedata.normalize("NFC", text)
        marks = [(mark.group(), mark.start(), mark.end()) for mark in _tokenizer().finditer(text)]
        words = [word for word, _, _ in marks]
        folded = [word.casefold() for word in words]
        own = _Node()
        for attribute, value in true.items():
            own.add(attribute, value)
        matched = self._matched(text, marks)
        mentions = []
        place = 0
        while place < len(words):
            longest, attributes = place, set()
            for end, attribute in (
                *self._ending(self._values, words, folded, place),
                *self._ending(own, words, folded, place),
                *matched.get(place, ()),
            ):
                if end > longest:
                    longest, attributes = end, {attribute}
                elif end == longest:
                    attributes.add(attribute)
            if not attributes:
                place += 1
                continue
            span = marks[place][1], marks[longest - 1][2]
            mentions.append(_Mention(tuple(words[place:longest]), *span, frozenset(attributes)))
            place = longest
        return _mark_lists(mentions, text)

    def _ending(self, node: _Node, words: list[str], folded: list[str], place: int) -> Iterator[tuple[int, str]]:
        """The values of a trie that begin at a place: where each ends, and its attribute."""
        end = place
        while end < len(folded) and (after := node.after.get(folded[end])):
            node, end = after, end + 1
            for attribute, value in node.values:
                if self._ignores_case(attribute) or list(value) == words[place:end]:
                    yield end, attribute

    def _matched(self, text: str, marks: list[tuple[str, int, int]]) -> dict[int, list[tuple[int, str]]]:
        """The matches of patterns that begin and end with a word: at each first word, (end word, attribute)."""
        matches: dict[int, list[tuple[int, str]]] = {}
        if self._patterns:
            first = {start: place for place, (_, start, _) in enumerate(marks)}
            last = {end: place + 1 for place, (_, _, end) in enumerate(marks)}
            for attribute, pattern in self._patterns.items():
                for match in pattern.finditer(text):
                    if match.start() in first and match.end() in last:
                        matches.setdefault(first[match.start()], []).append((last[match.end()], attribute))
        return matches


def _truth(statement: Statement) -> dict[str, Words]:
    for taken in {NAME, TEXT} & set(statement.facts):
        raise RewriteError(
            f"statement {statement.id!r}: an attribute cannot be called {taken!r}, verdicts use that name"
        )
    if not statement.facts:
        raise RewriteError(f"statement {statement.id!r} has no facts, so the gate cannot check a rewrite of it")
    where = f"statement {statement.id!r}"
    return {
        NAME: _value_words(statement.name, f"{where}, its name"),
        **{one: _value_words(value, f"{where}, {one}") for one, value in statement.facts.items()},
    }


@lru_cache(maxsize=65_536)
def _value_words(value: str, where: str) -> Words:
    words = tuple(_tokenizer().findall(unicodedata.normalize("NFC", value)))
    if not words:
        raise RewriteError(f"{where}: a value must have at least one character that is not white space, not {value!r}")
    return words


@lru_cache(maxsize=1)
def _tokenizer() -> re.Pattern[str]:
    """Words with the marks that belong to their letters, or one character that is neither word nor white space."""
    # `\w` leaves out combining marks, which half of the words of India hold: no mark lies beyond these planes.
    points = [*range(0x300, 0x1F000), *range(0xE0100, 0xE01F0)]
    marks = "".join(f"\\U{point:08x}" for point in points if unicodedata.category(chr(point))[0] == "M")
    return re.compile(f"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[\\w{marks}])+|[^\\w\\s]")


def _mark_lists(mentions: list[_Mention], text: str) -> list[_Mention]:
    """Mentions, `listed` where they are three or more in a row with only marks and white space between them."""
    rows: list[list[_Mention]] = []
    for mention in mentions:
        if rows and not any(letter.isalnum() for letter in text[rows[-1][-1].end : mention.start]):
            rows[-1].append(mention)
        else:
            rows.append([mention])
    return [replace(mention, listed=True) if len(row) > 2 else mention for row in rows for mention in row]


def _copied(rewrite: str, source: str) -> float:
    """The share of a rewrite's words in sentences that the source holds word for word."""
    tokens = _tokenizer()

    def shown(text: str) -> str:
        return f" {' '.join(tokens.findall(unicodedata.normalize('NFC', text)))} "

    original = shown(source)
    sentences = [shown(sentence) for sentence in _SENTENCE_END.split(rewrite)]
    lengths = [len(sentence.split()) for sentence in sentences]
    same = sum(length for sentence, length in zip(sentences, lengths, strict=True) if sentence in original)
    return same / max(1, sum(lengths))


def _folded(words: Words) -> Words:
    return tuple(word.casefold() for word in words)


def _within(words: Words, name: Words) -> bool:
    return any(name[place : place + len(words)] == words for place in range(len(name) - len(words) + 1))


def _text(rewrite: str, mention: _Mention) -> str:
    return unicodedata.normalize("NFC", rewrite)[mention.start : mention.end]
