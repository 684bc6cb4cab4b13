"""The tables that travel between the rounds of MinHash; candidates.py draws which round writes which.

Of a pair of classes, `earlier` is the one first in survivor order: the possible survivor; `later` is the possible
duplicate. A class has a *name*, the hash of its shingles and figures, and a *key*, its order and half the name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from curate.dedup.tables import NAME, Layout

HALF_NAME = "S8"

NOWHERE = (1 << 64) - 1
"""The place of a document that is in an index, not in the corpus."""

TEXT_HASH = 4
"""Bytes of the text's hash that follow the policy in a document's order."""

_VERDICT = (
    ("place", "<u8"),
    ("kept", "u1"),
    ("similarity", "<f8"),
    ("count", "<u4"),
    ("cluster", "<u8"),
    ("size", "<u4"),
)
VERDICTS = Layout(b"v", _VERDICT, "u1")
"""One row for each document of a cluster, sent to its partition; beside each duplicate, its survivor's document key."""


class Layouts:
    """All tables but the verdicts. `order` is the width of a document's survivor order, which its policy decides."""

    def __init__(self, order: int) -> None:
        self.order = f"S{order}"
        self.key = f"S{order + 8}"
        self.bands = Layout(b"b", (("band", "<u8"), ("name", NAME), ("order", self.order)))
        # Beside each member, its document key.
        self.members = Layout(b"m", (("name", NAME), ("order", self.order), ("place", "<u8"), ("size", "<u4")), "u1")
        self.shingles = Layout(b"s", (("name", NAME), ("figures", "<u8"), ("size", "<u4")), "<u8")
        self.candidates = Layout(b"n", (("later", NAME), ("earlier", NAME)))
        self.earlier = Layout(b"c", (("name", NAME),))
        # Values come sorted, capitals first: both tables of survivors precede the duplicates compared with them.
        compared = (("name", NAME), ("key", self.key), ("figures", "<u8"), ("count", "<u4"), ("size", "<u4"))
        self.survivors = Layout(b"K", compared, "<u8")
        self.survivor_documents = Layout(b"R", (("name", NAME), ("size", "<u4")), "u1")
        self.duplicates = Layout(b"a", (("survivor", NAME), *compared), "<u8")
        classes = (("later", self.key), ("earlier", self.key))
        pair = (*classes, ("similarity", "<f8"), ("later_count", "<u4"), ("earlier_count", "<u4"))
        self.pairs = Layout(b"p", pair)
        # The same pairs where many units decide (waves.py), and what travels between these.
        self.waiting = Layout(b"w", (*pair, ("state", "u1")))
        self.edges = Layout(b"e", (*classes, ("earlier_count", "<u4")))
        self.told = Layout(b"t", (*classes, ("state", "u1")))
        # Beside each verified pair, the document key of its survivor.
        self.verified = Layout(b"h", (("key", self.key), ("survivor", self.key), ("size", "<u4")), "u1")
        outcome = (("key", self.key), ("survivor", self.key), ("similarity", "<f8"), ("count", "<u4"))
        self.outcomes = Layout(b"o", outcome)


def halves(keys: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The halves of names that keys end in."""
    width = keys.dtype.itemsize
    whole = np.ascontiguousarray(keys).view("u1").reshape(len(keys), width)
    return np.ascontiguousarray(whole[:, width - 8 :]).reshape(-1).view(HALF_NAME)
