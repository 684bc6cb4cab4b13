"""Shuffle and mix on generated documents: documents a second, and the largest worker's memory as the corpus grows.

usage: shuffle.py [--documents 20000] [--times 8] [--folder FOLDER]

Texts are 2 000 characters of random words in four files. Each run reads, mixes (a cap that takes half of each domain),
shuffles and publishes, with one worker; then the same with `--times` as many documents. One JSON line: `docs_per_s` and
`worker_memory_mb` of both, `memory_growth` between them, and `seconds` of the steps in the larger run.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

FILES = 4


def write(folder: Path, documents: int) -> Path:
    folder.mkdir(parents=True)
    rng = random.Random(documents)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(5000)]
    for number in range(FILES):
        with (folder / f"{number}.jsonl").open("w", encoding="utf-8") as lines:
            for place in range(documents // FILES):
                text = " ".join(rng.choices(words, k=290))
                lines.write(json.dumps({"text": text, "url": f"https://site{place % 50}.example/{place}"}) + "\n")
    return folder


def run(folder: Path, documents: int) -> dict[str, Any]:
    from curate.mix import Mix
    from curate.run.corpus import CorpusRun
    from curate.shuffle import Shuffle
    from curate.sources import Input, find_inputs

    inputs = write(folder / f"in-{documents}", documents)
    steps = [Mix(by="domain", cap=documents / 100, unit="documents"), Shuffle()]
    partitions = find_inputs([Input("crawl", str(inputs))])
    return CorpusRun("shuffle", steps, partitions, folder / f"out-{documents}", workers=1).execute()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=8)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        counts = [options.documents, options.documents * options.times]
        summaries = [run(Path(folder), count) for count in counts]
    memory = [summary["worker_memory_mb"] for summary in summaries]
    result = {
        "benchmark": "shuffle",
        "documents": counts,
        "characters": [summary["characters"]["input"] for summary in summaries],
        "kept": [summary["documents"]["kept"] for summary in summaries],
        "docs_per_s": [round(count / s["seconds"], 1) for count, s in zip(counts, summaries, strict=True)],
        "worker_memory_mb": memory,
        "memory_growth": round(memory[1] / memory[0], 3),
        "seconds": round(summaries[1]["seconds"], 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
