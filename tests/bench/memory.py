"""How fast what a model holds is told: one JSON line.

`memorisation`: sequences a second of the score, k = l = 32, of a model of 110 thousand parameters that knows none of
them (the most that there is to generate): teacher-forced, and greedy beside it, each in float64 and float32.
`knn`: queries a second of the exact search among 200 thousand states of 64 numbers, for the 64 nearest, and of making
such a store from text, in tokens a second.
`release`: the release of the demo's grid and its check, in seconds (`released.py`).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train_probe.architecture import architecture
from train_probe.knn import Entries, nearest, parts
from train_probe.memorize import memorised
from train_probe.model import Transformer

VOCABULARY, LENGTH, SEQUENCES = 1024, 64, 256


def memorisation() -> dict[str, Any]:
    rows = np.random.default_rng(0).integers(0, VOCABULARY, (SEQUENCES, LENGTH))
    found: dict[str, Any] = {"sequences": SEQUENCES, "tokens": LENGTH}
    for kind in (torch.float64, torch.float32):
        model = Transformer(architecture("gpt2", 2, 2, 48), VOCABULARY, LENGTH, seed=0).to(kind)
        for name, generate in (("teacher_forced", False), ("greedy", True)):
            memorised(model, rows[:8], LENGTH // 2, generate)
            started = time.process_time()
            memorised(model, rows, LENGTH // 2, generate)
            seconds = time.process_time() - started
            found[f"{name}_{str(kind).removeprefix('torch.')}_a_second"] = round(SEQUENCES / seconds, 1)
    return found


def knn() -> dict[str, Any]:
    entries, width, k, queries = 200_000, 64, 64, 512
    drawn = torch.Generator().manual_seed(0)
    keys = torch.randn(entries, width, generator=drawn)
    store = [Entries(keys, torch.arange(entries) % VOCABULARY, torch.zeros(entries, dtype=torch.int64))]
    asked = torch.randn(queries, width, generator=drawn)
    nearest(asked[:8], store, k)
    started = time.process_time()
    nearest(asked, store, k)
    found: dict[str, Any] = {"entries": entries, "width": width, "k": k}
    found["queries_a_second"] = round(queries / (time.process_time() - started), 1)
    model = Transformer(architecture("gpt2", 2, 2, width), VOCABULARY, 128, seed=0).eval()
    rows = list(torch.randint(0, VOCABULARY, (256, 128), generator=drawn))
    started = time.process_time()
    tokens = sum(len(part.tokens) for part in parts(model, rows, [0] * len(rows)))
    found["store_tokens_a_second"] = round(tokens / (time.process_time() - started))
    return found


def release() -> dict[str, Any]:
    from released import timed

    if not (DEMO / "probe" / "results.json").is_file():
        return {"left_out": "there is no demo: `make demo` makes it"}
    return timed(DEMO / "probe", DEMO / "corpus")


DEMO = Path(__file__).parents[2] / "demo"
PARTS = {"memorisation": memorisation, "knn": knn, "release": release}
"""What is measured, by its name in the line."""


def main() -> None:
    torch.set_num_threads(1)
    told = {name: measure() for name, measure in PARTS.items()}
    print(json.dumps({"torch": torch.__version__, "seconds": "of one core", **told}))


if __name__ == "__main__":
    main()
