"""A table of facts, entities x attributes, drawn from known pools: what is in it is known to the bit."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from synth.streams import below, stream


class FactsError(ValueError):
    """Facts that cannot be drawn as asked, or a facts folder that is missing or damaged."""


@dataclass(frozen=True)
class Attribute:
    """What is told of every entity: its name, the pool its values come from, and how many values there are."""

    name: str
    pool: str
    size: int

    @property
    def bits(self) -> float:
        return math.log2(self.size)


@dataclass(frozen=True)
class Bits:
    """What a table holds, in bits, by the bound of Allen-Zhu & Li (arXiv 2404.05405, section 2).

    `name_pool` is log2 N0 and `value_pool` log2 S0, for one entity; `names` and `values` are what a perfect memoriser
    of the whole table has learnt: N (log2 N0 - log2 N) and N log2 S0. `maximal` over the parameters is R_max.
    """

    name_pool: float
    value_pool: float
    names: float
    values: float

    @property
    def maximal(self) -> float:
        return self.names + self.values


@dataclass(frozen=True)
class FactTable:
    """`entities` int32 [N, parts] index the name pools, `values` int32 [N, K] the attributes' pools.

    `exposure_counts` int32 [N] says how often each entity appears. `pools` are the words behind the indices.
    """

    kind: str
    seed: int
    domain: str
    exposures: int
    attributes: tuple[Attribute, ...]
    name_parts: tuple[int, ...]
    pools: dict[str, list[str]]
    entities: np.ndarray
    values: np.ndarray
    exposure_counts: np.ndarray = field(repr=False)

    @property
    def people(self) -> int:
        return len(self.entities)

    def bits(self) -> Bits:
        name_pool = math.log2(math.prod(self.name_parts))
        value_pool = sum(attribute.bits for attribute in self.attributes)
        n = self.people
        return Bits(name_pool, value_pool, n * (name_pool - math.log2(n)), n * value_pool)

    def describe(self) -> dict[str, Any]:
        """The content of `facts.json`."""
        bits = self.bits()
        return {
            "kind": self.kind,
            "people": self.people,
            "exposures": self.exposures,
            "seed": self.seed,
            "domain": self.domain,
            "name_pool_bits": bits.name_pool,
            "value_pool_bits": bits.value_pool,
            "attributes": [
                {"name": one.name, "pool": one.pool, "size": one.size, "bits": one.bits} for one in self.attributes
            ],
            "name_parts": list(self.name_parts),
        }

    def save(self, folder: Path | str) -> None:
        """Write `facts.json`, `entities.npy`, `values.npy`, `exposures.npy` and `pools.json`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays().items():
            np.save(folder / name, array, allow_pickle=False)
        for name, content in (("pools.json", self.pools), ("facts.json", self.describe())):
            (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"entities.npy": self.entities, "values.npy": self.values, "exposures.npy": self.exposure_counts}

    @classmethod
    def load(cls, folder: Path | str) -> FactTable:
        """Read a folder that `save` wrote. Raises FactsError that names the file and what is wrong with it."""
        folder = Path(folder)
        facts, pools = _read_json(folder / "facts.json"), _read_json(folder / "pools.json")
        try:
            table = cls(
                kind=facts["kind"],
                seed=facts["seed"],
                domain=facts["domain"],
                exposures=facts["exposures"],
                attributes=tuple(Attribute(one["name"], one["pool"], one["size"]) for one in facts["attributes"]),
                name_parts=tuple(facts["name_parts"]),
                pools=pools,
                entities=_read_array(folder / "entities.npy"),
                values=_read_array(folder / "values.npy"),
                exposure_counts=_read_array(folder / "exposures.npy"),
            )
        except KeyError as error:
            raise FactsError(f"{folder / 'facts.json'} has no {error}") from None
        n = facts["people"]
        for name, array, shape in zip(
            table._arrays(),
            table._arrays().values(),
            ((n, len(table.name_parts)), (n, len(table.attributes)), (n,)),
            strict=True,
        ):
            if array.shape != shape:
                raise FactsError(f"{folder / name} has shape {array.shape}; facts.json makes it {shape}")
        return table


def draw(
    kind: str,
    people: int,
    exposures: int,
    seed: int,
    domain: str,
    attributes: Sequence[Attribute],
    name_parts: Sequence[int],
    pools: dict[str, list[str]],
) -> FactTable:
    """A table with names uniform without replacement and values uniform, each from a stream of its own.

    So the first N people are the same for every N, and one more attribute changes no other value.
    """
    if people < 1 or exposures < 1:
        raise FactsError(f"people and exposures must be at least 1, not {people} and {exposures}")
    entities = _distinct_names(people, seed, name_parts)
    counters = np.arange(people)
    columns = [below(stream(seed, f"value/{one.name}"), counters, one.size) for one in attributes]
    return FactTable(
        kind=kind,
        seed=seed,
        domain=domain,
        exposures=exposures,
        attributes=tuple(attributes),
        name_parts=tuple(name_parts),
        pools=pools,
        entities=entities.astype(np.int32),
        values=np.stack(columns, axis=1).astype(np.int32),
        exposure_counts=np.full(people, exposures, np.int32),
    )


def _distinct_names(people: int, seed: int, name_parts: Sequence[int]) -> np.ndarray:
    """The first `people` different names of a stream of independent ones, [people, parts]."""
    available = math.prod(name_parts)
    if people > available:
        raise FactsError(f"there are {available} names ({' x '.join(map(str, name_parts))}) for {people} people")
    drawn = people + people // 8 + 64
    while True:
        counters = np.arange(drawn)
        parts = [below(stream(seed, f"name/{part}"), counters, size) for part, size in enumerate(name_parts)]
        codes = np.ravel_multi_index(parts, tuple(name_parts))
        first = np.sort(np.unique(codes, return_index=True)[1])
        if len(first) >= people:
            return np.stack([part[first[:people]] for part in parts], axis=1)
        drawn *= 2


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FactsError(f"{path} is missing: {path.parent} is no facts folder, or its run did not finish") from None
    except ValueError as error:
        raise FactsError(f"{path} is not JSON ({error})") from None


def _read_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise FactsError(f"{path} is missing: {path.parent} is no facts folder, or its run did not finish") from None
    except (ValueError, EOFError) as error:
        raise FactsError(f"{path} is no numpy array that can be read ({error})") from None
