"""What a second version of a published corpus uploads: bytes in chunks that the first version has not, after one
threshold moved by a little, and by more.

The chunks are cut as Xet cuts them (a gear hash over the last bytes, 64 KB on average). Prints one JSON line.
`python tests/bench/publish.py [DOCUMENTS]`
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xxhash

from curate.filters import GopherQuality
from curate.run.corpus import CorpusRun
from curate.sources import Input, find_inputs
from recipes.app.papers import publish

STOP = ["the", "be", "to", "of", "and", "that", "have", "with"]


def texts(count: int) -> Iterator[str]:
    """Made-up prose: words by Zipf, in sentences; a tenth of the texts have about as many words as the threshold."""
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlucmfw", k=rng.randint(3, 10))) for _ in range(20_000)]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    for _ in range(count):
        size = rng.randint(50, 90) if rng.random() < 0.1 else int(rng.lognormvariate(6, 0.7)) + 100
        said = rng.choices(words, weights, k=size)
        said[5::11] = rng.choices(STOP, k=len(said[5::11]))
        yield "\n".join(" ".join(said[at : at + 12]) + "." for at in range(0, size, 12))


def main(count: int) -> dict[str, float]:
    figures: dict[str, float] = {"documents": count}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lines = (json.dumps({"text": text, "id": str(at)}) + "\n" for at, text in enumerate(texts(count)))
        (root / "a.jsonl").write_text("".join(lines))
        partitions = find_inputs([Input("web", str(root / "a.jsonl"))])
        before: list[bytes] = []
        for words in (50, 51, 54, 70):
            steps = [GopherQuality(min_words=words)]
            summary = CorpusRun("p", steps, partitions, root / "out", workers=2).execute()
            for setting, bounds in (("", publish.PAGES), ("_with_defaults", True), ("_without", False)):
                publish.PAGES = bounds  # type: ignore[assignment]
                publish.publish_to(root / "out", root / "hub", 500_000_000)
                content = [(root / "hub" / "data" / "00000.parquet").read_bytes()]
                if words == 50:
                    before += content
                    figures[f"bytes{setting}"] = len(content[0])
                    continue
                place = ("", "_with_defaults", "_without").index(setting)
                total, new = changed_chunks(iter([before[place]]), iter(content))
                figures[f"changed_{words}{setting}"] = round(new / total, 4)
            figures[f"kept_{words}"] = summary["documents"]["kept"]
            publish.PAGES = {"min_chunk_size": 64 << 10, "max_chunk_size": 256 << 10}
    return figures


def changed_chunks(before: Iterator[bytes], after: Iterator[bytes]) -> tuple[int, int]:
    """Bytes of `after`, and those of them in chunks that `before` has not: what a store that knows chunks is sent."""
    known = {one for content in before for one in chunks(content)}
    total = new = 0
    for content in after:
        for digest, size in chunks(content):
            total += size
            new += size * ((digest, size) not in known)
    return total, new


def chunks(
    content: bytes, mask: int = 0xFFFF, least: int = 8 << 10, most: int = 128 << 10
) -> Iterator[tuple[int, int]]:
    """(hash, size) of chunks of some 64 KB that end where the last 32 bytes say, as Xet cuts them (a gear hash)."""
    data = np.frombuffer(content, np.uint8)
    gear = np.random.default_rng(1).integers(0, 1 << 62, 256, dtype=np.uint64)[data]
    rolled = np.zeros(len(data), np.uint64)
    for back in range(min(32, len(data))):
        rolled[back:] += gear[: len(data) - back] << np.uint64(back)
    ends = np.flatnonzero((rolled >> np.uint64(16)) & np.uint64(mask) == 0) + 1
    start = 0
    for end in [*ends.tolist(), len(data)]:
        while end - start > most:
            yield xxhash.xxh3_64_intdigest(content[start : start + most]), most
            start += most
        if end - start >= least or end == len(data):
            if end > start:
                yield xxhash.xxh3_64_intdigest(content[start:end]), end - start
            start = end


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)))
