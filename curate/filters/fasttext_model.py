"""fastText models: safe loading of a file that may hold anything, and scoring.

The library trusts the file: one that is cut short ends the process (a division by zero in C++), takes all memory, or
writes beyond its own. So the file is walked through first (file formats 11 and 12: `loadModel` of fastText's
fasttext.cc, `load` of dictionary.cc, densematrix.cc, quantmatrix.cc, productquantizer.cc): every size must fit, every
setting and count must be one that the library's arithmetic bears, every number finite. Then a child process loads the
model and asks it about some lines: if the library ends there all the same, the file is refused, not the command ended.

The child alone is not safe enough. fastText does not notice missing bytes: it loads six of the nine broken files in the
tests. And what is written beyond an array ends one process in three. It is fast: 0.48 s for 131 MB, as large as
lid.176.bin; the walk takes 0.1 s.
"""

from __future__ import annotations

import mmap
import multiprocessing
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from curate.errors import Refused
from curate.places.stamp import Stamp

PREFIX = "__label__"
_MAGIC = 793712314
_SUPERVISED = 3
_CENTROIDS = 256
_MOST_ROWS = (1 << 31) - 1
_LOSSES = (1, 2, 3, 4)
_HIERARCHICAL = 1

LONGEST = 64
"""The longest n-grams of letters and of words: a page's work grows with them, and a model of the web has 5 and 2."""

COUNTED = 10**15
"""The library's number for "more than any label is counted": its Huffman tree breaks where counts reach it."""

GREATEST = 1e9
"""A model's numbers are small. Products of greater ones overflow, and what is no number may become an index."""

_TRIAL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
import fasttext
model = fasttext.load_model(sys.argv[1])
words = model.words
model.labels
lines = ["", " ".join(words[:1000]), " ".join(words[-1000:]), "a new word " * 20, "\u4e2d\u6587\xe9 " * 50, "x" * 5000]
for line in lines:
    model.f.predict(line + "\\n", -1, 0.0, "strict")
"""
_PATIENCE = 60.0
_SLOWEST = 5e6
"""Seconds that a trial may take, and bytes of the model for one more: a busy machine refuses no sound one."""


class FastTextModel(NamedTuple):
    """`labels` without their prefix; `scores(line, k)`: the k likeliest labels and their probabilities, best first."""

    labels: tuple[str, ...]
    scores: Callable[[str, int], list[tuple[str, float]]]


def one_line(text: str) -> str:
    """A text as fastText takes it: newlines as spaces (as datatrove has it), what UTF-8 cannot hold as `?`.

    Its token for the end of a line, `</s>`, is broken up: a page that holds it would be read up to there only.
    """
    return text.replace("\n", " ").replace("</s>", "< /s>").encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=4)
def load(file: Stamp) -> FastTextModel:
    """Raises Refused, with what is wrong, for a file that is not a supervised fastText model."""
    # Where a run has workers, its steps were made, and their models tried, in the process that started them.
    if multiprocessing.parent_process() is None:
        check(file)
    else:
        _walked(file)
    import fasttext

    try:
        model = fasttext.load_model(file.path)
        labels = tuple(label.removeprefix(PREFIX) for label in model.labels)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise Refused(f"{file.path} is not a fastText model ({error})") from error
    # The wrapper's own `predict` returns arrays; the function below it returns pairs.
    predict = model.f.predict

    def scores(line: str, k: int) -> list[tuple[str, float]]:
        try:
            found = predict(line + "\n", k, 0.0, "strict")
        except (ValueError, RuntimeError) as error:
            raise Refused(f"{file.path} gives no scores ({error}); its numbers are damaged") from error
        # fastText's rounded sums can be slightly over 1.
        return [(label.removeprefix(PREFIX), min(score, 1.0)) for score, label in found]

    return FastTextModel(labels, scores)


@lru_cache(maxsize=16)
def check(file: Stamp) -> tuple[str, ...]:
    """The labels of a model, without loading it in this process.

    Raises Refused when a file is not laid out as a supervised fastText model from its first byte to its last, or when
    the library does not survive it.
    """
    labels = _walked(file)
    _try(file)
    return labels


def _try(file: Stamp) -> None:
    command = [sys.executable, "-P", "-c", _TRIAL, file.path]
    patience = _PATIENCE + file.size / _SLOWEST
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        raise Refused(f"{file.path} is not a fastText model (fastText takes over {patience:.0f} s for it)") from None
    if done.returncode:
        *_, said = ["no reason given", *done.stderr.decode("utf-8", "replace").split("\n")[:-1]]
        ended = signal.Signals(-done.returncode).name if done.returncode < 0 else said
        raise Refused(f"{file.path} is not a fastText model (fastText does not bear it: {ended})")


@lru_cache(maxsize=16)
def _walked(file: Stamp) -> tuple[str, ...]:
    path = Path(file.path)
    with path.open("rb") as opened:
        if not opened.read(1):
            raise Refused(f"{path} is not a fastText model (it is empty)")
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Walk(data).model()
            except (_Wrong, struct.error) as error:
                what = str(error) if isinstance(error, _Wrong) else "it ends too early"
                raise Refused(f"{path} is not a fastText model ({what})") from None


class _Wrong(Exception):
    pass


class _Walk:
    """Goes through a model and keeps its labels."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.place = 0
        self.labels: list[str] = []

    def take(self, layout: str) -> tuple[int, ...]:
        values = struct.unpack_from("<" + layout, self.data, self.place)
        self.place += struct.calcsize("<" + layout)
        return values

    def skip(self, size: int) -> None:
        self.place += size
        if size < 0 or self.place > len(self.data):
            raise _Wrong("it ends too early")

    def model(self) -> tuple[str, ...]:
        if self.take("i") != (_MAGIC,):
            raise _Wrong("it does not begin like one")
        (version,) = self.take("i")
        if version not in (11, 12):
            raise _Wrong(f"file format {version} is not known, 11 and 12 are")
        dim, _, _, _, _, grams, loss, kind, buckets, shortest, longest, _ = self.take("12i")
        self.take("d")
        if kind != _SUPERVISED:
            raise _Wrong("it holds word vectors, no labels")
        if dim < 1 or buckets < 0 or not 0 <= shortest <= longest or grams < 0 or loss not in _LOSSES:
            raise _Wrong("its settings are damaged")
        if max(longest, grams) > LONGEST:
            raise _Wrong(f"it has n-grams of {max(longest, grams)}, and {LONGEST} is the most")
        # N-grams are counted in buckets, by a remainder.
        if not buckets and (longest or grams > 1):
            raise _Wrong("it has n-grams, and no buckets for them")
        words, labels, pruned = self.dictionary(loss)
        rows = words + (pruned if pruned >= 0 else buckets)
        if rows > _MOST_ROWS:
            raise _Wrong(f"it has {rows} rows, and {_MOST_ROWS} is the most")
        quantized = self.flag()
        if pruned >= 0 and not quantized:
            raise _Wrong("its dictionary is damaged")
        self.matrix(quantized, rows, dim)
        quantized_output = self.flag()
        self.matrix(quantized and quantized_output, labels, dim)
        if self.place != len(self.data):
            raise _Wrong("more follows after its end")
        return tuple(self.labels)

    def flag(self) -> bool:
        (value,) = self.take("B")
        if value > 1:
            raise _Wrong("its matrices are damaged")
        return bool(value)

    def dictionary(self, loss: int) -> tuple[int, int, int]:
        size, words, labels, tokens, pruned = self.take("3i2q")
        if words < 0 or labels < 1 or size != words + labels or tokens < 0 or pruned < -1:
            raise _Wrong("its dictionary is damaged")
        least, counted = int(loss == _HIERARCHICAL), 0
        for number in range(size):
            end = self.data.find(b"\0", self.place)
            if end < 0:
                raise _Wrong("it ends too early")
            try:
                entry = self.data[self.place : end].decode("utf-8")
            except UnicodeDecodeError:
                raise _Wrong("its dictionary is not UTF-8") from None
            self.place = end + 1
            count, kind = self.take("qb")
            # Words come first: a label is known by its place behind them.
            if kind != (number >= words) or count < (least if kind else 0):
                raise _Wrong("its dictionary is damaged")
            if kind:
                self.labels.append(entry.removeprefix(PREFIX))
                counted += count
        if len(set(self.labels)) != labels or counted >= COUNTED:
            raise _Wrong("its dictionary is damaged")
        for _ in range(max(pruned, 0)):
            _, row = self.take("2i")
            if not 0 <= row < pruned:
                raise _Wrong("its dictionary is damaged")
        return words, labels, pruned

    def matrix(self, quantized: bool, rows: int, columns: int) -> None:
        norms = self.flag() if quantized else False
        shape = self.take("2q")
        if shape != (rows, columns):
            raise _Wrong(f"a matrix is {shape[0]} by {shape[1]} and should be {rows} by {columns}")
        if not quantized:
            self.numbers(rows * columns)
            return
        (codes,) = self.take("i")
        self.skip(codes)
        parts = self.quantizer(columns)
        if codes != rows * parts:
            raise _Wrong("its codes are damaged")
        if norms:
            self.skip(rows)
            self.quantizer(1)

    def quantizer(self, columns: int) -> int:
        dim, parts, width, last = self.take("4i")
        if dim != columns or parts < 1 or width < 1 or (parts - 1) * width + last != dim or not 1 <= last <= width:
            raise _Wrong("its codes are damaged")
        self.numbers(dim * _CENTROIDS)
        return parts

    def numbers(self, count: int) -> None:
        begin = self.place
        self.skip(4 * count)
        if count:
            import numpy as np

            numbers = np.frombuffer(self.data, "<f4", count, begin)
            with np.errstate(invalid="ignore"):
                least, most = float(numbers.min()), float(numbers.max())
            del numbers  # a map that is looked at cannot be closed
            if not -GREATEST < least <= most < GREATEST:
                raise _Wrong(f"its numbers go from {least:.3g} to {most:.3g}")
