"""What synthetic facts cost: biographies written as text, tokens drawn from a bundle, memory and bytes of the facts.

    python tests/bench/synth_speed.py [--people 1000000] [--threads 1 2] [--texts 100000]

Biographies are bioS of our own pools, in a byte-level BPE of 4096 tokens trained on 4000 of them. Prints one JSON line:

- `biographies_per_s`: text alone, one core, the best of five passes;
- `tokens_per_s`: of the renderer on the CPU, in batches of 2048 texts, the best of `tokens_per_s_by_threads`;
- `device_tokens_per_s`: in batches of 65 536 where there is a CUDA device, else null;
- `endless_tokens_per_s`: the same on one thread for people beyond the table, drawn as they come (endless junk);
- `written_tokens_per_s`: the same biographies written and encoded, one core, for comparison;
- `peak_memory_mb`: of a process of its own that draws the table and writes 20 000 texts of it;
- `bundle_bytes`, `bundle_seconds`: the bundle of the table, and how long compiling and writing it took.

With `--table-only` nothing but the process of the table is measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

TABLE = """
import json, resource, sys, time
started = time.perf_counter()
import numpy as np
from synth.people import people_table
from synth.sentences import Sentences
people = int(sys.argv[1])
table = people_table(people, 1000)
drawn = time.perf_counter() - started
writer = Sentences(table)
some = np.linspace(0, people - 1, 20_000).astype(np.int64)
characters = sum(map(len, writer.texts(some, np.arange(len(some)))))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"peak_memory_mb": round(peak, 1), "table_seconds": round(drawn, 1)}))
"""


def best(work: Callable[[], int], passes: int = 5) -> int:
    """What `work` counts, a second, in the best of some passes."""
    rates = []
    for _ in range(passes):
        started = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - started))
    return round(max(rates))


def table_process(people: int) -> dict[str, Any]:
    # A process of its own, started before this one has grown: what it holds is the table and its writer.
    command = [sys.executable, "-c", TABLE, str(people)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return json.loads(found)  # type: ignore[no-any-return]


def rendered(bundle: Path, people: int, device: str, texts: int, batch: int, first: int = 0) -> int:
    import torch

    from train_probe.render import Renderer

    renderer = Renderer(bundle, device)
    generator = torch.Generator().manual_seed(0)
    entities = torch.randint(first, first + people, (max(texts, batch),), generator=generator).to(device)
    exposures = torch.randint(0, 1000, (max(texts, batch),), generator=generator).to(device)

    def work() -> int:
        count = 0
        for begin in range(0, len(entities) - batch + 1, batch):
            some = slice(begin, begin + batch)
            count += len(renderer.render(entities[some], exposures[some], renderer.meta["end_of_text"]).tokens)
        if device != "cpu":
            torch.cuda.synchronize()
        return count

    work()
    return best(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--table-only", action="store_true")
    options = parser.parse_args()
    people = options.people
    result: dict[str, Any] = {"benchmark": "synth", "people": people, **table_process(people)}
    if not options.table_only:
        result |= measured(people, options.texts, options.threads)
    print(json.dumps(result | {"python": platform.python_version()}))


def measured(people: int, texts: int, threads: list[int]) -> dict[str, Any]:
    import numpy as np
    import torch

    from curate.shards.vocabulary import build_vocabulary
    from synth.bundle import compile_bundle
    from synth.people import people_table
    from synth.sentences import Sentences

    torch.set_num_threads(1)
    table = people_table(people, 1000)
    writer = Sentences(table)
    rng = np.random.default_rng(0)
    entities, exposures = rng.integers(0, people, texts), rng.integers(0, 1000, texts)
    sample = list(writer.texts(entities[:4000], exposures[:4000]))
    vocabulary = build_vocabulary(kind="bpe", texts=sample, size=4096, domains=["facts"])
    result: dict[str, Any] = {
        "biographies_per_s": best(lambda: sum(1 for _ in writer.texts(entities, exposures))),
        "tokens_per_biography": round(sum(map(len, vocabulary.encode(sample))) / len(sample), 1),
        "written_tokens_per_s": best(
            lambda: sum(map(len, vocabulary.encode(list(writer.texts(entities[:8192], exposures[:8192])))))
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle.npz"
        started = time.perf_counter()
        compile_bundle(table, vocabulary).save(path)
        result |= {
            "bundle_seconds": round(time.perf_counter() - started, 1),
            "bundle_bytes": path.stat().st_size,
            "tokens_per_s": 0,
            "tokens_per_s_by_threads": {},
            "device_tokens_per_s": None,
            "device": None,
        }
        result["endless_tokens_per_s"] = rendered(path, people, "cpu", texts, 2048, first=people)
        for count in threads:
            torch.set_num_threads(count)
            result["tokens_per_s_by_threads"][str(count)] = rendered(path, people, "cpu", texts, 2048)
        result["tokens_per_s"] = max(result["tokens_per_s_by_threads"].values())
        if torch.cuda.is_available():
            result["device_tokens_per_s"] = rendered(path, people, "cuda", 10 * 65_536, 65_536)
            result["device"] = torch.cuda.get_device_name()
    return result


if __name__ == "__main__":
    main()
