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
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

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


def written(rows: list[tuple[str, int]], words: int, folder: Path, pages: Any) -> bytes:
    """The published file of the texts with at least so many words."""
    publish.PAGES = pages
    writer = publish._Writer(folder, pa.schema(list(publish.text_columns().items())), 1 << 40)
    for number, (text, size) in enumerate(rows):
        if size >= words:
            about = {"url": f"https://h{number % 97}.example/{number}", "domain": f"h{number % 97}.example"}
            row = {"id": f"web/a.jsonl@{number}", "text": text, "source": "web", "language": "en", "injected": False}
            writer.add(publish.text_row({**row, **about, "metadata": "{}"}, []), len(text))
    writer.closed("text", "data/*.parquet")
    return (folder / "00000.parquet").read_bytes()


def main(count: int) -> dict[str, float]:
    figures: dict[str, float] = {"documents": count}
    rows = [(text, len(text.split())) for text in texts(count)]
    settings = {"ours": publish.PAGES, "defaults": True, "without": False}
    with tempfile.TemporaryDirectory() as folder:
        for name, pages in settings.items():
            before = written(rows, 50, Path(folder, f"{name}-50"), pages)
            figures[f"bytes_{name}"] = len(before)
            for words in (51, 54, 70):
                after = written(rows, words, Path(folder, f"{name}-{words}"), pages)
                total, new = changed_chunks(iter([before]), iter([after]))
                figures[f"changed_{words}_{name}"] = round(new / total, 4)
                figures[f"dropped_{words}"] = sum(50 <= size < words for _, size in rows)
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
