"""Named streams of random words: the same on every machine, for every version of every library.

Word i of a stream is output i of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014), whose start is the SHA-256 of the seed and the stream's name. Any word can be asked for by itself.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)

_ROUNDS = 8


@lru_cache(maxsize=4096)
def stream(seed: int, name: str) -> int:
    """The start of a stream: 64 bits that depend on the seed and on every character of the name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little")


def words(start: int | np.ndarray, counters: np.ndarray) -> np.ndarray:
    """Words of a stream (or of several, broadcast) at the given counters (any shape), as uint64."""
    with np.errstate(over="ignore"):
        z = np.asarray(start, np.uint64) + (np.asarray(counters).astype(np.uint64) + np.uint64(1)) * _STEP
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def below(start: int | np.ndarray, counters: np.ndarray, limit: int | np.ndarray) -> np.ndarray:
    """Integers in [0, limit) as int64; `limit` at most 2^19, so that values differ by 2^-25 of a share at most.

    Raises ValueError for another limit.
    """
    if np.min(limit) < 1 or np.max(limit) > 1 << 19:
        raise ValueError(f"limit must be between 1 and {1 << 19}, not {limit}")
    return scaled(words(start, counters), limit)


def scaled(drawn: np.ndarray, limit: int | np.ndarray) -> np.ndarray:
    """Random words as integers in [0, limit), int64: 44 random bits times a limit of at most 19, which a signed
    64-bit integer holds, so that a device without unsigned ones computes the same."""
    return (((drawn >> np.uint64(20)) * np.asarray(limit, np.uint64)) >> np.uint64(44)).astype(np.int64)


def permutation(start: int, size: int) -> np.ndarray:
    """An order of range(size), int64; equal words (never seen) would keep their order."""
    return np.argsort(words(start, np.arange(size)), kind="stable")


def distinct(start: int, numbers: np.ndarray, size: int) -> np.ndarray:
    """Members `numbers` of a fixed pseudorandom order of range(size), int64: sampling without replacement in which any
    draw can be asked for by itself, however large `size` is (at most 2^62).

    A Feistel network over two digits whose product is at least `size`, walked until it lands below it (Black, Rogaway,
    "Ciphers with arbitrary finite domains", CT-RSA 2002, method 3). Raises ValueError for a number outside the range.
    """
    numbers = np.asarray(numbers, np.int64)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= size):
        raise ValueError(f"numbers must lie in [0, {size}), not between {numbers.min()} and {numbers.max()}")
    low_size = max(1, math.isqrt(size - 1) + 1)
    high_size = -(-size // low_size)
    members = _feistel(start, numbers, high_size, low_size)
    while (outside := np.flatnonzero(members >= size)).size:
        members[outside] = _feistel(start, members[outside], high_size, low_size)
    return members


def _feistel(start: int, numbers: np.ndarray, high_size: int, low_size: int) -> np.ndarray:
    high, low = np.divmod(numbers, low_size)
    for number in range(_ROUNDS):
        # One digit moves by a hash of the other, in turn: each round is a bijection.
        if number % 2:
            low = (low + _moved(start, number, high, low_size)) % low_size
        else:
            high = (high + _moved(start, number, low, high_size)) % high_size
    return high * low_size + low


def _moved(start: int, number: int, digit: np.ndarray, size: int) -> np.ndarray:
    return (words(start, digit * _ROUNDS + number) % np.uint64(size)).astype(np.int64)
