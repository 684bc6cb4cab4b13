"""The trained model: which blocks of a page are its content.

Trees over whole numbers, whose leaves are summed as whole numbers; a table makes a probability of the sum; the blocks
kept are those that maximise the expected F1 of the page's words. No floating-point number decides anything, and of
equals the earlier block goes first: a page has one text on every machine.

A model is one file of arrays (`numpy`, nothing pickled). `about` in it says what it was trained on, and how good it is.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from curate.errors import Refused
from curate.extract.blocks.features import measured
from curate.extract.blocks.lexicon import Lexicon
from curate.extract.blocks.meanings import NAMES
from curate.extract.blocks.segment import Page

SHIPPED = Path(__file__).parent / "model.npz"
SCHEMA = 1
CERTAIN = 1024
"""The probability 1."""
POINTS = ("balanced", "precision")
"""Operating points: as much right as wrong, or rather less text than boilerplate."""

_LARGEST = 8_000_000


@functools.lru_cache(maxsize=8)
def load(path: Path = SHIPPED) -> Model:
    """The model of a file, read once in each process."""
    return Model(path)


class Judged(NamedTuple):
    """Of each block of a page: its probability of being content, in 1024ths, its words, and whether it is kept."""

    probabilities: list[int]
    words: list[int]
    chosen: list[int]


class Model:
    """A model, loaded from a file. Raises Refused where the file is none, or one for other features."""

    def __init__(self, path: Path = SHIPPED) -> None:
        arrays, self.hash = _read(path)
        self.about: dict[str, Any] = json.loads(bytes(arrays["about"]))
        self._features = arrays["features"].astype(np.intp)
        self._thresholds = arrays["thresholds"].astype(np.int32)[:, None]
        # Of the first condition of each tree, of the second, ...
        self._conditions = [np.ascontiguousarray(row) for row in arrays["trees"].astype(np.intp).T]
        self._leaves = arrays["leaves"].astype(np.int16).ravel()
        self._base = int(arrays["base"][0])
        self._odds = arrays["odds"].astype(np.int64)
        self._points = {name: tuple(map(int, row)) for name, row in zip(POINTS, arrays["points"], strict=True)}
        trees, depth = arrays["trees"].shape
        self._starts = (np.arange(trees, dtype=np.intp) << depth)[:, None]
        classes, texts = (
            dict(zip(bytes(arrays[name]).decode("ascii").split("\n"), arrays[name + "_scores"].tolist(), strict=True))
            for name in ("classes", "texts")
        )
        self.lexicon = Lexicon(classes, texts)

    def logits(self, page: Page) -> tuple[Any, Any]:
        """Of each block: the sum of its leaves, and its words."""
        found = measured(page, self.lexicon)
        met = (found.rows[self._features] > self._thresholds).view(np.uint8)
        leaf = met[self._conditions[0]]
        for place, condition in enumerate(self._conditions[1:], 1):
            leaf |= met[condition] << place
        return self._leaves[leaf + self._starts].sum(axis=0, dtype=np.int64) + self._base, found.weights

    def judged(self, page: Page, point: str = "balanced") -> Judged:
        """What a page's blocks are, and which of them are kept, in reading order."""
        if not page.begins:
            return Judged([], [], [])
        logits, words = self.logits(page)
        probabilities = np.searchsorted(self._odds, logits, side="right").astype(np.int64)
        chosen = choice(probabilities, words, *self._points[point])
        return Judged(probabilities.tolist(), words.tolist(), chosen)


def choice(probabilities: Any, words: Any, low: int, high: int, firm: int) -> list[int]:
    """The blocks to keep: those down to the probability that maximises the expected F1 of the page's words, clipped to
    [low, high], and to `firm` (in 1024ths) of what the content is expected to have: where the content of a page is
    certain, as that of an article is, a block that may be content is none.

    With the blocks sorted by probability p, words t, the first of them kept, the expected F1 is
    `2 sum(p t) / (sum(t) + sum of p t over all)`, the sums but for the last over those kept.
    """
    order = np.argsort(-probabilities, kind="stable")
    sorted_words = words[order].astype(np.int64)
    right = np.cumsum(probabilities[order] * sorted_words)
    taken = np.cumsum(sorted_words) * CERTAIN
    least = int(probabilities[order][int(np.argmax((right << 20) // np.maximum(taken + right[-1], 1)))])
    expected = int((probabilities * probabilities * words.astype(np.int64)).sum()) // max(int(right[-1]), 1)
    return np.flatnonzero(probabilities >= max(min(max(least, low), high), firm * expected // CERTAIN)).tolist()


def _read(path: Path) -> tuple[dict[str, Any], str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"the extractor's model {path} cannot be read: {error.strerror or error}") from None
    other = Refused(f"{path} is no model of `goldsand train-extractor`")
    if len(content) > _LARGEST:
        raise other
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(bytes(arrays["about"]))
        names = bytes(arrays["names"]).decode("ascii").split("\n")
        schema = about["schema"]
    except Exception:
        raise other from None
    if schema != SCHEMA or tuple(names) != NAMES:
        raise Refused(f"{path} was trained for other features than this version measures: train it again")
    return arrays, hashlib.sha256(content).hexdigest()
