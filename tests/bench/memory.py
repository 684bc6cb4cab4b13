"""How fast what a model holds is told: one JSON line.

`memorisation`: sequences a second of the score, k = l = 32, of a model of 110 thousand parameters that knows none of
them (the most that there is to generate): teacher-forced, and greedy beside it, each in float64 and float32.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import torch

from train_probe.architecture import architecture
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


PARTS = {"memorisation": memorisation}
"""What is measured, by its name in the line."""


def main() -> None:
    torch.set_num_threads(1)
    told = {name: measure() for name, measure in PARTS.items()}
    print(json.dumps({"torch": torch.__version__, "seconds": "of one core", **told}))


if __name__ == "__main__":
    main()
