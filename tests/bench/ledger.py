"""What the account of every document costs: a ledger of a million drops, in time and in bytes.

    python tests/bench/ledger.py [--documents 1000000]

Documents of 120 words each pass one rule that drops nine of ten and one edit that rewrites half of the others: once
for each value of `keep_dropped`, and once through the same steps in a bare loop that keeps no account. Prints one JSON
line.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curate import Check, Document, Edit, Rule  # noqa: E402
from curate.document import Drop  # noqa: E402
from curate.run.corpus import CorpusRun  # noqa: E402
from curate.run.ledger import read_ledger  # noqa: E402
from curate.run.output import Publication  # noqa: E402
from curate.sources import Input, find_inputs, read_partition  # noqa: E402

FILES = 4


@dataclass(frozen=True)
class NineOfTen(Rule):
    """Drops every document whose text does not begin with a '7'."""

    name = "nine_of_ten"

    def checks(self, document: Document) -> Iterator[Check]:
        yield Check("first", document.text[0], "7", document.text[0] != "7")


@dataclass(frozen=True)
class Shorten(Edit):
    """Cuts half of the texts."""

    name = "shorten"

    def edit(self, document: Document) -> str:
        return document.text[:100] if len(document.text) % 2 else document.text


def write_inputs(folder: Path, documents: int) -> None:
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randrange(2, 9))) for _ in range(5000)]
    for number in range(FILES):
        with (folder / f"{number}.jsonl").open("w") as stream:
            for place in range(documents // FILES):
                text = f"{place % 10} " + " ".join(draw.choices(words, k=120))
                url = f"https://site{draw.randrange(3000)}.example/{number}/{place}"
                stream.write(json.dumps({"text": text, "url": url}) + "\n")


def bare(inputs: Path) -> float:
    began = time.perf_counter()
    for partition in find_inputs([Input("crawl", str(inputs))]):
        stream: Iterator[Document] = (item for item in read_partition(partition) if isinstance(item, Document))
        for step in (NineOfTen(), Shorten()):
            stream = (item for item in step.apply(stream) if not isinstance(item, Drop))
        for _ in stream:
            pass
    return time.perf_counter() - began


def run(inputs: Path, out: Path, keep: str) -> dict[str, float]:
    publication = Publication(keep_dropped=keep)
    partitions = find_inputs([Input("crawl", str(inputs))])
    began = time.perf_counter()
    CorpusRun("ledger", [NineOfTen(), Shorten()], partitions, out, publication, workers=1).execute()
    seconds = time.perf_counter() - began
    paths = sorted((out / "ledger").iterdir())
    began = time.perf_counter()
    rows = sum(1 for path in paths for _ in read_ledger(path, ["key", "url"]))
    return {
        "seconds": round(seconds, 1),
        "rows": rows,
        "ledger_bytes": sum(path.stat().st_size for path in paths),
        "scan_seconds": round(time.perf_counter() - began, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name) / "in"
        inputs.mkdir()
        write_inputs(inputs, given.documents)
        line: dict[str, object] = {"documents": given.documents, "bare_seconds": round(bare(inputs), 1)}
        for keep in ("none", "sample", "all"):
            found = run(inputs, Path(name) / keep, keep)
            line |= {f"{keep}_{figure}": value for figure, value in found.items()}
            line[f"{keep}_bytes_a_row"] = round(found["ledger_bytes"] / found["rows"], 1)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
