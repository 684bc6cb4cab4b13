"""A grid of models stacked, against the same grid as a loop of single models: one JSON line, all sides in one run.

    python tests/bench/probe_stack.py                       # 8 models on a CPU, 16 records of 9 tokens a step
    python tests/bench/probe_stack.py --rows 128 --width 64
    python tests/bench/probe_stack.py --device cuda         # 64 models of d = 64, V = 3328, rows of 512 tokens

On a CPU the sides are
- the loop that everybody writes: one process with torch's default threads, each model in turn, torch's fused AdamW;
- processes: one process a core, each of one thread and its share of the models in turn;
- the stack: one process a core, each of one thread and its share of the models in its slots; compiled, and eager.
All sides are started, warmed up and then timed in turn, round after round, so that a change of the machine's speed
meets all; a figure is the median over rounds, and `quietest` compares the fastest round of each side: threads inside a
tiny model lose all the more on a busy machine. `speedup` is against the loop, `speedup_vs_processes` against processes,
tokens are those of the rows. `flop_utilisation` is the share of what products of 512 x 512 matrices in all processes
reach on this machine (CUDA: of --peak-tflops), by `step_flops`. What was not measured is null.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]


@dataclass(frozen=True)
class Case:
    """A grid of `models` GPT2-RoPE of `layers` layers; a step has `rows` rows of `length` tokens."""

    models: int = 8
    layers: int = 2
    heads: int = 2
    width: int = 32
    vocabulary: int = 576
    rows: int = 16
    length: int = 9

    @property
    def step_flops(self) -> float:
        """Of one model-step: 6 for each weight that a token is multiplied with, 12 l d for each pair in attention."""
        weights = self.layers * 12 * self.width**2 + self.vocabulary * self.width
        seen = self.length - 1
        return self.rows * seen * (6 * weights + 12 * self.layers * self.width * (seen + 1) / 2)


def single(case: Case, seed: int, device: str = "cpu", compiled: bool = False) -> Callable[[], None]:
    """A step of one reference model with torch's AdamW."""
    import torch

    from train_probe.architecture import architecture
    from train_probe.model import Transformer

    one = architecture("gpt2", case.layers, case.heads, case.width)
    model = Transformer(one, case.vocabulary, case.length, seed).to(device)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01, fused=True)
    rows = torch.randint(case.vocabulary, (case.rows, case.length), device=device)
    loss_of = torch.compile(model.loss) if compiled else model.loss

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = loss_of(rows) / (case.rows * (case.length - 1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return step


def stacked(case: Case, slots: int, device: str = "cpu", compiled: bool = False) -> Callable[[], None]:
    """A step of a stack, with its schedule; on CUDA in bfloat16 and as one graph."""
    import torch

    from train_probe.architecture import architecture
    from train_probe.stack.adamw import AdamWSettings, StackAdamW
    from train_probe.stack.models import Stack
    from train_probe.stack.step import StackStep

    cuda = device == "cuda"
    one = architecture("gpt2", case.layers, case.heads, case.width)
    stack = Stack(
        one, case.vocabulary, slots, case.length, device=device, compute=torch.bfloat16 if cuda else torch.float32
    )
    step = StackStep(stack, StackAdamW(stack.master, stack.rate_shares()), compiled, graph=cuda)
    for slot in range(slots):
        stack.reset(slot, slot)
        step.optimizer.set(slot, AdamWSettings(1e-3, 1_000_000, 0.05, decay=0.01, clip=1.0))
    tokens = torch.randint(case.vocabulary, (slots, case.rows, case.length), device=device)
    return lambda: _ignore(step([(tokens, None)]))


def _ignore(_: Any) -> None:
    """A step's losses stay on the device."""


def worker(side: str, case: Case, models: int, threads: int, orders: Connection) -> None:
    """One process of a side: sets up and warms up, tells how long that took, then runs as many steps as it is told."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if side == "peak":
        square = torch.randn(512, 512)
        steps = [lambda: _ignore(torch.mm(square, square))]
    elif side in ("loop", "processes"):
        steps = [single(case, seed) for seed in range(models)]
    else:
        from train_probe.stack.step import keep_memory

        keep_memory()
        steps = [stacked(case, models, compiled=side == "compiled")]
    begun = time.perf_counter()
    for step in steps:
        step()
    first = time.perf_counter() - begun
    for step in steps * 10:
        step()
    orders.send((first, 0.0))
    while count := orders.recv():
        for step in steps:
            for _ in range(count):
                step()
        orders.send((first, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


class Side:
    """The processes of one side."""

    def __init__(self, side: str, case: Case, processes: int, threads: int) -> None:
        context = get_context("spawn")
        self.pipes: list[Connection] = []
        self.seconds: list[float] = []
        for number in range(processes):
            share = case.models // processes + (number < case.models % processes)
            ours, theirs = context.Pipe()
            context.Process(target=worker, args=(side, case, share, threads, theirs), daemon=True).start()
            self.pipes.append(ours)
        self.first = max(pipe.recv()[0] for pipe in self.pipes)
        self.memory = 0.0

    def run(self, count: int) -> None:
        """Time `count` steps of every model."""
        begun = time.perf_counter()
        for pipe in self.pipes:
            pipe.send(count)
        self.memory = sum(pipe.recv()[1] for pipe in self.pipes)
        self.seconds.append((time.perf_counter() - begun) / count)

    def end(self) -> None:
        for pipe in self.pipes:
            pipe.send(0)


def on_cpu(case: Case, rounds: int, steps: int) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder  # empty: the first side compiled pays for all
        cold = Side("compiled", case, 1, 1)
        cold.end()
        before = Side("compiled", case, cores, 1)  # with slots of another number: fills the cache
        before.end()
        sides = {name: Side(name, case, cores, 1) for name in ("compiled", "eager", "processes", "peak")}
        sides["loop"] = Side("loop", case, 1, 0)
        for _ in range(rounds):
            for side in sides.values():
                side.run(steps)
        for side in sides.values():
            side.end()
    second = {name: statistics.median(side.seconds) for name, side in sides.items()}
    tokens = case.models * case.rows * case.length
    best = min(second["compiled"], second["eager"])
    least = {name: min(side.seconds) for name, side in sides.items()}
    fastest = min(least["compiled"], least["eager"])
    peak = cores * 2 * 512**3 / second["peak"]
    spread = {name: [round(min(s.seconds) * 1e3, 3), round(max(s.seconds) * 1e3, 3)] for name, s in sides.items()}
    return {
        "tokens_per_s": round(tokens / best),
        "loop_tokens_per_s": round(tokens / second["loop"]),
        "processes_tokens_per_s": round(tokens / second["processes"]),
        "eager_tokens_per_s": round(tokens / second["eager"]),
        "speedup": round(second["loop"] / best, 2),
        "speedup_vs_processes": round(second["processes"] / best, 2),
        "quietest": {name: round(least[name] / fastest, 2) for name in ("loop", "processes", "eager")},
        "speedup_eager": round(second["loop"] / second["eager"], 2),
        "ms_per_model_step": {n: round(s / case.models * 1e3, 4) for n, s in second.items() if n != "peak"},
        "grid_step_ms_range": {n: r for n, r in spread.items() if n != "peak"},
        "flop_utilisation": round(case.models * case.step_flops / best / peak, 3),
        "peak_gflops": round(peak / 1e9, 1),
        "bandwidth_share": None,
        "peak_memory_mb": round(sides["compiled"].memory),
        "compile_s": round(cold.first, 1),
        "compile_cached_s": round(sides["compiled"].first, 1),
        "processes": cores,
    }


def on_cuda(case: Case, rounds: int, steps: int, peak_tflops: float, bandwidth_tbs: float) -> dict[str, Any]:
    import torch

    begun = time.perf_counter()
    together = stacked(case, case.models, "cuda", compiled=True)
    for _ in range(5):
        together()
    torch.cuda.synchronize()
    compile_s = time.perf_counter() - begun
    peak = torch.cuda.max_memory_allocated() / 2**20
    # One model of a loop stands for all: they differ in nothing that takes time.
    sides = {
        "stack": together,
        "loop": single(case, 0, "cuda"),
        "loop_compiled": single(case, 0, "cuda", compiled=True),
        "graphed": stacked(case, 1, "cuda", compiled=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, step in sides.items():
            torch.cuda.synchronize()
            begun = time.perf_counter()
            for _ in range(steps):
                step()
            torch.cuda.synchronize()
            if number:  # the first round warms up
                seconds[name].append((time.perf_counter() - begun) / steps * (1 if name == "stack" else case.models))
    second = {name: statistics.median(values) for name, values in seconds.items()}
    tokens = case.models * case.rows * case.length
    weights = case.layers * (12 * case.width**2 + 13 * case.width) + (2 + case.vocabulary) * case.width
    # Bytes, by formula: AdamW reads and writes three float32 a weight and reads a gradient; logits are written and read
    # three times in bfloat16; activations, forward and backward, about 60 numbers of d a token and layer.
    moved = case.models * (
        28 * weights + case.rows * case.length * (12 * case.vocabulary + 120 * case.layers * case.width)
    )
    return {
        "tokens_per_s": round(tokens / second["stack"]),
        "loop_tokens_per_s": round(tokens / second["loop"]),
        "loop_compiled_tokens_per_s": round(tokens / second["loop_compiled"]),
        "graphed_tokens_per_s": round(tokens / second["graphed"]),
        "speedup": round(second["loop"] / second["stack"], 2),
        "speedup_vs_compiled_loop": round(second["loop_compiled"] / second["stack"], 2),
        "speedup_vs_graphed": round(second["graphed"] / second["stack"], 2),
        "speedup_vs_processes": None,
        "flop_utilisation": round(case.models * case.step_flops / second["stack"] / (peak_tflops * 1e12), 4),
        "bandwidth_share": round(moved / second["stack"] / (bandwidth_tbs * 1e12), 3),
        "peak_memory_mb": round(peak),
        "compile_s": round(compile_s, 1),
        "gpu": torch.cuda.get_device_name(),
    }


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    for name, kind in Case.__annotations__.items():
        parser.add_argument(f"--{name}", type=int, help=f"{kind}; see Case")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="steps of every model in a round")
    parser.add_argument("--peak-tflops", type=float, default=788.0, help="of the GPU in bfloat16: an H200, measured")
    parser.add_argument("--bandwidth-tbs", type=float, default=4.3, help="of the GPU's memory: an H200, measured")
    given = parser.parse_args()
    cuda = given.device == "cuda"
    large = {"models": 64, "heads": 1, "width": 64, "vocabulary": 3328, "length": 513} if cuda else {}
    asked = {name: value for name in Case.__annotations__ if (value := getattr(given, name)) is not None}
    case = Case(**{**large, **asked})
    if cuda and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; run without --device cuda")
    found = (
        on_cuda(case, given.rounds, given.steps, given.peak_tflops, given.bandwidth_tbs)
        if cuda
        else on_cpu(case, given.rounds, given.steps)
    )
    print(json.dumps(found | asdict(case) | {"device": given.device, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
