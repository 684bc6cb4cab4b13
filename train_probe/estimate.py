"""What a grid will cost, reported before it starts: operations, memory, and how many models fit side by side."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from train_probe.architecture import Architecture, training_flops
from train_probe.plan import PlanError
from train_probe.stream import Shape

MOST_SLOTS = {"cpu": 8, "cuda": 256}
"""More slots side by side gain nothing: a CPU's caches are full, a GPU's bandwidth is used."""
REACHED = {"cpu": 0.3, "cuda": 0.1}
"""The share of a machine's peak that stacked small models are taken to reach."""
STEP_SECONDS = {"cpu": 2e-3, "cuda": 2e-3}
"""What a step of a stack takes, however small its models are: that of launching its operations."""
_KEPT = 0.8  # of the free memory


def step_flops(architecture: Architecture, vocabulary: int, shape: Shape) -> float:
    """Floating-point operations of one step of one model on rows of a shape."""
    return sum(rows * training_flops(architecture, vocabulary, length) for length, rows in shape)


def slot_bytes(architecture: Architecture, vocabulary: int, shape: Shape) -> int:
    """About how much memory one slot takes: weights, gradients, both moments and what the update holds beside them, and
    what a step keeps for its backward pass, all in four bytes."""
    d, f = architecture.width, architecture.inner
    weights = 4 * 7 * architecture.parameters(vocabulary)
    experts = architecture.experts and architecture.top_k * architecture.capacity_factor
    inner = f * (4 if architecture.gated else 3) * (experts or 1)
    kept = 0.0
    for length, rows in shape:
        scores = architecture.heads * length if length <= 32 else 0
        kept += rows * length * (4 * architecture.layers * (14 * d + inner + 3 * scores) + 16 * d)
    return int(weights + kept)


@dataclass(frozen=True)
class Machine:
    """Where runs train: `workers` processes or GPUs of a `kind` ("cpu" or "cuda"), `free` bytes of memory for each
    (None: unknown), and `peak`, the most floating-point operations a second that each can do."""

    kind: str
    workers: int
    free: int | None
    peak: float

    def slots_that_fit(self, name: str, one: int) -> int:
        """How many slots of `one` bytes fit at once. Raises PlanError, with both figures, where not even one does."""
        if self.free is None:
            return MOST_SLOTS[self.kind]
        room = int(self.free * _KEPT)
        if one > room:
            raise PlanError(
                f"a model of {name} with its batch takes about {one / 1e9:.1f} GB, and {room / 1e9:.1f} GB are free for"
                f" each of {self.workers} processes; take a smaller model, `batch` or `window`, or fewer `processes`"
            )
        return max(1, min(MOST_SLOTS[self.kind], room // one))

    def seconds(self, flops: float, steps: float) -> float:
        """The time that all workers are expected to take for so many operations in so many steps of stacks."""
        return (flops / (self.peak * REACHED[self.kind]) + steps * STEP_SECONDS[self.kind]) / self.workers


def this_machine(device: torch.device, processes: int) -> Machine:
    """The machine at hand, measured: `processes` of one thread each, or the one GPU."""
    workers = 1 if device.type == "cuda" else processes
    free = free_memory(device)
    return Machine(device.type, workers, None if free is None else free // workers, peak_flops(device))


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        return None
    try:  # what a container may still take
        most, now = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        return min(available, most - now)
    except (OSError, ValueError):
        return available


def peak_flops(device: torch.device) -> float:
    """Operations a second of products of square matrices, measured briefly: on one thread of a CPU in float32, on CUDA
    in bfloat16."""
    size, kind = (512, torch.float32) if device.type == "cpu" else (4096, torch.bfloat16)
    square = torch.ones(size, size, dtype=kind, device=device)
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        torch.mm(square, square)
        best = float("inf")
        for _ in range(5):
            _settled(device)
            begun = time.perf_counter()
            torch.mm(square, square)
            _settled(device)
            best = min(best, time.perf_counter() - begun)
    finally:
        torch.set_num_threads(threads)
    return 2 * size**3 / best


def _settled(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
