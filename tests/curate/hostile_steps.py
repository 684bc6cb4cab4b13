"""Steps that do on demand whatever a document can do to the process that reads it; what a text begins with says what.

Where a step is given a `diary`, every document that begins something leaves a line there: who met it, and how often.
"""

import ctypes
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from curate import Check, CorpusStep, Document, Drop, Edit, Record, Round, Rule, param
from curate.step import partition_key


class Bottomless:
    """Its representation asks for its representation, through C."""

    def __repr__(self) -> str:
        return repr([self])


def hang() -> None:
    time.sleep(3600)


def spin() -> None:
    """A pattern that takes exponential time, in C, without ever giving up the interpreter's lock."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def grow() -> None:
    taken = bytearray()
    while True:
        taken += bytes(50 << 20)


def grow_arrays() -> None:
    taken = []
    while True:
        taken.append(np.ones(10 << 19))


def crash() -> None:
    ctypes.string_at(0)


def recurse() -> None:
    sys.setrecursionlimit(10**9)
    repr(Bottomless())


def refuse() -> None:
    raise MemoryError


def lines_of(diary: Path, count: int, seconds: float = 600) -> Iterator[list[str]]:
    """The diary's lines in words, once there are so many."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = diary.read_text().splitlines() if diary.exists() else []
        if len(lines) >= count:
            return iter([line.split() for line in lines])
        time.sleep(0.01)
    raise AssertionError(f"{diary} has no {count} lines after {seconds} s")


PERILS = {
    "HANG": hang,
    "SPIN": spin,
    "GROW": grow,
    "ARRAYS": grow_arrays,
    "TERABYTE": lambda: bytearray(10**12),
    "REFUSE": refuse,
    "CRASH": crash,
    "RECURSE": recurse,
    "EXIT": lambda: os._exit(7),
    "LEAVE": lambda: sys.exit(3),
    "RAISE": lambda: [][1],
}


def meet(text: str, diary: str) -> None:
    """Does what the text's first word asks for. WAIT goes on once a file `go` stands beside the diary."""
    word = text.split(" ", 1)[0]
    if diary and (word in PERILS or word == "WAIT"):
        with Path(diary).open("a") as stream:
            stream.write(f"{word} {os.getpid()}\n")
    if word == "WAIT":
        while not Path(diary).with_name("go").exists():
            time.sleep(0.01)
    if word in PERILS:
        PERILS[word]()


@dataclass(frozen=True)
class Peril(Rule):
    """Meets each document, and keeps it if it lives."""

    name = "peril"
    diary: str = param("", "a file")

    def checks(self, document: Document) -> Iterator[Check]:
        meet(document.text, self.diary)
        return iter(())


@dataclass(frozen=True)
class Burn(Rule):
    """Works on each document for `seconds` of a core, on core number `core` alone."""

    name = "burn"
    core: int = param(..., "its number")
    seconds: float = param(..., "of that core")

    def checks(self, document: Document) -> Iterator[Check]:
        os.sched_setaffinity(0, {self.core})
        began = time.process_time()
        while time.process_time() - began < self.seconds:
            pass
        return iter(())


@dataclass(frozen=True)
class Mark(Edit):
    """Puts a sign in front of every text."""

    name = "mark"
    sign: str = param("+", "what to put")

    def edit(self, document: Document) -> str:
        return self.sign + document.text


class PerilousRound(Round):
    name = "meet"

    def __init__(self, step: "PerilousCorpus") -> None:
        self.step = step

    def emit_documents(self, documents: Iterable[tuple[int, Document]], partition: int) -> Iterator[Record]:
        for place, document in documents:
            if self.step.at == "emit":
                meet(document.text, self.step.diary)
            yield partition_key(partition), place.to_bytes(8, "big")

    def reduce(self, key: bytes, values: list[bytes]) -> Iterator[Record]:
        if self.step.at == "reduce":
            grow()
        for value in values:
            yield key, value


@dataclass(frozen=True)
class PerilousCorpus(CorpusStep):
    """Keeps the documents that its round has seen; meets them in one half of the round, or when it decides."""

    name = "perilous_corpus"
    at: str = param("emit", "where", choices=("emit", "reduce", "decide"))
    diary: str = param("", "a file")

    def rounds(self) -> list[Round]:
        return [PerilousRound(self)]

    def decide(
        self, documents: Iterable[tuple[int, Document]], values: list[bytes], partition: int
    ) -> Iterator[Document | Drop]:
        seen = {int.from_bytes(value, "big") for value in values}
        for place, document in documents:
            if self.at == "decide":
                meet(document.text, self.diary)
            if place in seen:
                yield document
            else:
                yield Drop(document, self.name, "unseen", place)


@dataclass(frozen=True)
class Slow(Rule):
    """Takes for ever over a text that begins with SPIN N or DOZE N, at its first N meetings: at work, or asleep. Each
    document leaves a line in the diary when it comes, and another when it goes."""

    name = "slow"
    diary: str = param(..., "a file")

    def checks(self, document: Document) -> Iterator[Check]:
        self._note("came", document)
        came = Path(self.diary).read_text().splitlines().count(f"came {document.text}")
        word, _, times = document.text.partition(" ")
        while word in ("SPIN", "DOZE") and came <= int(times):
            if word == "DOZE":
                time.sleep(0.01)
        time.sleep(0.05)
        self._note("went", document)
        return iter(())

    def _note(self, what: str, document: Document) -> None:
        with Path(self.diary).open("a") as stream:
            stream.write(f"{what} {document.text}\n")
