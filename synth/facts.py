"""A table of facts, entities x attributes, drawn from known pools: what is in it is known to the bit."""

from __future__ import annotations

import io
import itertools
import json
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from curate.errors import Refused, Unchecked
from curate.shards.tokens import ShardError, read_checked, read_sealed
from synth.draws import below, distinct, stream

T = TypeVar("T")

CHUNK = 1 << 18
"""Entities that are drawn at once: a table of any size is made in the memory of its own columns."""


class FactsError(Refused):
    """Facts that cannot be drawn as asked, or a facts folder that is missing or damaged."""


@dataclass(frozen=True)
class Attribute:
    """What can be stated of an entity: its name, the pool (or pools, between spaces) its values come from, and how many
    values there are.

    `form` joins the words of several pools. `entropy` is in bits, where values are not uniform. An attribute that is
    `determined_by` another one holds only the bits that are left when that one is known: 0, where no `entropy` is
    given.
    """

    name: str
    pool: str
    size: int
    form: str = "{}"
    determined_by: str | None = None
    entropy: float | None = None

    @property
    def bits(self) -> float:
        """Bits of one entity's value."""
        if self.entropy is not None:
            return self.entropy
        return 0.0 if self.determined_by else math.log2(self.size)


@dataclass(frozen=True)
class TableBits:
    """What a table holds, in bits, by the bound of Allen-Zhu & Li (arXiv 2404.05405, section 2).

    `name_pool` is log2 N0 and `value_pool` log2 S0, for one entity; `names` and `values` are what a perfect memoriser
    of the whole table has learnt: N (log2 N0 - log2 N) and N log2 S0. `diversity` (bioD) is that of the strings which
    values are made of. `maximal` over the parameters is R_max.
    """

    name_pool: float
    value_pool: float
    names: float
    values: float
    diversity: float = 0.0

    @property
    def maximal(self) -> float:
        return self.names + self.values + self.diversity


@dataclass(frozen=True)
class FactTable:
    """Entities x attributes, with the words and sentences that state them.

    `entities` int32 [N, parts] index the pools of `name_parts`, `values` int32 [N, K] the attributes' pools (-1: this
    entity has no such attribute). `exposure_counts` int32 [N] says how often each entity appears; those with 0 are held
    out, and count in no bits. `pools` are the words behind the indices. `templates` are the sentences of each attribute
    that has any, of which the last `held_out_templates` never appear in training text; `subject` replaces the name
    after the first sentence: an attribute, a word, or the name again (None). `frozen` text is the same at every
    exposure. `questions` are forms in which each attribute is asked for. With `names_given`, the set of entities is
    taken as known, and names hold no bits. `details` are further properties of a kind. `determined` is known where the
    table was drawn: for an attribute that another determines, its value for each value of that one.
    """

    kind: str
    seed: int
    domain: str
    attributes: tuple[Attribute, ...]
    name_parts: tuple[str, ...]
    pools: dict[str, list[str]]
    entities: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    exposure_counts: np.ndarray = field(repr=False)
    templates: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    subject: str | None = None
    frozen: bool = False
    held_out_templates: int = 0
    questions: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    names_given: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    determined: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.entities)

    @cached_property
    def people(self) -> int:
        """Entities that appear at least once."""
        return int(np.count_nonzero(self.exposure_counts))

    @property
    def exposures(self) -> int:
        """How often the most frequent entity appears."""
        return int(self.exposure_counts.max(initial=0))

    @property
    def name_sizes(self) -> tuple[int, ...]:
        return tuple(len(self.pools[part]) for part in self.name_parts)

    def bits(self) -> TableBits:
        """The bits of the entities that appear."""
        n = self.people
        names = math.log2(max(1, n))
        name_pool = names if self.names_given else math.log2(math.prod(self.name_sizes))
        shown = self.exposure_counts > 0
        stated = [int(np.count_nonzero(shown & (column >= 0))) for column in self.values.T]
        values = sum(count * one.bits for count, one in zip(stated, self.attributes, strict=True))
        return TableBits(
            name_pool, values / max(1, n), n * (name_pool - names), values, self.details.get("diversity", 0.0)
        )

    def words(self, attribute: int) -> list[str]:
        """Every value of an attribute as it is written, in the order of its numbers."""
        return self._words[attribute]

    def column(self, name: str) -> int:
        """The number of an attribute. Raises FactsError where no attribute has that name."""
        for number, one in enumerate(self.attributes):
            if one.name == name:
                return number
        raise FactsError(f"there is no attribute {name!r}; there are {', '.join(one.name for one in self.attributes)}")

    def names(self, entities: Sequence[int] | np.ndarray) -> list[str]:
        """The full names of entities."""
        columns = self.entities[np.asarray(entities, np.int64)].T.tolist()
        pools = [self.pools[part] for part in self.name_parts]
        if len(pools) == 1:
            return [pools[0][number] for number in columns[0]]
        words = [[pool[number] for number in one] for pool, one in zip(pools, columns, strict=True)]
        return list(map(" ".join, zip(*words, strict=True)))

    def facts(self, entity: int) -> dict[str, str]:
        """What is known of one entity: each attribute that it has, as it is written."""
        row = self.values[entity].tolist()
        return {one.name: self._words[k][row[k]] for k, one in enumerate(self.attributes) if row[k] >= 0}

    @cached_property
    def _words(self) -> list[list[str]]:
        words = []
        for one in self.attributes:
            pools = [self.pools[name] for name in one.pool.split(" ")]
            composed = (one.form.format(*parts) for parts in itertools.product(*pools))
            words.append(pools[0] if one.form == "{}" else list(composed))
        return words

    def describe(self) -> dict[str, Any]:
        """The content of `facts.json`."""
        bits = self.bits()
        return {
            "kind": self.kind,
            "people": self.people,
            "entities": len(self),
            "exposures": self.exposures,
            "seed": self.seed,
            "domain": self.domain,
            "name_pool_bits": bits.name_pool,
            "value_pool_bits": bits.value_pool,
            "attributes": [
                {
                    "name": one.name,
                    "pool": one.pool,
                    "size": one.size,
                    "bits": one.bits,
                    "form": one.form,
                    "determined_by": one.determined_by,
                    "entropy": one.entropy,
                }
                for one in self.attributes
            ],
            "name_parts": list(self.name_sizes),
            "name_pools": list(self.name_parts),
            "names_given": self.names_given,
            "subject": self.subject,
            "frozen": self.frozen,
            "held_out_templates": self.held_out_templates,
            "details": self.details,
        }

    def save(self, folder: Path | str) -> None:
        """Write `facts.json`, `entities.npy`, `values.npy`, `exposures.npy`, `pools.json` and `templates.json`."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays().items():
            np.save(folder / name, array, allow_pickle=False)
        templates = {"sentences": self.templates, "questions": self.questions}
        texts = (("pools.json", self.pools), ("templates.json", templates), ("facts.json", self.describe()))
        for name, content in texts:
            (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _arrays(self) -> dict[str, np.ndarray]:
        return {"entities.npy": self.entities, "values.npy": self.values, "exposures.npy": self.exposure_counts}

    @classmethod
    def load(cls, folder: Path | str) -> FactTable:
        """Read a folder that `save` wrote. Raises FactsError that names the file and what is wrong with it."""
        folder = Path(folder)
        sealed = _read(read_sealed, folder / "injection.json")
        facts, pools, templates = (
            _read_json(folder / f"{name}.json", sealed) for name in ("facts", "pools", "templates")
        )
        try:
            table = cls(
                kind=facts["kind"],
                seed=facts["seed"],
                domain=facts["domain"],
                attributes=tuple(
                    Attribute(one["name"], one["pool"], one["size"], one["form"], one["determined_by"], one["entropy"])
                    for one in facts["attributes"]
                ),
                name_parts=tuple(facts["name_pools"]),
                pools=pools,
                entities=_read_array(folder / "entities.npy", sealed),
                values=_read_array(folder / "values.npy", sealed),
                exposure_counts=_read_array(folder / "exposures.npy", sealed),
                templates={name: tuple(lines) for name, lines in templates["sentences"].items()},
                questions={name: tuple(lines) for name, lines in templates["questions"].items()},
                subject=facts["subject"],
                frozen=facts["frozen"],
                held_out_templates=facts["held_out_templates"],
                names_given=facts["names_given"],
                details=facts["details"],
            )
            n = facts["entities"]
        except KeyError as error:
            raise FactsError(
                f"{folder}: its facts have no {error}: another version of goldsand wrote it; run it again"
            ) from None
        except (TypeError, ValueError, AttributeError) as error:
            raise FactsError(f"{folder}: its facts do not read as facts ({error}); write them again") from None
        if sealed is None:
            warnings.warn(f"nobody can check the facts in {folder}: they have no hashes", Unchecked, stacklevel=2)
        lacking = [part for part in table.name_parts if not table.names_given and part not in table.pools]
        if lacking:
            raise FactsError(f"{folder / 'pools.json'} has no pool {lacking[0]!r}, which facts.json names")
        shapes = ((n, len(table.name_parts)), (n, len(table.attributes)), (n,))
        for (name, array), shape in zip(table._arrays().items(), shapes, strict=True):
            if array.shape != shape:
                raise FactsError(f"{folder / name} must have shape {shape} by facts.json, not {array.shape}")
        return table


def draw(
    kind: str,
    exposure_counts: np.ndarray,
    seed: int,
    domain: str,
    attributes: Sequence[Attribute],
    name_parts: Sequence[str],
    pools: dict[str, list[str]],
    determined: dict[str, np.ndarray] | None = None,
    **fields: Any,
) -> FactTable:
    """A table of as many entities as there are counts: names uniform without replacement, values uniform, each from a
    stream of its own.

    So the first N entities are the same for every N, and one more attribute changes no other value. `determined` gives,
    for an attribute that follows from another, its value for each value of that one.
    """
    count = len(exposure_counts)
    sizes = tuple(len(pools[part]) for part in name_parts)
    available = math.prod(sizes)
    if count < 1:
        raise FactsError("`people` must be at least 1, not 0")
    if count > available:
        raise FactsError(f"there are {available} names ({' x '.join(map(str, sizes))}) for {count} people")
    entities = np.empty((count, len(sizes)), np.int32)
    values = np.empty((count, len(attributes)), np.int32)
    column = {one.name: number for number, one in enumerate(attributes)}
    for begin, numbers in chunks(count):
        names = distinct(stream(seed, "name"), numbers, available)
        entities[begin : begin + len(numbers)] = np.stack(np.unravel_index(names, sizes), axis=1)
        rows = values[begin : begin + len(numbers)]
        for number, one in enumerate(attributes):
            if one.determined_by is None:
                rows[:, number] = below(stream(seed, f"value/{one.name}"), numbers, one.size)
        for number, one in enumerate(attributes):
            if one.determined_by is not None:
                rows[:, number] = (determined or {})[one.name][rows[:, column[one.determined_by]]]
    return FactTable(
        kind=kind,
        seed=seed,
        domain=domain,
        attributes=tuple(attributes),
        name_parts=tuple(name_parts),
        pools=pools,
        entities=entities,
        values=values,
        exposure_counts=np.asarray(exposure_counts, np.int32),
        determined=dict(determined or {}),
        **fields,
    )


def chunks(count: int) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers below `count`, a chunk at a time, each with where it begins."""
    for begin in range(0, count, CHUNK):
        yield begin, np.arange(begin, min(begin + CHUNK, count))


def _read(read: Callable[..., T], *arguments: Any) -> T:
    try:
        return read(*arguments)
    except ShardError as error:
        raise FactsError(str(error)) from None


def _read_json(path: Path, sealed: dict[str, Any] | None) -> Any:
    try:
        content = _read(read_checked, path, sealed)
        return json.loads(content)
    except FileNotFoundError:
        raise FactsError(_missing(path)) from None
    except FactsError:
        raise
    except ValueError as error:
        raise FactsError(f"{path} is not JSON ({error})") from None


def _read_array(path: Path, sealed: dict[str, Any] | None) -> np.ndarray:
    try:
        return np.load(io.BytesIO(_read(read_checked, path, sealed)), allow_pickle=False)
    except FileNotFoundError:
        raise FactsError(_missing(path)) from None
    except FactsError:
        raise
    except (Exception, MemoryError) as error:  # numpy parses a damaged header with whatever comes
        raise FactsError(f"{path} is not a readable numpy array ({error})") from None


def _missing(path: Path) -> str:
    return f"{path} is missing: {path.parent} is not a facts folder, or its run did not finish"
