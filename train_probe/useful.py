"""Useful texts as a run shows them: behind their rendered domain, or bare."""

from __future__ import annotations

import torch
from torch import Tensor

from train_probe.plan import RunPlan
from train_probe.texts import Texts


class UsefulTexts:
    """Useful texts as a run shows them: after their domain, or bare. Tokens of a `silent` domain are given as their
    bitwise complement: they are read, and no loss is taken on them. A domain's tokens are the run's `front`, or its
    one token."""

    def __init__(self, texts: Texts, run: RunPlan) -> None:
        self.texts, self._tagged, self._silent = texts, run.tag in ("useful", "both"), not run.tag_loss
        front = run.front if self._tagged else ()
        self.more = max(0, len(front) - 1)
        self._front = torch.tensor(front, dtype=torch.int64, device=texts.device)

    def lengths(self, numbers: Tensor, bare: Tensor | None) -> Tensor:
        length = self.texts.lengths(numbers)
        return length + self.more * (1 if bare is None else (~bare).long()) if self.more else length

    def tokens(self, numbers: Tensor, bare: Tensor | None) -> Tensor:
        tagged = self._tagged if bare is None or not self._tagged else ~bare
        tokens = self.texts.tokens(numbers, tagged)
        if not self._tagged or not (len(self._front) or self._silent):
            return tokens
        length = self.texts.lengths(numbers)
        begins = length.cumsum(0) - length
        carrying = torch.ones_like(begins, dtype=torch.bool) if bare is None else ~bare
        if self.more:
            copies = torch.ones_like(tokens)
            copies[begins[carrying]] += self.more
            tokens = tokens.repeat_interleave(copies)
            begins = begins + self.more * (carrying.cumsum(0) - carrying.long())
        place = begins[carrying][:, None] + torch.arange(1 + self.more, device=tokens.device)
        if len(self._front):
            tokens[place] = self._front
        if self._silent:
            tokens[place] = ~tokens[place]
        return tokens
