"""One step of a stack: forward, backward, clip and AdamW; compiled, or captured as one CUDA graph, where that pays."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from train_probe.optimizer import StackAdamW
from train_probe.stack import Stack


class StackStep:
    """A step of `stack` under `optimizer`: `step(tokens, counts)` trains every slot on its own rows.

    `compiled` compiles the loss with its gradients and the update (seconds to a minute, kept in torch's cache on disk):
    for runs longer than that, see `worth_compiling`. `graph` (CUDA) captures the whole step as one graph at its fourth
    call: rows must then keep their shape.
    """

    def __init__(self, stack: Stack, optimizer: StackAdamW, compiled: bool = False, graph: bool = False) -> None:
        if graph and stack.device.type != "cuda":
            raise ValueError(f"a CUDA graph wants a CUDA device, not {stack.device.type}")
        self.stack, self.optimizer = stack, optimizer
        self.loss = torch.compile(stack.loss, dynamic=False) if compiled else stack.loss
        if compiled:
            optimizer.update = torch.compile(optimizer.update, dynamic=False)
        self._graph = _Graph(self) if graph else None

    def __call__(self, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
        """Train on tokens [M, rows, length], of slot i its first `counts`[i] rows; each slot's summed loss in nats [M].

        With a graph the result is overwritten by the next step.
        """
        return self.eager(tokens, counts) if self._graph is None else self._graph(tokens, counts)

    def eager(self, tokens: Tensor, counts: Tensor | None) -> Tensor:
        loss = self.loss(tokens, counts)
        (gradient,) = torch.autograd.grad((loss / self.predicted(tokens, counts)).sum(), self.stack.master)
        self.optimizer.step(gradient)
        return loss.detach()

    def predicted(self, tokens: Tensor, counts: Tensor | None) -> Tensor:
        """How many tokens each slot predicts [M]; 1 where it has none."""
        slots, rows, length = tokens.shape
        if counts is None:
            return torch.full((slots,), rows * (length - 1), dtype=self.stack.dtype, device=tokens.device)
        return (counts * (length - 1)).clamp_min(1).to(self.stack.dtype)


class _Graph:
    """A step captured once and replayed: tokens and counts are copied to where the graph reads them."""

    def __init__(self, step: StackStep) -> None:
        self.step = step
        self.graph: torch.cuda.CUDAGraph | None = None
        self.warm = 0
        self.tokens: Tensor
        self.counts: Tensor | None
        self.result: Tensor

    def __call__(self, tokens: Tensor, counts: Tensor | None) -> Tensor:
        if self.graph is not None:
            if tokens.shape != self.tokens.shape or (counts is None) != (self.counts is None):
                raise ValueError(
                    f"a captured step takes rows of {list(self.tokens.shape)}, not {list(tokens.shape)}, and counts"
                    " always or never; use another StackStep for another shape"
                )
            self.tokens.copy_(tokens)
            if self.counts is not None and counts is not None:
                self.counts.copy_(counts)
            self.graph.replay()
            return self.result
        self.tokens, self.counts = tokens.clone(), None if counts is None else counts.clone()
        # Three real steps on a side stream let libraries and the allocator settle: each is a step of the run.
        if self.warm < 3:
            self.warm += 1
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                result = self.step.eager(self.tokens, self.counts)
            torch.cuda.current_stream().wait_stream(side)
            return result
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):  # captured, not run
            self.result = self.step.eager(self.tokens, self.counts)
        self.graph.replay()
        return self.result


COMPILE_SECONDS = 40.0
"""A compilation for a CPU with an empty cache; a few seconds with a full one."""
COMPILED_SHARE = 0.7
"""What a compiled step takes of an eager one's time."""


def worth_compiling(eager_seconds: float, compile_seconds: float = COMPILE_SECONDS) -> bool:
    """Whether steps that take so long in all without compilation are done sooner with it."""
    return eager_seconds * (1 - COMPILED_SHARE) > compile_seconds


def keep_compiled(folder: Path) -> None:
    """Keep what is compiled in `folder`, where later processes find it, unless TORCHINDUCTOR_CACHE_DIR names another.

    Call it before anything is compiled; torch's own choice is the folder for temporary files.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))


def keep_memory() -> bool:
    """Let glibc's allocator keep what a step frees instead of giving it back and faulting it in again at every step.

    For the whole process: call it where a process does nothing but train. A third of an eager step's time on Linux;
    elsewhere nothing is done, and False returned.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    mmap_threshold, trim_threshold = -3, -1
    return bool(mallopt and mallopt(mmap_threshold, 1 << 30) and mallopt(trim_threshold, (1 << 31) - 1))
