"""Named streams of random words on a device: those of `synth/draws.py`, word for word, on signed integers.

Word i of a stream is output i of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), whose start is the SHA-256 of the seed
and the stream's name. Signed 64-bit integers wrap around as unsigned ones do; shifts, orders and remainders of unsigned
numbers are computed with signed ones here.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

_ROUNDS = 8  # of the network that draws without replacement

_KEPT = 1 << 20  # exposures whose streams are kept on the device; others are computed anew each time


class Streams:
    """The starts of named streams: SHA-256 of seed and name, those of texts kept on the device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self._texts = torch.zeros(0, dtype=torch.int64, device=device)
        self._low = 0

    def start(self, name: str) -> int:
        """The start of a stream, as a signed number of the same 64 bits."""
        return int.from_bytes(hashlib.sha256(f"{self._seed}/{name}".encode()).digest()[:8], "little", signed=True)

    def texts(self, exposures: Tensor) -> Tensor:
        """The start of each exposure's stream; negative ones are those of scored texts."""
        if not len(exposures):
            return exposures
        low, high = torch.stack(exposures.aminmax()).tolist()
        first, last = min(self._low, low), max(self._low + len(self._texts), high + 1)
        if last - first > _KEPT:
            kinds, which = exposures.unique(return_inverse=True)
            return torch.tensor([self._text(one) for one in kinds.tolist()], device=self._device)[which]
        if last - first > len(self._texts):
            # Some more than asked, so that a training seldom returns to the host.
            last += min(last - first, 4096)
            self._texts = torch.tensor([self._text(one) for one in range(first, last)], device=self._device)
            self._low = first
        return self._texts[exposures - self._low]

    def _text(self, exposure: int) -> int:
        return self.start(f"text/{exposure}" if exposure >= 0 else f"score/{-1 - exposure}")

    def distinct(self, name: str, numbers: Tensor, size: int) -> Tensor:
        """Members `numbers` of a stream's own order of range(size): `distinct` of synth/draws.py."""
        start = self.start(name)
        low_size = max(1, math.isqrt(size - 1) + 1)
        high_size = -(-size // low_size)
        members = _feistel(start, numbers, high_size, low_size)
        while True:
            outside = members >= size
            if not bool(outside.any()):
                return members
            members = torch.where(outside, _feistel(start, members, high_size, low_size), members)


def words(start: Tensor | int, counters: Tensor) -> Tensor:
    """Words of SplitMix64 at `counters`, as int64 of the same 64 bits."""
    z = start + (counters + 1) * -0x61C8864680B583EB
    z = (z ^ _shifted(z, 30)) * -0x40A7B892E31B1A47
    z = (z ^ _shifted(z, 27)) * -0x6B2FB644ECCEEE15
    return z ^ _shifted(z, 31)


def scaled(drawn: Tensor, limit: Tensor | int) -> Tensor:
    """Random words as integers in [0, limit), limit at most 2^19."""
    return (_shifted(drawn, 20) * limit) >> 44


def order_of(drawn: Tensor) -> Tensor:
    """The stable order of each row's words as unsigned numbers, int64 of the same shape."""
    return torch.argsort(drawn ^ -(1 << 63), dim=1, stable=True)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """A logical shift to the right: zeros come in from the left, not the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _feistel(start: int, numbers: Tensor, high_size: int, low_size: int) -> Tensor:
    high, low = numbers // low_size, numbers % low_size
    for number in range(_ROUNDS):
        if number % 2:
            low = (low + _remainder(words(start, high * _ROUNDS + number), low_size)) % low_size
        else:
            high = (high + _remainder(words(start, low * _ROUNDS + number), high_size)) % high_size
    return high * low_size + low


def _remainder(drawn: Tensor, size: int) -> Tensor:
    """Words modulo `size` as unsigned numbers; `size` is at most 2^62."""
    half = _shifted(drawn, 1) % size
    return (2 * half + (drawn & 1)) % size


def stream_key(seed: int, stream: str, *fields: int) -> int:
    """The start of a named stream of a training, which depends on these fields alone, as a signed number of 64 bits."""
    text = "/".join([str(seed), stream, *map(str, fields)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def permutation(start: int, size: int, device: torch.device | str = "cpu") -> Tensor:
    """A permutation of range(size), int64: the order of the words of its members."""
    return order_of(words(start, torch.arange(size, device=device))[None])[0]


def below(start: int, counters: Tensor, limit: int) -> Tensor:
    """Numbers in [0, limit), int64, one for each counter: words modulo `limit`, at most 2^62."""
    return _remainder(words(start, counters), limit)
