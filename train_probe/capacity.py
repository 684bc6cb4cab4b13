"""Losses in nats -> bits of knowledge (Allen-Zhu & Li, arXiv 2404.05405).

bits = N (log2 N0 - p1 / ln 2) + N (log2 S0 - p2 / ln 2): p1 is the mean over people of the summed loss of the name's
tokens, p2 the mean over people of the sum over attributes of the summed loss of the value's tokens, both in nats; N0 is
the number of possible names, S0 that of possible values of one person. No other number is called knowledge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BIOS_NAMES = 400 * 400 * 1000
BIOS_VALUES = 2 * (12 * 28 * 200) * 200 * 300 * 100 * 263


@dataclass(frozen=True)
class Bits:
    """Learned bits about all people together: of the names, of the values, and (bioD) of which strings values are made
    of. Raw: each may be negative."""

    name: float
    value: float
    diversity: float = 0.0

    @property
    def total(self) -> float:
        return self.name + self.value + self.diversity

    def clipped(self) -> Bits:
        """The same with each part at least 0: a model worse than a uniform guess is taken to know nothing."""
        return Bits(max(0.0, self.name), max(0.0, self.value), max(0.0, self.diversity))


def compact_bits(
    people: int, name_pool_bits: float, value_pool_bits: float, name_nats: float, value_nats: float
) -> Bits:
    """Bits of `people` whose name has log2 N0 = `name_pool_bits`, whose values have log2 S0 = `value_pool_bits`.

    There is no diversity term: every value is known to be one of its pool. Raises ValueError without any people.
    """
    if people < 1:
        raise ValueError(f"bits need at least one person, not {people}")
    return Bits(
        people * (name_pool_bits - name_nats / math.log(2)), people * (value_pool_bits - value_nats / math.log(2))
    )


def bios_bits(people: int, name_nats: float, value_nats: float) -> Bits:
    """Bits of bioS biographies with the pools of the paper: N0 = 1.6e8 names, S0 = 2^47.59 values of a person."""
    return compact_bits(people, math.log2(BIOS_NAMES), math.log2(BIOS_VALUES), name_nats, value_nats)


def biod_bits(
    people: int,
    names: int,
    attributes: int,
    chunks: int,
    strings: int,
    length: int,
    alphabet: int,
    name_nats: float,
    value_nats: float,
    first_chunk_nats: float,
) -> Bits:
    """Bits of bioD(N, K, C, D, L, T): p2 and p3 (of the first chunk only) are means over (person, attribute).

    The values hold N K (C log2 D - p2 / ln 2), the diversity of the strings K D log2(T^L / (D e^p3)). Raises ValueError
    without any people.
    """
    if people < 1:
        raise ValueError(f"bits need at least one person, not {people}")
    value = people * attributes * (chunks * math.log2(strings) - value_nats / math.log(2))
    spare = length * math.log2(alphabet) - math.log2(strings) - first_chunk_nats / math.log(2)
    return Bits(people * (math.log2(names) - name_nats / math.log(2)), value, attributes * strings * spare)
