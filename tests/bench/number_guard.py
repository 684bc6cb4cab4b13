"""What the number guard of `minhash_dedup` keeps apart and what it lets merge. Prints one JSON line.

    python tests/bench/number_guard.py [--natural FOLDER] [--pages GOLD] [--different 54000] [--peers]

Each pair is judged by itself: do its signatures share a band (14 of 8), is its Jaccard similarity 0.8 or more, and are
its figures equal, by the guard, by the guard as it was before (`was`: all numbers of the text), or with it off.

- `help`: LibreOffice's help in American and British English; `documentation`: LLVM's and Clang's manuals of releases 14
  and 15, pages of the same name (all Debian packages, fetched into `--natural` with apt-get); `revisited`: real pages
  (texts of `--pages`, a file of JSON lines) with what changes between two visits, by `figure_pairs.py`; by change too.
  For each the share merged of pairs at similarity 0.8 and more, and at 0.9 and more; with `--peers` also the share that
  datatrove (its signatures, value for value: the dialect), datasketch (MinHash of the same bands) and text-dedup 0.4.0
  (its words, 250 permutations and the bands of its default threshold, 0.7) pair at 0.8.
- `different`: texts that differ in one figure, or by one row or sentence with a figure; `merged` must be 0, and
  `figures_equal` counts all pairs that the guard alone would not hold apart. With the guard off `merged_without` merge.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from resiliparse.extract.html2text import extract_plain_text
from xxhash import xxh32_intdigest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bench"))

import figure_pairs  # noqa: E402
import natural_pairs  # noqa: E402

from curate.dedup.figures import figures  # noqa: E402
from curate.dedup.shingles import jaccard  # noqa: E402
from curate.dedup.signatures import Sketcher  # noqa: E402
from curate.text.folding import fold  # noqa: E402

PAGES = ROOT.parent / "shared" / "data" / "extraction" / "wcxb" / "gold.jsonl.gz"
RELEASES = (14, 15)
MANUALS = ("llvm", "clang")
TEXT_DEDUP = (25, 10)
"""Its bands and rows: what its optimal_param makes of its threshold 0.7 and 250 permutations."""
_SKETCHER = Sketcher(numbers="ignore")
_BATCH = 2000
_NUMBER_BYTES = bytes(c if 48 <= c <= 57 or c in b".,:/-" else 32 for c in range(256))


def numbers_were(text: str) -> list[bytes]:
    """The guard of step versions 1 and 2: every number of a text, in its own spelling."""
    tokens = (token.strip(b".,:/").rstrip(b"-") for token in fold(text).translate(_NUMBER_BYTES).split())
    return sorted(token for token in tokens if any(48 <= byte <= 57 for byte in token))


def judged(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[float, bool]]:
    """Of each pair the similarity, and whether it would merge with the guard off."""
    batch: list[tuple[str, str]] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == _BATCH:
            yield from _judged(batch)
            batch = []
    yield from _judged(batch)


def _judged(batch: list[tuple[str, str]]) -> Iterator[tuple[float, bool]]:
    sketches = [[_SKETCHER.sketch(text) for text in pair] for pair in batch]
    sets = [sketch[0] if sketch else np.zeros(1, np.uint64) for pair in sketches for sketch in pair]
    bands = _SKETCHER.signatures(sets).reshape(len(batch), 2, _SKETCHER.bands, _SKETCHER.rows) if batch else []
    for row, (one, other) in enumerate(bands):
        similar = jaccard(sets[2 * row], sets[2 * row + 1]) if all(sketches[row]) else 0.0
        yield similar, similar >= 0.8 and bool((one == other).all(axis=1).any())


def peers(pairs: list[tuple[str, str]]) -> dict[str, float]:
    """The shares that peers pair: none verifies what shares a band. text-dedup is its algorithm, not its code."""
    from datasketch import MinHash

    theirs = Sketcher(dialect="datatrove", numbers="ignore")

    def by_datatrove(text: str) -> Any:
        sketch = theirs.sketch(text)
        return None if sketch is None else theirs.signatures([sketch[0]])[0]

    def by_datasketch(text: str) -> Any:
        words = text.lower().split()
        sketch = MinHash(num_perm=112, hashfunc=xxh32_intdigest)
        sketch.update_batch([" ".join(words[place : place + 5]).encode() for place in range(max(1, len(words) - 4))])
        return sketch.hashvalues

    def by_text_dedup(text: str) -> Any:
        words = re.split(r"\W", text.lower())
        sketch = MinHash(num_perm=250, seed=42)
        sketch.update_batch([" ".join(words[place : place + 5]).encode() for place in range(max(1, len(words) - 4))])
        return sketch.hashvalues[: TEXT_DEDUP[0] * TEXT_DEDUP[1]]

    found = {}
    ours = (14, 8)
    for name, sign, bands in (
        ("datatrove", by_datatrove, ours),
        ("datasketch", by_datasketch, ours),
        ("text_dedup", by_text_dedup, TEXT_DEDUP),
    ):
        count = 0
        for pair in pairs:
            one, other = (sign(text) for text in pair)
            count += one is not None and other is not None and bool((one == other).reshape(bands).all(axis=1).any())
        found[name] = round(count / max(len(pairs), 1), 4)
    return found


def shares(pairs: list[tuple[str, str]], with_peers: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"pairs": len(pairs)}
    near = [(*pair, similar, merges) for pair, (similar, merges) in zip(pairs, judged(pairs), strict=True)]
    for least in (0.8, 0.9):
        these = [(one, other, merges) for one, other, similar, merges in near if similar >= least]
        some = max(len(these), 1)
        found[f"at_{least}"] = {
            "pairs": len(these),
            "guard": round(sum(m and figures(a) == figures(b) for a, b, m in these) / some, 4),
            "was": round(sum(m and numbers_were(a) == numbers_were(b) for a, b, m in these) / some, 4),
            "off": round(sum(m for _, _, m in these) / some, 4),
        }
        if with_peers and least == 0.8:
            found["at_0.8"] |= peers([(one, other) for one, other, _ in these])
    return found


def documentation(folder: Path) -> list[tuple[str, str]]:
    """Pages of the same name in both releases, main text by resiliparse."""
    pairs = []
    for manual in MANUALS:
        roots = []
        for release in RELEASES:
            name = f"{manual}-{release}-doc"
            if not (folder / name).exists():
                subprocess.run(["apt-get", "download", "-q", name], cwd=folder, check=True, stdout=sys.stderr)
                (archive,) = folder.glob(f"{name}_*.deb")
                subprocess.run(["dpkg-deb", "-x", archive.name, name], cwd=folder, check=True)
            roots.append(folder / name / "usr/share/doc" / name / "html")
        for page in sorted(roots[0].rglob("*.html")):
            other = roots[1] / page.relative_to(roots[0])
            if other.exists():
                files = (one.read_text(encoding="utf-8", errors="replace") for one in (page, other))
                one, two = (extract_plain_text(text, main_content=False) for text in files)
                if min(len(one.split()), len(two.split())) >= natural_pairs.LEAST_WORDS:
                    pairs.append((one, two))
    return pairs


def revisited(path: Path, with_peers: bool) -> dict[str, Any]:
    rng = random.Random(32)
    with gzip.open(path, "rt") as lines:
        texts = [json.loads(line)["text"] or "" for line in lines]
    texts = [text for text in texts if 150 <= len(text.split()) <= 3000]
    made: dict[str, list[tuple[str, str]]] = {change: [] for change in figure_pairs.CHANGES}
    for number, text in enumerate(texts):
        change = list(made)[number % len(made)]
        pair = figure_pairs.revisited(rng, text, change)
        if pair[0] != pair[1]:
            made[change].append(pair)
    by_change = {change: shares(pairs)["at_0.8"] for change, pairs in made.items()}
    return {**shares([pair for pairs in made.values() for pair in pairs], with_peers), "by_change_at_0.8": by_change}


def different(count: int) -> dict[str, Any]:
    rng = random.Random(42)
    kinds = list(figure_pairs.KINDS)
    found: Counter[str] = Counter()
    equal: Counter[str] = Counter()

    def pairs() -> Iterator[tuple[str, str]]:
        for number in range(count):
            pair = figure_pairs.different(rng, kinds[number % len(kinds)])
            same.append(figures(pair[0]) == figures(pair[1]))
            if same[-1]:
                equal[kinds[number % len(kinds)]] += 1
                if equal.total() <= 5:
                    lines = [sorted(set(a.split("\n")) - set(b.split("\n"))) for a, b in (pair, pair[::-1])]
                    print(kinds[number % len(kinds)], lines, file=sys.stderr)
            yield pair

    same: list[bool] = []
    for number, (_, merges) in enumerate(judged(pairs())):
        found["merged_without"] += merges
        found["merged"] += merges and same[number]
    return {
        "pairs": count,
        "figures_equal": dict(equal),
        **{name: found[name] for name in ("merged", "merged_without")},
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--natural", type=Path, default=ROOT / "build" / "natural-pairs")
    arguments.add_argument("--pages", type=Path, default=PAGES)
    arguments.add_argument("--different", type=int, default=54_000)
    arguments.add_argument("--peers", action="store_true")
    given = arguments.parse_args()
    result: dict[str, Any] = {}
    help_pages = natural_pairs.read(natural_pairs.prepared(given.natural))
    result["help"] = shares([(pair["us"], pair["gb"]) for pair in help_pages], given.peers)
    result["documentation"] = shares(documentation(given.natural), given.peers)
    result["revisited"] = revisited(given.pages, given.peers)
    result["different"] = different(given.different)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
