"""What trained classifiers are worth on texts they never saw: safety from labelled comments, quality from a dictionary.

usage: classifier.py --safety ../shared/data/safety --pages TEXTS.jsonl [--gold wcxb-dev-gold.jsonl.gz]
                     [--foldoc foldoc.dict.dz]

Safety: one model of three sources with the fourth unseen, for each of the four; the last of them, with surge unseen, is
then asked about real pages (`--pages`, rows with `text`), as they are and with two toxic comments of the unseen set
planted in the middle, whole and in windows. Quality: entries of the Free On-line Dictionary of Computing (Debian:
dict-foldoc) against two thirds of the pages; the last third, and texts by page type (`--gold`), are unseen. JSON lines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from safety_sets import SOURCES, write  # noqa: E402

PLANTED = 300
THRESHOLDS = (0.5, 0.8, 0.95)


def read(path: Path) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def brief(report: dict[str, Any], part: str) -> dict[str, Any]:
    of = report[part]["all"]
    return {
        "positive": of["positive"],
        "negative": of["negative"],
        "auc": of["auc"],
        "precision_at_recall": {row["recall_asked"]: row["precision"] for row in of["at_recall"]},
        "false_positive_rate_at_recall": {row["recall_asked"]: row["false_positive_rate"] for row in of["at_recall"]},
        "auc_by_source": {name: found["auc"] for name, found in report[part]["by_source"].items()},
    }


def safety(data: Path, pages: list[str], folder: Path) -> None:
    from curate.filters import Classifier
    from curate.filters.training import Text, train

    counts = write(data, folder)
    texts = {
        (source, kind): [Text(text, source) for text in read(folder / f"{source}.{kind}.jsonl")]
        for source in SOURCES
        for kind in ("positive", "negative")
    }
    for unseen in SOURCES:
        model = folder / f"without-{unseen}.bin"
        started = time.process_time()
        report = train(
            [text for source in SOURCES if source != unseen for text in texts[source, "positive"]],
            [text for source in SOURCES if source != unseen for text in texts[source, "negative"]],
            model,
            unseen_positive=texts[unseen, "positive"],
            unseen_negative=texts[unseen, "negative"],
        )  # fmt: skip
        line = {"benchmark": "classifier", "what": "safety", "unseen": unseen, "of_unseen": brief(report, "unseen")}
        line |= {"held_out": brief(report, "held_out"), "seconds": round(time.process_time() - started, 1)}
        print(
            json.dumps(line | {"model_mb": round(model.stat().st_size / 1e6, 1), "texts": counts[unseen]}), flush=True
        )
    toxic = [text.text for text in texts["surge", "positive"]]
    for window in (None, 30, 60, 120):
        rule = Classifier(model=str(folder / "without-surge.bin"), max_score=1.0, window=window)
        rule.open()
        started = time.process_time()
        plain = [rule.score(page) for page in pages]
        seconds = time.process_time() - started
        planted = []
        for number, page in enumerate(pages[:PLANTED]):
            middle = len(page) // 2
            comments = f" {toxic[number % len(toxic)]} {toxic[(7 * number + 3) % len(toxic)]} "
            planted.append(rule.score(page[:middle] + comments + page[middle:]))
        line = {"benchmark": "classifier", "what": "pages", "window": window, "pages": len(pages)}
        line |= {"pages_per_s": round(len(pages) / seconds, 1), "planted": len(planted)}
        for threshold in THRESHOLDS:
            line[f"over_{threshold}"] = sum(score > threshold for score in plain)
            line[f"of_planted_before_{threshold}"] = sum(score > threshold for score in plain[:PLANTED])
            line[f"planted_over_{threshold}"] = sum(score > threshold for score in planted)
        print(json.dumps(line), flush=True)


def quality(foldoc: Path, pages: list[str], gold: Path | None, folder: Path) -> None:
    from curate.filters import Classifier
    from curate.filters.training import Text, train

    entries, entry = [], []
    with gzip.open(foldoc, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip() and not line[0].isspace():
                entries.append(" ".join(entry))
                entry = []
            else:
                entry.append(line.strip())
    entries = [text for text in entries if len(text) >= 300]
    random.Random(0).shuffle(pages)
    shown, unseen = pages[: len(pages) * 2 // 3], pages[len(pages) * 2 // 3 :]
    # A page is cut into pieces of an entry's size: else the length alone would tell.
    pieces = [page[at : at + 800] for page in shown for at in range(0, min(len(page), 16_000), 800)]
    started = time.process_time()
    report = train(
        [Text(text, "foldoc") for text in entries], [Text(text, "crawl") for text in pieces if len(text) >= 300],
        folder / "quality.bin", unseen_negative=[Text(text, "crawl") for text in unseen],
    )  # fmt: skip
    rule = Classifier(model=str(folder / "quality.bin"), min_score=0.0)
    line = {"benchmark": "classifier", "what": "quality", "held_out": brief(report, "held_out")}
    scores = sorted(rule.score(page) for page in unseen)
    line |= {"unseen_pages": len(scores), "median": round(scores[len(scores) // 2], 4)}
    line["unseen_over_0.5"] = sum(score > 0.5 for score in scores)
    line["seconds"] = round(time.process_time() - started, 1)
    if gold is not None:
        types: dict[str, list[float]] = {}
        with gzip.open(gold, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                types.setdefault(row["page_type"], []).append(rule.score(row["text"]))
        line["mean_by_page_type"] = {name: round(sum(of) / len(of), 4) for name, of in sorted(types.items())}
    print(json.dumps(line), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--safety", type=Path, required=True)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("--gold", type=Path)
    parser.add_argument("--foldoc", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        safety(options.safety, read(options.pages), Path(folder))
        if options.foldoc:
            quality(options.foldoc, read(options.pages), options.gold, Path(folder))


if __name__ == "__main__":
    main()
