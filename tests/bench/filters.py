"""Documents a second of the four published rule sets on one core, beside datatrove's, with the share of equal outcomes.

usage: filters.py --input FOLDER_OF_WARC|TEXTS.jsonl ... [--peer-python PYTHON_WITH_DATATROVE]

Both sides run GopherRepetition, GopherQuality, C4 (without its end-mark rule) and FineWeb in FineWeb's order. For
datatrove a document leaves at its first drop, as it does there; we take every value of every rule and write it to a
file. Both have loaded their tables before, and see each text for the first time. Seconds are those of the processor.
One JSON line: docs_per_s, peer_docs_per_s, ratio, agreement, peak_memory_mb; docs_per_s_again is a second pass, whose
words are all in our table of chunks, as most are after some thousand documents.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "parity"), str(ROOT / "tests" / "bench")]

from peers import beside  # noqa: E402

PEER = """
import json, sys, time
from datatrove.data import Document
from datatrove.pipeline.filters import (C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter)
steps = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False),
         FineWebQualityFilter()]
texts = [json.loads(line)["text"] for line in open(sys.argv[1], encoding="utf-8")]
steps[1].filter(Document(text="warm up", id=""))
outcomes = []
started = time.process_time()
for text in texts:
    document = Document(text=text, id="")
    outcomes.append("keep")
    for step in steps:
        result = step.filter(document)
        if result is not True:
            outcomes[-1] = result[1]
            break
print(json.dumps({"seconds": time.process_time() - started, "outcomes": outcomes}))
"""


def our_outcomes(texts: list[str], signals: BinaryIO) -> list[str]:
    import orjson

    from curate.document import Document
    from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition

    repetition, quality, c4, fineweb = GopherRepetition(), GopherQuality(), C4(), FineWeb()
    outcomes = []
    for text in texts:
        document = Document(key="", text=text)
        checks = [*repetition.checks(document), *quality.checks(document)]
        lines, left = c4.examine(document)
        checks += lines
        if not any(check.failed for check in lines):
            document.rewrite(left.text, left)
        checks += fineweb.checks(document)
        signals.write(orjson.dumps({check.rule: check.value for check in checks}) + b"\n")
        outcomes.append(next((check.rule for check in checks if check.failed), "keep"))
    return outcomes


def read_texts(source: Path) -> Iterator[str]:
    from page_texts import page_texts

    if source.is_dir():
        yield from page_texts(source)
    else:
        with source.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["text"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="folders of WARC files, or JSONL of texts")
    parser.add_argument("--peer-python")
    options = parser.parse_args()

    texts = [text for source in options.input for text in read_texts(source)]
    our_outcomes(["warm up " * 60], BytesIO())
    seconds = []
    for _ in range(2):
        with tempfile.TemporaryFile() as signals:
            started = time.process_time()
            outcomes = our_outcomes(texts, signals)
            seconds.append(time.process_time() - started)
    result = {
        "benchmark": "filters",
        "documents": len(texts),
        "characters": sum(map(len, texts)),
        "docs_per_s": round(len(texts) / seconds[0], 1),
        "docs_per_s_again": round(len(texts) / seconds[1], 1),
        "peer_docs_per_s": None,
        "ratio": None,
        "agreement": None,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if options.peer_python:
        beside(result, texts, outcomes, options.peer_python, PEER)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
