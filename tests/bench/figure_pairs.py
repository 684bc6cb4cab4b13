"""Pairs of texts that no reader would merge, since one figure differs, and pairs of pages that every reader would.

The first are made (`different`): records, reports, biographies, tables, price lists, league tables, weather reports of
about 200 words. The second are real pages with what changes between two visits (`revisited`). `number_guard.py`
measures the guard on both. The rule was written before this file; its first runs made the rule stricter where a record
or a list of points was merged, and published figures are those of other seeds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words("Ada Boris Chloe Dmitri Elena Farid Greta Hugo Ines Jonas Kirsten Liam Mona Nils Olga Pablo Quinn Rosa")
LAST = _words("Abel Brandt Castro Dietz Egger Fischer Grant Holm Ivanov Jansen Keller Lund Moreau Novak Okafor Petrov")
TOWNS = _words("Ashford Bremen Cordoba Dijon Exeter Ferrara Ghent Halden Izmir Jena Kuopio Leuven Malmo Nantes Oulu")
GOODS = _words("apples bolts candles drills eggs flour gloves hinges ink jars kettles lamps mugs nails oars pans")
THINGS = _words("harbour library tunnel museum orchard station market school bridge chapel mill theatre garden depot")
FILLER = _words(
    "the of and to in a is that for it as was with be by on not he this are or his from at which but have an had"
    " they you were their one all we can her has there been if more when will would who so no said what up its"
    " about into than them some could time these two may then do first any my now such like our over man me even"
    " most made after also did many before must through years where much your way well down should because each"
    " just those people"
)

Text = list[str]


def sentence(rng: random.Random, words: int = 0) -> str:
    chosen = [rng.choice(FILLER) for _ in range(words or rng.randrange(8, 16))]
    return " ".join([chosen[0].capitalize(), *chosen[1:]]) + "."


def _amount(rng: random.Random) -> str:
    kind = rng.randrange(5)
    if kind == 0:
        return f"{rng.randrange(1, 100)}"
    if kind == 1:
        return f"{rng.randrange(1000, 100_000):,}"
    if kind == 2:
        return f"{rng.randrange(1, 1000)}.{rng.randrange(10)}"
    return f"{rng.randrange(1850, 2024)}" if kind == 3 else f"{rng.randrange(100, 10_000)}"


def stated(rng: random.Random) -> str:
    """A sentence with figures; some have the words of page furniture in them."""
    n, m, town, thing = _amount(rng), _amount(rng), rng.choice(TOWNS), rng.choice(THINGS)
    name = f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    day, year = rng.randrange(1, 29), rng.randrange(1900, 2024)
    forms = (
        f"The {thing} of {town} cost {n} crowns and took {m} days.",
        f"{name} was born on {day} March {year} in {town}.",
        f"In {year} the {thing} had {n} visitors.",
        f"The plan for {town} drew {n} comments and {m} replies.",
        f"The statute was last modified on {day} April {year} by the council of {town}.",
        f"The Copyright Act of {year} changed what the {thing} could print.",
        f"Release {day} of the survey of {town} holds {n} entries.",
        f"The passage stands on page {day} of the register, beside the {thing}.",
        f"Shares of the {thing} rose by {n} points.",
        f"Temperatures in {town} fell to -{day} degrees.",
        f"{name} won {day}\u2013{rng.randrange(9)} against {rng.choice(LAST)}.",
    )
    return rng.choice(forms)


def paragraph(rng: random.Random, figures: int) -> str:
    parts = [sentence(rng) for _ in range(4)] + [stated(rng) for _ in range(figures)]
    rng.shuffle(parts)
    return " ".join(parts)


def report(rng: random.Random) -> Text:
    title = rng.choice(("Report {}", "Chapter {}", "Annual report {}", "Bulletin no. {}", "Lesson {}", "Budget {}"))
    return [
        title.format(rng.randrange(1, 60)),
        *(paragraph(rng, rng.randrange(1, 3)) for _ in range(rng.randrange(3, 9))),
    ]


def record(rng: random.Random) -> Text:
    fields = [
        f"Name: {rng.choice(FIRST)} {rng.choice(LAST)}",
        f"Born: {rng.randrange(1, 29)} May {rng.randrange(1900, 2010)}",
        f"Pages: {rng.randrange(40, 900)}",
        f"Edition: {rng.randrange(1, 9)}",
        f"Price: {rng.randrange(2, 99)}.{rng.randrange(10, 99)}",
        f"Shares: {rng.randrange(100, 99_999):,}",
        f"Published: {rng.randrange(1900, 2024)}",
        f"Height: {rng.randrange(140, 210)} cm",
        f"Version of survey: {rng.randrange(1, 9)}",
        f"Views of the sea: {rng.randrange(1, 9)}",
        f"Posted: {rng.randrange(1, 29)} June {rng.randrange(1990, 2024)}",
        f"Author: {rng.choice(FIRST)} {rng.choice(LAST)}",
        f"Revision: {rng.randrange(1, 99)}",
        f"Town: {rng.choice(TOWNS)}",
    ]
    rng.shuffle(fields)
    return [*fields, *(sentence(rng) for _ in range(15))]


def biography(rng: random.Random) -> Text:
    name, year = f"{rng.choice(FIRST)} {rng.choice(LAST)}", rng.randrange(1800, 1960)
    lines = [f"{name} ({year}\u2013{year + rng.randrange(20, 90)})"]
    for _ in range(5):
        year += rng.randrange(1, 9)
        lines.append(f"In {year} {name} moved to {rng.choice(TOWNS)}. {sentence(rng)} {sentence(rng)} {stated(rng)}")
    return lines


def _rows(rng: random.Random, mark: str) -> Text:
    return [
        mark.join((town, *(str(rng.randrange(1, 400)) for _ in range(3)), f"{rng.randrange(100)}.{rng.randrange(10)}"))
        for town in rng.sample(TOWNS, 12)
    ]


def table(rng: random.Random) -> Text:
    lines = _rows(rng, rng.choice(("\t", " | ", "  ", ", ")))
    return [
        *(sentence(rng) for _ in range(rng.randrange(6))),
        *lines,
        *(sentence(rng, 14) for _ in range(rng.randrange(8, 12))),
    ]


def price_list(rng: random.Random) -> Text:
    """Goods and prices, on one line or on lines of their own; the last price may close the text."""
    lines = [" ".join(sentence(rng) for _ in range(10))]
    apart, currency = rng.random() < 0.6, rng.choice(("", "$", "\u20ac", "\u00a3"))
    for goods in rng.sample(GOODS, 14):
        price = f"{currency}{rng.randrange(1, 400)}" + (f".{rng.randrange(10, 99)}" if rng.random() < 0.5 else "")
        name = f"{goods.capitalize()} {' '.join(rng.choice(FILLER) for _ in range(5))}"
        lines += [name, price] if apart else [f"{name} {price}"]
    return lines


def league(rng: random.Random) -> Text:
    lines = [f"Season {rng.randrange(1950, 2024)}", " ".join(sentence(rng) for _ in range(12))]
    dash, apart = rng.choice(("-", "\u2013", ":", " - ", " \u2013 ")), rng.random() < 0.5
    for home, away in zip(rng.sample(TOWNS, 9), rng.sample(LAST, 9), strict=True):
        score = f"{rng.randrange(9)}{dash}{rng.randrange(9)}"
        lines += [f"{home} v {away}", score] if apart else [f"{home} {score} {away}"]
    return lines


def weather(rng: random.Random) -> Text:
    date = f"{rng.randrange(1, 29)} {rng.choice(('January', 'June', 'October'))} {rng.randrange(1950, 2024)}"
    lines = [rng.choice((f"Weather for {date}", f"Forecast: {date}", f"Weather report {rng.randrange(1, 400)}"))]
    for town in rng.sample(TOWNS, 10):
        degrees = rng.choice(("", "-", "\u2212")) + str(rng.randrange(1, 30))
        words = " ".join(rng.choice(FILLER) for _ in range(9))
        lines.append(f"{town}: {degrees} \u00b0C, wind {rng.randrange(90)} km/h {words}")
    return [*lines, *(sentence(rng) for _ in range(6))]


def statute(rng: random.Random) -> Text:
    """Points of a list, the third behind a mark that is also that of copyright; code and formulas with brackets."""
    town, thing = rng.choice(TOWNS), rng.choice(THINGS)
    lines = [paragraph(rng, 0), paragraph(rng, 1)]
    lines += [f"({mark}) {rng.randrange(1900, 2020)} {town} {thing} act" for mark in "abcd"]
    lines += [
        f"{rng.choice(GOODS)}[{rng.randrange(9)}] = {rng.choice(GOODS)}[{rng.randrange(9)}] + {rng.randrange(99)};"
    ]
    lines += [f"{rng.choice(GOODS)} [{rng.randrange(40)}] {rng.choice(GOODS)} [{rng.randrange(40)}]" for _ in range(3)]
    return [
        *lines,
        f"The {thing} is {rng.randrange(9, 99)} m{rng.choice(chr(0xB2) + chr(0xB3))} large.",
        paragraph(rng, 1),
    ]


def one_total(rng: random.Random) -> Text:
    """Prose with a single bare figure on a line of its own, somewhere between or at the end."""
    lines = [paragraph(rng, 0) for _ in range(9)]
    place = rng.choice((3, 5, 9))
    lines[place:place] = [rng.choice(("Total", "Final score", "Votes cast", "Price")), str(rng.randrange(1, 999))]
    return lines


KINDS: dict[str, Callable[[random.Random], Text]] = {
    made.__name__: made for made in (report, record, biography, table, price_list, league, weather, statute, one_total)
}
_DIGITS = re.compile(r"\d+")


def _replaced(rng: random.Random, lines: Text) -> Text:
    """One run of digits, anywhere in the text, is another."""
    places = [(number, match) for number, line in enumerate(lines) for match in _DIGITS.finditer(line)]
    number, match = rng.choice(places)
    old, lines = match[0], list(lines)
    new = old
    while int(new) == int(old):
        new = str(rng.randrange(10 ** (len(old) - 1), 10 ** len(old))) if len(old) > 1 else str(rng.randrange(10))
    lines[number] = lines[number][: match.start()] + new + lines[number][match.end() :]
    return lines


def _one_less(rng: random.Random, lines: Text) -> Text:
    """A line with a figure less, or a sentence with one."""
    lines = list(lines)
    number = rng.choice([place for place, line in enumerate(lines) if _DIGITS.search(line)])
    sentences = re.split(r"(?<=[.]) (?=[A-Z])", lines[number])
    if len(sentences) == 1:
        del lines[number]
    else:
        sentences.remove(rng.choice([one for one in sentences if _DIGITS.search(one)]))
        lines[number] = " ".join(sentences)
    return lines


def _one_more(rng: random.Random, lines: Text) -> Text:
    lines = list(lines)
    lines.insert(rng.randrange(len(lines) + 1), stated(rng))
    return lines


def different(rng: random.Random, kind: str) -> tuple[str, str]:
    """A text of that kind and the same with one figure replaced, or one row or sentence with a figure more or less."""
    lines = KINDS[kind](rng)
    change = rng.choices((_replaced, _one_less, _one_more), (6, 1, 1))[0]
    return "\n".join(lines), "\n".join(change(rng, lines))


_MONTHS = _words("January February March April May June July August September October November December")


def _date(rng: random.Random) -> str:
    day, month, year = rng.randrange(1, 29), rng.randrange(12), rng.randrange(2010, 2025)
    name = _MONTHS[month]
    return rng.choice(
        (
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{day}. {name[:3]} {year}",
            f"{year}-{month + 1:02}-{day:02}",
            f"{day:02}/{month + 1:02}/{year}",
            f"{name} {day}, {year} {rng.randrange(1, 12)}:{rng.randrange(10, 59)} am",
        )
    )


def _dated(rng: random.Random) -> str:
    words = ("Last updated: {}", "Updated {}", "Published on {}", "Posted: {}", "This page was last edited on {}")
    return rng.choice((*words, "Last modified: {}", "Date published: {}", "Retrieved {}")).format(_date(rng))


def _counted(rng: random.Random) -> str:
    n, m = rng.randrange(2, 900), rng.randrange(2, 90)
    return rng.choice(
        (f"{n} comments", f"{n} Comments | {m} Shares", f"Comments ({n})", f"{n:,} views", f"{n} replies")
    )


def _paged(rng: random.Random) -> str:
    n = rng.randrange(1, 9)
    return rng.choice((f"Page {n} of {n + rng.randrange(9)}", f"Page {n}", f"page {n}/{n + 3}"))


def _owned(rng: random.Random) -> str:
    year, name = rng.randrange(2012, 2025), rng.choice(LAST)
    forms = (f"\u00a9 {year} {name} Media Ltd.", f"Copyright \u00a9 2009\u2013{year} {name}. All rights reserved.")
    return rng.choice((*forms, f"(c) {year} {name}", f"{name} Publishing Group \u00a9 {year}"))


_FRAME = _words("Home News Sport Business About us Contact Subscribe Sign in Privacy policy Terms of use Help")


def _line(made: Callable[[random.Random], str], top: bool) -> Callable[[random.Random, str], tuple[str, str]]:
    def change(rng: random.Random, text: str) -> tuple[str, str]:
        pair = [made(rng), made(rng) if rng.random() < 0.7 else ""]
        rng.shuffle(pair)
        one, other = (f"{line}\n{text}" if top else f"{text}\n{line}" for line in pair)
        return one, other

    return change


def _footnotes(rng: random.Random, text: str) -> tuple[str, str]:
    number = iter(range(1, 1000))
    marks = {spot: f"[{next(number)}]" for spot in [m.end() for m in re.finditer(r"[a-z]{3}\.(?= )", text)][:6]}
    pieces, last = [], 0
    for spot, mark in marks.items():
        pieces += [text[last:spot], mark]
        last = spot
    return text, "".join([*pieces, text[last:]])


def _frame(rng: random.Random, text: str) -> tuple[str, str]:
    words = [rng.choice(_FRAME) for _ in range(12)]
    return text, " ".join(words[:6]) + "\n" + text + "\n" + " ".join(words[6:])


def _dashes(rng: random.Random, text: str) -> tuple[str, str]:
    return text, re.sub(r"(?<=\d)[-\u2013](?=\d)", rng.choice("-\u2013\u2012"), text)


def _thousands(rng: random.Random, text: str) -> tuple[str, str]:
    mark = rng.choice(("", "\u202f", "\u00a0"))
    return text, re.sub(r"(?<![\d.,])(\d{1,3}),(\d{3})(?![\d,.])", rf"\1{mark}\2", text)


CHANGES: dict[str, Callable[[random.Random, str], tuple[str, str]]] = {
    "date line": _line(_dated, False),
    "date line on top": _line(_dated, True),
    "date alone on top": _line(_date, True),
    "counter": _line(_counted, False),
    "page": _line(_paged, False),
    "copyright": _line(_owned, False),
    "footnotes": _footnotes,
    "frame": _frame,
    "dashes": _dashes,
    "thousands": _thousands,
}


def revisited(rng: random.Random, text: str, change: str) -> tuple[str, str]:
    """A page as it is on two visits, the change named."""
    one, other = CHANGES[change](rng, text)
    return (one, other) if rng.random() < 0.5 else (other, one)
