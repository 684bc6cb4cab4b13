"""Fine-tuning of a model to questions: all its weights, or low-rank changes (Hu et al., LoRA, arXiv 2106.09685)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

from train_probe.draws import permutation, stream_key
from train_probe.evaluation_plans import QuestionsPlan


class LowRank(nn.Module):
    """Adds a product of two matrices of `rank` to a weight; it begins at zero."""

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        rank = min(rank, *weight.shape)
        down = torch.randn(rank, weight.shape[1], generator=generator) / math.sqrt(weight.shape[1])
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(weight.new_zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.up @ self.down


def tuned(
    model: nn.Module,
    rows: Sequence[NDArray[np.int64]],
    begins: NDArray[np.int64],
    kind: str,
    plan: QuestionsPlan,
    seed: int,
) -> nn.Module:
    """A copy of a model that was tuned to what follows the first `begins` [n] tokens of each row; the model itself is
    left as it is. `kind` is one of `TUNINGS`."""
    one = copy.deepcopy(model).float()
    generator = torch.Generator().manual_seed(seed & (1 << 62) - 1)
    if kind == "lora":
        for parameter in one.parameters():
            parameter.requires_grad_(False)
        for part in list(one.modules()):
            rank = plan.embedding_rank if isinstance(part, nn.Embedding) else plan.rank
            if isinstance(part, nn.Linear | nn.Embedding):
                parametrize.register_parametrization(part, "weight", LowRank(part.weight, rank, generator))
    one.train()
    learning = [parameter for parameter in one.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.01)
    device = learning[0].device
    width = max(len(row) for row in rows)
    batch = np.zeros((len(rows), width), np.int64)
    for line, row in enumerate(rows):
        batch[line, : len(row)] = row
    place = np.arange(1, width)
    wanted = (place >= begins[:, None]) & (place < np.array([len(row) for row in rows])[:, None])
    tokens, answers = torch.from_numpy(batch).to(device), torch.from_numpy(wanted).to(device)
    steps = plan.passes * -(-len(rows) // plan.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))
    for turn in range(plan.passes):
        order = permutation(stream_key(seed, "tuning order", turn), len(rows), device)
        for some in order.split(plan.batch):
            logits = one(tokens[some, :-1])
            loss = nn.functional.cross_entropy(logits[answers[some]], tokens[some, 1:][answers[some]])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learning, 1.0)
            optimizer.step()
            schedule.step()
    return one.eval()
