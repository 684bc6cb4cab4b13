"""The unit of a stage that output folders share: taken from the pool, or built and put there (see `stage_pool.py`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from curate.places.lease import Lease
from curate.places.manifest import FORMAT, NotAsWritten, fingerprint, manifest_path, seal_of
from curate.places.stamp import stamp
from curate.places.store import Place, mark, store_errors, write_atomically
from curate.run.inputs import ContentsTask, CutTask
from curate.run.stage_pool import escaped, note_use, put, unit_name
from curate.run.tasks import MapTask
from curate.run.unit import Outputs, Pulse, reusable
from curate.sources import Partition

LOOKS = 0.5
"""Seconds between two looks at a unit that another run builds."""

_FOUND = ("content", "pieces", "contents")
"""What a manifest says of input files."""

_OF_THE_UNIT = ("format", "fingerprint", "outputs", "marks", "seal", "about", "because")
"""What a manifest says of files and their place; the rest are the unit's counts."""


@dataclass(frozen=True)
class Sharing:
    """How many of a run's first units came out of the pool, and why some could not be put there (empty: none)."""

    pool: Place
    units: int
    taken: int
    not_shared: str


def note_sharing(
    pool: Place,
    out: Place,
    manifests: Sequence[dict[str, Any]],
    inputs: Iterable[tuple[CutTask | ContentsTask, dict[str, Any]]],
) -> Sharing:
    """Write down in the pool which units a finished folder uses, and what its input files were."""
    found = {seen_as(task): {name: one[name] for name in _FOUND if name in one} for task, one in inputs}
    found.pop("", None)
    reasons = [one["not_shared"] for one in manifests if "not_shared" in one]
    try:
        note_use(pool, out, [one["fingerprint"] for one in manifests], found)
    except OSError as error:
        reasons.append(error.strerror or str(error))
    return Sharing(pool, len(manifests), sum("from_pool" in one for one in manifests), next(iter(reasons), ""))


def seen_as(task: CutTask | ContentsTask) -> str:
    """The files of a unit by path, size and time, for plans, which do not read them; empty where that is not known."""
    if isinstance(task, CutTask):
        return _seen(task.partition, task.split)
    each = [_seen(partition, 0) for partition in task.partitions]
    return fingerprint(each) if all(each) else ""


def _seen(partition: Partition, split: int) -> str:
    """One file of this machine."""
    if partition.files or partition.dataset is not None or not isinstance(partition.path, Path):
        return ""
    try:
        _, modified, size = stamp(partition.path)
        return fingerprint([escaped(partition.path.resolve()), modified, size, partition.describe(), split])
    except OSError:
        return ""


@dataclass
class SharedExtraction(MapTask):
    """One lot through a stage that ends with extraction, which is taken from a pool, or built and put there."""

    pool: Place = field(default_factory=Path)

    def done(self) -> tuple[dict[str, Any] | None, str]:
        """Also where only the pool has it: it costs no more than another name for its files."""
        own, reason = super().done()
        found = own or self._in_pool(fingerprint(self.configuration()))
        return found, "" if found else reason

    def run(self, pulse: Pulse) -> dict[str, Any]:
        """As any unit; `from_pool` marks the manifest of one that was taken from the pool, `not_shared` says why one
        could not be put there."""
        wanted = fingerprint(self.configuration())
        if (own := reusable(self.root, self.name, wanted)) is not None:
            there = manifest_path(self.pool, unit_name(wanted)).is_file()
            return {**own, "skipped_unit": True} | ({} if there else self._offered(own))
        if (taken := self._taken(wanted)) is not None:
            return taken
        lease = Lease(self.pool / "leases" / f"{wanted}.json")
        # Where the pool cannot be written to, what is built is not shared, and `_offered` says so.
        with contextlib.suppress(OSError), store_errors(self.pool):
            while not lease.take():
                # No document is in hand, so that no time-out counts.
                pulse.hold(None)
                time.sleep(LOOKS)
        try:
            # Another run may have built it meanwhile.
            if (taken := self._taken(wanted)) is not None:
                return taken
            built = super().run(pulse)
            return built | self._offered(built)
        finally:
            lease.give_back()

    def _in_pool(self, key: str) -> dict[str, Any] | None:
        """The counts of a unit in the pool and the checksums of its files, as a manifest of this folder has them."""
        with contextlib.suppress(OSError), store_errors(self.pool):
            if (kept := reusable(self.pool, unit_name(key), key)) is not None:
                begin = unit_name(key)
                outputs = {f"{self.name}{name.removeprefix(begin)}": known for name, known in kept["outputs"].items()}
                return {**{name: value for name, value in kept.items() if name not in _OF_THE_UNIT}, "outputs": outputs}
        return None

    def _taken(self, key: str) -> dict[str, Any] | None:
        """The unit out of the pool, with files and a manifest of its own in this folder; None where the pool has none
        that is as it was written."""
        found = self._in_pool(key)
        if found is None:
            return None
        outputs = Outputs(self.root, self.name, apart=self.apart)
        for name, known in found["outputs"].items():
            try:
                with store_errors(self.pool):
                    outputs.take(self.root / name, self.pool / f"{unit_name(key)}{name.removeprefix(self.name)}", known)
            except (FileNotFoundError, NotAsWritten):
                # It left the pool at this moment, or was written again.
                return None
        counts = {name: value for name, value in found.items() if name != "outputs"}
        return {**outputs.commit(key, **counts), "skipped_unit": True, "from_pool": True}

    def _offered(self, built: dict[str, Any]) -> dict[str, Any]:
        """Put the unit into the pool. What cannot be shared is not lost: the answer says why it is not."""
        key = built["fingerprint"]
        about = {
            "source": self.lot.source,
            "steps": list(self.stage.labels),
            "stage": fingerprint(self.configuration()["steps"])[:8],
            "made": time.time(),
        }
        outputs, marks = {}, {}
        try:
            with store_errors(self.pool):
                for name, value in built["outputs"].items():
                    kept = f"{unit_name(key)}{name.removeprefix(self.name)}"
                    put(self.root / name, self.pool / kept)
                    outputs[kept] = value
                    if own := mark(self.pool / kept):
                        marks[kept] = own
                counts = {name: value for name, value in built.items() if name not in _OF_THE_UNIT}
                # What the steps say of this machine is not true of another run.
                counts["notices"] = []
                counts.pop("because", None)
                manifest = {"format": FORMAT, "fingerprint": key, "outputs": outputs, "about": about, **counts}
                manifest |= {"marks": marks} if marks else {}
                manifest["seal"] = seal_of(manifest)
                written = orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
                write_atomically(manifest_path(self.pool, unit_name(key)), written, alone=False)
        except OSError as error:
            return {"not_shared": error.strerror or str(error)}
        return {}
