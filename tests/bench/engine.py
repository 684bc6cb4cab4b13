"""What units, manifests, accounts and processes cost: a run on one and on two workers, next to a bare loop.

    python tests/bench/engine.py [--input FILE ...] [--repeat 3] [--copies 2]

All sides read the same files, apply the same steps and write the same text shards, byte for byte (checked). The bare
loop is twelve lines in one process: no units, no manifests, no ledger, no stages kept, no protection against
documents. Sides take turns; each figure is the best of `--repeat` whole processes, start and imports included. Prints
one JSON line.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
STEPS = ("extract", "language", "gopher_repetition", "gopher_quality", "c4", "fineweb")
SAMPLE = sorted((ROOT / "recipes" / "sample").glob("*.warc.gz"))


def digest(texts: list[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in texts)).hexdigest()


def bare(inputs: Path, out: Path) -> dict[str, object]:
    """The same work as a loop that a person would write down in five minutes."""
    from curate.document import Document
    from curate.registry import step_class
    from curate.shards.text import write_text_shard
    from curate.sources import Input, find_inputs, read_partition

    steps = [step_class(name)() for name in STEPS]
    for step in steps:
        step.open()
    out.mkdir()
    written = []
    read = 0
    for number, partition in enumerate(find_inputs([Input("crawl", str(inputs))])):
        documents = [item for item in read_partition(partition) if isinstance(item, Document)]
        read += len(documents)
        stream = iter(documents)
        for step in steps:
            stream = (item for item in step.apply(stream) if isinstance(item, Document))
        written.append(out / f"{number:05d}.jsonl.zst")
        with written[-1].open("wb") as shard:
            write_text_shard(shard, stream)
    return {"documents": read, "digest": digest(written)}


def units(inputs: Path, out: Path, workers: int) -> dict[str, object]:
    from curate.registry import step_class
    from curate.run.corpus import CorpusRun
    from curate.sources import Input, find_inputs

    steps = [step_class(name)() for name in STEPS]
    partitions = find_inputs([Input("crawl", str(inputs))])
    summary = CorpusRun("bench", steps, partitions, out, workers=workers, max_loss=1.0).execute()
    return {
        "documents": summary["documents"]["input"],
        "digest": digest(sorted((out / "text").iterdir())),
        "worker_mb": summary["worker_memory_mb"],
    }


def side(name: str, inputs: Path, folder: Path) -> None:
    """One side in a process of its own; prints what it did and how much memory it took at most."""
    result = bare(inputs, folder / "out") if name == "bare" else units(inputs, folder / "out", int(name))
    result["own_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(result))


def timed(name: str, inputs: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--side", name, "--into", folder, "--input", str(inputs)]
        began = time.perf_counter()
        printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        return {"seconds": time.perf_counter() - began, **json.loads(printed)}


def main() -> None:
    sys.path.insert(0, str(ROOT))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, nargs="+", default=SAMPLE)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--copies", type=int, default=2, help="each input file is read so many times")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        side(given.side, given.input[0], given.into)
        return
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name)
        for copy in range(given.copies):
            for path in given.input:
                shutil.copy(path, inputs / f"{copy}-{path.name}")
        best: dict[str, dict[str, float]] = {}
        for _ in range(given.repeat):
            for one in ("bare", "1", "2"):
                found = timed(one, inputs)
                if one not in best or found["seconds"] < best[one]["seconds"]:
                    best[one] = found
    assert len({found["digest"] for found in best.values()}) == 1, "the sides wrote different text shards"
    documents = best["bare"]["documents"]
    line = {
        "documents": documents,
        "docs_per_s_bare": round(documents / best["bare"]["seconds"], 2),
        "docs_per_s_1": round(documents / best["1"]["seconds"], 2),
        "docs_per_s_2": round(documents / best["2"]["seconds"], 2),
        "overhead": round(best["1"]["seconds"] / best["bare"]["seconds"] - 1, 4),
        "bare_peak_mb": best["bare"]["own_mb"],
        "parent_peak_mb": max(best[one]["own_mb"] for one in ("1", "2")),
        "worker_peak_mb": max(best[one]["worker_mb"] for one in ("1", "2")),
        "python": platform.python_version(),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
