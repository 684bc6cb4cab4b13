"""bioS: biographies of people, six sentences each, as in Allen-Zhu & Li (arXiv 2309.14316, section 2; 2404.05405).

Every exposure of a person draws new sentence templates and a new order of sentences. The full name stands in the first
sentence only, the pronoun begins every other. Templates and names are our own.

What keeps a perfect model's loss at zero: no two openings of templates (what stands before the value) begin alike, so
an opening tells the attribute before its value; no sentence but the working city's names a city of work; the pronoun
stands nowhere but in front of a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from synth.facts import Attribute, FactsError, FactTable, draw
from synth.streams import stream, words

SENTENCES = ("birth_date", "birth_city", "university", "major", "employer", "working_city")

MONTHS = [
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
]
DAYS = [str(day) for day in range(1, 29)]
YEARS = [str(year) for year in range(1900, 2100)]
PRONOUNS = ["He", "She"]

FILES = {
    "first_name": "first_name.txt",
    "middle_name": "middle_name.txt",
    "last_name": "last_name.txt",
    "city": "city.txt",
    "university": "university.txt",
    "major": "field.txt",
    "employer": "company.txt",
}
"""The file of each pool in a folder of pools: one value a line; employers as `Company; City`."""

NAME = -1
"""The attribute number of a span that holds a name."""

Span = tuple[int, int, int]
"""Attribute number, first character, end character."""


def read_pools(folder: Path | str | None = None) -> dict[str, list[str]]:
    """The pools of a folder (default: our own), with the working city of each employer as `working_city`.

    Raises FactsError that names the file, the line and what is wrong with it.
    """
    folder = Path(__file__).with_name("pools") if folder is None else Path(folder)
    pools = {name: _read_pool(folder / file) for name, file in FILES.items()}
    firms = [line.partition(";") for line in pools["employer"]]
    for number, (firm, _, city) in enumerate(firms, 1):
        if not firm.strip() or not city.strip():
            raise FactsError(f"{folder / FILES['employer']}, line {number}: must be `Company; City`")
    pools["employer"] = [firm.strip() for firm, _, _ in firms]
    pools["working_city"] = [city.strip() for _, _, city in firms]
    for name, file in FILES.items():
        seen: dict[str, int] = {}
        for number, value in enumerate(pools[name], 1):
            if value in seen:
                raise FactsError(f"{folder / file}, line {number}: {value!r} stands in line {seen[value]} already")
            seen[value] = number
    return pools


def _read_pool(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise FactsError(f"cannot read the pool {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FactsError(f"the pool {path} is not UTF-8 text") from None
    values = [line.strip() for line in lines]
    if not values or "" in values:
        where = f"line {values.index('') + 1} is empty" if values else "it is empty"
        raise FactsError(f"the pool {path} holds one value a line; {where}")
    return values


def people_table(
    people: int, exposures: int, *, pools: Path | str | None = None, seed: int = 0, domain: str = "facts"
) -> FactTable:
    """A table of people. With pools of the published sizes log2 N0 = 27.2535 and log2 S0 = 47.5916.

    The working city is fixed by the employer: it holds no bits and is no attribute.
    """
    found = read_pools(pools)
    found |= {"month": MONTHS, "day": DAYS, "year": YEARS, "pronoun": PRONOUNS}
    attributes = [
        Attribute("birth_date", "month day year", len(MONTHS) * len(DAYS) * len(YEARS)),
        Attribute("birth_city", "city", len(found["city"])),
        Attribute("university", "university", len(found["university"])),
        Attribute("major", "major", len(found["major"])),
        Attribute("employer", "employer", len(found["employer"])),
        Attribute("pronoun", "pronoun", 2),
    ]
    name_parts = [len(found[part]) for part in ("first_name", "middle_name", "last_name")]
    return draw("people", people, exposures, seed, domain, attributes, name_parts, found)


@dataclass(frozen=True)
class Template:
    """A sentence without its subject: what stands before the value and what after it."""

    before: str
    after: str


@lru_cache(maxsize=1)
def templates() -> dict[str, tuple[Template, ...]]:
    """The templates of each sentence, from `synth/templates/*.txt`."""
    found = {}
    for sentence in SENTENCES:
        lines = Path(__file__).with_name("templates").joinpath(f"{sentence}.txt").read_text(encoding="utf-8")
        found[sentence] = tuple(Template(*line.split("{}")) for line in lines.splitlines())
    return found


def full_name(table: FactTable, entity: int) -> str:
    parts = ("first_name", "middle_name", "last_name")
    return " ".join(table.pools[part][number] for part, number in zip(parts, table.entities[entity], strict=True))


def facts_of(table: FactTable, entity: int) -> dict[str, str]:
    """What the sentences say of one person, and the pronoun."""
    date, city, university, major, employer, pronoun = table.values[entity].tolist()
    month, day, year = np.unravel_index(date, (len(MONTHS), len(DAYS), len(YEARS)))
    return {
        "birth_date": f"{MONTHS[month]} {DAYS[day]}, {YEARS[year]}",
        "birth_city": table.pools["city"][city],
        "university": table.pools["university"][university],
        "major": table.pools["major"][major],
        "employer": table.pools["employer"][employer],
        "working_city": table.pools["working_city"][employer],
        "pronoun": PRONOUNS[pronoun],
    }


def biography(table: FactTable, entity: int, exposure: int) -> str:
    """The text of one exposure: its own templates and order, drawn from (seed, exposure, entity)."""
    choices = _choices(table, entity, f"text/{exposure}")
    return _write(table, entity, _order(choices), choices)[0]


def scored_biography(table: FactTable, entity: int, number: int) -> tuple[str, list[Span]]:
    """A biography never used for training, and its spans: the name, each value, the first pronoun.

    The employer stands before its city, which would give it away.
    """
    choices = _choices(table, entity, f"score/{number}")
    order = _order(choices)
    first, second = sorted((order.index(4), order.index(5)))
    order[first], order[second] = 4, 5
    return _write(table, entity, order, choices)


def _choices(table: FactTable, entity: int, name: str) -> np.ndarray:
    return words(stream(table.seed, name), entity * 16 + np.arange(2 * len(SENTENCES)))


def _order(choices: np.ndarray) -> list[int]:
    return np.argsort(choices[: len(SENTENCES)], kind="stable").tolist()


def _write(table: FactTable, entity: int, order: Sequence[int], choices: np.ndarray) -> tuple[str, list[Span]]:
    facts = facts_of(table, entity)
    available = templates()
    text = full_name(table, entity)
    spans = [(NAME, 0, len(text))]
    for place, number in enumerate(order):
        sentence = SENTENCES[number]
        if place:
            text += " "
            if place == 1:
                spans.append((len(table.attributes) - 1, len(text), len(text) + len(facts["pronoun"])))
            text += facts["pronoun"]
        drawn = int(choices[len(SENTENCES) + number])
        template = available[sentence][drawn % len(available[sentence])]
        text += f" {template.before}"
        value = facts[sentence]
        if sentence != "working_city":
            spans.append((number, len(text), len(text) + len(value)))
        # A value that ends in punctuation ("Inc.") ends its sentence by itself: two marks could become one token.
        closed = template.after == "." and not value[-1].isalnum()
        text += value if closed else value + template.after
    return text, spans
