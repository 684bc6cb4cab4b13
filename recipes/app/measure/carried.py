"""Whether larger models order corpora as small ones do, as far as it was measured: the words that stand beside a
verdict of a small model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNKNOWN = "whether larger models agree: unknown"
SIZES = (30_000, 300_000)
"""Parameters of models that ordered ten corpora of real pages alike (docs/results/transfer-pages.md)."""
LOADS = (0.0047, 0.066)
"""Bits of all values for each parameter, of models of 31 to 418 thousand parameters that ordered ten kinds of invented
junk alike where the facts are of 100 people: of 40 pairs that the largest tell apart, all. Load alone does not decide:
with more people at one load the order moves (docs/results/transfer-facts.md)."""


def by_text(parameters: int) -> str:
    """What is known of larger models, of a reading of text by models of this size."""
    if not SIZES[0] <= parameters <= SIZES[1]:
        return UNKNOWN
    return (
        "from {:.0f} to {:.0f} thousand parameters models order corpora of pages alike"
        " (docs/results/transfer-pages.md); whether larger ones do: unknown"
    ).format(*(size / 1000 for size in SIZES))


def by_facts(load: float) -> str:
    """What is known of larger models, of facts stored at this load (bits of all values for each parameter)."""
    side = "inside" if _inside(load) else "outside"
    return (
        f"{load:.2g} value bits to learn a parameter, {side} the loads ({LOADS[0]:.2g} to {LOADS[1]:.2g}) at"
        " which models up to 418 thousand parameters order kinds of invented junk alike, of 100 people"
        " (docs/results/transfer-facts.md); pages, and larger models: unknown"
    )


def by_loads(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same of a probe's runs, a sentence for each side of that range; nothing where a load is not known."""
    known = sorted({load for run in runs if (load := run.get("max_value_bits_per_parameter")) is not None})
    sides = [[load for load in known if _inside(load) is side] for side in (True, False)]
    return [
        f"Load: {by_facts(side[0]) if len(side) == 1 else f'{side[0]:.2g} to ' + by_facts(side[-1])}."
        for side in sides
        if side
    ]


def _inside(load: float) -> bool:
    return LOADS[0] <= load <= LOADS[1]
