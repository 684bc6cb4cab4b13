"""Two hops: people work for companies, companies are based in cities, and no text says in which city a person works.

That city follows from two facts in different documents: it holds no bits, no sentence of a training text or a scored
one states it, and it can be asked. So one table measures what is stored, and whether two stored facts can be combined.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from synth.draws import below, distinct, stream
from synth.facts import Attribute, FactsError, FactTable
from synth.people import NAME_PARTS, read_pools

ENTITY = "entity"

EMPLOYERS = 50
"""Companies by default."""


def relations_table(
    people: int,
    exposures: int = 1,
    *,
    employers: int = EMPLOYERS,
    counts: np.ndarray | None = None,
    pools: Path | str | None = None,
    seed: int = 0,
    domain: str = "facts",
    frozen: bool = False,
    held_out_templates: int = 0,
) -> FactTable:
    """A table of `employers` companies and after them `people`, each to appear `exposures` times, or as often as
    `counts` [employers + people] says.

    Attributes: `employer` of people, log2(employers) bits; `city` of companies, log2 of the pool's size;
    `works_in` of people, determined by the employer. Names are given: they hold no bits. Raises FactsError for more
    companies than the pool has, or more people than there are names.
    """
    words = read_pools(pools)
    sizes = tuple(len(words[part]) for part in NAME_PARTS)
    if not 1 <= employers <= len(words["employer"]):
        raise FactsError(
            f"`employers` must be between 1 and {len(words['employer'])}, the companies of the pool, not {employers}"
        )
    available = sizes[0] * sizes[1] * sizes[2]
    if not 1 <= people <= available:
        raise FactsError(f"there are {available} names ({' x '.join(map(str, sizes))}) for {people} people")
    companies, cities = words["employer"][:employers], words["city"]
    numbers = np.unravel_index(distinct(stream(seed, "name"), np.arange(people), available), sizes)
    parts = [[words[part][one] for one in column] for part, column in zip(NAME_PARTS, numbers, strict=True)]
    values = np.full((employers + people, 3), -1, np.int32)
    based = below(stream(seed, "value/city"), np.arange(employers), len(cities))
    employer = below(stream(seed, "value/employer"), np.arange(people), employers)
    values[:employers, 1] = based
    values[employers:, 0] = employer
    values[employers:, 2] = based[employer]
    counts = np.full(employers + people, exposures) if counts is None else counts
    return FactTable(
        kind="relations",
        seed=seed,
        domain=domain,
        attributes=(
            Attribute("employer", "employer", employers),
            Attribute("city", "city", len(cities)),
            Attribute("works_in", "city", len(cities), determined_by="employer"),
        ),
        name_parts=(ENTITY,),
        pools={ENTITY: companies + [" ".join(name) for name in zip(*parts, strict=True)]}
        | {"employer": companies, "city": cities},
        entities=np.arange(employers + people, dtype=np.int32)[:, None],
        values=values,
        exposure_counts=np.asarray(counts, np.int32),
        templates=templates("."),
        questions=templates("questions"),
        frozen=frozen,
        held_out_templates=held_out_templates,
        names_given=True,
        details={"employers": employers},
    )


@lru_cache(maxsize=2)
def templates(kind: str) -> dict[str, tuple[str, ...]]:
    """The sentences of each attribute that has any (kind "."), or the forms of each question."""
    folder = Path(__file__).with_name("templates") / "relations" / kind
    return {path.stem: tuple(path.read_text(encoding="utf-8").splitlines()) for path in sorted(folder.glob("*.txt"))}
