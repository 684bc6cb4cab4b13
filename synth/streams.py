"""Named streams of random words: the same on every machine, for every version of every library.

Word i of a stream is output i of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014), whose start is the SHA-256 of the seed and the stream's name. Any word can be asked for by itself.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)


@lru_cache(maxsize=4096)
def stream(seed: int, name: str) -> int:
    """The start of a stream: 64 bits that depend on the seed and on every character of the name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little")


def words(start: int, counters: np.ndarray) -> np.ndarray:
    """Words of a stream at the given counters (any shape), as uint64."""
    with np.errstate(over="ignore"):
        z = np.uint64(start) + (np.asarray(counters).astype(np.uint64) + np.uint64(1)) * _STEP
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def below(start: int, counters: np.ndarray, limit: int) -> np.ndarray:
    """Integers in [0, limit) as int64; `limit` at most 2^20, so that values differ by 2^-24 of a share at most."""
    if not 1 <= limit <= 1 << 20:
        raise ValueError(f"limit must be between 1 and {1 << 20}, not {limit}")
    # 44 random bits times 20 bits of limit fill a word exactly.
    high = words(start, counters) >> np.uint64(20)
    return ((high * np.uint64(limit)) >> np.uint64(44)).astype(np.int64)


def permutation(start: int, size: int) -> np.ndarray:
    """An order of range(size), int64; equal words (never seen) would keep their order."""
    return np.argsort(words(start, np.arange(size)), kind="stable")
