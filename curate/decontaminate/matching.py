"""Search for test items in a text: rare seeds give candidates, whole words decide.

A *form* is one text of an item: its question, an answer, its passage. A seed that a page shares with a form makes the
form a candidate. The match is extended around its seeds, byte by byte and then word by word past small edits; the
*score* of a form is the share of its words found there, each weighted by its inverse document frequency.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.decontaminate.held_out import DOCUMENT, PIECE
from curate.decontaminate.items import Item
from curate.decontaminate.words import SEED, Hashes, Ints, Places, Words, weight, words_of, words_of_all
from curate.dedup.tables import begins

QUESTION, ANSWER, PASSAGE = "question", "answer", "passage"
PARTS = (QUESTION, ANSWER, PASSAGE, DOCUMENT, PIECE)

SHORTEST = 8
"""Questions of fewer words look like ordinary language: alone they are undetectable, and listed as such."""

SHORTEST_ANSWER = 20
"""An answer alone is weaker evidence than a question: a shorter one is searched for only behind its question."""

# A seed of more forms than this makes candidates only of the forms of which it is one of the rarest three.
_CROWDED = 8
_KEPT_OF_EACH = 3
# A form is worth verifying when its shared seeds span this share of the bits that all its seeds span; for a form of at
# most `_SHORT` words, the last share of all its bits will do where enough words near the seeds match.
_SHORT = 24
_SHARE_OF_SHORT = 0.7
_SHARE_OF_LONG = 0.3
_SHARE_OF_OPEN = 0.2
# Offsets in words, the nearest first.
_SLACKS = (0, -1, 1, -2, 2)
_OFFSETS = 16
_WHOLE = 0.95
# A long item may lie among as many words of others as this many times its own.
_DILUTED = 2
# A rare name of a short question is not the question: this share of all its words, common ones too, must be there.
_SHARE_OF_WORDS = 0.75
_TOP = np.uint64(48)
_BITS = np.array([1 << place for place in range(8)], np.uint8)
_TAIL = 12
# Ranks of a question's forms after the question alone: other wordings; and, if too short, with text around it.
_OTHER, _LONGER = 1, 2
_LETTERS = "ABCDEFGH"

Evidence = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hit:
    """A test item found in a text: the part of it, its score, and the span (characters of the text).

    `score` is the share of the part's words found, by inverse document frequency; `bits` is their information.
    """

    item: str
    benchmark: str
    part: str
    score: float
    bits: float
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class _Form:
    part: str
    item: int


class ItemIndex:
    """The seeds and words of test items.

    `items` are their names; `undetectable` those too short to be found in any form, `undetectable_alone` those whose
    question is too short to be found without its answer, choices or passage. Only `parts` are searched for.
    """

    def __init__(self, items: Iterable[Item], numbers: bool = True, parts: Collection[str] = PARTS) -> None:
        self._numbers, self._parts = numbers, parts
        self.items: list[str] = []
        self.benchmarks: list[str] = []
        self.undetectable: list[str] = []
        self.undetectable_alone: list[str] = []
        texts, owners = self._candidates(items)
        words, text_of_word = words_of_all(texts, numbers)
        ends = np.searchsorted(text_of_word, np.arange(len(texts) + 1)).astype(np.int64)
        chosen = self._chosen(owners, np.diff(ends))
        self._keep(words, ends, owners, chosen)
        self._weigh()
        self._seed()

    def _candidates(self, items: Iterable[Item]) -> tuple[list[str], list[tuple[int, str, int]]]:
        """Every text that may become a form, with its item, part and rank; the question alone is an item's first."""
        texts: list[str] = []
        owners: list[tuple[int, str, int]] = []
        for number, item in enumerate(items):
            self.items.append(item.name)
            self.benchmarks.append(item.benchmark)
            forms = [(QUESTION, min(place, _OTHER), text) for place, text in enumerate(item.questions)]
            forms += [(ANSWER, 0, text) for text in item.answers]
            if item.passage:
                forms.append((PASSAGE, 0, item.passage))
            if item.questions and len(item.question.split()) < 2 * SHORTEST:
                forms += [(QUESTION, _LONGER, text) for text in _longer_forms(item)]
            forms += [(part, 0, text) for part, text in item.pieces]
            for part, rank, text in forms:
                owners.append((number, part, rank))
                texts.append(text)
        return texts, owners

    def _chosen(self, owners: list[tuple[int, str, int]], lengths: Ints) -> list[int]:
        """The texts that become forms: long enough ones, and longer forms only where a question is too short alone."""
        alone = [False] * len(self.items)
        detectable = [False] * len(self.items)
        chosen = []
        for place, ((item, part, rank), length) in enumerate(zip(owners, lengths.tolist(), strict=True)):
            if length < (SHORTEST if part in (QUESTION, PASSAGE) else SHORTEST_ANSWER):
                continue
            if rank == _LONGER and alone[item]:
                continue
            alone[item] |= part in (QUESTION, DOCUMENT) and not rank
            detectable[item] |= part != PASSAGE
            if part in self._parts:
                chosen.append(place)
        self.undetectable = [name for name, one in zip(self.items, detectable, strict=True) if not one]
        self.undetectable_alone = [name for name, one in zip(self.items, alone, strict=True) if not one]
        return chosen

    def _keep(self, words: Words, ends: Ints, owners: list[tuple[int, str, int]], chosen: list[int]) -> None:
        """Store the chosen texts one after another, each once; `_items_of` lists the items of each form."""
        hashes, numeric = words.hashes, words.numeric()
        known: dict[tuple[str, bytes], int] = {}
        self._forms: list[_Form] = []
        self._items_of: list[list[int]] = []
        streams: list[bytes] = []
        rows: list[Ints] = []
        for place in chosen:
            item, part, _ = owners[place]
            begin, end = int(ends[place]), int(ends[place + 1])
            stream = words.stream[int(words.starts[begin]) : int(words.starts[end - 1] + words.lengths[end - 1])]
            if (part, stream) in known:
                self._items_of[known[part, stream]].append(item)
                continue
            known[part, stream] = len(self._forms)
            self._forms.append(_Form(part, item))
            self._items_of.append([item])
            streams.append(stream)
            rows.append(np.arange(begin, end))
        every = np.concatenate(rows) if rows else np.empty(0, np.int64)
        counts = np.array([len(one) for one in rows], np.int64)
        stream = b"".join(streams) + bytes(16)
        self._bytes = np.frombuffer(stream, np.uint8)
        self._form_byte = np.concatenate(([0], np.cumsum([len(one) for one in streams]))).astype(np.int64)
        self._form_word = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self._lengths = words.lengths[every]
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._hashes, self._numeric = hashes[every], numeric[every]
        self._tops = (self._hashes >> _TOP).astype(np.uint16)
        self._form_of_word = np.repeat(np.arange(len(rows)), counts)
        self._words = Words(stream, self._starts, self._lengths, _eight(stream))

    def _weigh(self) -> None:
        _, first, inverse = np.unique(self._hashes, return_index=True, return_inverse=True)
        stream = self._words.stream
        bits = [
            weight(stream[start : start + length])
            for start, length in zip(self._starts[first].tolist(), self._lengths[first].tolist(), strict=True)
        ]
        self._weights = np.array(bits, np.float64)[inverse] if bits else np.empty(0)
        self._sums = np.concatenate(([0.0], np.cumsum(self._weights)))
        self._totals = self._sums[self._form_word[1:]] - self._sums[self._form_word[:-1]]
        self._asked = (0.0, 0.0)

    def _seed(self) -> None:
        """Postings of every seed but the crowded ones, of which each form keeps its rarest."""
        seeds = self._words.seeds()
        words = np.arange(len(seeds))
        # A seed lies within its form.
        words = words[self._starts[words] + SEED <= self._form_byte[self._form_of_word[words] + 1]]
        seeds = seeds[words]
        _, inverse, counts = np.unique(seeds, return_inverse=True, return_counts=True)
        crowd = counts[inverse] if len(seeds) else np.empty(0, np.int64)
        forms = self._form_of_word[words]
        by_form = np.lexsort((crowd, forms))
        rank = np.empty(len(words), np.int64)
        starts = np.searchsorted(forms[by_form], np.arange(len(self._forms) + 1))
        rank[by_form] = np.arange(len(words)) - np.repeat(starts[:-1], np.diff(starts))
        kept = (crowd <= _CROWDED) | (rank < _KEPT_OF_EACH)
        seeds, words, forms = seeds[kept], words[kept], forms[kept]
        order = np.argsort(seeds, kind="stable")
        self._posted_word, self._posted_form = words[order], forms[order]
        self._seeds, first = np.unique(seeds[order], return_index=True)
        self._posted = np.concatenate((first, [len(order)])).astype(np.int64)
        # For each word, the number of words that begin in its seed: those a shared seed covers.
        begins = np.arange(len(self._starts))
        self._reach = np.searchsorted(self._starts, self._starts + SEED) - begins
        self._seeded = np.maximum(np.bincount(forms, self._spanned(words), len(self._forms)), 1.0)
        # Nearly all seeds of a page are in no item: a table of bits that fits a cache rejects them.
        size = max(16, (16 * len(self._seeds)).bit_length())
        self._shift = np.uint64(64 - size)
        self._occupied = np.zeros(1 << (size - 3), np.uint8)
        places = (self._seeds >> self._shift).view(np.int64)
        np.bitwise_or.at(self._occupied, places >> 3, _BITS[places & 7])

    def search(self, text: str, min_score: float, evidence: float) -> list[Hit]:
        """The hits in a text, the best first.

        A form is a hit when its score is at least `min_score` and the words found have at least `evidence` bits; of a
        form with fewer bits in all, 95 % must be there. Under the number guard, every number of a question or answer
        must be there.
        """
        page = words_of(text, self._numbers)
        theirs, ours = self._shared(page.seeds())
        if not len(theirs):
            return []
        needed = self._needed(min_score, evidence)
        forms = self._form_of_word[theirs]
        hits: dict[tuple[int, str], Hit] = {}
        where: Places | None = None
        for form in self._promising(page, forms, theirs, ours, needed):
            part = self._forms[form].part
            mine = forms == form
            bits, begin, end = self._found(page, form, theirs[mine], ours[mine])
            if bits < needed[form]:
                continue
            where = where or Places(text, self._numbers)
            first, last = where.between(begin, end)
            score = min(1.0, bits / float(self._totals[form]))
            for item in self._items_of[form]:
                hit = Hit(self.items[item], self.benchmarks[item], part, score, bits, first, last)
                if (item, part) not in hits or hits[item, part].score < score:
                    hits[item, part] = hit
        return sorted(hits.values(), key=lambda hit: (PARTS.index(hit.part), -hit.score, -hit.bits, hit.item))

    def _shared(self, seeds: Hashes) -> tuple[Ints, Ints]:
        """Words of forms, and words of the page, at which the same seed begins."""
        # As signed numbers: numpy looks unsigned ones up by a slower way.
        places = (seeds >> self._shift).view(np.int64)
        places = np.flatnonzero(self._occupied[places >> 3] & _BITS[places & 7])
        wanted = seeds[places]
        rows = np.searchsorted(self._seeds, wanted)
        known = self._seeds[np.minimum(rows, len(self._seeds) - 1)] == wanted if len(self._seeds) else rows < 0
        places, rows = places[known], rows[known]
        counts = self._posted[rows + 1] - self._posted[rows]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        posted = np.arange(total) + np.repeat(self._posted[rows] - ends + counts, counts)
        return self._posted_word[posted], np.repeat(places, counts)

    def _needed(self, min_score: float, evidence: float) -> Evidence:
        """The bits that a hit needs, for each form."""
        if self._asked != (min_score, evidence):
            self._asked = (min_score, evidence)
            bits = np.maximum(min_score * self._totals, evidence)
            self._bits_needed = np.minimum(_WHOLE * self._totals, bits) - 1e-9
        return self._bits_needed

    def _promising(self, page: Words, forms: Ints, theirs: Ints, ours: Ints, needed: Evidence) -> list[int]:
        """The candidates to verify: enough seeds of a long form, or enough words around the seeds of a short one."""
        words = np.sort(theirs)
        words = words[begins(words)]
        owners = self._form_of_word[words]
        first = np.flatnonzero(begins(owners))
        named = owners[first]
        spanned = np.add.reduceat(self._spanned(words), first)
        share = spanned / self._seeded[named]
        sizes = self._form_word[named + 1] - self._form_word[named]
        sure = share >= np.where(sizes > _SHORT, _SHARE_OF_LONG, _SHARE_OF_SHORT)
        promising = named[sure].tolist()
        open_ = named[~sure & (sizes <= _SHORT) & (spanned >= _SHARE_OF_OPEN * self._totals[named])]
        if len(open_):
            # First without regard to order: forms of which too many words are nowhere in the page.
            there = np.zeros(1 << 16, np.bool_)
            hashes = page.hashes
            there[(hashes >> _TOP).view(np.int64)] = True
            flat, ends, sizes = self._flat(open_)
            bits = np.add.reduceat(self._weights[flat] * there[self._tops[flat]], ends - sizes)
            open_ = open_[bits >= needed[open_]]
        if len(open_):
            mine = np.isin(forms, open_)
            pairs = np.unique((forms[mine] << 40) + (ours[mine] - theirs[mine] + (1 << 39)))
            owners, offsets = pairs >> 40, (pairs & ((1 << 40) - 1)) - (1 << 39)
            flat, ends, sizes = self._flat(owners)
            near = _near(hashes, flat + np.repeat(offsets, sizes), self._hashes[flat]) >= 0
            bits = np.add.reduceat(self._weights[flat] * near, ends - sizes)
            promising += np.unique(owners[bits >= needed[owners]]).tolist()
        return sorted(promising)

    def _spanned(self, words: Ints) -> Evidence:
        """The bits of the words that the seeds at some words, in order, span; each word counts for the first seed."""
        if not len(words):
            return np.empty(0)
        ends = np.maximum.accumulate(words + self._reach[words])
        begins = np.maximum(words, np.concatenate(([0], ends[:-1])))
        return self._sums[ends] - self._sums[begins]

    def _flat(self, forms: Ints) -> tuple[Ints, Ints, Ints]:
        """The words of several forms one after another, where each form ends, and how many words it has."""
        sizes = self._form_word[forms + 1] - self._form_word[forms]
        ends = np.cumsum(sizes)
        return np.arange(ends[-1]) + np.repeat(self._form_word[forms] - ends + sizes, sizes), ends, sizes

    def _found(self, page: Words, form: int, theirs: Ints, ours: Ints) -> tuple[float, int, int]:
        """The bits of a form's words found in one place of a page, and the span of that place in the page's stream."""
        base, top = int(self._form_byte[form]), int(self._form_byte[form + 1])
        first, last = int(self._form_word[form]), int(self._form_word[form + 1])
        p, q = page.starts[ours], self._starts[theirs] - base
        # Edits shift the words after them a little, sentences between those of a long item by more; a second copy of
        # the item is far away.
        order = np.argsort(p - q, kind="stable")
        shift = (p - q)[order]
        slack = _DILUTED * (top - base) if last - first > _SHORT else (top - base) // 6
        ends = np.searchsorted(shift, shift + max(2 * SEED, slack), "right")
        best = int(np.argmax(ends - np.arange(len(ends))))
        together = order[best : ends[best]]
        item, stream = self._bytes[base:top], np.frombuffer(page.stream, np.uint8)[: page.size]
        covered = np.zeros(top - base, np.bool_)
        used = np.zeros(len(page), np.bool_)
        begin, end = len(stream), 0
        for place in together[np.argsort(q[together], kind="stable")].tolist():
            a, b = int(p[place]), int(q[place])
            if covered[b : b + SEED].all():
                continue
            after = _alike(stream[a:], item[b:])
            before = _alike(stream[:a][::-1], item[:b][::-1])
            covered[b - before : b + after] = True
            used[np.searchsorted(page.starts, a - before) : np.searchsorted(page.starts, a + after)] = True
            begin, end = min(begin, a - before), max(end, a + after)
        sums = np.concatenate(([0], np.cumsum(covered)))
        starts, lengths = self._starts[first:last] - base, self._lengths[first:last]
        there = sums[starts + lengths] - sums[starts] == lengths
        hashes = page.hashes
        for offset in np.unique(ours[together] - theirs[together])[:_OFFSETS].tolist():
            missing = np.flatnonzero(~there)
            at = _near(hashes, missing + (first + offset), self._hashes[first:last][missing], used)
            # A word of the page matches one word of the item.
            at, which = np.unique(at, return_index=True)
            fresh = at >= 0
            there[missing[which[fresh]]] = used[at[fresh]] = True
        guarded = self._numbers and self._forms[form].part in (QUESTION, ANSWER)
        if guarded and (self._numeric[first:last] & ~there).any():
            return 0.0, 0, 0
        if len(there) <= _SHORT and there.mean() < _SHARE_OF_WORDS:
            return 0.0, 0, 0
        return float(self._weights[first:last][there].sum()), begin, end


def _longer_forms(item: Item) -> list[str]:
    """A short question with text around it: an answer, all choices, or the end of its passage. Of a question that its
    whole set shares nothing is left, and one choice is ordinary language."""
    question = item.question
    choices = item.choices or item.answers
    forms = [f"{question} {choice}" for choice in dict.fromkeys(item.answers + item.choices) if question]
    if len(choices) > 1:
        forms.append(f"{question} {' '.join(choices)}")
        lettered = " ".join(f"{letter}. {choice}" for letter, choice in zip(_LETTERS, choices, strict=False))
        forms.append(f"{question} {lettered}")
    if item.passage and question:
        tail = " ".join(item.passage.split()[-_TAIL:])
        forms += [f"{tail} {question}", f"{tail} question {question}"]
    return forms


def _eight(data: bytes) -> Hashes:
    return np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))


def _near(page: Hashes, places: Ints, wanted: Hashes, used: npt.NDArray[np.bool_] | None = None) -> Ints:
    """The positions of wanted words in a page, within two words of `places` and not a used one; -1: not there."""
    found = np.full(len(wanted), -1, np.int64)
    for slack in _SLACKS:
        at = places + slack
        inside = (at >= 0) & (at < len(page))
        same = inside & (np.take(page, at, mode="clip") == wanted)
        if used is not None:
            same &= ~np.take(used, at, mode="clip")
        np.copyto(found, at, where=same & (found < 0))
    return found


def _alike(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> int:
    """The length of the common prefix of two arrays."""
    size = min(len(a), len(b))
    differ = np.flatnonzero(a[:size] != b[:size])
    return int(differ[0]) if len(differ) else size
