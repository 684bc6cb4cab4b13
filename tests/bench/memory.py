"""How fast what a model holds is told: one JSON line.

    python tests/bench/memory.py                                # all parts, of the demo in demo/ (`make demo`)
    python tests/bench/memory.py release --exposures 2          # one part, at its smallest setting

`memorisation`: sequences a second of the score, k = l = 32, of a model of 110 thousand parameters that knows none of
them (the most that there is to generate): teacher-forced, and greedy beside it, each in float64 and float32.
`knn`: queries a second of the exact search among 200 thousand states of 64 numbers, for the 64 nearest, and of making
such a store from text, in tokens a second.
`release`: the release of the demo's grid and its check, in seconds (`released.py`). Where the demo's probe is of
another trainer, has no weights or is not there, and where `--exposures` asks for fewer, its grid is trained first, in a
temporary folder. What it does is said on stderr. Without a corpus, the sample crawl is cleaned first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from curate.errors import Refused
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


def release(demo: Path, exposures: int | None, processes: int | None) -> dict[str, Any]:
    from released import timed

    with tempfile.TemporaryDirectory() as folder:
        corpus, probe, figures = demo / "corpus", demo / "probe", {}
        if not (corpus / "summary.json").is_file():
            corpus = Path(folder) / "corpus"
            figures |= _took("corpus", lambda: _cleaned(corpus))
        if exposures is not None or not _releasable(probe, corpus):
            probe = Path(folder) / "probe"
            figures |= _took("probe", lambda: _trained(probe, corpus, exposures, processes))
        say("a release, and its check")
        return figures | timed(probe, corpus, processes)


def _cleaned(corpus: Path) -> None:
    from recipes.app.recipe.build import corpus_run
    from recipes.app.recipe.load import load

    corpus_run(load("quickstart"), corpus).execute()


def _trained(probe: Path, corpus: Path, exposures: int | None, processes: int | None) -> None:
    from recipes.app.measure.probe import run_probe
    from recipes.app.recipe.load import load

    changes = [f"probe.corpus={corpus.resolve()}"]
    changes += [f"probe.exposures=[{exposures}]"] if exposures is not None else []
    run_probe(load("junk-and-tags", changes), probe, processes=processes)


def _releasable(probe: Path, corpus: Path) -> bool:
    from recipes.app.release.inputs import opened_probe

    try:
        opened_probe(probe, corpus)
    except Refused as error:
        say(f"{probe} is trained anew: {error}")
        return False
    return True


def _took(name: str, work: Any) -> dict[str, float]:
    say(name)
    started = time.monotonic()
    work()
    return {f"{name}_seconds": round(time.monotonic() - started, 1)}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


DEMO = Path(__file__).parents[2] / "demo"
PARTS = ("memorisation", "knn", "release")
"""What is measured, by its name in the line."""


def main() -> None:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=f"{', '.join(PARTS)}; by default all")
    parser.add_argument("--demo", type=Path, default=DEMO, help="the folder that `make demo` fills")
    parser.add_argument("--exposures", type=int, help="train the demo's grid with so many exposures of each fact")
    parser.add_argument("--processes", type=int, help="that train; by default one a core")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    measures = {
        "memorisation": memorisation,
        "knn": knn,
        "release": lambda: release(chosen.demo, chosen.exposures, chosen.processes),
    }
    told = {name: measures[name]() for name in chosen.parts}
    print(json.dumps({"torch": torch.__version__, "seconds": "of one core", **told}))


if __name__ == "__main__":
    main()
