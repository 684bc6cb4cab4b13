"""Facts that a first name tells for most people: how often a model is right about the majority, and about exceptions.

The majority's value is learnt first, so accuracy on the exceptions falls below chance, and rises when they are
learnt one by one: a U whose truth is known (Wei et al., "Inverse scaling can become U-shaped", arXiv 2211.02011).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from train_probe.inputs import Facts, Ids

_ROWS = 1024  # records that are read at once


@torch.no_grad()
def by_majority(model: nn.Module, facts: Facts, begin: Ids) -> dict[str, Any]:
    """For the `majority` and for the `exceptions`: how many values there are, the share that is answered right
    (`accuracy`: of the values' pool the most probable, ties to the lower), and the mean `probability` of the right one
    among the pool; of the exceptions also the share that is answered with what the name tells (`as_told`).

    Records are read alone, each after its tokens of `begin` [rows, k]. `chance` is what a guess in the pool gets right.
    """
    assert facts.told is not None and facts.value_tokens is not None
    rows = np.concatenate([begin, np.stack(facts.rows)], 1)
    first = begin.shape[1] + len(facts.name_parts) - 1  # where the first value is foretold
    last = first + facts.values_per_person
    device = next(model.parameters()).device
    pool = torch.as_tensor(facts.value_tokens, device=device)
    training = model.training
    model.eval()
    foretold = [
        model(torch.from_numpy(some).to(device)[:, :-1])[:, first:last, pool].double().softmax(2).cpu().numpy()
        for some in np.split(rows, range(_ROWS, len(rows), _ROWS))
    ]
    model.train(training)
    probability = np.concatenate(foretold)
    number = np.full(facts.vocabulary, -1)
    number[facts.value_tokens] = np.arange(len(pool))
    right, told = number[rows[:, first + 1 : last + 1]], facts.told[facts.row_entity]
    answer = probability.argmax(2)
    of_right = np.take_along_axis(probability, right[..., None], 2)[..., 0]
    result: dict[str, Any] = {"chance": 1 / len(pool)}
    for name, group in (("majority", right == told), ("exceptions", right != told)):
        count = int(group.sum())
        result[name] = {
            "values": count,
            "accuracy": float((answer == right)[group].mean()) if count else None,
            "probability": float(of_right[group].mean()) if count else None,
        }
    among = right != told
    result["exceptions"]["as_told"] = float((answer == told)[among].mean()) if among.any() else None
    return result
