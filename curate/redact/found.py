"""An identifier found in a text."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """Characters `start` to `end` of a text; `canonical` is the same for all spellings of one identifier."""

    start: int
    end: int
    kind: str
    canonical: str
