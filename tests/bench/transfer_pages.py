"""Whether small models order corpora of real pages as larger ones do: one JSON line.

    python tests/bench/transfer_pages.py --work FOLDER [--widths 20 48 92] [--seeds 6] [--reading text]

Ten corpora are made of one crawl's pages: raw, curated, a coin of its size, and seven wilful ones. `goldsand compare`'s
own protocol trains the same models on each, at every width. Of the pairs of corpora that the largest models tell apart,
it prints the share that smaller ones order alike, with an interval over corpora and seeds. The criteria, written down
before the first run, stand in docs/results/transfer-pages.md. The same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import math
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reading import COPIED, crawled, in_another_language, nearly, run_of, stretch, whole_pages

PUBLISHED = (
    "[extract: {engine: resiliparse}, language: {keep: [en]}, gopher_quality, gopher_repetition, c4, exact_dedup,"
    " minhash_dedup]"
)
"""The steps of the curated corpus."""

DRAWS = 2000
"""Draws of corpora and seeds behind an interval."""

TOLD_APART = 0.01
"""Two corpora are told apart where the two-sided p of a paired t-test over seeds lies below this."""

Losses = Mapping[str, Mapping[int, float]]
"""Loss (lower is better) by corpus and seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", nargs="+", type=int, default=[20, 48, 92])
    parser.add_argument("--seeds", type=int, default=6, help="models of each corpus and width; even for text")
    parser.add_argument("--seed-from", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=600_000)
    parser.add_argument("--reading", choices=["text", "facts"], default="text")
    parser.add_argument("--work", type=Path, help="a folder to keep, so that the same command goes on")
    given = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        entries = corpora_of(work)
        found = [measured(given, entries, work, width) for width in sorted(given.widths)]
    line: dict[str, Any] = {"reading": given.reading, "sizes": found}
    for text in found[-1]["losses"]:
        by_size = [one["losses"][text] for one in found]
        line[text] = agreement(by_size, [one["parameters"] for one in found])
    line["seconds"] = round(time.perf_counter() - begun, 1)
    print(json.dumps(line | {"asked": {name: str(value) for name, value in vars(given).items()}}))


def measured(given: argparse.Namespace, entries: Sequence[Any], work: Path, width: int) -> dict[str, Any]:
    """What models of one width make of each corpus: by text, bits a byte on all held-out pages and on those that the
    curated corpus keeps; by facts, the logarithm of the exposures that half of them take."""
    from recipes.app.measure.asked import ALONE, CONTROL, TEXT_SEEDS, Comparison
    from recipes.app.measure.compare import run_comparison
    from recipes.app.measure.statistics import arms_of, log_halves

    text = given.reading == "text"
    asked = Comparison(
        reading=given.reading, width=width, text_width=width, text_tokens=given.tokens, more=0,
        seeds=given.seeds // TEXT_SEEDS if text else given.seeds, seed_from=given.seed_from,
        may_repeat=tuple(name for name in CORPORA if name != "raw"),
    )  # fmt: skip
    answer = run_comparison(entries, work / f"{given.reading}-{given.seed_from}-{width}", asked)
    if not text:
        arms = arms_of(answer["results"], key="rung")
        ladders = {arm: [row["rung"] for row in answer["rungs"] if row["arm"] == arm] for arm in arms}
        halves = {arm: log_halves(one, ladders[arm]) for arm, one in arms.items() if arm not in (ALONE, CONTROL)}
        return {
            "width": width, "parameters": answer["parameters"], "control_worse": answer["control"]["worse"],
            "training_seconds": round(answer["seconds"], 1), "tokens": answer["tokens"], "losses": {"facts": halves},
        }  # fmt: skip
    read = answer["reading"]
    every = next(key for key in read["losses"] if key.endswith("held-out pages of 'raw'"))
    kept = next(key for key in read["losses"] if key.endswith("kept by clean"))
    return {
        "width": width, "parameters": read["parameters"], "control_worse": read["control"]["worse"],
        "training_seconds": round(read["seconds"], 1), "tokens": read["tokens"],
        "losses": {
            name: {arm: by_seed for arm, by_seed in read["losses"][key].items() if arm != "control"}
            for name, key in (("all", every), ("kept", kept))
        },
    }  # fmt: skip


# The corpora


def corpora_of(work: Path) -> list[Any]:
    """The pages and what is made of them, written once."""
    from curate.document import Document
    from curate.shards.domain_rendering import drawn
    from curate.shards.text import write_text_shard
    from recipes.app.measure.corpora import Entry, open_corpus
    from recipes.app.measure.held_out import HeldOut
    from recipes.app.measure.reading import shuffled

    raw = open_corpus("raw", crawled(work))
    pages = list(raw.documents())
    # Copies are of pages that models read.
    read = list(HeldOut.of([Entry("raw", raw)]).entries[0].corpus.documents())
    clean = run_of(work, "clean", PUBLISHED)

    def third(by: Callable[[Document], str]) -> Iterator[Document]:
        for page in pages:
            yield dataclasses.replace(page, text=by(page)) if drawn(page.key, "a third") < 2**64 / 3 else page

    def shortest() -> list[Document]:
        ordered = sorted(pages, key=lambda page: (len(page.text), page.key))
        wanted = sum(len(page.text) for page in pages) / 2
        ends = list(itertools.accumulate(len(page.text) for page in ordered))
        return ordered[: sum(end <= wanted for end in ends)]

    def but_one_domain() -> list[Document]:
        sizes: Counter[str] = Counter()
        for page in pages:
            sizes[page.domain or ""] += len(page.text)
        largest = sizes.most_common(1)[0][0]
        return [page for page in pages if (page.domain or "") != largest]

    def with_boilerplate() -> Iterator[Document]:
        whole = dict(whole_pages({page.key for page in pages}))
        return (dataclasses.replace(page, text=whole.get(page.key, page.text)) for page in pages)

    foreign = list(in_another_language(None, work)) if not (work / "corpora/language").is_dir() else []
    mean = statistics.fmean(len(page.text) for page in pages)
    copied = sorted(read, key=lambda page: (abs(len(page.text) - mean), page.key))[:COPIED]
    made: dict[str, Callable[[], Any]] = {
        "shortest": shortest,
        "but-one-domain": but_one_domain,
        "duplicates": lambda: third(lambda page: nearly(read[drawn(page.key, "near") % len(read)])),
        "shuffled": lambda: third(shuffled),
        "boilerplate": with_boilerplate,
        "language": lambda: third(lambda page: stretch(foreign, page)),
        "planted": lambda: third(lambda page: copied[drawn(page.key, "copy") % COPIED].text),
    }
    entries = [Entry("raw", raw), Entry("clean", open_corpus("clean", clean))]
    for name, of in made.items():
        folder = work / "corpora" / name
        if not folder.is_dir():
            (folder / "writing/text").mkdir(parents=True)
            with (folder / "writing/text/00000.jsonl.zst").open("wb") as stream:
                write_text_shard(stream, (page for page in of() if page.text.strip()))
            (folder / "writing/text").rename(folder / "text")
        entries.append(Entry(name, open_corpus(name, folder)))
    assert [entry.name for entry in entries] == list(CORPORA)
    return entries


CORPORA = (
    "raw", "clean", "shortest", "but-one-domain", "duplicates", "shuffled", "boilerplate", "language", "planted",
)  # fmt: skip


# The figures


def agreement(by_size: Sequence[Losses], parameters: Sequence[int]) -> dict[str, Any]:
    """How each smaller size orders the pairs of corpora that the largest tells apart; how one half of the largest's
    seeds orders them beside the other is the ceiling."""
    *smaller, largest = by_size
    names = [name for name in largest if not name.startswith("coin of ") or name == coin_of(largest)]
    apart = told_apart(largest, names)
    seeds = sorted(largest[names[0]])
    theirs = means(largest, names, seeds)
    one, other = (means(largest, names, seeds[half::2]) for half in (0, 1))
    found: dict[str, Any] = {
        "corpora": names, "pairs": math.comb(len(names), 2), "told_apart": len(apart),
        "ceiling": {"alike": share_alike(one, other, apart), "tau": tau(one, other)},
    }  # fmt: skip
    for small, size in zip(smaller, parameters, strict=False):
        mine = means(small, names, sorted(small[names[0]]))
        low, high = interval(small, largest, names)
        otherwise = sorted(pair for pair in apart if not share_alike(mine, theirs, {pair}))
        own = told_apart(small, names)
        found[str(size)] = {
            "alike": share_alike(mine, theirs, apart), "low": low, "high": high, "tau": tau(mine, theirs),
            "told_apart": len(own), "otherwise": otherwise, "reversed": [pair for pair in otherwise if pair in own],
        }  # fmt: skip
    return found


def coin_of(losses: Losses) -> str:
    """The coin of the curated corpus's size, which is the largest coin."""
    return max((name for name in losses if name.startswith("coin of ")), default="")


def means(losses: Losses, names: Sequence[str], seeds: Sequence[int]) -> dict[str, float]:
    return {name: statistics.fmean(losses[name][seed] for seed in seeds) for name in names}


def told_apart(losses: Losses, names: Sequence[str]) -> set[tuple[str, str]]:
    """Pairs whose paired t-test over seeds has a p below TOLD_APART."""
    from scipy.stats import ttest_rel

    found = set()
    for one, other in itertools.combinations(names, 2):
        seeds = sorted(losses[one].keys() & losses[other].keys())
        pair = ttest_rel([losses[one][seed] for seed in seeds], [losses[other][seed] for seed in seeds])
        if pair.pvalue < TOLD_APART:
            found.add((one, other))
    return found


def share_alike(mine: Mapping[str, float], theirs: Mapping[str, float], pairs: set[tuple[str, str]]) -> float | None:
    """The share of pairs that both order alike; None of no pairs."""
    alike = [(mine[one] < mine[other]) == (theirs[one] < theirs[other]) for one, other in pairs]
    return round(statistics.fmean(alike), 3) if alike else None


def tau(mine: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    """Kendall's rank correlation, over all pairs."""
    pairs = set(itertools.combinations(mine, 2))
    share = share_alike(mine, theirs, pairs)
    assert share is not None
    return round(2 * share - 1, 3)


def interval(small: Losses, large: Losses, names: Sequence[str]) -> tuple[float, float]:
    """The 95 % interval of the share ordered alike, over corpora and seeds drawn anew."""
    draw = random.Random(0)
    pairs = told_apart(large, names)
    shares = []
    for _ in range(DRAWS):
        chosen = draw.choices(names, k=len(names))
        drawn = []
        for one in (small, large):
            seeds = sorted(one[names[0]])
            drawn.append(means(one, names, draw.choices(seeds, k=len(seeds))))
        told = {pair for pair in itertools.combinations(chosen, 2) if pair in pairs or pair[::-1] in pairs}
        share = share_alike(*drawn, told)
        shares += [] if share is None else [share]
    low, high = np.quantile(shares, [0.025, 0.975])
    return round(float(low), 3), round(float(high), 3)


if __name__ == "__main__":
    main()
