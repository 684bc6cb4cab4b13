"""What hung or killed the workers of a run: which of its units set aside what, and how that is written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from curate.run.engine import RunError
from curate.run.folder import Kill, OutputFolder
from curate.run.inputs import CutTask
from curate.run.lots import Lot, Part
from curate.run.rounds import EmitTask
from curate.run.stage import Stage
from curate.run.tasks import MapTask, read_with
from curate.run.unit import Unit, is_reading, reading_of
from curate.sources import Partition


class Killed:
    """The kills of a folder, for a run whose workers may take `memory` megabytes."""

    def __init__(self, folder: OutputFolder, memory: int) -> None:
        self._folder = folder
        self._memory = memory

    def read_with(self, partition: Partition) -> str:
        """What a file that cost its workers their lives was read with; more memory is something else too."""
        return f"{read_with(partition)}, {self._memory} MB"

    def by_cutting(self, label: str, partition: Partition) -> bool:
        """Whether looking for cuts in an input file cost workers their lives."""
        told = {(kill.part, kill.read_with) for kill in self._folder.kills if kill.stage == "inputs"}
        return bool(told) and (label, self.read_with(partition)) in told

    def uncut(self, unit: Unit, key: str, reason: str) -> Unit:
        """The callback for an input file: it is read as a whole."""
        # Where it could be cut is not worth the run: the stage that reads it finds out what it is.
        if not isinstance(unit, CutTask) or not unit.split:
            raise RunError(f"{unit.name}: {reason}")
        with_what = self.read_with(unit.partition)
        self._folder.set_aside(Kill("inputs", unit.label, None, unit.partition.prefix, reason, read_with=with_what))
        return replace(unit, split=0)

    def among(self, stage: Stage, lot: Lot, parts: Sequence[Part], number: int | None = None) -> dict[str, str]:
        """The documents that a unit must set aside: in a round, those killed in it; in a stage, all of its own.

        A kill in a part that no longer exists (files are cut differently now) applies to every part of its file.
        """
        kills = [
            kill
            for kill in self._folder.kills
            if kill.stage == stage.folder and (number is None or kill.round == number)
        ]
        there = {one.label for one in parts} if kills else set()
        return {
            kill.key: kill.reason
            for kill in kills
            for part in lot.parts
            if kill.content in ("", part.content)
            and kill.read_with in ("", self.read_with(part.partition))
            and (kill.part == part.label or (kill.part not in there and part.partition.holds(kill.key)))
        }

    def setting_aside(self, stage: Stage, lots: Sequence[Lot]) -> Callable[[Unit, str, str], Unit]:
        """The callback for a document that killed a worker: records it, and returns the unit without it."""

        def on_kill(unit: Unit, key: str, reason: str) -> Unit:
            assert isinstance(unit, MapTask | EmitTask)
            lot, number = (unit.lot, None) if isinstance(unit, MapTask) else (by_label[unit.label], unit.round_number)
            with_what = ""
            if is_reading(key):
                part = next((one for one in lot.parts if reading_of(one.whole_key) == key), lot.parts[0])
                key, with_what = part.whole_key, self.read_with(part.partition)
            else:
                # One that was added, or moved here, is of no file: any part names the unit.
                part = next((one for one in lot.parts if one.partition.holds(key)), lot.parts[0])
            if key in unit.killed:
                raise RunError(f"{unit.name}: setting {key} aside did not help; it still {reason}")
            self._folder.set_aside(Kill(stage.folder, part.label, number, key, reason, part.content, with_what))
            return replace(unit, killed={**unit.killed, key: reason})

        by_label = {lot.label: lot for lot in lots}
        return on_kill
