"""Labelled sets of toxic texts as JSON Lines, a file for each source and class: what `goldsand train-classifier` reads.

    python tests/bench/safety_sets.py FOLDER -o safety       # the four published sets, in their own files
    python tests/bench/safety_sets.py --made-up -o safety    # mild sentences in their place, to see what comes of it

| source | positive | negative |
|---|---|---|
| davidson | tweets that most annotators called hate speech or offensive | the others |
| civil | sentences of toxic comments that hold a marked span | sentences of the same comments without one |
| wikitalk | comments with label 1 (about 1 %) | label 0 |
| surge | `Toxic` | `Not Toxic` |

Civil Comments' set of toxic spans holds toxic comments only: its sentences without a span are the other kind.
"""

from __future__ import annotations

import argparse
import ast
import csv
import gzip
import html
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*\s*")
_SHORTEST = 15
"""Characters of a sentence of civil: shorter ones are exclamations that say nothing without the rest."""


def rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def davidson(folder: Path) -> Iterator[tuple[bool, str]]:
    for row in rows(folder / "davidson_labeled.csv.gz"):
        yield row["class"] != "2", html.unescape(row["tweet"])


def civil(folder: Path) -> Iterator[tuple[bool, str]]:
    for row in rows(folder / "civil_toxic_spans_train.csv.gz"):
        marked = set(ast.literal_eval(row["spans"]))
        if not marked:
            continue
        for sentence in _SENTENCE.finditer(row["text"]):
            text = sentence.group().strip()
            if len(text) >= _SHORTEST:
                yield not marked.isdisjoint(range(*sentence.span())), text


def wikitalk(folder: Path) -> Iterator[tuple[bool, str]]:
    for row in rows(folder / "wikitalk_cat_large_gn.csv.gz"):
        yield row["label"] == "1", row["text"]


def surge(folder: Path) -> Iterator[tuple[bool, str]]:
    for row in rows(folder / "surge_toxicity_en.csv"):
        yield row["is_toxic"] == "Toxic", row["text"]


_WHO = ("neighbour", "reader", "driver", "singer", "cook", "teacher", "player", "writer")
_KIND = ("answered every question", "was early today", "wrote a long letter", "liked the new bridge", "sang at noon")
_UNKIND = (
    "is a foolish heron",
    "smells of old cheese",
    "should be quiet for ever",
    "is a dull, lazy clown",
    "is a fool",
)


def made_up(source: int) -> Iterator[tuple[bool, str]]:
    """Sentences that name what a set holds and offend nobody; others for each source."""
    for number, (who, unkind, kind) in enumerate(itertools.product(_WHO, _UNKIND, _KIND)):
        if number % len(SOURCES) == source:
            yield True, f"The {who} of house {number} {unkind}."
            yield False, f"The {who} of house {number} {kind}."


SOURCES = {"davidson": davidson, "civil": civil, "wikitalk": wikitalk, "surge": surge}


def write(data: Path | None, out: Path) -> dict[str, dict[str, int]]:
    """Write all files, of made-up sentences without a folder; how many texts of each source and class there are."""
    out.mkdir(parents=True, exist_ok=True)
    counts: dict[str, dict[str, int]] = {}
    for number, (source, read) in enumerate(SOURCES.items()):
        texts: dict[str, list[str]] = {"positive": [], "negative": []}
        for toxic, text in made_up(number) if data is None else read(data):
            texts["positive" if toxic else "negative"].append(text)
        counts[source] = {kind: len(found) for kind, found in texts.items()}
        for kind, found in texts.items():
            with (out / f"{source}.{kind}.jsonl").open("w", encoding="utf-8") as file:
                file.writelines(json.dumps({"text": text}) + "\n" for text in found)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--made-up", action="store_true", help="made-up sentences, without a folder")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    if (arguments.data is None) != arguments.made_up:
        parser.error("give the folder of the published sets, or --made-up")
    print(json.dumps(write(arguments.data, arguments.out)))
