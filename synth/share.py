"""Exposures that make the injected documents a given share of the whole, in documents or in tokens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from synth.draws import permutation, stream
from synth.facts import FactsError

SHARES = {"document_share", "token_share"}


def share_counts(
    share: Mapping[str, float],
    documents: int,
    mean_tokens: float,
    tokens: int,
    people: int,
    held_out: int,
    seed: int,
) -> np.ndarray:
    """Exposures of each person, int32 [people + held_out], that give the injected documents their share of a corpus of
    so many other documents and tokens, at `mean_tokens` an injected document.

    All people appear equally often, except that some appear once more. Raises FactsError for an invalid share.
    """
    (name, value), *more = share.items()
    if more or name not in SHARES or not 0 < value < 1:
        raise FactsError(
            f"a share of `exposures` must be one number between 0 and 1, as {{token_share: 0.125}}, not {dict(share)}"
        )
    wanted = value / (1 - value) * (documents if name == "document_share" else tokens / mean_tokens)
    each, rest = divmod(round(wanted), people)
    if not each and tokens + documents:
        raise FactsError(
            f"{name} {value} is {round(wanted)} documents, fewer than {people} people: some would never appear; take"
            " fewer people or a larger share"
        )
    counts = np.full(people + held_out, each, np.int32)
    counts[permutation(stream(seed, "share"), people)[:rest]] += 1
    counts[people:] = 0
    return counts
