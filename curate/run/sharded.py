"""A run that several equal processes carry out together, on any machines that see its folder (`goldsand run --shard`).

Each of them goes through the whole run: the same groups of units in the same order. What a unit wrote down when it was
done, by whichever process, is all that the others need of it, so all come to the same next group. Who claims a unit
does it, with the local engine; one of them begins the run, and one publishes it. `session.py` says how they agree.
"""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from curate.places.manifest import MARKER, fingerprint, manifest_path, read_manifest, read_summary
from curate.places.store import Place, is_private, make_folder
from curate.run.calls import Call, Calls
from curate.run.claimed_group import ClaimedGroup
from curate.run.corpus import CorpusRun
from curate.run.engine import OnKill, Progress, RunError
from curate.run.folder import Kill, OutputFolder
from curate.run.interrupt import interruptible
from curate.run.local import LocalEngine
from curate.run.lock import holder_of
from curate.run.previous import forget
from curate.run.session import Over, Session, Shard
from curate.run.stage_pool import escaped
from curate.run.status import STATUS, StatusFile
from curate.run.unit import Unit


@dataclass
class ShardedRun(CorpusRun):
    """A `CorpusRun` of which this process is one shard: after `execute`, `published` is true for one of them."""

    shard: Shard = field(default_factory=lambda: Shard(0, 1))

    @classmethod
    def of(cls, job: CorpusRun, shard: Shard) -> ShardedRun:
        """The same run as one of several shards."""
        given = {one.name: getattr(job, one.name) for one in dataclasses.fields(job)}
        return cls(**given, shard=shard)

    def execute(self) -> dict[str, Any]:
        """Do a part of the run, and wait until all of it is done; returns the summary.

        Raises RunError (or TaskError) where a unit of any shard fails, and Refused where shards that are at work in the
        folder have another recipe, other inputs or versions, or are of another number.
        """
        if is_private(self.out) or any(is_private(one.path) for one in self.partitions):
            raise RunError("shards are processes of their own, which do not see what is in the memory of one")
        with interruptible():
            session = Session.join(self.out, self.shard, self._about(), self._refuse_to_begin)
            if session.took_part:
                with suppress(Over), session:
                    self._take_part(session)
            else:
                # It is started together with those who ended the run: their end is its own.
                with suppress(Over):
                    session.check(at_once=True)
            return read_summary(self.out)

    def _take_part(self, session: Session) -> None:
        folder = SharedFolder(self.out, session)
        session.pulse.say(workers=self.workers_here)
        status = session.pulse.place.with_name(session.pulse.place.name.replace("pulse", "status"))
        begun = session.once("begin", lambda: self._begin_for_all(folder))
        folder.kills = [Kill(**row) for row in begun["kills"]]
        with self.status_file(status) as on_progress:

            def told(progress: Progress) -> None:
                on_progress(progress)
                cost = asdict(on_progress.calls.now)
                session.pulse.said = {**session.pulse.said, **cost, "at": progress.label}

            given = (self.workers_here, self.document_timeout, told, self.memory, self.program)
            with ShardEngine(session, *given) as engine:
                outputs, tokens = self.work(folder, engine)
            # What it cost must be known to whoever publishes.
            session.pulse.say()
            session.once("publish", lambda: self._publish(folder, outputs, tokens, begun["made_of"]))

    def _about(self) -> dict[str, Any]:
        """What all shards must have in common."""
        made = self.made_with()
        made_of = self.asked().made_of()
        settings = [made_of["stages"], made_of["published"], self.again, self.buckets, self.split, self.sample]
        return {
            "goldsand": {"version of goldsand": made["goldsand"]},
            "python": {"version of Python": ".".join(platform.python_version_tuple()[:2])},
            "libraries": {f"version of {name}": one for name, one in made["libraries"].items()},
            "recipe": {"name of the recipe": made["recipe"]["name"], "content of the recipe": made["recipe"]["sha256"]},
            "limit": {"--limit": made["limit"]},
            "steps": {
                **{f"code of the step {one['step']}": fingerprint(one) for one in made["steps"]},
                **{f"file {one['name']} of the step {one['step']}": fingerprint(one) for one in made["files"]},
            },
            "settings": {"settings of the run": fingerprint(settings)},
            "inputs": {
                "number of input files": len(self.partitions),
                "names of input files": fingerprint([escaped(one.prefix) for one in self.partitions]),
            },
        }

    def _refuse_to_begin(self) -> None:
        """Before anything is written: what a run of one process would be refused for."""
        folder = OutputFolder(self.out)
        folder.refuse_others()
        if (holder := holder_of(self.out / ".lock")) is not None:
            raise RunError(f"{self.out} is being written by another run (process {holder['process']})")
        if not self.replace and (change := self.change()) is not None:
            change.refuse()
        with folder.writable():
            make_folder(self.out)

    def _begin_for_all(self, folder: SharedFolder) -> dict[str, Any]:
        with folder.writable():
            folder.clear()
        made_of = self.begin(folder)
        return {"made_of": made_of, "kills": [asdict(kill) for kill in folder.kills]}

    def _publish(
        self, folder: SharedFolder, outputs: Any, tokens: dict[str, int], made_of: dict[str, Any]
    ) -> dict[str, Any]:
        """Make the finished folder, once every unit is done."""
        folder.check_manifests()
        OutputFolder.remove_strangers(folder)
        calls = self._calls(folder)
        self.end(folder, outputs, tokens, calls, made_of)
        with folder.writable():
            folder.gather_kills()
        status = StatusFile(self.out, self.groups())
        status.calls = calls
        status.write("finished")
        forget(self.out)
        folder.session.end("finished")
        return {}

    def _calls(self, folder: SharedFolder) -> Calls:
        """What the run cost: the time of the shard that took longest, the workers of all."""
        # A shard that was started twice counts once.
        found = {place.name.split(".")[0]: folder.session.watch.row(place) for place in folder.session.pulses()}
        rows = [row for row in found.values() if row and "workers" in row]
        calls = Calls.of(self.out / STATUS)
        calls.now = Call(
            max((row.get("seconds", 0.0) for row in rows), default=0.0),
            max((row.get("memory", 0) for row in rows), default=0),
            folder.made,
        )
        calls.workers = sum(row["workers"] for row in rows) or self.workers_here
        return calls


class SharedFolder(OutputFolder):
    """The output folder as a shard sees it: what only one may do, one of them does."""

    def __init__(self, path: Place, session: Session) -> None:
        super().__init__(path)
        self.session = session
        self._blamed: dict[str, Any] = {}

    def clear(self) -> None:
        """Before the first unit: what earlier runs were writing is of no use, and what they set aside is known."""
        self._remove_temporary()
        if not (self.path / MARKER).is_file():
            self._enter()
        self.gather_kills()
        self._enter()

    def blame(self, unit: Unit, in_hand: str, reason: str) -> None:
        """What a kill that is set aside next was: whoever takes the unit over does the same again."""
        self._blamed = {"unit": unit.name, "in_hand": in_hand, "reason": reason}

    def set_aside(self, kill: Kill) -> None:
        self.session.note_kill({"kill": asdict(kill), **self._blamed})
        self.kills.append(kill)

    def remove_strangers(self, below: str = "", pattern: str = "*") -> None:
        def remove() -> dict[str, Any]:
            OutputFolder.remove_strangers(self, below, pattern)
            return {}

        self.session.once(f"strangers-{below.replace('/', '-')}", remove)

    def check_manifests(self) -> None:
        """Raises RunError where a manifest is not that of the unit which all shards went on from: one that was taken
        for dead may have written it again."""
        for name, manifest in self.manifests.items():
            there = read_manifest(manifest_path(self.path, name))
            if there is None or there.get("seal") != manifest.get("seal"):
                raise RunError(
                    f"{manifest_path(self.path, name)} was written again by a shard that stood still for so long that"
                    " another did its work: the same command mends it"
                )

    def do(
        self, engine: Any, label: str, units: Sequence[Unit], on_kill: Callable[..., Unit] | None = None
    ) -> list[dict[str, Any]]:
        def noting(unit: Unit, key: str, reason: str) -> Unit:
            assert on_kill is not None
            self.blame(unit, key, reason)
            without = on_kill(unit, key, reason)
            without.apart = unit.apart
            return without

        return super().do(engine, label, units, noting if on_kill else None)


class ShardEngine(LocalEngine):
    """The local engine for the units that this shard could claim."""

    def __init__(
        self,
        session: Session,
        workers: int,
        timeout: float,
        on_progress: Callable[[Progress], None] | None = None,
        memory: int | None = None,
        program: bool = True,
    ) -> None:
        super().__init__(workers, timeout, on_progress, memory, program)
        self._session = session
        self._groups = 0

    def map(self, label: str, tasks: Sequence[Unit], on_kill: OnKill | None = None) -> list[dict[str, Any]]:
        """The manifests of all units, whichever shard did them; waits for those of the others."""
        self._groups += 1
        for unit in tasks:
            unit.apart = f".{self._session.own}"
        name = f"{self._groups:04d}"
        return self.carry_out(ClaimedGroup(label, tasks, on_kill, self._session, name))
