"""Knowledge density beside a fastText classifier of wiki-like text: what both say of the same texts, what they cost.

usage: density.py [--shared FOLDER]

The classifier is trained on paragraphs of Wikipedia (the passages of BoolQ) against passages of crawled pages of the
same length, letters and digits alone, so that marks tell nothing; pages and passages are cut in halves by hash, one to
learn from, one to be judged. Page types and the texts behind them are those of the extraction benchmark; pages that it
shares with the crawl are never learnt from. One JSON line: `auc` of each side (and of each kind of fact) for Wikipedia
against the crawl, and for pages that the FineWeb rules keep against those they drop; `spearman` of both on whole pages;
medians by page type; documents a second, for density from a bare text (`docs_per_s`) and where the rules have split it
already (`docs_per_s_split`).
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "parity")]

from page_texts import page_texts  # noqa: E402

from curate.adapters import Rules  # noqa: E402
from curate.text.density import facts_of  # noqa: E402
from curate.text.signals import TextSignals  # noqa: E402

WORDS = 100
_MARKS = re.compile(r"[^\w]+|_")


def half(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "replace")) & 1


def passages(text: str) -> list[str]:
    """Runs of lines of about WORDS words."""
    found: list[list[str]] = [[]]
    for line in filter(None, map(str.strip, text.splitlines())):
        found[-1].append(line)
        if sum(len(one.split()) for one in found[-1]) >= WORDS:
            found.append([])
    return ["\n".join(lines) for lines in found if sum(len(one.split()) for one in lines) >= WORDS // 2]


def auc(better: Sequence[float], worse: Sequence[float]) -> float:
    """The chance that one of the first is above one of the second (Mann-Whitney), ties half."""
    values = np.concatenate([better, worse])
    return float(
        (_ranks(values)[: len(better)].sum() - len(better) * (len(better) + 1) / 2) / (len(better) * len(worse))
    )


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.corrcoef(_ranks(np.array(one)), _ranks(np.array(other)))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


class Classifier:
    """fastText, wiki-like against crawl; scores are the probability of wiki-like."""

    def __init__(self, wiki: Sequence[str], crawl: Sequence[str]) -> None:
        import fasttext

        with tempfile.TemporaryDirectory() as folder:
            lines = [f"__label__wiki {self.plain(text)}\n" for text in wiki]
            lines += [f"__label__crawl {self.plain(text)}\n" for text in crawl]
            order = np.random.default_rng(0).permutation(len(lines))
            path = Path(folder) / "train.txt"
            path.write_text("".join(lines[place] for place in order), encoding="utf-8")
            self.model = fasttext.train_supervised(
                str(path),
                dim=32,
                epoch=10,
                lr=0.3,
                wordNgrams=2,
                bucket=200_000,
                minCount=2,
                thread=1,
                seed=1,
                verbose=0,
            )

    @staticmethod
    def plain(text: str) -> str:
        return _MARKS.sub(" ", text.encode("utf-8", "ignore").decode().lower())

    def __call__(self, text: str) -> float:
        labels, scores = self.model.predict(self.plain(text), k=2)
        return float(dict(zip(labels, scores, strict=True)).get("__label__wiki", 0.0))


def density(text: str) -> float:
    return facts_of(TextSignals(text)).density


def kinds(wiki: Sequence[str], crawl: Sequence[str]) -> dict[str, float]:
    """What each kind of fact tells alone."""
    sides = [[facts_of(TextSignals(text)) for text in texts] for texts in (wiki, crawl)]
    return {
        name: auc(*([facts[place] / max(facts.words, 1) for facts in side] for side in sides))
        for place, name in enumerate(sides[0][0]._fields[1:], 1)
    }


def timed(function: Any, texts: Sequence[Any]) -> tuple[list[float], float]:
    started = time.process_time()
    found = [function(text) for text in texts]
    return found, len(texts) / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    data = parser.parse_args().shared / "data"
    with gzip.open(data / "benchmarks" / "boolq.jsonl.gz", "rt", encoding="utf-8") as lines:
        queries = [json.loads(line)["query"] for line in lines]
    wiki = sorted({query.removeprefix("Passage: ").partition("\nQuestion:")[0].strip() for query in queries})
    with gzip.open(data / "extraction" / "wcxb-dev-gold.jsonl.gz", "rt", encoding="utf-8") as lines:
        typed = [json.loads(line) for line in lines]
    known = {" ".join(row["text"].split())[200:300] for row in typed if len(row["text"]) > 400}
    pages = [text for text in page_texts(data / "crawl") if len(text) > 400]
    learnt = [text for text in pages if not half(text) and not any(piece in " ".join(text.split()) for piece in known)]
    judged = [text for text in pages if half(text)]
    learn_crawl = [one for text in learnt for one in passages(text)]
    judge_crawl = [one for text in judged for one in passages(text)]
    classify = Classifier([text for text in wiki if not half(text)], learn_crawl)
    judge_wiki = [text for text in wiki if half(text)]

    found: dict[str, Any] = {
        "learnt": [len(wiki) - len(judge_wiki), len(learn_crawl)],
        "judged": [len(judge_wiki), len(judge_crawl)],
    }
    found["auc_kinds"] = kinds(judge_wiki, judge_crawl)
    density(pages[0])
    by_density, per_second = timed(density, judged)
    by_classifier, peer_per_second = timed(classify, judged)
    kept = Rules("gopher_repetition", "gopher_quality", "c4", "fineweb").keep({"text": judged})
    found["auc_wiki"] = {}
    found["auc_kept"] = {}
    for name, score, whole in (("density", density, by_density), ("classifier", classify, by_classifier)):
        found["auc_wiki"][name] = auc([*map(score, judge_wiki)], [*map(score, judge_crawl)])
        split: tuple[list[float], list[float]] = ([], [])
        for value, keeps in zip(whole, kept, strict=True):
            split[not keeps].append(value)
        found["auc_kept"][name] = auc(*split)
    found["pages"] = [len(judged), sum(kept)]
    texts = [row["text"] for row in typed]
    of_types = {"density": [*map(density, texts)], "classifier": [*map(classify, texts)]}
    found["spearman"] = {
        "crawled pages": spearman(by_density, by_classifier),
        "typed pages": spearman(*of_types.values()),
    }
    found["by_type"] = {
        kind: {
            name: float(
                np.median([value for value, row in zip(values, typed, strict=True) if row["page_type"] == kind])
            )
            for name, values in of_types.items()
        }
        for kind in sorted({row["page_type"] for row in typed})
    }
    split_already = [TextSignals(text) for text in judged]
    for signals in split_already:
        _ = signals.reading, signals.filled_stripped
    _, split_per_second = timed(lambda signals: facts_of(signals).density, split_already)
    found |= {"docs_per_s": per_second, "docs_per_s_split": split_per_second, "peer_docs_per_s": peer_per_second}
    print(json.dumps(rounded(found)))


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
