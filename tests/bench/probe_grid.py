"""The demo's grid as the probe trains it, against a loop of model.py with torch's fused AdamW: one JSON line.

    python tests/bench/probe_grid.py                                  # the demo's shapes, 10 exposures of 400 people
    python tests/bench/probe_grid.py --plan demo/probe/plan.json      # the demo's own corpus

Both sides train the same runs on the same batches and score them; the loop is one process with torch's default threads,
one model after another, as everybody writes it. Rounds alternate; figures are of each side's fastest round. `processes`
are as many as there are cores; start-up of processes and reading of shards count for the grid, and not for the loop.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "train_probe")]

PAGES = {"junk_kind": "shards", "junk_ratio": 0.875, "junk_shards": "raw"}


def demo_plan(folder: Path) -> dict[str, Any]:
    """The demo's five arms over facts and pages of its size, in a vocabulary of its size."""
    from probe_world import JUNK_ARMS, tiny_scale

    arms = [*JUNK_ARMS[:3], PAGES | {"arm": "+ pages"}, PAGES | {"arm": "+ pages, tokens", "tag": "useful"}]
    training = {"batch": 8, "window": 128}
    model = {"layers": 2, "heads": 2, "width": 32}
    world = tiny_scale(folder / "world", 0)
    return world.plan([arm | {"exposures": 150} for arm in arms], model=model, training=training)


def loop(content: dict[str, Any], pipe: Connection) -> None:
    """Train every run of the plan in turn, each time something is received; sends the seconds that took, and tokens."""
    import torch

    from train_probe.data import Data, model_vocabulary
    from train_probe.inputs import read_inputs
    from train_probe.model import Transformer
    from train_probe.plan import plan_of
    from train_probe.scorer import Scorer

    plan = plan_of(content)
    data = Data(plan, read_inputs(plan), torch.device("cpu"))
    while pipe.recv():
        begun, tokens = time.perf_counter(), 0
        for run in plan.runs:
            stream, training = data.stream(run), plan.training_of(run)
            model = Transformer(plan.model_of(run).built(), model_vocabulary(data.facts), stream.longest, run.seed)
            optimizer = torch.optim.AdamW(
                model.parameters(), betas=(0.9, 0.98), eps=1e-6, weight_decay=training.weight_decay, fused=True
            )
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, stream.steps, training.final_rate * training.learning_rate
            )
            for first in range(0, stream.steps, 64):
                blocks = stream.chunk(first, min(stream.steps, first + 64))
                for step in range(len(blocks[0][0])):
                    kept = [tokens[step][lengths[step] > 1] for tokens, lengths in blocks]
                    predicted = sum(rows.shape[0] * (rows.shape[1] - 1) for rows in kept)
                    loss = torch.stack([model.loss(rows) for rows in kept if len(rows)]).sum() / predicted
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip)
                    optimizer.step()
                    schedule.step()
            Scorer(data, run).bits(model.state_dict())
            tokens += stream.tokens
        pipe.send((time.perf_counter() - begun, tokens))


def main() -> None:
    import torch

    from train_probe.plan import plan_of
    from train_probe.train import run_plan

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, help="a plan.json; its runs, with fewer exposures")
    parser.add_argument("--exposures", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--compile", choices=["auto", "always", "never"], default="never")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = demo_plan(folder) if given.plan is None else json.loads(given.plan.read_text())
        content |= {"runs": [run | {"exposures": given.exposures} for run in content["runs"]], "processes": None}
        content["compile"] = given.compile
        ours, theirs = get_context("spawn").Pipe()
        get_context("spawn").Process(target=loop, args=(content, theirs), daemon=True).start()
        seconds: dict[str, list[float]] = {"grid": [], "loop": []}
        tokens = 0
        for number in range(given.rounds):
            begun = time.perf_counter()
            results = run_plan(plan_of(content), folder / f"out{number}")
            seconds["grid"].append(time.perf_counter() - begun)
            assert not any("error" in row for row in results), results
            ours.send(True)
            taken, tokens = ours.recv()
            seconds["loop"].append(taken)
        ours.send(False)
    best = {side: min(values) for side, values in seconds.items()}
    found = {
        "tokens_per_s": round(tokens / best["grid"]),
        "loop_tokens_per_s": round(tokens / best["loop"]),
        "speedup": round(best["loop"] / best["grid"], 2),
        "seconds": {side: [round(value, 1) for value in values] for side, values in seconds.items()},
        "runs": len(content["runs"]),
        "exposures": given.exposures,
        "compile": given.compile,
        "torch": torch.__version__,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
