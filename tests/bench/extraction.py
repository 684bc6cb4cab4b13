"""Pages a second from WARC through extraction and rules on one core, beside trafilatura alone on the same pages.

usage: extraction.py --input FOLDER_OR_FILE_OF_WARC ... [--engine trafilatura|blocks|cascade] [--precise]
                     [--peer-python PYTHON] [--beside trafilatura]

Our side reads the WARC files, extracts, and runs language, safety, Gopher, C4 and FineWeb rules. The peer's side is
`trafilatura.extract(page, include_comments=False)` alone, on pages that are decoded and lie in memory, in an
interpreter of its own (this one's without --peer-python); with --precise `favor_precision` is on, on either side.
Seconds are those of the processor, libraries loaded before. One JSON line: docs_per_s, peer_docs_per_s, ratio,
agreement, peak_memory_mb; and `chain_time`, our seconds over the peer's, `extract_ratio`, the peer's seconds over those
of our extraction, and `kept` by either side. Agreement: pages that both sides keep or both drop, where the peer's text
goes through the same rules. With --beside another engine of ours extracts the same pages too, page by page in turn:
`beside_ratio` is its seconds over ours, `beside_page` the quartiles of that ratio over pages. For blocks, `shares` says
where its time goes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

ENGINES = ("trafilatura", "blocks", "cascade", "resiliparse")
PEER = """
import json, logging, sys, time
import trafilatura
logging.disable(logging.CRITICAL)
options = dict(favor_precision=sys.argv[3] == "True", include_comments=False, deduplicate=False)
trafilatura.extract("<html><body><article>" + "<p>" + "warm up " * 60 + "</p></article></body></html>", **options)
spent, texts = 0.0, []
for line in open(sys.argv[1], encoding="utf-8"):
    page = json.loads(line)
    started = time.process_time()
    try:
        text = trafilatura.extract(page, **options)
    except Exception:
        text = None
    spent += time.process_time() - started
    texts.append(text or "")
with open(sys.argv[2], "w", encoding="utf-8") as out:
    json.dump({"seconds": spent, "version": trafilatura.__version__, "texts": texts}, out)
"""


def steps(engine: str, precise: bool) -> list[Any]:
    """The chain of the recipe, its first step knowing what follows."""
    from curate.extract.extract import Extract
    from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition, Language, Safety

    rules = [Language(), Safety(), GopherRepetition(), GopherQuality(), C4(), FineWeb()]
    chain = [Extract(engine=engine, favor_precision=precise).followed_by(rules), *rules]
    for step in chain:
        step.open()
    return chain


def documents(sources: list[Path]) -> Iterator[Any]:
    """The HTML pages of WARC files, in order of their names."""
    from curate.document import Document
    from curate.sources import open_source

    for source in sources:
        for path in sorted(source.glob("*.warc.gz")) if source.is_dir() else [source]:
            for item in open_source(path, "bench"):
                if isinstance(item, Document) and item.html is not None:
                    yield item


def through(chain: list[Any], incoming: Iterator[Any], reasons: dict[str, str]) -> Iterator[Any]:
    """What is left after every step; `reasons` gets the step and rule of each document that is not."""
    from curate.document import Drop

    def kept(step: Any, entering: Iterator[Any]) -> Iterator[Any]:
        for outcome in step.apply(entering):
            if isinstance(outcome, Drop):
                reasons[outcome.document.key] = f"{outcome.step}: {outcome.rule}"
            else:
                yield outcome

    for step in chain:
        incoming = kept(step, incoming)
    return incoming


def timed(incoming: Iterator[Any], spent: list[float]) -> Iterator[Any]:
    """Add to `spent[0]` the seconds that this iterator takes, with all behind it."""
    while True:
        started = time.process_time()
        item = next(incoming, None)
        spent[0] += time.process_time() - started
        if item is None:
            return
        yield item


def peer_texts(pages: list[str], python: str, precise: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "pages.jsonl", Path(name) / "texts.json"
        with source.open("w", encoding="utf-8") as lines:
            for page in pages:
                lines.write(json.dumps(page) + "\n")
        subprocess.run([python, "-c", PEER, str(source), str(target), str(precise)], check=True, capture_output=True)
        return json.loads(target.read_text(encoding="utf-8"))


def kept_of_texts(chain: list[Any], keys: list[str], urls: list[str | None], texts: list[str]) -> set[str]:
    """The keys of those that the rules keep, of texts that are there."""
    from curate.document import Document

    there = (
        Document(key=key, text=text.strip(), url=url)
        for key, url, text in zip(keys, urls, texts, strict=True)
        if text.strip()
    )
    return {document.key for document in through(chain[1:], iter(there), {})}


def beside(sources: list[Path], ours: str, other: str, precise: bool, limit: int) -> dict[str, Any]:
    """Seconds of two engines on the same pages, in turn, each of them first on every other page."""
    from dataclasses import replace
    from itertools import islice
    from statistics import quantiles

    from curate.extract.extract import Extract

    pair = [Extract(engine=name, favor_precision=precise) for name in (ours, other)]
    for step in pair:
        step.open()
    spent: list[tuple[float, float]] = []
    for number, page in enumerate(islice(documents(sources), limit)):
        seconds = [0.0, 0.0]
        for place in ((0, 1), (1, 0))[number % 2]:
            copy = replace(page, metadata=dict(page.metadata))
            started = time.process_time()
            list(pair[place].apply([copy]))
            seconds[place] = time.process_time() - started
        spent.append((seconds[0], seconds[1]))
    ratios = [theirs / mine for mine, theirs in spent if mine]
    return {
        "beside": other,
        "beside_ratio": round(sum(theirs for _, theirs in spent) / sum(mine for mine, _ in spent), 3),
        "beside_page": [round(one, 2) for one in quantiles(ratios, n=4)],
    }


def shares(sources: list[Path], limit: int) -> dict[str, float]:
    """Milliseconds a page in each part of the engine blocks."""
    from itertools import islice, pairwise

    from curate.extract.blocks.model import load
    from curate.extract.blocks.segment import segment, tokens_of
    from curate.extract.blocks.text import rendered
    from curate.extract.encoding import decode_html

    model, spent, pages = load(), dict.fromkeys(("decoding", "tags", "blocks", "judging", "text"), 0.0), 0
    for page in islice(documents(sources), limit):
        times = [time.process_time()]
        html = decode_html(page.html, page.metadata.get("content_type", ""))
        times.append(time.process_time())
        tokens_of(html)
        times.append(time.process_time())
        cut = segment(html)
        times.append(time.process_time())
        chosen = model.judged(cut).chosen
        times.append(time.process_time())
        rendered(cut, chosen)
        times.append(time.process_time())
        took = [later - sooner for sooner, later in pairwise(times)]
        took[2] -= took[1]
        for name, one in zip(spent, took, strict=True):
            spent[name] += one
        pages += 1
    return {name: round(1000 * one / pages, 3) for name, one in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="folders of WARC files, or WARC files")
    parser.add_argument("--engine", default="trafilatura", choices=ENGINES)
    parser.add_argument("--beside", choices=ENGINES, help="another engine of ours, page by page in turn")
    parser.add_argument("--precise", action="store_true", help="favor_precision, on either side")
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--limit", type=int, default=sys.maxsize, help="pages at most")
    options = parser.parse_args()

    from itertools import islice

    from curate.extract.encoding import decode_html

    chain = steps(options.engine, options.precise)
    warm = ["<html><body><article><p>" + "the warm up of that and this " * 40 + "</p></article></body></html>"]
    peers = peer_texts(warm, sys.executable, options.precise)
    kept_of_texts(chain, ["warm"], [None], peers["texts"])
    from curate.document import Document

    list(chain[0].apply([Document(key="warm", html=warm[0].encode(), metadata={"date": "2026-01-01"})]))

    reasons: dict[str, str] = {}
    read, extracted = [0.0], [0.0]
    started = time.process_time()
    pages = timed(islice(documents(options.input), options.limit), read)
    texts = timed(through(chain[:1], pages, reasons), extracted)
    kept = {document.key for document in through(chain[1:], texts, reasons)}
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    decoded, keys, urls = [], [], []
    for page in islice(documents(options.input), options.limit):
        decoded.append(decode_html(page.html, page.metadata.get("content_type", "")))
        keys.append(page.key)
        urls.append(page.url)
    peer = peer_texts(decoded, options.peer_python, options.precise)
    peer_kept = kept_of_texts(chain, keys, urls, peer["texts"])
    early = sum(reason.startswith("extract: ") and reason.count(": ") == 2 for reason in reasons.values())
    result = {
        "benchmark": "extraction",
        "engine": options.engine,
        "precise": options.precise,
        "documents": len(keys),
        "docs_per_s": round(len(keys) / seconds, 2),
        "peer_docs_per_s": round(len(keys) / peer["seconds"], 2),
        "ratio": round(peer["seconds"] / seconds, 3),
        "chain_time": round(seconds / peer["seconds"], 3),
        "extract_ratio": round(peer["seconds"] / (extracted[0] - read[0]), 3),
        "agreement": round(1 - len(kept ^ peer_kept) / len(keys), 5),
        "peak_memory_mb": round(peak, 1),
        "kept": len(kept),
        "peer_kept": len(peer_kept),
        "ended_on_the_cheap_text": early,
        "peer": f"trafilatura {peer['version']}",
    }
    if options.beside:
        result |= beside(options.input, options.engine, options.beside, options.precise, options.limit)
    if options.engine == "blocks":
        result["shares"] = shares(options.input, options.limit)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
