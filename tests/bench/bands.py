"""Recall of candidates between 0.8 and 0.9 by bands and rows, measured beside the closed form. Prints one JSON line.

    python tests/bench/bands.py [--pages GOLD]

Real pages and each with a header and footer of 60 words, cut to 90 or to 80 %, or with half of its paragraphs moved to
the end. For each setting, of the pairs whose Jaccard similarity is within [0.8, 0.9) and within [0.9, 1): how many have
a band in common, and what 1 - (1 - s^rows)^bands says of the same similarities; the microseconds of a signature for a
page, and the bytes of its bands on disk.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bench"))

from figure_pairs import FILLER  # noqa: E402
from number_guard import PAGES  # noqa: E402

from curate.dedup.shingles import jaccard  # noqa: E402
from curate.dedup.signatures import Sketcher  # noqa: E402

SETTINGS = ((14, 8), (20, 7), (20, 5))
_BYTES_OF_A_BAND = 34


def changed(rng: random.Random, text: str) -> dict[str, str]:
    words = text.split()
    frame = [rng.choice(FILLER) for _ in range(120)]
    paragraphs = text.split("\n")
    moved = set(rng.sample(range(len(paragraphs)), len(paragraphs) // 2))
    order = [n for n in range(len(paragraphs)) if n not in moved] + sorted(moved)
    return {
        "framed": " ".join([*frame[:60], *words, *frame[60:]]),
        "cut to 90 %": " ".join(words[: len(words) * 9 // 10]),
        "cut to 80 %": " ".join(words[: len(words) * 8 // 10 + 1]),
        "half moved": "\n".join(paragraphs[n] for n in order),
    }


def measured(path: Path) -> dict[str, Any]:
    rng = random.Random(5)
    with gzip.open(path, "rt") as lines:
        texts = [json.loads(line)["text"] or "" for line in lines]
    texts = [text for text in texts if 150 <= len(text.split()) <= 4000]
    plain = Sketcher(numbers="ignore")
    pairs = []
    for text in texts:
        for other in changed(rng, text).values():
            one, two = plain.sketch(text), plain.sketch(other)
            if one and two and 0.8 <= (similar := jaccard(one[0], two[0])) < 1:
                pairs.append((similar, one[0], two[0]))
    result: dict[str, Any] = {"pages": len(texts), "pairs": len(pairs)}
    for bands, rows in SETTINGS:
        sketcher = Sketcher(bands=bands, rows=rows)
        started = time.process_time()
        sides = [sketcher.signatures([pair[side] for pair in pairs]) for side in (1, 2)]
        seconds = time.process_time() - started
        one, two = (side.reshape(len(pairs), bands, rows) for side in sides)
        share = (one == two).all(axis=2).any(axis=1)
        found: dict[str, Any] = {}
        for low, high in ((0.8, 0.9), (0.9, 1.0)):
            these = [row for row, pair in enumerate(pairs) if low <= pair[0] < high]
            closed = sum(1 - (1 - pairs[row][0] ** rows) ** bands for row in these) / len(these)
            recall = float(share[these].mean())
            found[f"{low}-{high}"] = {"pairs": len(these), "recall": round(recall, 4), "closed": round(closed, 4)}
        found["signature_us"] = round(seconds / len(pairs) / 2 * 1e6)
        found["bytes"] = bands * _BYTES_OF_A_BAND
        result[f"{bands}x{rows}"] = found
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--pages", type=Path, default=PAGES)
    print(json.dumps(measured(arguments.parse_args().pages)))


if __name__ == "__main__":
    main()
