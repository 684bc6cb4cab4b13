"""What two runs were made of, and where they differ: the changes that can be the cause of another verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Described = Mapping[str, Any]
"""A step as `curate.run.unit.describe_step` describes it."""

KINDS = {
    "threshold": "a parameter of a step",
    "step": "a step that only one of the two has",
    "version": "the version of a step",
    "library": "the version of a library",
    "file": "a file that a step reads",
    "code": "the code of a step of one's own",
    "input": "the input",
    "limit": "how many documents were taken",
    "corpus": "the other documents of the corpus",
    "unknown": "nothing that was noted",
}
"""The kinds of causes, and what each means."""


@dataclass(frozen=True)
class Cause:
    """Why a document ended otherwise: `step` is the label of the step that changed, where one did; `before` and `after`
    are the values of its parameter."""

    kind: str
    words: str
    step: str = ""
    before: Any = field(default=None, compare=False)
    after: Any = field(default=None, compare=False)

    def decides(self, value: Any, threshold: Any) -> bool:
        """Whether this change of a parameter can turn the verdict on a value that was compared with `threshold`."""
        if self.kind != "threshold" or threshold not in (self.before, self.after):
            return False
        ends = (self.before, self.after)
        if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (*ends, value)):
            return True
        return bool(min(ends) <= value <= max(ends))


@dataclass(frozen=True)
class Apart:
    """Where two runs differ: the changes of each step by its label, all labels in order, and the other changes."""

    order: list[str]
    steps: dict[str, list[Cause]]
    others: list[Cause] = field(default_factory=list)

    @classmethod
    def of(cls, old: Described, new: Described) -> Apart:
        """From what both runs are made of (`made_of` in their summaries)."""
        before, after = _steps(old), _steps(new)
        order = _merged(list(before), list(after))
        steps = {label: list(_changes(label, before.get(label), after.get(label))) for label in order}
        others = []
        if old.get("limit") != new.get("limit"):
            others.append(Cause("limit", f"limit {_short(old.get('limit'))} -> {_short(new.get('limit'))}"))
        return cls(order, {label: causes for label, causes in steps.items() if causes}, others)

    def all(self) -> list[Cause]:
        return [cause for label in self.order for cause in self.steps.get(label, [])] + self.others

    def before(self, label: str | None) -> list[str]:
        """The labels of the steps that a document meets before this one; all of them for None."""
        return self.order[: self.order.index(label)] if label in self.order else self.order

    def of_step(self, label: str, outcomes: Sequence[Described]) -> Cause | None:
        """The change of a step that turned its verdict; `outcomes` are what it said of the document."""
        causes = self.steps.get(label, [])
        for cause in causes:
            if any(cause.decides(one.get("value"), one.get("threshold")) for one in outcomes):
                return cause
        thresholds = [one.get("threshold") for one in outcomes]
        # A limit that the document met in neither run decided nothing.
        return next((one for one in causes if one.kind != "threshold"), None) or next(
            (one for one in causes if not {repr(one.before), repr(one.after)} & {repr(limit) for limit in thresholds}),
            None,
        )


def _steps(made_of: Described) -> dict[str, Described]:
    return {label: step for steps in made_of.get("stages", {}).values() for label, step in steps.items()}


def _merged(old: list[str], new: list[str]) -> list[str]:
    """The labels of both in the new order, each that is gone behind the one that it stood behind."""
    order = list(new)
    for place, label in enumerate(old):
        if label not in order:
            order.insert(order.index(old[place - 1]) + 1 if place else 0, label)
    return order


def _changes(label: str, old: Described | None, new: Described | None) -> Iterator[Cause]:
    if old is None or new is None:
        yield Cause("step", f"{label} {'is new' if old is None else 'is gone'}", label)
        return
    for name in sorted({*old["parameters"], *new["parameters"]}):
        before, after = old["parameters"].get(name), new["parameters"].get(name)
        if before != after and not _holds_steps(before) and not _holds_steps(after):
            yield Cause("threshold", f"{label}.{name} {_short(before)} -> {_short(after)}", label, before, after)
    if old["version"] != new["version"]:
        yield Cause("version", f"{label}: version {old['version']} -> {new['version']}", label)
    for name in sorted({*old["libraries"], *new["libraries"]}):
        versions = [one["libraries"].get(name, "absent") for one in (old, new)]
        if versions[0] != versions[1]:
            yield Cause("library", f"{label}: {name} {versions[0]} -> {versions[1]}", label)
    if old["resources"] != new["resources"]:
        yield Cause("file", f"{label}: a file that it reads is another", label)
    if old.get("code") != new.get("code"):
        yield Cause("code", f"{label}: its code is another", label)


def _holds_steps(value: Any) -> bool:
    """Whether a parameter holds other steps, as a cascade's does: their changes are told as their own."""
    return isinstance(value, list) and any(isinstance(one, dict) and "step" in one for one in value)


def _short(value: Any, most: int = 60) -> str:
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    text = "none" if value is None else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
