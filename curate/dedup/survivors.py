"""Survivor policies: which of a group of duplicates stays, as bytes that sort in survivor order."""

from __future__ import annotations

import datetime
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from curate.document import Document, Drop
from curate.errors import Refused
from curate.text.folding import visible

NONE = "none"
"""The policy by which no duplicate survives, alone."""
CRITERIA = ("source", "longest", "shortest", "newest", "oldest")
MEASURED = ("most:", "least:")

_LENGTH_BYTES = 5
_LONGEST = (1 << (8 * _LENGTH_BYTES)) - 1
_LAST = b"\xff"
_DIRTY = b"\xff\xff\xff"


ANNOTATE = "drop nothing, and leave what was found in the documents' metadata, under the name of the step"


def noted(drop: Drop) -> Document:
    """The document of a drop that is only said: its metadata has, under the step's name, rule and value."""
    drop.document.metadata[drop.step] = {"rule": drop.rule, "value": drop.value}
    return drop.document


class PolicyError(Refused):
    """An invalid survivor policy; the message lists the valid criteria."""


@dataclass(frozen=True)
class Policy:
    """An ordered list of criteria. Each document gets `width` bytes; the smallest of a group survives.

    `source`: as `sources` lists them, others after these. `longest`, `shortest`: by characters that can be seen.
    `newest`, `oldest`: by `metadata["date"]`, ISO 8601. `most:NAME`, `least:NAME`: by the number `metadata[NAME]`, or
    else the signal of that name. Documents without the date or the number come last. Raises PolicyError.
    """

    criteria: tuple[str, ...]
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if NONE in self.criteria and (len(self.criteria) > 1 or self.sources):
            raise PolicyError("`survivor: [none]` drops every copy, and goes with no other criterion")
        for one in () if self.drops_all else self.criteria:
            if one not in CRITERIA and not (one.startswith(MEASURED) and one.partition(":")[2]):
                known = ", ".join([*CRITERIA, NONE, *(f"{kind}NAME" for kind in MEASURED)])
                raise PolicyError(f"there is no survivor criterion '{one}'; there are: {known}")
        if ("source" in self.criteria) != bool(self.sources):
            raise PolicyError("`survivor: [source]` and `sources` go together: name the sources, the first one best")

    @property
    def drops_all(self) -> bool:
        """Whether no document that has a duplicate stays."""
        return NONE in self.criteria

    @property
    def width(self) -> int:
        return len(self(Document(key="")))

    def __call__(self, document: Document) -> bytes:
        return b"".join([self._bytes(one, document) for one in self.criteria if one != NONE])

    def _bytes(self, criterion: str, document: Document) -> bytes:
        if criterion in ("longest", "shortest"):
            length = min(len(visible(document.text)), _LONGEST)
            return (length if criterion == "shortest" else _LONGEST - length).to_bytes(_LENGTH_BYTES, "big")
        if criterion == "source":
            return _place(self.sources, document.source).to_bytes(2, "big")
        if criterion in ("newest", "oldest"):
            seconds = _seconds(document.metadata.get("date"))
            if seconds is None:
                return _LAST * 5
            return (seconds if criterion == "oldest" else _LONGEST - 1 - seconds).to_bytes(5, "big")
        kind, _, name = criterion.partition(":")
        value = measured(document, name)
        if value is None:
            return _LAST * 4
        return _ordered(-value if kind == "most" else value)


def text_hash(text: str) -> bytes:
    """Breaks ties of every policy before document keys do, so that survivors do not depend on file names.

    A text with signs that have no width comes after all without: of two copies the clean one survives.
    """
    digest = xxhash.xxh3_64_digest(text.encode("utf-8", "surrogatepass"))
    return digest if visible(text) == text else _DIRTY + digest[: -len(_DIRTY)]


def _place(sources: Sequence[str], source: str) -> int:
    return sources.index(source) if source in sources else len(sources)


def _seconds(date: Any) -> int | None:
    """Seconds since the year 1 of a date in ISO 8601; a time without a zone is in UTC. None: no valid date."""
    if not isinstance(date, str):
        return None
    try:
        parsed = datetime.datetime.fromisoformat(date)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=datetime.UTC)
    start = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
    try:
        return min(max(0, int((parsed - start).total_seconds())), _LONGEST - 2)
    except OverflowError:
        return None


def measured(document: Document, name: str) -> float | None:
    """A number in a document's metadata, or else a signal of its text; None: neither has it."""
    value = document.metadata.get(name)
    if value is None:
        value = getattr(document.signals, name, None)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        return None
    return float(value)


def _ordered(value: float) -> bytes:
    """Four bytes that sort like the number, to single precision."""
    value = max(min(value, 3e38), -3e38)
    (bits,) = struct.unpack(">I", struct.pack(">f", value + 0.0))
    return (bits ^ (0xFFFFFFFF if bits >> 31 else 0x80000000)).to_bytes(4, "big")
