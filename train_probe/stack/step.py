"""One step of a stack: forward, backward, clip and AdamW; compiled, or captured as one CUDA graph, where that pays."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from train_probe.stack.adamw import StackAdamW
from train_probe.stack.models import Stack

Block = tuple[Tensor, Tensor | None]
"""Rows of one length: token ids [M, rows, length], and how many tokens of each row count [M, rows], or all."""


class StackStep:
    """A step of `stack` under `optimizer`: `step(blocks)` trains every slot on its own rows of all blocks.

    `compiled` compiles the loss with its gradients and the update (seconds to a minute, kept in torch's cache on disk).
    `graph` (CUDA) captures the whole step as one graph at its fourth call: blocks must then keep their shapes.
    """

    def __init__(self, stack: Stack, optimizer: StackAdamW, compiled: bool = False, graph: bool = False) -> None:
        if graph and stack.device.type != "cuda":
            raise ValueError(f"a CUDA graph needs a CUDA device, not {stack.device.type}")
        self.stack, self.optimizer = stack, optimizer
        self.loss = torch.compile(stack.loss, dynamic=False) if compiled else stack.loss
        if compiled:
            optimizer.update = torch.compile(optimizer.update, dynamic=False)
        self._graph = _Graph(self) if graph else None

    def __call__(self, blocks: Sequence[Block]) -> Tensor:
        """Train one step; each slot's mean loss in nats of its predicted tokens, its gradient's norm, and
        under a guard the limit of that [2 or 3, M].

        With a graph the result is overwritten by the next step.
        """
        return self.eager(blocks) if self._graph is None else self._graph(blocks)

    def eager(self, blocks: Sequence[Block]) -> Tensor:
        predicted = self.predicted(blocks)
        loss = sum((self.loss(tokens, lengths) for tokens, lengths in blocks[1:]), self.loss(*blocks[0])) / predicted
        (gradient,) = torch.autograd.grad(loss.sum(), self.stack.master)
        norm = self.optimizer.step(gradient)
        limit = self.optimizer.limit
        return torch.stack([loss.detach(), norm] if limit is None else [loss.detach(), norm, limit])

    def predicted(self, blocks: Sequence[Block]) -> Tensor:
        """How many tokens each slot predicts [M]; 1 where it has none."""
        count = torch.zeros(self.stack.slots, dtype=self.stack.dtype, device=self.stack.device)
        for tokens, lengths in blocks:
            _, rows, length = tokens.shape
            count += rows * (length - 1) if lengths is None else (lengths - 1).clamp_min(0).sum(1)
            if self.stack.silences:
                count -= self._silent(tokens, lengths)
        return count.clamp_min(1)

    def _silent(self, tokens: Tensor, lengths: Tensor | None) -> Tensor:
        """How many tokens of each slot would be predicted and are silent [M]."""
        silent = tokens[..., 1:] < 0
        if lengths is not None:
            silent &= torch.arange(1, tokens.shape[2], device=tokens.device) < lengths[..., None]
        return silent.flatten(1).sum(1)


class _Graph:
    """A step captured once and replayed: blocks are copied to where the graph reads them."""

    def __init__(self, step: StackStep) -> None:
        self.step = step
        self.graph: torch.cuda.CUDAGraph | None = None
        self.warm = 0
        self.blocks: list[Block]
        self.result: Tensor

    def __call__(self, blocks: Sequence[Block]) -> Tensor:
        if self.graph is not None:
            for (tokens, lengths), (ours, held) in zip(blocks, self.blocks, strict=True):
                if tokens.shape != ours.shape or (lengths is None) != (held is None):
                    raise ValueError(
                        f"a captured step takes rows of {list(ours.shape)}, not {list(tokens.shape)}, and lengths"
                        " always or never; use another StackStep for another shape"
                    )
                ours.copy_(tokens)
                if held is not None and lengths is not None:
                    held.copy_(lengths)
            self.graph.replay()
            return self.result
        self.blocks = [(tokens.clone(), None if held is None else held.clone()) for tokens, held in blocks]
        # Three real steps on a side stream let libraries and the allocator settle: each is a step of the run.
        if self.warm < 3:
            self.warm += 1
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                result = self.step.eager(self.blocks)
            torch.cuda.current_stream().wait_stream(side)
            return result
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):  # captured, not run
            self.result = self.step.eager(self.blocks)
        self.graph.replay()
        return self.result


COMPILE_SECONDS = 30.0
"""A compilation for a CPU with an empty cache; a few seconds with a full one."""
COMPILED_SHARE, LAUNCHED_SHARE = 0.85, 0.5
"""What a compiled step takes of an eager one's time for its products, and for launching them."""


def worth_compiling(products: float, launching: float = 0.0, compile_seconds: float = COMPILE_SECONDS) -> bool:
    """Whether steps that take so many seconds in all without compilation are done sooner with it."""
    return products * (1 - COMPILED_SHARE) + launching * (1 - LAUNCHED_SHARE) > compile_seconds


def keep_compiled(folder: Path) -> None:
    """Keep what is compiled in `folder`, where later processes find it, unless TORCHINDUCTOR_CACHE_DIR names another.

    Call it before anything is compiled; torch's own choice is the folder for temporary files.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def keep_memory() -> bool:
    """Let glibc's allocator keep what a step frees instead of giving it back and faulting it in again at every step.

    For the whole process: call it where a process only trains. It saves a third of an eager step's time on Linux;
    elsewhere it has no effect and returns False.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    mmap_threshold, trim_threshold = -3, -1
    return bool(mallopt and mallopt(mmap_threshold, 1 << 30) and mallopt(trim_threshold, (1 << 31) - 1))
