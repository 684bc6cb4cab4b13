"""Makes `extraction_scores.json`: what two benchmarks' own scripts say of texts made here.

usage: make_extraction_scores.py WCXB_EVALUATE_PY SCRAPINGHUB_EVALUATE_PY

The scripts are `evaluate.py` of Murrough-Foley/web-content-extraction-benchmark (Apache-2.0) and `evaluate.py` of
scrapinghub/article-extraction-benchmark (MIT). The tests need neither.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType

WORDS = """The the Harbour harbour was quiet boats lay still naïve Straße ΟΔΟΣ 3.14 1,000 it's 日本語 x_y — ! été"""


def cases() -> list[tuple[str, str]]:
    """(text, gold) pairs: the empty ones, short ones, and gold texts of which something is lost, moved or added."""
    draw = random.Random(7)
    pairs = [("", ""), ("", "a b"), ("a b", ""), ("!", "?"), ("a", "a"), ("a b c", "a b c"), ("a b c d e", "a b c")]
    for size in (1, 3, 4, 5, 12, 60, 300):
        for change in range(4):
            gold = draw.choices(WORDS.split(), k=size)
            text = [word for word in gold if draw.random() > change / 5] + draw.choices(
                WORDS.split(), k=change * size // 4
            )
            if change == 3:
                draw.shuffle(text)
            pairs.append((" ".join(text), "\n".join(gold)))
    return pairs


def _module(path: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    wcxb, articles = _module(sys.argv[1], "wcxb"), _module(sys.argv[2], "articles")
    pairs = cases()
    words = [wcxb.word_f1(text, gold) for text, gold in pairs]
    snippets = [wcxb.snippet_check(text, gold.splitlines()[:5]) for text, gold in pairs]
    truth = {str(number): {"articleBody": gold} for number, (_, gold) in enumerate(pairs)}
    told = {str(number): {"articleBody": text} for number, (text, _) in enumerate(pairs)}
    whole = articles.evaluate(truth, told, 2)
    found = {
        "pairs": pairs,
        "words": words,
        "snippets": snippets,
        "shingles": [whole["precision"], whole["recall"], whole["f1"]],
    }
    target = Path(__file__).with_name("extraction_scores.json")
    target.write_text(json.dumps(found, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
