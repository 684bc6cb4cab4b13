"""What a profile costs beside the run it stands for, and verdicts from its values beside another run.

usage: profile.py [--input FOLDER_OF_WARC]

Texts of real pages, one core, the four rule sets of FineWeb: a run that ends each document at its first failed
comparison, a profile that takes every value and encodes it, and a decision from the encoded values with other
thresholds. One JSON line: documents a second of each, bytes of values for each document (zstd, level 3), and
`agreement`: the share of documents whose verdict with other thresholds is that of a run with them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import zstandard

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "parity")]

from page_texts import page_texts  # noqa: E402

from curate.adapters import Rules  # noqa: E402
from curate.document import Document  # noqa: E402
from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition  # noqa: E402
from curate.run.profile import Profile, Seen  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, default=ROOT.parent / "shared" / "data" / "crawl")
    texts = list(page_texts(parser.parse_args().input))
    steps = [GopherRepetition(), GopherQuality(), C4(), FineWeb()]
    others = [
        GopherRepetition(dup_line_frac=0.2),
        GopherQuality(min_words=30, min_alphabetic_words=0.7),
        C4(),
        FineWeb(),
    ]
    rules = Rules(*steps)
    rules.batch(texts)  # words are in the table of chunks from here on, for both sides
    seconds = {}
    started = time.process_time()
    rules.batch(texts)
    seconds["run"] = time.process_time() - started

    def documents() -> Iterator[Document]:
        return (Document(key=str(number), text=text) for number, text in enumerate(texts))

    profile = Profile.of([(step.name, step) for step in steps])
    started = time.process_time()
    notes = [orjson.dumps(one.notes[0][2]) for one in profile.apply(documents())]  # type: ignore[union-attr]
    seconds["profile"] = time.process_time() - started
    by_label = {step.name: step for step in others}
    started = time.process_time()
    decided = [Seen("", None, None, orjson.loads(note)).verdict(by_label) for note in notes]
    seconds["decide"] = time.process_time() - started
    verdicts = Rules(*others).batch(texts)
    agree = sum((found[1].rule if found else "") == one.rule for found, one in zip(decided, verdicts, strict=True))
    packed = len(zstandard.ZstdCompressor(level=3).compress(b"\n".join(notes)))
    rates = {f"{what}_docs_per_s": round(len(texts) / spent, 1) for what, spent in seconds.items()}
    found = {"documents": len(texts), **rates, "bytes_per_doc": round(packed / len(texts))}
    print(json.dumps({**found, "agreement": agree / len(texts)}))


if __name__ == "__main__":
    main()
