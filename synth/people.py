"""bioS: biographies of people, six sentences each, as in Allen-Zhu & Li (arXiv 2309.14316, section 2; 2404.05405).

Every exposure of a person draws new sentence templates and a new order of sentences. The full name is in the first
sentence only, the pronoun begins every other. Templates and names are our own.

What keeps a perfect model's loss at zero: no two openings of templates (the words before the value) begin alike, so an
opening identifies the attribute before its value; only the working city's sentence names a city of work; the pronoun
occurs only at the beginning of a sentence.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from synth.facts import Attribute, FactsError, FactTable, draw

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


NAME_PARTS = ("first_name", "middle_name", "last_name")


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
                raise FactsError(f"{folder / file}, line {number}: {value!r} is already in line {seen[value]}")
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
        raise FactsError(f"the pool {path} must hold one value a line; {where}")
    return values


def people_table(
    people: int,
    exposures: int = 1,
    *,
    counts: np.ndarray | None = None,
    pools: Path | str | None = None,
    seed: int = 0,
    domain: str = "facts",
    frozen: bool = False,
    held_out_templates: int = 0,
) -> FactTable:
    """A table of people, each to appear `exposures` times, or as often as `counts` [N] says.

    With pools of the published sizes log2 N0 = 27.2535 and log2 S0 = 47.5916. The employer determines the working city,
    which holds no bits. `frozen` is bioS_simple.
    """
    words = read_pools(pools)
    # Employers may share a city; the pool of an attribute holds each value once.
    cities = list(dict.fromkeys(words["working_city"]))
    number = {city: place for place, city in enumerate(cities)}
    city_of = np.array([number[city] for city in words["working_city"]])
    words |= {"month": MONTHS, "day": DAYS, "year": YEARS, "pronoun": PRONOUNS, "working_city": cities}
    dates = len(MONTHS) * len(DAYS) * len(YEARS)
    attributes = [
        Attribute("birth_date", "month day year", dates, form="{} {}, {}"),
        *(Attribute(name, pool, len(words[pool])) for name, pool in POOLED),
        Attribute("working_city", "working_city", len(cities), determined_by="employer"),
        Attribute("pronoun", "pronoun", len(PRONOUNS)),
    ]
    return draw(
        "people",
        np.full(people, exposures) if counts is None else counts,
        seed,
        domain,
        attributes,
        NAME_PARTS,
        words,
        {"working_city": city_of},
        templates=templates("."),
        questions=templates("questions"),
        subject="pronoun",
        frozen=frozen,
        held_out_templates=held_out_templates,
    )


POOLED = (("birth_city", "city"), ("university", "university"), ("major", "major"), ("employer", "employer"))


@lru_cache(maxsize=2)
def templates(kind: str) -> dict[str, tuple[str, ...]]:
    """The templates of each sentence (kind "."), or the forms of each question, from `synth/templates/`."""
    folder = Path(__file__).with_name("templates") / kind
    paths = {one: folder / f"{one}.txt" for one in SENTENCES}
    return {one: tuple(path.read_text(encoding="utf-8").splitlines()) for one, path in paths.items() if path.exists()}
