"""Texts of made pages with goldsand's shortcut through trafilatura and without it, which must be the same.

    python tests/bench/shortcut_fuzz.py --pages 10000

Classes, ids, roles and styles are made from the alternatives of trafilatura's own XPaths: each word that an alternative
can match, alone, joined with others, at the beginning, within and at the end of a value, and almost so. A process in
which the shortcut was never installed makes the texts to compare with. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import re
import sys
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

_SENTENCE = "the river of this town was wide and slow when people came to live beside its banks in a summer long ago"
_WORDS = _SENTENCE.split()
_TAGS = (
    "div",
    "div",
    "section",
    "p",
    "span",
    "article",
    "main",
    "ul",
    "ol",
    "aside",
    "details",
    "table",
    "header",
    "dl",
)


@cache
def alternatives() -> dict[str, list[str]]:
    """Values that fulfil the conditions of trafilatura's XPaths, by attribute: each way through each alternative."""
    from lxml.etree import XPath
    from trafilatura import xpaths

    from curate.extract.shortcut import _ASKED, Expression, understood

    found: dict[str, set[str]] = {}
    for name in _ASKED:
        for one in getattr(xpaths, name, []):
            expression = one if isinstance(one, Expression) else understood(one) if isinstance(one, XPath) else None
            for names, exact, _ in expression.conditions if expression else ():
                for attribute in names:
                    found.setdefault(attribute, set()).update(_ways(re._parser.parse(exact.pattern)))
    return {attribute: sorted(values) for attribute, values in sorted(found.items())}


def _ways(tree: object) -> list[str]:
    """Texts that a parsed pattern matches, one for each way through its branches and options."""
    ways = [""]
    for kind, what in tree:  # type: ignore[attr-defined]
        name = str(kind)
        if name == "LITERAL":
            more = [chr(what)]
        elif name == "IN":
            more = [chr(value) if str(one) == "LITERAL" else " " for one, value in what]
        elif name == "BRANCH":
            more = [way for branch in what[1] for way in _ways(branch)]
        elif name == "SUBPATTERN":
            more = _ways(what[3])
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            more = [*([""] if what[0] == 0 else []), *_ways(what[2])]
        else:  # anchors, looks ahead, any letter
            more = [""]
        ways = [way + one for way in ways for one in more]
    return ways


def made(seed: int) -> str:
    """A page of some blocks within one another, with values of attributes that trafilatura looks for, or nearly."""
    draw = random.Random(seed)

    def value(attribute: str) -> str:
        known = alternatives()[attribute]
        one = draw.choice(known)
        change = draw.randrange(12)
        if change == 0:
            return f"{draw.choice(known)} {one}"
        if change == 1:
            return f"{one} {draw.choice(_WORDS)}"
        if change == 2:
            return draw.choice(_WORDS) + draw.choice(("-", "_", " ", "")) + one
        if change == 3:
            return one + draw.choice(("-", "_", "s", "ary")) + draw.choice(_WORDS)
        if change == 4:
            return one.swapcase() if draw.random() < 0.5 else one.title()
        if change == 5:
            return draw.choice(("\n", "\t", "  ", "\u00a0")) + one
        return one

    def attributes(often: float = 0.5) -> str:
        if draw.random() > often:
            return ""
        chosen = {"class", *draw.sample(sorted(alternatives()), draw.choice((0, 0, 1)))}
        return "".join(f' {attribute}="{value(attribute)}"' for attribute in sorted(chosen))

    def sentence() -> str:
        return " ".join(draw.choices(_WORDS, k=draw.randint(8, 30))).capitalize() + "."

    def block(depth: int) -> str:
        tag = draw.choice(_TAGS)
        if tag in ("p", "span"):
            inner = sentence()
        elif tag in ("ul", "ol"):
            inner = "".join(f"<li{attributes(0.2)}>{sentence()}</li>" for _ in range(draw.randint(1, 4)))
        elif tag == "table":
            inner = "".join(f"<tr><td{attributes(0.2)}>{sentence()}</td></tr>" for _ in range(draw.randint(1, 3)))
        elif tag == "dl":
            inner = f"<dt>{sentence()}</dt><dd{attributes(0.2)}>{sentence()}</dd>"
        else:
            rows = range(draw.randint(1, 3))
            inner = "".join(block(depth - 1) if depth and draw.random() < 0.3 else f"<p>{sentence()}</p>" for _ in rows)
        return f"<{tag}{attributes()}>{inner}</{tag}>"

    # Mostly text that stays: trafilatura takes a page as it is where too much of it would go. Each alternative has its
    # turn to be the one that decides, mostly without others beside it.
    many = draw.random() < 0.3
    rows = [block(1) if many and draw.random() < 0.5 else f"<p>{sentence()}</p>" for _ in range(draw.randint(8, 20))]
    turns = [(attribute, one) for attribute, known in alternatives().items() for one in known]
    attribute, one = turns[seed % len(turns)]
    tag = draw.choice(("div", "div", "section", "p", "span"))
    rows.insert(draw.randrange(len(rows)), f'<{tag} {attribute}="{one}{draw.choice(_WORDS)}">{sentence()}</{tag}>')
    rows.insert(draw.randrange(len(rows)), f'<{tag} {attribute}="{one}">{sentence()}</{tag}>')
    around = draw.choice(("article", "main", "div", "section"))
    body = f"<{around}{attributes(0.2 if many else 0)}>{''.join(rows)}</{around}>"
    return f"<html><head><title>t</title></head><body>{body}</body></html>"


def texts(job: tuple[bool, int, int]) -> list[tuple[str | None, str | None]]:
    """The texts of some made pages, with less boilerplate and with more, by the shortcut or without it."""
    from lxml import html
    from trafilatura import extract

    from curate.extract import shortcut

    short, first, count = job
    if short:
        assert shortcut.install()
    found = []
    for seed in range(first, first + count):
        page, both = made(seed), []
        for precise in (True, False):
            tree = _tree(page)
            options = {"favor_precision": precise, "include_comments": seed % 2 == 0, "with_metadata": False}
            if short:
                with shortcut.page(tree):
                    both.append(extract(tree, **options))
            else:
                both.append(extract(tree, **options))
        assert isinstance(tree, html.HtmlElement)
        found.append((both[0], both[1]))
    return found


def _tree(page: str) -> object:
    from trafilatura.utils import load_html

    return load_html(page)


def compare(first: int, count: int) -> dict[str, object]:
    """How many of the pages have another text by the shortcut, and which."""
    each = 500
    jobs = [(place, min(each, first + count - place)) for place in range(first, first + count, each)]
    begun = time.perf_counter()
    # One process with the shortcut and one that never had it.
    context = multiprocessing.get_context("spawn")
    different, empty = [], 0
    with context.Pool(1) as ours, context.Pool(1) as theirs:
        answers = zip(
            ours.imap(texts, [(True, *job) for job in jobs]),
            theirs.imap(texts, [(False, *job) for job in jobs]),
            jobs,
            strict=True,
        )
        for short, whole, (place, _) in answers:
            for number, (one, other) in enumerate(zip(short, whole, strict=True)):
                empty += not any(other)
                if one != other:
                    different.append(place + number)
    return {
        "benchmark": "shortcut_fuzz",
        "pages": count,
        "values": sum(map(len, alternatives().values())),
        "without_text": empty,
        "different": len(different),
        "first": different[:5],
        "seconds": round(time.perf_counter() - begun, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first page")
    arguments = parser.parse_args()
    print(json.dumps(compare(arguments.seed, arguments.pages)))
