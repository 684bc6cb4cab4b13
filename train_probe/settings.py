"""A setting: a field of a dataclass with its meaning and the values it can have, declared once.

Plans are checked against the declarations, and the schema of recipes is built from them (recipes/app/recipe/schema.py).
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from curate.errors import nearest

LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "ge": (operator.ge, "at least"),
    "gt": (operator.gt, "above"),
    "le": (operator.le, "at most"),
    "lt": (operator.lt, "below"),
}


def setting(
    default: Any,
    doc: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Iterable[str] | None = None,
) -> Any:
    """A field with its default (`...`: it must be given), its meaning, and its limits or choices, which hold for each
    member of a tuple."""
    limits = {"ge": ge, "gt": gt, "le": le, "lt": lt, "choices": None if choices is None else tuple(choices)}
    metadata = {"doc": doc} | {name: limit for name, limit in limits.items() if limit is not None}
    return dataclasses.field(default=dataclasses.MISSING if default is ... else default, metadata=metadata)


def mistakes(of: Any) -> Iterator[tuple[str, str]]:
    """Each value of a dataclass that its declaration does not allow: `name` or `name[2]`, and what it must be."""
    for item in dataclasses.fields(of):
        value = getattr(of, item.name)
        several = isinstance(value, tuple)
        for number, one in enumerate(value if several else (value,)):
            if one is not None and (mistake := _mistake(one, item.metadata)):
                yield f"{item.name}[{number}]" if several else item.name, mistake


def _mistake(value: Any, declared: Mapping[str, Any]) -> str:
    if choices := declared.get("choices"):
        hint = nearest(value, choices)
        return "" if value in choices else f"must be one of {', '.join(choices)}, not {value!r}{hint}"
    limits = [(*LIMITS[name], declared[name]) for name in LIMITS if name in declared]
    if not limits or (math.isfinite(value) and all(holds(value, limit) for holds, _, limit in limits)):
        return ""
    words = [] if math.isfinite(value) else ["finite"]
    words += [f"{word} {limit}" for _, word, limit in limits]
    return f"must be {' and '.join(words)}, not {value}"
