"""What the runs of a stack have in common, and the stack with its step that is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from train_probe.architecture import Architecture
from train_probe.plan import PRECISIONS
from train_probe.stack.adamw import StackAdamW
from train_probe.stack.guard import ACTIONS, GuardedAdamW
from train_probe.stack.models import Stack
from train_probe.stack.step import StackStep
from train_probe.stream import Shape

_TYPES = {
    "float64": (torch.float64, torch.float64),
    "float32": (torch.float32, torch.float32),
    "bfloat16": (torch.float32, torch.bfloat16),
}
"""For each precision: the type of the weights, and that of products."""

assert {"auto", *_TYPES} == set(PRECISIONS), "train_probe/plan.py names other precisions"


@dataclass(frozen=True)
class Group:
    """What the runs of a stack have in common. `by_width`: rates of some of them go by width."""

    architecture: Architecture
    precision: str
    shape: Shape
    longest: int
    silences: bool = False
    by_width: bool = True
    schedule: str = "cosine"
    guard: str = "off"


def step_of(group: Group, vocabulary: int, count: int, guard: str, device: torch.device, compiled: bool) -> StackStep:
    """A stack of so many empty slots for runs of a group, with its step."""
    kind = group.precision
    if kind == "auto":
        kind = "bfloat16" if device.type == "cuda" else "float32"
    dtype, compute = _TYPES[kind]
    stack = Stack(group.architecture, vocabulary, count, group.longest, dtype, device, compute)
    stack.silences = group.silences
    shares = torch.ones_like(stack.master, requires_grad=False) if group.by_width else None
    if guard in ACTIONS:
        optimizer: StackAdamW = GuardedAdamW(stack.master, shares, group.schedule, guard)
    else:
        optimizer = StackAdamW(stack.master, shares, group.schedule)
    return StackStep(stack, optimizer, compiled, graph=device.type == "cuda")
