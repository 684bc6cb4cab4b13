"""fastText models: safe loading of a file that may hold anything, and scoring.

The library trusts the file: one that is cut short ends the process (a division by zero in C++), or takes all
memory. So the layout is checked first (file formats 11 and 12: `loadModel` of fastText's
fasttext.cc, `load` of dictionary.cc, densematrix.cc, quantmatrix.cc, productquantizer.cc): every size must fit.

A child process that loads the model and prints its labels, where a crash is an exit code, is fast enough (0.48 s for
131 MB, as large as lid.176.bin; the check takes 0.07 s) and not safe enough: fastText does not notice missing bytes. It
loads six of the nine broken files in the tests. With a prediction added it still accepts two, one cut short by ten
bytes and one with a byte more, and of 36 quantised models with bytes changed anywhere one that ends the process on a
later text.
"""

from __future__ import annotations

import mmap
import struct
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
    check(file)
    import fasttext

    try:
        model = fasttext.load_model(file.path)
        labels = tuple(label.removeprefix(PREFIX) for label in model.labels)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise Refused(f"{file.path} is not a fastText model ({error})") from error
    # The wrapper's own `predict` returns arrays; the function below it returns pairs.
    predict = model.f.predict

    def scores(line: str, k: int) -> list[tuple[str, float]]:
        # fastText's rounded sums can be slightly over 1.
        return [
            (label.removeprefix(PREFIX), min(score, 1.0)) for score, label in predict(line + "\n", k, 0.0, "strict")
        ]

    return FastTextModel(labels, scores)


@lru_cache(maxsize=16)
def check(file: Stamp) -> tuple[str, ...]:
    """The labels of a model, without loading it.

    Raises Refused when a file is not laid out as a supervised fastText model from its first byte to its last.
    """
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
        dim, *_, kind, buckets, shortest, longest, _ = self.take("12i")
        self.take("d")
        if kind != _SUPERVISED:
            raise _Wrong("it holds word vectors, no labels")
        if dim < 1 or buckets < 0 or not 0 <= shortest <= longest:
            raise _Wrong("its settings are damaged")
        words, labels, pruned = self.dictionary()
        rows = words + (pruned if pruned >= 0 else buckets)
        quantized = self.flag()
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

    def dictionary(self) -> tuple[int, int, int]:
        size, words, labels, _, pruned = self.take("3i2q")
        if words < 0 or labels < 1 or size != words + labels or pruned < -1:
            raise _Wrong("its dictionary is damaged")
        kinds = [0, 0]
        for _ in range(size):
            end = self.data.find(b"\0", self.place)
            if end < 0:
                raise _Wrong("it ends too early")
            try:
                entry = self.data[self.place : end].decode("utf-8")
            except UnicodeDecodeError:
                raise _Wrong("its dictionary is not UTF-8") from None
            self.place = end + 1
            _, kind = self.take("qb")
            if kind not in (0, 1):
                raise _Wrong("its dictionary is damaged")
            kinds[kind] += 1
            if kind:
                self.labels.append(entry.removeprefix(PREFIX))
        if kinds != [words, labels]:
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
            self.skip(4 * rows * columns)
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
        self.skip(4 * dim * _CENTROIDS)
        return parts
