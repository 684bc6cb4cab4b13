"""Texts at the edges of the rules: written by a seeded generator, so that two interpreters hold the same ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

_COMMON_TEXT = """
the be to of and that have with a in it is was for on as at by this from or an are not but they which you
"""
_NOUNS_TEXT = """
river engine copper winter harbour letter window garden signal market teacher valley bridge planet paper
"""
_VERBS_TEXT = """
carries holds turns reaches follows crosses measures opens keeps changes builds finds
"""
_ODD_TEXT = """
can't won't it's She'll they've U.S. e.g. a.m. 10km 5kg $20 €5 1,000.50 3-4 C++ :) ;-) (:
http://www.example.com/a?b=c user@example.com www.example.org/x. and/or (and/or) half-done well-known--really
... …… wait... [1] [edit] [citation needed] "quoted" ‘single’ “double” — – • - # ## #tag @name <b> 100% °C.
20°C. Mr. Dr. Ph.D. St. Inc. o'clock rock'n'roll 'cause ’tis gonna cannot y'all i.e. etc. A.B.C. x+y 2+2=4
key:value a/b//c foo.Bar foo,bar :-P <3 </3 o_O ¯\\_(ツ)_/¯ 12:30 7pm 10a.m. 192.168.0.1 8.8.8.8 ftp://h.org
me@x.io,you@y.io 日本語。 数字１２ किताब। слово, λόγος; ９９ ﬁn naïve
"""
_COMMON, _NOUNS, _VERBS, _ODD = (block.split() for block in (_COMMON_TEXT, _NOUNS_TEXT, _VERBS_TEXT, _ODD_TEXT))
_POLICY = [
    "By using this site you accept our privacy policy and terms of use today.",
    "Please enable JavaScript to view this page in full.",
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit.",
    "function main() { return the value of it; }",
    "This site uses cookies to give you the best experience.",
]
_MARKS = [*"!\"#%&'()*,-./:;?@[]_{}…—«»。？！～·•", "..", "...", "....", "'s", "’s", "n't", "''", "``"]


def _sentence(draw: random.Random, odd: float) -> str:
    words = []
    for _ in range(draw.randint(2, 18)):
        pool = _ODD if draw.random() < odd else draw.choice([_COMMON, _COMMON, _NOUNS, _VERBS])
        words.append(draw.choice(pool))
    return " ".join(words).capitalize() + draw.choice([".", ".", ".", "?", "!", "...", "…", "", '."', ":"])


def _page(draw: random.Random) -> str:
    odd = draw.choice([0.0, 0.05, 0.2, 0.6])
    joiner = draw.choice(["\n", "\n", "\n\n", "\n\n\n", " ", "\r\n", "\u2028", "\n \n"])
    bullet = draw.choice(["", "", "", "• ", "- ", "* ", "  - "])
    lines = []
    for _ in range(draw.choice([1, 3, 8, 20, 40])):
        line = " ".join(_sentence(draw, odd) for _ in range(draw.choice([1, 1, 2, 4])))
        lines.append(bullet + (line[: draw.randint(1, 40)] if draw.random() < 0.2 else line))
        if lines and draw.random() < draw.choice([0.0, 0.1, 0.5]):
            lines.append(draw.choice(lines))
        if draw.random() < 0.02:
            lines.append(draw.choice(_POLICY))
    return draw.choice(["", "", "\n", "  "]) + joiner.join(lines) + draw.choice(["", "", "\n", "\n\n", " "])


def _chunks(draw: random.Random) -> str:
    """Words with marks glued to both ends and between them: what a tokenizer must take apart."""
    chunks = []
    for _ in range(draw.randint(1, 60)):
        core = draw.choice([_COMMON, _NOUNS, _ODD, _ODD])
        parts = [draw.choice(core) for _ in range(draw.choice([1, 1, 2, 3]))]
        glued = draw.choice(["", "", draw.choice(_MARKS)]).join(parts)
        front = "".join(draw.choice(_MARKS) for _ in range(draw.choice([0, 0, 1, 2])))
        back = "".join(draw.choice(_MARKS) for _ in range(draw.choice([0, 0, 1, 3])))
        chunks.append(front + glued + back)
    return draw.choice([" ", " ", "  ", "\n", " \n", "\t"]).join(chunks)


@cache
def edge_texts() -> tuple[str, ...]:
    """The texts, written once a process."""
    return tuple(_written())


def _written() -> Iterator[str]:
    yield from [
        "",
        " ",
        "\n",
        "\n\n\n",
        "a",
        "word",
        "The",
        ".",
        "...",
        "…",
        "#",
        "!?!?!?",
        "\u3000",
        "\x1c",
        "\t\t",
        "\ufeff",
    ]
    yield from [
        "日本語の文章です。これは二番目の文です。",
        "🙂🙂🙂 🙂",
        "a" * 1500,
        "a b " * 400,
        "x\n" * 300,
        "- " * 200,
        "# " * 200,
    ]
    yield "The cat sat with the dog to be of use and that they have it."
    yield "Same line here again.\n" * 30
    yield "Same line here again.\n\n" * 30
    yield "\n".join(f"- item number {i} of the list with that to be" for i in range(30))
    yield "\n".join(f"Item number {i} of the list with that to be..." for i in range(30))
    yield "".join(f"Word{i} " for i in range(60))
    yield " ".join(f"#{noun} with the {verb}" for noun in _NOUNS for verb in _VERBS)
    yield " ".join(f"{noun * 4} {verb * 4}" for noun in _NOUNS for verb in _VERBS)
    yield " ".join(f"{letter}{other}" for letter in "abcdefgh" for other in "ijklmnop")
    yield "\n".join(f"{noun} {verb} it" for noun in _NOUNS for verb in _VERBS)
    yield ". ".join(f"{noun}\n{verb}" for noun in _NOUNS for verb in _VERBS)
    yield " ".join(str(i) + random.Random(i).choice("abcdefgh") for i in range(100_100))
    yield "(" * 300 + ")" * 300
    yield "'" * 99 + "s" + "’" * 99
    yield "a.b.c.d.e" * 50
    yield "http://example.com/" + "path/" * 100
    draw = random.Random(20_261_121)
    for _ in range(420):
        yield _page(draw)
    for _ in range(280):
        yield _chunks(draw)
    yield "\n".join(
        f"{noun} слово {verb} λέξη 日本語の文。 كلمة {number} किताब, the word of it and 단어 {noun}."
        for number, (noun, verb) in enumerate(zip(_NOUNS, _VERBS * 2, strict=False))
    )
    yield "The river of the valley\ud800 carries on with that. " * 20
    yield "".join(f"Letter {number} of the {_NOUNS[number % 14]} has come \udfff. " for number in range(60))
    yield "The river of the valley carries on with that, and they have it. " * 156_250
