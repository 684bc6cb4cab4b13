"""How good extracted text is: the scores of two published benchmarks, by page type.

usage: extraction_score.py DATA [--engine trafilatura resiliparse cascade] [--precise] [--all] [--choose]

DATA is a folder with `wcxb-dev.warc.gz`, `wcxb-dev-gold.jsonl.gz` and `articles/` (data/extraction); with --all pages
are those of its folder `wcxb/`, which has more of some types. WCXB scores a page
by the F1 of its words, lower-cased, each counted as often as it stands there, and by snippets that must and must not be
there; an average is over pages. scrapinghub's benchmark scores shingles of four words, precision and recall averaged
over pages first. `tests/curate/test_extraction_score.py` holds both equal to what the benchmarks' own scripts say.

One JSON line for each engine; --precise is with `favor_precision`. `f1` is the mean of pages, `f1_of_types` that of
page types; of the articles, `articles_f1` is of shingles, and beside it are the means of the scores by words.
--choose: for each share in SHARES, resiliparse
for pages of whose text trafilatura takes less; the share is chosen on nine tenths of the pages, the tenth is scored,
ten times over, in five orders; `f1_alone` is without the choice.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curate.extract.blocks.gold import harmonic, snippet_share, word_scores  # noqa: E402

_WORD = re.compile(r"\w+")
SHARES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)
_WORDS = ("precision", "recall", "f1")
Extractor = Callable[[bytes, str], str]


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text)
    return Counter(tuple(words[place : place + 4]) for place in range(max(1, len(words) - 3)) if words)


def shingle_scores(pairs: Iterable[tuple[str, str]]) -> tuple[float, float, float]:
    """Precision, recall and F1 of shingles of four words over (text, gold) pairs. A page without any shingles on one
    side counts for the other side alone."""
    precisions, recalls = [], []
    for text, gold in pairs:
        got, wanted = _shingles(text), _shingles(gold)
        common = (got & wanted).total()
        if got:
            precisions.append(common / got.total())
        if wanted:
            recalls.append(common / wanted.total())
    precision, recall = fmean(precisions), fmean(recalls)
    return precision, recall, harmonic(precision, recall)


def wcxb(folder: Path, every: bool = False) -> Iterator[tuple[dict[str, Any], bytes, str]]:
    """(gold row, page, content type) of the pages of WCXB: as many of each type, or all."""
    from curate.document import Document
    from curate.sources import open_source

    named = folder / "wcxb" / "gold.jsonl.gz" if every else folder / "wcxb-dev-gold.jsonl.gz"
    with gzip.open(named, "rt", encoding="utf-8") as lines:
        gold = {row["url"]: row for row in map(json.loads, lines) if row["url"]}
    for source in sorted((folder / "wcxb").glob("*.warc.gz")) if every else [folder / "wcxb-dev.warc.gz"]:
        for page in open_source(source, "wcxb"):
            if isinstance(page, Document) and page.html is not None and page.url in gold:
                yield gold.pop(page.url), page.html, page.metadata.get("content_type", "")
    if gold:
        raise ValueError(f"{len(gold)} gold pages have no record, {next(iter(gold))} among them")


def articles(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(gold text, page) of scrapinghub's benchmark."""
    rows = json.loads((folder / "articles" / "ground-truth.json").read_text(encoding="utf-8"))
    for name, row in rows.items():
        with gzip.open(folder / "articles" / "html" / f"{name}.html.gz") as page:
            yield row["articleBody"], page.read()


def scores(folder: Path, extract: Extractor, every: bool = False) -> dict[str, Any]:
    """All scores of one extractor: F1 by page type and of all, shares of snippets, F1 of the articles."""
    by_type: dict[str, list[float]] = defaultdict(list)
    must, must_not = [], []
    for row, page, content_type in wcxb(folder, every):
        text = extract(page, content_type)
        by_type[row["page_type"]].append(word_scores(text, row["text"] or "")[2])  # a page may have no content
        must.append(snippet_share(text, row["with" if every else "must_have"] or []))
        must_not.append(snippet_share(text, row["without" if every else "must_not_have"] or []))
    news = [(extract(page, ""), gold) for gold, page in articles(folder)]
    of_words = zip(*(word_scores(text, gold) for text, gold in news), strict=True)
    return {
        "pages": sum(map(len, by_type.values())),
        "f1": round(fmean(one for values in by_type.values() for one in values), 4),
        "f1_of_types": round(fmean(map(fmean, by_type.values())), 4),
        **{f"f1_{kind}": round(fmean(values), 4) for kind, values in sorted(by_type.items())},
        "must_have": round(fmean(must), 4),
        "must_not_have": round(fmean(must_not), 4),
        "articles_f1": round(shingle_scores(news)[2], 4),
        **{f"articles_{name}_of_words": round(fmean(one), 4) for name, one in zip(_WORDS, of_words, strict=True)},
    }


def engine(name: str, **parameters: Any) -> Extractor:
    """A page's text as the step `extract` has it; empty where it drops the page."""
    from curate.document import Document
    from curate.extract.extract import Extract

    step = Extract(engine=name, **parameters)
    step.open()

    def extract(page: bytes, content_type: str) -> str:
        (outcome,) = step.apply([Document(key="", html=page, metadata={"content_type": content_type})])
        return outcome.text if isinstance(outcome, Document) else ""

    return extract


def choice(folder: Path) -> dict[str, Any]:
    """F1 by page type, the share chosen on other pages than it is scored on, beside that of trafilatura alone."""
    import random

    from curate.extract.encoding import decode_html

    alone, other = engine("trafilatura", favor_precision=False), engine("resiliparse", include_comments=True)
    rows = []
    for row, page, content_type in wcxb(folder):
        text = alone(page, content_type)
        f1 = word_scores(text, row["text"])[2]
        second = other(page, content_type)
        share = len(text) / max(1, len(whole_text(decode_html(page, content_type))))
        if len(second) <= len(text):
            share = float("inf")  # only a longer text takes the other's place
        rows.append((row["page_type"], share, f1, word_scores(second, row["text"])[2]))

    def scored(rows: list[tuple[str, float, float, float]], least: float) -> list[float]:
        return [second if share < least else first for _, share, first, second in rows]

    totals: dict[str, list[float]] = defaultdict(list)
    chosen: Counter[float] = Counter()
    for seed in range(5):
        order = random.Random(seed).sample(rows, len(rows))
        for tenth in range(10):
            rest = [row for place, row in enumerate(order) if place % 10 != tenth]
            best = max(SHARES, key=lambda least: sum(scored(rest, least)))
            chosen[best] += 1
            for row, f1 in zip(order[tenth::10], scored(order[tenth::10], best), strict=True):
                totals[row[0]].append(f1)
    kinds = sorted(totals)
    return {
        "f1": round(fmean(one for values in totals.values() for one in values), 4),
        "f1_alone": round(fmean(row[2] for row in rows), 4),
        **{f"f1_{kind}": round(fmean(totals[kind]), 4) for kind in kinds},
        **{f"f1_alone_{kind}": round(fmean(row[2] for row in rows if row[0] == kind), 4) for kind in kinds},
        "chosen": dict(sorted(chosen.items())),
    }


def whole_text(page: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(page, main_content=False, preserve_formatting=True, alt_texts=False, links=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--engine", nargs="+", default=["trafilatura"])
    parser.add_argument("--precise", action="store_true", help="with favor_precision")
    parser.add_argument("--all", action="store_true", help="all pages of wcxb/")
    parser.add_argument("--min-share", type=float, default=0.0)
    parser.add_argument("--choose", action="store_true")
    options = parser.parse_args()
    if options.choose:
        print(json.dumps({"benchmark": "extraction_choice", **choice(options.data)}))
        return
    for name in options.engine:
        extractor = engine(name, favor_precision=options.precise, min_share=options.min_share)
        told = {"engine": name, "precise": options.precise, "min_share": options.min_share}
        print(json.dumps({"benchmark": "extraction_score", **told, **scores(options.data, extractor, options.all)}))


if __name__ == "__main__":
    main()
