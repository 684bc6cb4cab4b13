"""Text that no arm of a comparison trains on: which pages it is, which of them each arm keeps, and what leaves the arms
because it is nearly the same."""

from __future__ import annotations

import dataclasses
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from curate.dedup.shingles import Hashes
from curate.dedup.signatures import Sketcher
from curate.document import Document, Unreadable
from curate.errors import Refused
from curate.places.address import InputError
from curate.shards.domain_rendering import drawn
from curate.sources import open_source
from recipes.app.measure.corpora import Corpus, Entry, open_corpus

PAGES = 96
"""Pages of a held-out text at most: those whose keys have the smallest hashes."""
CHARACTERS = 3000
"""Characters of each page that are scored at most, its first ones."""
SHARE = 8
"""Of a corpus with fewer pages, one of so many is held out."""
FEWEST = 8
"""Pages that a given text must have at least."""
NEAR = 0.8
"""Pages whose Jaccard similarity to a held-out page is at least this leave every arm: of sets of five words, as in
`minhash_dedup`."""
_SKETCHER = Sketcher(numbers="ignore")
_SOME = 50  # pages of a corpus that say whether they are those of the first
_EDITED = 0.5  # share of an arm's page that must be in the held-out page of the same key for it to be that page


@dataclass(frozen=True)
class HeldOutText:
    """Pages to measure loss on. `kept` [corpus] are the numbers of those that a corpus keeps; a corpus of other pages
    than the first one's has no entry. `form_of` names the corpus that has edited these pages of the first one to what
    they are here."""

    name: str
    pages: tuple[Document, ...]
    given: bool = False
    kept: dict[str, tuple[int, ...]] = field(default_factory=dict)
    form_of: str | None = None

    @property
    def sizes(self) -> list[int]:
        """The bytes of each page that are scored."""
        return [len(page.text.encode()) for page in self.pages]


@dataclass(frozen=True)
class HeldOut:
    """The texts, the arms without them, and how many near-duplicates of them left each corpus."""

    texts: tuple[HeldOutText, ...]
    entries: tuple[Entry, ...]
    near: dict[str, int]

    @classmethod
    def of(cls, entries: Sequence[Entry], given: Path | None = None) -> HeldOut:
        """Hold out pages of the first corpus, of every corpus that has no page of it, and the text that is `given` (a
        file, a folder, or a finished run). Raises Refused where that holds too little."""
        corpora = list({entry.corpus.name: entry.corpus for entry in entries}.values())
        first, *others = corpora
        chosen = _Chosen.of(first)
        pages = tuple(one for one in first.documents() if one.key in chosen.keys)
        texts = [HeldOutText(first.name, pages, kept={first.name: tuple(range(len(pages)))})]
        without = {first.name: set(chosen.keys)}
        for corpus in others:
            if _related(first, corpus):
                # What the rule chooses is left out of every corpus: the rule sees keys alone.
                own = [one for one in corpus.documents() if one.key in chosen]
                kept = texts[0].kept[corpus.name] = _kept(pages, own)
                by_key = {one.key: one for one in own}
                edited = tuple(by_key[pages[number].key] for number in kept)
                if any(one.text != pages[number].text for one, number in zip(edited, kept, strict=True)):
                    texts.append(HeldOutText(f"{first.name} as {corpus.name} has it", edited, form_of=corpus.name))
            else:
                rule = _Chosen.of(corpus)
                own = [one for one in corpus.documents() if one.key in rule.keys]
                if own:
                    texts.append(HeldOutText(corpus.name, tuple(own)))
            without[corpus.name] = {one.key for one in own}
        if given is not None:
            name = str(given)
            if any(name == text.name for text in texts):
                name = f"the text of {given}"
            wanted = tuple(_smallest(_given(given)))
            if len(wanted) < FEWEST:
                raise Refused(f"{name} holds {len(wanted)} texts to measure loss on; at least {FEWEST} are needed")
            texts.append(HeldOutText(name, wanted, given=True))
        lost: dict[str, int] = {}
        for corpus in corpora:
            # What a corpus has made of held-out pages is near to its own pages, and moves no other corpus.
            near = _Near([page for text in texts if text.form_of in (None, corpus.name) for page in text.pages])
            alike = {one.key for one in corpus.documents() if one.key not in without[corpus.name] and one in near}
            lost[corpus.name] = len(alike)
            without[corpus.name] |= alike
        rest = {one.name: dataclasses.replace(one, without=frozenset(without[one.name])) for one in corpora}
        arms = tuple(dataclasses.replace(entry, corpus=rest[entry.corpus.name]) for entry in entries)
        return cls(tuple(_cut(text) for text in texts), arms, lost)


@dataclass(frozen=True)
class _Chosen:
    """The rule that holds pages out, by their keys: the same in every corpus."""

    keys: frozenset[str]
    below: int

    @classmethod
    def of(cls, corpus: Corpus) -> _Chosen:
        """So many pages of a corpus as a text has, but not more than one of eight."""
        places = sorted((_place(one.key), one.key) for one in corpus.documents())
        chosen = places[: min(PAGES, len(places) // SHARE)]
        return cls(frozenset(key for _, key in chosen), chosen[-1][0] if chosen else -1)

    def __contains__(self, key: str) -> bool:
        return key in self.keys or _place(key) <= self.below


def _place(key: str) -> int:
    return drawn(key, "held out")


def _smallest(documents: Iterable[Document], count: int = PAGES) -> list[Document]:
    return heapq.nsmallest(count, documents, key=lambda one: (_place(one.key), one.key))


def _related(first: Corpus, other: Corpus) -> bool:
    """Whether a corpus holds pages of the first one, under the same keys and maybe edited: at least half of some. What
    is mixed back into a run is related to it, however much that is."""
    if other.folder == first.folder:
        return True
    some = {one.key: one for one in _smallest(other.documents(), _SOME)}
    same = [one for one in first.documents() if one.key in some]
    return 2 * len(_kept(same, list(some.values()))) >= len(some)


def _given(path: Path) -> Iterator[Document]:
    """The texts of a finished run, or of files. Raises Refused where one of them cannot be read."""
    if (path / "text").is_dir():
        yield from open_corpus(path.name, path).documents()
        return
    try:
        for one in open_source(path):
            if isinstance(one, Unreadable):
                raise Refused(f"{path}: {one.key} cannot be read ({one.error}); held-out text must be whole")
            if isinstance(one, Document) and one.html is not None and not one.text:
                raise Refused(
                    f"{path} holds pages whose text is not extracted yet: run a recipe on it, and name its folder"
                )
            if isinstance(one, Document) and one.text.strip():
                yield dataclasses.replace(one, source="corpus")
    except InputError as error:
        raise Refused(str(error)) from error


def _kept(pages: Sequence[Document], others: Sequence[Document]) -> tuple[int, ...]:
    """The numbers of the pages that a corpus has under the same key, maybe edited."""
    by_key = {one.key: one for one in others}
    numbers = []
    for number, page in enumerate(pages):
        other = by_key.get(page.key)
        if other is None:
            continue
        one, two = _shingles(page), _shingles(other)
        if other.text == page.text or (len(two) and len(np.intersect1d(one, two)) >= _EDITED * len(two)):
            numbers.append(number)
    return tuple(numbers)


class _Near:
    """Whether a document is nearly one of some pages."""

    def __init__(self, pages: Sequence[Document]) -> None:
        self._sizes: list[int] = []
        self._owners: dict[int, list[int]] = defaultdict(list)
        for page in pages:
            shingles = _shingles(page)
            for one in shingles.tolist():
                self._owners[one].append(len(self._sizes))
            self._sizes.append(len(shingles))
        self._known = np.array(sorted(self._owners), np.uint64)
        self._texts = {page.text for page in pages}

    def __contains__(self, document: Document) -> bool:
        if document.text in self._texts:
            return True
        shingles = _shingles(document)
        shared: dict[int, int] = defaultdict(int)
        for one in np.intersect1d(shingles, self._known, assume_unique=True).tolist():
            for page in self._owners[one]:
                shared[page] += 1
        return any(common >= NEAR * (len(shingles) + self._sizes[page] - common) for page, common in shared.items())


def _shingles(document: Document) -> Hashes:
    sketch = _SKETCHER.sketch(document.text)
    return np.empty(0, np.uint64) if sketch is None else sketch[0]


def _cut(text: HeldOutText) -> HeldOutText:
    pages = (dataclasses.replace(page, text=_first_characters(page.text)) for page in text.pages)
    return dataclasses.replace(text, pages=tuple(pages))


def _first_characters(text: str) -> str:
    """The first characters of a text, to the end of a word."""
    if len(text) <= CHARACTERS:
        return text
    head = text[: CHARACTERS + 1]
    return head.rsplit(None, 1)[0] if any(one.isspace() for one in head) else head[:CHARACTERS]
