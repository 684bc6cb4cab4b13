"""Texts a second whose sentences are counted as Punkt counts them, beside nltk with the same model.

usage: sentences.py --input FOLDER_OF_WARC|TEXTS.jsonl ... [--peer-python PYTHON_WITH_NLTK]

The model is that of tests/parity/punkt, or the one that `--punkt` names (nltk_data/tokenizers/punkt_tab/english).
Seconds of the processor, one core, model loaded before. One JSON line: docs_per_s, peer_docs_per_s, ratio, agreement
(the share of texts with the same sentences), peak_memory_mb.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "parity"), str(ROOT / "tests" / "bench")]

from filters import read_texts  # noqa: E402
from make_sentences import OWN, hashed  # noqa: E402
from peers import beside  # noqa: E402

from curate.text.punkt import read_punkt  # noqa: E402

PEER = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import make_sentences
make_sentences.OWN = Path(sys.argv[2])
peer = make_sentences.own_punkt()
texts = [json.loads(line)["text"] for line in open(sys.argv[1], encoding="utf-8")]
peer.tokenize("Warm up. Then go.")
started = time.process_time()
spans = [list(peer.span_tokenize(text)) for text in texts]
seconds = time.process_time() - started
outcomes = [make_sentences.hashed(text, found) for text, found in zip(texts, spans)]
print(json.dumps({"seconds": seconds, "outcomes": outcomes}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="folders of WARC files, or JSONL of texts")
    parser.add_argument("--punkt", type=Path, default=OWN)
    parser.add_argument("--peer-python")
    options = parser.parse_args()

    texts = [text for source in options.input for text in read_texts(source)]
    punkt = read_punkt(options.punkt)
    started = time.process_time()
    spans = [list(punkt.sentences(text)) for text in texts]
    seconds = time.process_time() - started
    result = {
        "benchmark": "sentences",
        "documents": len(texts),
        "characters": sum(map(len, texts)),
        "sentences": sum(map(len, spans)),
        "docs_per_s": round(len(texts) / seconds, 1),
        "peer_docs_per_s": None,
        "ratio": None,
        "agreement": None,
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if options.peer_python:
        ours = [hashed(text, iter(found)) for text, found in zip(texts, spans, strict=True)]
        arguments = str(options.punkt.resolve()), str(ROOT / "tests" / "parity")
        beside(result, texts, ours, options.peer_python, PEER, *arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
