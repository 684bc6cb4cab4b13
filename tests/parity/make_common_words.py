"""Writes curate/decontaminate/common_words.txt from texts: `make_common_words.py TEXTS.jsonl > common_words.txt`.

The table in the repository comes from the 1 171 real pages (WARC and HTML) of the shared data, as `page_texts.py` takes
their text out. A passage is 40 words in a row; a word's bits are log2 of the share of passages that hold it, negated
and rounded. Words of the latin alphabet below 12 bits are listed: all others count 12.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

PASSAGE = 40
RARE = 12


def main() -> None:
    counts: Counter[str] = Counter()
    passages = 0
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        for line in lines:
            words = re.findall(r"[^\W_]+", json.loads(line)["text"].lower())
            for place in range(0, len(words) - PASSAGE + 1, PASSAGE):
                counts.update(set(words[place : place + PASSAGE]))
                passages += 1
    levels = defaultdict(list)
    for word, count in counts.items():
        bits = round(math.log2(passages / count))
        if bits < RARE and re.fullmatch("[a-z]{1,16}", word):
            levels[bits].append(word)
    print("# Bits of common words: log2 of the share of passages (40 words of web pages) that hold each, negated.")
    for bits, words in sorted(levels.items()):
        for place in range(0, len(words), 100):
            print(bits, *sorted(words)[place : place + 100])


if __name__ == "__main__":
    main()
