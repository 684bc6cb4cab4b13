"""What a run would do, and what of it is done already: all of its units, asked and not carried out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from curate.run.corpus import CorpusRun
from curate.run.folder import OutputFolder, check_format, read_kills
from curate.run.inputs import ContentsTask, CutTask
from curate.run.shared_extraction import seen_as
from curate.run.stage_pool import known_inputs
from curate.run.unit import Unit


@dataclass
class PlannedGroup:
    """Units that are carried out together: how many there are, how many are done (and their names), and why the others
    are not."""

    label: str
    units: int = 0
    done: int = 0
    why: Counter[str] = field(default_factory=Counter)
    found: set[str] = field(default_factory=set)


class _DryEngine:
    """An engine that runs nothing: it counts the units that are done, and returns the manifests that the others would
    have."""

    workers = 0

    def __init__(self, inputs: dict[str, Any], look: bool) -> None:
        self.groups: list[PlannedGroup] = []
        self._inputs = inputs
        self._look = look

    def map(self, label: str, tasks: Sequence[Unit], on_kill: Any = None) -> list[dict[str, Any]]:
        self.groups.append(group := PlannedGroup(label))
        manifests = []
        for unit in tasks:
            manifest, reason = unit.done() if self._look else (None, "")
            group.units += 1
            group.done += manifest is not None
            group.why.update([reason] if manifest is None else [])
            group.found |= {unit.name} if manifest is not None else set()
            manifests.append(manifest or self._expected(unit))
        return manifests

    def _expected(self, unit: Unit) -> dict[str, Any]:
        """A file that another run read, and that looks the same since, is taken for what it was: then it shows which
        units are in the pool."""
        found = self._inputs.get(seen_as(unit)) if isinstance(unit, CutTask | ContentsTask) else None
        return {**unit.expected(), **(found or {})}


class _ReadOnlyFolder(OutputFolder):
    """An output folder that is read without a lock: no file in it is written or removed."""

    def __enter__(self) -> _ReadOnlyFolder:
        check_format(self.path)
        self.kills = read_kills(self.path)
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def remove_strangers(self, below: str = "", pattern: str = "*") -> None:
        return None

    def refuse_strangers(self, below: str, pattern: str) -> None:
        return None


def planned(job: CorpusRun, look: bool = True) -> list[PlannedGroup]:
    """All groups of units of a run, in order; a round's two groups have one label. Unless `look` is false, each unit is
    asked whether it is done. Raises RunError for a folder of another version of goldsand."""
    engine = _DryEngine(known_inputs(job.pool) if job.pool and look else {}, look)
    with _ReadOnlyFolder(job.out) as folder:
        job.work(folder, engine)
    return engine.groups


def by_label(planned: Sequence[PlannedGroup]) -> list[PlannedGroup]:
    """One group for each label."""
    groups: dict[str, PlannedGroup] = {}
    for one in planned:
        group = groups.setdefault(one.label, PlannedGroup(one.label))
        group.units += one.units
        group.done += one.done
        group.why += one.why
        group.found |= one.found
    return list(groups.values())
