"""Random damage to a file, for tests of what reads it."""

from __future__ import annotations

import numpy as np


def damage(content: bytearray, kind: str, place: int, rng: np.random.Generator, blanked: int, doubled: int) -> None:
    """Flip a bit at a place; cut what follows; blank, or double, so many bytes there; or empty the whole. Another kind
    changes nothing."""
    if kind == "flip":
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == "cut":
        del content[place:]
    elif kind == "zeros":
        content[place : place + blanked] = bytes(len(content[place : place + blanked]))
    elif kind == "doubled":
        content[place:place] = content[place : place + doubled]
    elif kind == "empty":
        content.clear()
