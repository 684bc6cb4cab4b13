"""What a search for identifiers finds in a text."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """Characters `start` to `end` of a text; `canonical` is the same for every way to write the same thing."""

    start: int
    end: int
    kind: str
    canonical: str
