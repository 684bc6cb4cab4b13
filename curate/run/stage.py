"""Cuts a list of steps into stages: steps that fit into one pass over a partition are fused into one unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curate.step import CorpusStep, Step


@dataclass(frozen=True)
class Stage:
    """One pass over every partition: the decision of a corpus step (if it has one), then map steps.

    `labels` name the steps in accounts: the short name, with `#2` for the second use of it in one recipe.
    """

    number: int
    corpus: CorpusStep | None
    steps: tuple[Step, ...]
    labels: tuple[str, ...]

    @property
    def all_steps(self) -> tuple[Step, ...]:
        return (self.corpus, *self.steps) if self.corpus else self.steps

    @property
    def extracts(self) -> bool:
        """Whether it reads the sources and ends with their extraction, so that its documents depend on nothing else."""
        return self.number == 0 and any(step.ends_stage for step in self.steps)

    @property
    def folder(self) -> str:
        return f"{self.number:02d}-{self.labels[0] if self.labels else 'read'}"


def labels_of(steps: Sequence[Step]) -> list[str]:
    """A unique name for each step of a recipe."""
    seen: Counter[str] = Counter()
    labels = []
    for step in steps:
        seen[step.name] += 1
        labels.append(step.name if seen[step.name] == 1 else f"{step.name}#{seen[step.name]}")
    return labels


def cut(steps: Sequence[Step]) -> list[Stage]:
    """Stages in order. A step that says `ends_stage` is the last of its stage; a corpus step is the first of its own.

    The first stage reads the sources; it exists even when the recipe begins with a corpus step.
    """
    groups: list[list[tuple[Step, str]]] = [[]]
    for step, label in zip(steps, labels_of(steps), strict=True):
        # Reading must end before a corpus step's rounds, so the first stage never holds one.
        if isinstance(step, CorpusStep):
            groups.append([])
        groups[-1].append((step, label))
        if step.ends_stage:
            groups.append([])
    stages: list[Stage] = []
    for group in groups:
        if not group and stages:
            continue
        corpus = group[0][0] if group and isinstance(group[0][0], CorpusStep) else None
        maps = tuple(step for step, _ in (group[1:] if corpus else group))
        stages.append(Stage(len(stages), corpus, maps, tuple(label for _, label in group)))
    return stages
