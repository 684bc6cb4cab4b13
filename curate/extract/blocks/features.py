"""What is measured of each block: integers only, so that every machine measures the same.

A share is in thousandths, rounded down. Everything about an element (words in it, links, good text) is a difference of
running sums over blocks, so that a page costs a fixed number of numpy calls, one loop over its blocks and one over its
elements. Good text: ten words and more, less than two fifths of them links, and a mark of a sentence or twenty words.

`meanings.py` has a sentence for each feature, in the order of the rows of `measured`.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from curate.extract.blocks.lexicon import Lexicon
from curate.extract.blocks.meanings import GROUPS, KINDS
from curate.extract.blocks.segment import Page

Rows = np.ndarray[Any, np.dtype[np.int32]]

# Scripts without spaces: two characters of Han, kana and Yi count as a word, six of Thai, Lao, Tibetan, Myanmar, Khmer,
# Tai Le and Lue, Tai Tham, Balinese and Javanese, whose vowels and tones are characters too. Ethiopic may have a mark
# between words in place of a space.
_HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\ua000-\ua48c\U00020000-\U0003ffff]")
_SIGNED = re.compile(
    "[\u0e00-\u0eff\u0f40-\u0fbc\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1a9f\u1b00-\u1b59\ua980-\ua9c0]"
)
_PARTED = "\u1361"
# The last: Tibetan, Myanmar, Khmer, Tai Tham, Balinese, Javanese.
_MARKS = re.compile(
    "[,.;!?\u2026\u3001\u3002\uff01\uff0c\uff1f\uff1b\u0964\u06d4\u061f\u060c\u061b\u1362-\u1366"
    "\u0f0d\u0f0e\u104a\u104b\u17d4\u17d5\u1aa8-\u1aab\u1b5a-\u1b5f\ua9c8\ua9c9]"
)
_ENDS = {
    ":": 2,
    **dict.fromkeys(
        ".!?\u2026\u3002\uff01\uff1f\u0964\u06d4\u061f\u1362\u0f0d\u0f0e\u104a\u104b\u17d4\u17d5"
        "\u1aa8\u1aa9\u1aaa\u1aab\u1b5a\u1b5e\u1b5f\ua9c9",
        1,
    ),
}
_CLOSERS = "\"')]}\u201d\u2019\u00bb\u300d\u300f\uff09 "

_BIT = {tag: 1 << place for place, tags in enumerate(GROUPS.values()) for tag in tags}
_HIDES = 1 << (len(GROUPS) - 1)
_LEVEL = {f"h{level}": level for level in range(1, 7)}

_MANY = 4000


class Measured:
    """A page's features, and what choosing needs: `rows` in the order of NAMES, `weights` the words of each block."""

    __slots__ = ("rows", "weights")

    def __init__(self, rows: Rows, weights: Rows) -> None:
        self.rows = rows
        self.weights = weights


def title_of(page: Page) -> str:
    return next((" ".join(text.split()) for tag, _, text in page.tokens[: page.body] if tag == "title"), "")


def _texts(page: Page, title: str, lexicon: Lexicon) -> list[Any]:
    """Of each block: words, marks of sentences, how it ends, tags in it, copies, which copy, titled, words' scores."""
    tokens = page.tokens
    ranges = list(zip(page.begins, page.ends, strict=True))
    split = [
        tokens[begin][2].split()
        if end - begin == 1
        else "".join([token[2] if token[0] != "br" else " " + token[2] for token in tokens[begin:end]]).split()
        for begin, end in ranges
    ]
    texts = [" ".join(parts) for parts in split]
    words, marks = [], []
    for text, parts in zip(texts, split, strict=True):
        if text.isascii():
            words.append(len(parts))
            marks.append(text.count(",") + text.count(". ") + text.count("?") + text.count(";"))
        else:
            unspaced = len(_HAN.findall(text)) // 2 + len(_SIGNED.findall(text)) // 6
            words.append(len(parts) + unspaced + text.count(_PARTED))
            marks.append(len(_MARKS.findall(text)))
    ends = [_ENDS.get(text.rstrip(_CLOSERS)[-1:], 0) for text in texts]
    copies: dict[str, int] = {}
    copy = []
    for text in texts:
        before = copies.get(text, 0)
        copy.append(before)
        copies[text] = before + 1
    titled = [
        0 if number < 2 or not title else 2 if text == title else 1 if number > 2 and text in title else 0
        for number, text in zip(words, texts, strict=True)
    ]
    low, mean = lexicon.of_texts(texts)
    inline = [end - begin for begin, end in ranges]
    return [words, marks, ends, inline, [copies[text] for text in texts], copy, titled, low, mean]


def _elements(page: Page, lexicon: Lexicon) -> list[list[int]]:
    """Of each element: bits of the groups around it; the numbers of its path, and of its row of like siblings; and the
    seven figures of class words."""
    bits: list[int] = []
    path: list[int] = []
    like: list[int] = []
    own_all: list[int] = []
    near_all: list[int] = []
    least_all: list[int] = []
    most_all: list[int] = []
    sum_all: list[int] = []
    parent_all: list[int] = []
    total_all: list[int] = []
    paths: dict[tuple[int, str, str], int] = {}
    likes: dict[tuple[int, str, str], int] = {}
    bit = _BIT.get
    known = lexicon.of_element
    for tag, attributes, parent in zip(page.tags, page.attributes, page.parents, strict=True):
        mask = bit(tag, 0)
        if attributes:
            group, hidden, own, total = known(attributes)
            if hidden:
                mask |= _HIDES
        else:
            group, own, total = "", 0, 0
        if parent >= 0:
            mask |= bits[parent]
            key = (path[parent], tag, group)
            near = own or near_all[parent]
            least = least_all[parent]
            most = most_all[parent]
            summed = own + sum_all[parent] * 3 // 4
            above = own_all[parent]
            sums = total + total_all[parent]
        else:
            key = (-1, tag, group)
            near, least, most, summed, above, sums = own, 0, 0, own, 0, total
        bits.append(mask)
        path.append(paths.setdefault(key, len(paths)))
        like.append(likes.setdefault((parent, tag, group), len(likes)))
        own_all.append(own)
        near_all.append(near)
        least_all.append(own if own < least else least)
        most_all.append(own if own > most else most)
        sum_all.append(summed)
        parent_all.append(above)
        total_all.append(sums)
    return [bits, path, like, own_all, near_all, least_all, most_all, sum_all, parent_all, total_all]


def _array(values: list[int]) -> Any:
    return np.array(values, dtype=np.int64)


def _sums(values: Any) -> Any:
    """Running sums with a zero in front."""
    out = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=out[1:])
    return out


def _steps(page: Page, inner: int, count: int) -> Any:
    """Of each block, how many elements `inner` and those around it have to be left to meet it."""
    steps = np.zeros(count, dtype=np.int64)
    chain = [inner]
    while page.parents[chain[-1]] >= 0:
        chain.append(page.parents[chain[-1]])
    for step, one in enumerate(reversed(chain)):
        steps[page.first[one] : page.last[one]] = len(chain) - 1 - step
    return steps


def _share(part: Any, whole: Any) -> Any:
    return part * 1000 // np.maximum(whole, 1)


def measured(page: Page, lexicon: Lexicon) -> Measured:
    """All features of a page's blocks."""
    count = len(page.begins)
    words, marks, ends, inline, copies, copy, titled, *said = map(_array, _texts(page, title_of(page), lexicon))
    bits, path, like, *classed = map(_array, _elements(page, lexicon))
    length, inlinks, element = _array(page.length), _array(page.inlinks), _array(page.element)
    parents, first, last, depth = _array(page.parents), _array(page.first), _array(page.last), _array(page.depth)
    tags = page.tags
    level = _array([_LEVEL.get(tag, 0) for tag in tags])[element]

    linked = _share(inlinks, length)
    link_words = words * linked // 1000
    good = (words >= 10) & (linked < 400) & ((marks > 0) | (ends == 1) | (words >= 20))
    good_words = np.where(good, words, 0)
    c_words, c_links, c_good = _sums(words), _sums(link_words), _sums(good_words)
    all_words, all_good = c_words[-1], c_good[-1]
    zero = np.zeros(count, dtype=np.int64)
    number = np.arange(count)
    rows: list[Any] = []

    rows += [np.minimum(words, _MANY), np.minimum(length, 4 * _MANY), linked, ends, np.minimum(inline, 100), level]

    low, high = np.maximum(number - 4, 0), np.minimum(number + 5, count)
    near_words = c_words[high] - c_words[low]
    capped = np.minimum(words, _MANY)
    before, after = zero.copy(), zero.copy()
    before[1:], after[:-1] = capped[:-1], capped[1:]
    rows += [before, after, _share(c_good[high] - c_good[low], near_words), near_words]
    rows += [_share(c_links[high] - c_links[low], near_words)]

    # Elements with the same blocks are one container: the outermost of them stands for all.
    up = np.maximum(parents, 0)
    alike = (first == first[up]) & (last == last[up])
    outer = np.where(alike, up, np.arange(len(up)))
    while True:
        further = outer[outer]
        if (further == outer).all():
            break
        outer = further
    e_blocks = last - first
    e_words, e_links, e_good = (sums[last] - sums[first] for sums in (c_words, c_links, c_good))
    e_linked, e_goods, e_share = _share(e_links, e_words), _share(e_good, e_words), _share(e_good, all_good)
    holder = outer[element]
    holder = np.where(e_blocks[holder] > 1, holder, outer[up[holder]])
    level_one = holder
    for _ in range(4):
        rows += [
            e_blocks[holder],
            np.minimum(e_words[holder], 20000),
            e_linked[holder],
            e_goods[holder],
            e_share[holder],
        ]
        holder = outer[up[holder]]

    # The candidate: the deepest element with half of the good text; a wide one has four fifths.
    best = e_good if all_good else e_words
    whole = all_good or all_words
    for part, wide in ((5, False), (8, True)):
        candidate = int(np.argmax(np.where(best * 10 >= whole * part, depth, -1)))
        inside = (number >= first[candidate]) & (number < last[candidate])
        rows += [inside, _steps(page, candidate, count)]
        if wide:
            rows += [zero + e_share[candidate]]
        else:
            rows += [np.where(number < first[candidate], -1, np.where(inside, 0, 1))]

    own = np.zeros(len(up), dtype=np.int64)
    np.add.at(own, level_one, good_words if all_good else words)
    body = int(np.argmax(own))
    begin, end = int(first[body]), int(last[body])
    rows += [
        (number >= begin) & (number < end),
        np.clip(np.minimum(number - begin, 0) + np.maximum(number - end + 1, 0), -100, 100),
    ]
    rows += [_steps(page, body, count)]
    rows += [zero + value for value in (_share(own[body], whole), min(int(own[body]), 20000), e_linked[body])]

    # Rows of like siblings: of the element around the block, and of the container around that.
    sizes = int(like.max()) + 1 if len(like) else 1
    g_count = np.bincount(like, minlength=sizes)
    g_first = np.zeros(sizes, dtype=np.int64)
    g_words, g_good = g_first.copy(), g_first.copy()
    np.add.at(g_words, like, e_words)
    np.add.at(g_good, like, e_good)
    top_row = int(np.argmax(np.where(g_count >= 3, g_words, -1)))
    for inner in (element, level_one):
        group = like[inner]
        rows += [np.minimum(g_count[group], 1000), _share(g_good[group], all_good), g_words[group] // g_count[group]]

    group = path[element]
    sizes = int(path.max()) + 1 if len(path) else 1
    p_count = np.bincount(group, minlength=sizes)
    p_words, p_good, p_links = (np.zeros(sizes, dtype=np.int64) for _ in range(3))
    np.add.at(p_words, group, words)
    np.add.at(p_good, group, good_words)
    np.add.at(p_links, group, link_words)
    rows += [p_count[group], _share(p_good[group], p_words[group]), _share(p_links[group], p_words[group])]
    rows += [_share(p_good[group], all_good)]
    rows += [np.minimum(copies, 100), np.minimum(copy, 100)]

    heads = np.flatnonzero(level)
    before = np.searchsorted(heads, number, side="right") - 1
    at = np.where(before >= 0, heads[np.maximum(before, 0)] if len(heads) else 0, -1)
    after = np.searchsorted(heads, number, side="right")
    until = np.where(after < len(heads), heads[np.minimum(after, len(heads) - 1)] if len(heads) else count, count)
    begun = np.maximum(at, 0)
    section = c_words[until] - c_words[begun]
    tops = np.flatnonzero(level == 1)
    top = int(tops[0]) if len(tops) else -1
    rows += [np.where(at >= 0, number - at, -1), np.where(at >= 0, level[begun], 0), until - number]
    rows += [np.minimum(section, 20000), _share(c_good[until] - c_good[begun], section)]
    rows += [number - top if top >= 0 else zero - 10000, titled]

    rows += [number * 1000 // max(count, 1), _share(c_words[:-1], all_words), _share(c_good[:-1], all_good)]
    rows += [_share(all_good - c_good[1:], all_good), depth[element]]
    mask = bits[element]
    rows += [mask >> place & 1 for place in range(len(GROUPS))]
    rows += [
        zero + value
        for value in (
            count,
            all_words,
            _share(all_good, all_words),
            _share(c_links[-1], all_words),
            min(tags.count("article"), 50),
            len(heads),
            min(tags.count("li"), 1000),
            *(sum(1 for script in page.scripts if kind.search(script)) for kind in KINDS.values()),
            int(g_count[top_row]) if all_words else 0,
            int(_share(g_words[top_row], all_words)),
        )
    ]
    rows += said
    rows += [np.where(at >= 0, figure[begun], 0) for figure in said]
    rows += [figure[element] for figure in classed]
    return Measured(np.array(rows, dtype=np.int32), words.astype(np.int32))
