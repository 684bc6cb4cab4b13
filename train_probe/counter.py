"""Counter-based randomness: every draw is a hash of what it is for, so no draw depends on any other having been made.

splitmix64 (Steele, Lea, Flood 2014) on numpy's uint64: the same on every machine and with every version of numpy.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def stream_key(seed: int, stream: str, *fields: int) -> int:
    """The 64-bit key of a named random stream and of the fields that it depends on."""
    text = "/".join([str(seed), stream, *map(str, fields)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def draws(key: int, counters: NDArray[np.integer]) -> Words:
    """One uniform 64-bit word for each counter."""
    with np.errstate(over="ignore"):
        word = (counters.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return word ^ (word >> np.uint64(31))


def permutation(key: int, size: int) -> NDArray[np.int64]:
    """A permutation of range(size): the order of the hashes of its members."""
    return np.argsort(draws(key, np.arange(size)), kind="stable")
