"""Mutated pages through all of the extractor `blocks`, and metadata: no crash, no hang, nothing quadratic.

usage: block_fuzz.py [--input FILE_OR_FOLDER_OF_WARC ...] [--seed N] [--trials N]

Real pages (made ones without --input) are cut, spliced, doubled, and their tags, attributes and characters changed.
Whatever comes out must be cut into blocks, judged and rendered, all of them, a part and the chosen ones, in either
format; what is rendered twice is the same twice. One JSON line: trials, crashes (page, seed of the mutation, error),
slowest_ms, and slowest_ms_per_mb, the most for a megabyte of page.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

_TAGS = """p div span a b i sup sub q time math mi mn mo msup mfrac mtable mtr mtd annotation semantics ruby rt table tr
    td th tbody caption ul ol li dl dt dd pre code blockquote h1 h2 br hr img svg template script style title meta link
    form select option textarea button noscript iframe figure figcaption section article nav header footer frameset xmp
    plaintext details summary dialog input del ins wbr font center"""
_ATTRIBUTES = """hidden style="display:none" class="lineno" class="anchor" href="#x" href="javascript:x" rowspan="99"
    colspan="1000" start="-1" start="99999999999" value="7" reversed alt="a&lt;b" datetime="2020" display="block"
    alttext="\\x" role="presentation" rel="license" itemprop="license" itemprop="author" itemtype="x" name="robots"
    content="noindex" lang="x" """
TAGS, ATTRIBUTES = _TAGS.split(), _ATTRIBUTES.split()
CHARACTERS = "\x00\x0b\x1f \xa0\xad\u200b\u200d\u202e\ufeff\ufffe\ud800\U0001f600<>&\"'=/;-\n\t¶#§"
ODD = ("<!--", "-->", "<![CDATA[", "]]>", "<!doctype", "&#0;", "&#x110000;")
_TAG = re.compile("<[^>]*>")


def mutated(page: str, rng: random.Random, others: Sequence[str]) -> str:
    """A page, changed in one to twelve places."""
    for _ in range(rng.randint(1, 12)):
        place = rng.randrange(len(page) + 1)
        end = min(len(page), place + rng.choice((1, 10, 100, 5000)))
        what = rng.randrange(9)
        tag = rng.choice(TAGS)
        if what == 0:
            page = page[:place] + page[end:]
        elif what == 1:
            page = page[:place] + page[place:end] * rng.choice((2, 3, 40)) + page[end:]
        elif what == 2:
            page = page[:place] + rng.choice(CHARACTERS) * rng.choice((1, 1, 30)) + page[place:]
        elif what == 3:
            page = page[:place] + f"<{tag} {rng.choice(ATTRIBUTES)}>" * rng.choice((1, 1, 300)) + page[place:]
        elif what == 4:
            page = page[:place] + f"</{tag}>" * rng.choice((1, 5)) + page[place:]
        elif what == 5:
            other = rng.choice(others)
            cut = rng.randrange(len(other) + 1)
            page = page[:place] + other[cut : cut + 20_000] + page[place:]
        elif what == 6:
            page = page[:place]
        elif what == 7:
            tags = [one.span() for one in _TAG.finditer(page)][:5000]
            if tags:
                begin, close = rng.choice(tags)
                page = page[:begin] + f"<{rng.choice(('', '/'))}{tag} {rng.choice(ATTRIBUTES)}>" + page[close:]
        else:
            page = (
                page[:place]
                + rng.choice(("<!--", "-->", "<![CDATA[", "]]>", "<!doctype", "&#0;", "&#x110000;"))
                + page[place:]
            )
        page = page[:2_000_000]
    return page


def once(page: str, rng: random.Random) -> None:
    """All that is done to a page. Raises whatever it raises."""
    from curate.extract.blocks.model import load
    from curate.extract.blocks.segment import segment
    from curate.extract.blocks.text import rendered
    from curate.extract.page_metadata import stated

    cut = segment(page)
    blocks = range(len(cut.begins))
    some = sorted(rng.sample(blocks, len(blocks) // 2))
    judged = load().judged(cut)
    assert len(judged.probabilities) == len(blocks)
    for chosen in (blocks, some, judged.chosen):
        text = rendered(cut, chosen)
        assert text == rendered(cut, chosen)
        assert "\x00" not in text, "a sentinel in a text"
        rendered(cut, chosen, markdown=True, links=True, tables=False)
    about = stated(cut.tokens, cut.scripts, "https://a.example/x", "2026-01-01")
    assert all(isinstance(value, str) and value for value in about.values())


def made_pages(rng: random.Random) -> list[str]:
    """Pages of all elements and attributes that are known here."""
    pages = []
    for _ in range(6):
        parts = ["<title>The mill</title><body>"]
        for _ in range(150):
            tag = rng.choice(TAGS)
            parts.append(f"<{tag} {rng.choice(ATTRIBUTES)}>word {rng.randrange(100)} " + rng.choice(("", f"</{tag}>")))
        pages.append("".join(parts))
    return pages


def trial(pages: Sequence[str], seed: int, trials: int) -> dict[str, Any]:
    crashes: list[dict[str, Any]] = []
    slowest = slowest_share = 0.0
    for number in range(trials):
        rng = random.Random(seed * 1_000_003 + number)
        page = mutated(pages[number % len(pages)], rng, pages)
        page = page.encode("utf-8", "replace").decode("utf-8")
        started = time.process_time()
        try:
            once(page, rng)
        except Exception as error:
            crashes.append(
                {"page": number % len(pages), "trial": number, "error": f"{type(error).__name__}: {error}"[:200]}
            )
        took = (time.process_time() - started) * 1000
        slowest = max(slowest, took)
        slowest_share = max(slowest_share, took / max(0.1, len(page) / 1e6))
    return {
        "trials": trials,
        "crashes": crashes[:20],
        "slowest_ms": round(slowest, 1),
        "slowest_ms_per_mb": round(slowest_share, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", nargs="*", type=Path, default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=2000)
    asked = parser.parse_args()
    pages: list[str] = []
    for path in asked.input:
        from curate.document import Document
        from curate.extract.encoding import decode_html
        from curate.sources import open_source

        for item in open_source(path, "fuzz"):
            if isinstance(item, Document) and item.html and len(item.html) < 400_000:
                pages.append(decode_html(item.html))
    pages = pages or made_pages(random.Random(asked.seed))
    print(json.dumps({"bench": "block_fuzz", "pages": len(pages), **trial(pages, asked.seed, asked.trials)}))


if __name__ == "__main__":
    main()
