"""Work grows with its input and no steeper than n log n: over elements, lines, words, figures, clusters, groups.

Eight times the input may take at most 24 times as long: n log n takes about 11 times, quadratic work 64. Measured in
seconds of the processor, the best of some tries, so that other work on the machine counts little.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest

from curate.dedup import LineDedup, MinHashDedup, PassageDedup
from curate.dedup.clusters import cluster
from curate.dedup.figures import figures
from curate.document import Document
from curate.extract import Extract
from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition
from curate.mix import Mix
from curate.redact.identifiers import find
from curate.sources import Input, find_inputs, read_partition
from curate.text.folding import fold

STEEPEST = 24
PROSE = "This is prose that is long enough. " * 10


def grows(work: Callable[[object], object], build: Callable[[int], object], size: int) -> float:
    """How many times as long eight times the size takes."""

    def seconds(count: int, tries: int) -> float:
        best = float("inf")
        for _ in range(tries):
            given = build(count)
            begun = time.process_time()
            work(given)
            best = min(best, time.process_time() - begun)
        return best

    seconds(size, 1)
    small = max(seconds(size, 3), 1e-3)
    ratio = seconds(8 * size, 1) / small
    return ratio if ratio <= STEEPEST else seconds(8 * size, 3) / max(seconds(size, 5), 1e-3)


ELEMENTS = {
    "inline": lambda n: f"<p>{'<i>r</i> tail ' * n}</p>",
    "links": lambda n: f"<p>{'<a href=/x>r</a> tail words ' * n}</p>",
    "spans": lambda n: f"<div>{'<span>word here</span> tail ' * n}</div>",
    "paragraphs": lambda n: "<p>Some words of prose, here.</p>" * n,
    "breaks": lambda n: f"<p>{'word tail<br>' * n}</p>",
    "items": lambda n: f"<ul>{'<li>An item of words</li>' * n}</ul>",
    "rows": lambda n: f"<table>{'<tr><td>a b</td><td>c d</td></tr>' * (n // 3)}</table>",
    "cells": lambda n: f"<table><tr>{'<td>a b</td>' * n}</tr></table>",
    "depth": lambda n: f"{'<div>' * 100}<p>words of prose here</p>{'</div>' * 100}" * (n // 100),
    "attributes": lambda n: "".join(f"<p class=c{i} id=i{i}>Some words of prose.</p>" for i in range(n)),
    "pictures": lambda n: f"<p>{'<img src=a.png alt=x> tail ' * n}</p>",
    "definitions": lambda n: f"<dl>{'<dt>a b</dt><dd>c d e</dd>' * (n // 2)}</dl>",
}


@pytest.mark.parametrize("engine", ["trafilatura", "resiliparse"])
@pytest.mark.parametrize("kind", ELEMENTS)
def test_extraction_is_linear_in_a_page(kind: str, engine: str) -> None:
    step = Extract(engine=engine)
    step.open()

    def page(count: int) -> Document:
        html = f"<html><body><article><h1>Glossary</h1><p>{PROSE}</p>{ELEMENTS[kind](count)}</article></body></html>"
        return Document(key="k", html=html.encode(), url="http://a.org/")

    assert grows(lambda document: list(step.apply([document])), page, 700) <= STEEPEST


TEXTS = {
    "words": lambda n: " ".join(f"w{i * 7919 % 100_003}" for i in range(n)),
    "one word": lambda n: "word " * n,
    "a run": lambda n: "a" * (5 * n),
    "lines": lambda n: "\n".join(f"Line {i} is a line of words." for i in range(n // 4)),
    "equal lines": lambda n: "The same line of words.\n" * (n // 4),
    "empty lines": lambda n: "a\n \n\n" * n,
    "marks": lambda n: ". , ! ? ... " * (n // 2),
    "figures": lambda n: " ".join(str(i * 7919) for i in range(n)),
    "superscripts": lambda n: "x²³ 10⁶ " * n,
    "addresses": lambda n: "jo@acme.com 8.8.8.8, +1 415 555 2671; " * (n // 8),
    "at signs": lambda n: "a.b@" * n,
    "unspaced": lambda n: "邮箱山田会社电话" * (n // 2),
    "combined": lambda n: "e\u0301\u0302" * n,
}
STEPS = [GopherQuality(), GopherRepetition(), C4(), FineWeb()]
WORKS = {
    "rules": lambda text: [step(text) for step in STEPS],
    "redact": find,
    "folding": fold,
    "sketch": MinHashDedup().sketcher.sketch,
    "figures": figures,
    "lines": LineDedup().pieces,
    "passages": PassageDedup().pieces,
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("work", WORKS)
def test_work_on_a_text_is_linear(work: str, text: str) -> None:
    assert grows(WORKS[work], TEXTS[text], 1500) <= STEEPEST


GROUPS = {
    "as they are": lambda names: Mix(by="domain"),
    "weights": lambda names: Mix(by="domain", weights={names[0]: 1.0, "other": 1.0}),
    "caps": lambda names: Mix(
        by="domain",
        cap={name: 1.001**place if place < 5000 else 1.0 for place, name in enumerate(names)},
        repeat={"other": 3.0},
        max_repeats=9.0,
        budget=10.0 * len(names),
    ),
}


@pytest.mark.parametrize("kind", GROUPS)
def test_shares_are_linear_in_the_domains(kind: str) -> None:
    def given(count: int) -> tuple[Mix, dict[str, int]]:
        names = [f"site{number}.org" for number in range(count)]
        return GROUPS[kind](names), {name: 1 + place % 97 for place, name in enumerate(names)}

    def work(pair: tuple[Mix, dict[str, int]]) -> None:
        step, available = pair
        values = (orjson.dumps([0, {name: size}]) for name, size in available.items())
        assert len(list(step.rounds()[0].reduce(b"", values))) == len(available)

    assert grows(work, given, 1000) <= STEEPEST


def test_clusters_are_linear_in_their_pairs(tmp_path: Path) -> None:
    fields = {"later": "S16", "earlier": "S16", "similarity": "<f8", "later_count": "<u4", "earlier_count": "<u4"}
    row = np.dtype(list(fields.items()))

    def pairs(count: int) -> np.ndarray:
        """A star: all are like the first, and each like the one before it."""
        table = np.ones(2 * count, row)
        names = [b"%08d" % place + b"%08d" % (place * 7919 % 99_991 + 1) for place in range(count + 1)]
        table["later"] = names[1:] * 2
        table["earlier"] = [names[0]] * count + names[:-1]
        return table

    assert grows(lambda table: list(cluster([table], tmp_path)), pairs, 20_000) <= STEEPEST


@pytest.mark.parametrize("kind", ["rows", "fields", "files"])
def test_reading_is_linear(kind: str, tmp_path: Path) -> None:
    def made(count: int) -> Path:
        folder = tmp_path / f"{kind}-{count}"
        if folder.exists():
            return folder
        folder.mkdir()
        if kind == "files":
            for number in range(count // 4):
                (folder / f"a{number}.jsonl").write_text('{"text": "words"}\n')
        elif kind == "rows":
            (folder / "a.jsonl").write_text("".join(f'{{"text": "words", "n": {n}}}\n' for n in range(count)))
        else:
            fields = {f"field{number}": number for number in range(count)}
            (folder / "a.jsonl").write_text(json.dumps({"text": "words", "metadata": fields} | fields) + "\n")
        return folder

    def read(folder: Path) -> int:
        return sum(1 for one in find_inputs([Input("s", str(folder))]) for _ in read_partition(one))

    assert grows(read, made, 1000) <= STEEPEST
