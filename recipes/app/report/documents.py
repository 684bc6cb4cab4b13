"""The documents that a page shows: kept and dropped ones, within the bytes that a page may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from recipes.app.report.drops import Drops
from recipes.app.report.kept import Kept
from recipes.app.report.rendering import visible

TEXT = 1_500
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Group:
    """Documents that are shown together: `name` with `words` behind it, `of` is how many there are."""

    name: str
    words: str
    documents: Sequence[dict[str, Any]]
    of: int | None = None
    id: str = ""


def groups_of(summary: dict[str, Any], kept: Kept | None, drops: Drops) -> list[Group]:
    """All that could be shown: kept documents drawn by chance, shortest and longest; dropped ones by reason, shortest
    and longest."""
    groups = []
    if kept is not None and kept.random:
        total = summary["documents"]["kept"]
        groups += [
            Group("kept", "drawn by chance", kept.random, total),
            Group("kept", "the shortest", kept.shortest),
            Group("kept", "the longest", kept.longest),
        ]
    counted = {(one["step"], rule): many for one in summary["steps"] for rule, many in one["reasons"].items()}
    for (step, rule), counts in counted.items():
        examples = drops.examples.get((step, rule), [])
        if examples:
            name = step if step == rule else f"{step}.{rule}"
            groups.append(Group(name, "drawn by chance", examples, counts["documents"]))
    if drops.shortest:
        groups += [Group("dropped", "the shortest", drops.shortest), Group("dropped", "the longest", drops.longest)]
    return [replace(group, id=f"documents-{number}") for number, group in enumerate(groups, 1)]


def within(groups: Sequence[Group], budget: int) -> list[Group]:
    """The groups with as many of their documents as fit into `budget` bytes of a page: one of each group, then one more
    of each, and so on."""
    taken: list[list[dict[str, Any]]] = [[] for _ in groups]
    longest = max((len(group.documents) for group in groups), default=0)
    for place in range(longest):
        for group, documents in zip(groups, taken, strict=True):
            if place < len(group.documents) and len(documents) == place:
                budget -= _bytes(group.documents[place])
                if budget > 0:
                    documents.append(group.documents[place])
    return [replace(group, documents=some) for group, some in zip(groups, taken, strict=True) if some]


def _bytes(document: dict[str, Any]) -> int:
    shown = (visible(document.get(name) or "", limit) for name, limit in (("text", TEXT), ("url", 300), ("key", 200)))
    return sum(len(escape(one).encode("utf-8", "replace")) for one in shown) + 900
