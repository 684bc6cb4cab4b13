"""The Ray engine: units as tasks of Ray Core, on every machine of a cluster that sees the run's folder.

Units, paths and manifests travel, never documents. Within a task a process of its own does the unit, watched as the
local engine watches its workers: so a document that hangs, crashes or eats memory costs itself here too, by the same
account (`blame.py`), which the driver keeps. A task that is lost with its process or its machine is no document's
doing: its unit is given to another.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

from curate.errors import Refused, version
from curate.places.manifest import fingerprint
from curate.places.store import Place, is_local, is_private
from curate.program import no_program
from curate.ray_cluster import connected
from curate.run.blame import HOPELESS, Blame, Ended, Guard, error_of
from curate.run.engine import OnKill, Progress, RunError
from curate.run.fit_for_workers import never_began, packed
from curate.run.group import UnitGroup
from curate.run.unit import Unit, describe_step
from curate.run.worker import POLL, Clock, Worker, context_of_workers, uninterrupted
from curate.sources import Partition
from curate.step import Step

LOST = 20
"""Tasks of one unit that may be lost with their machines before the run is given up."""

ASKED = 512
"""Megabytes that are asked for a unit before any was measured."""

ANSWERS = 60.0
"""Seconds within which a machine must say what it is."""


@dataclass
class RayCluster:
    """Where units run and what is asked for each: cores, megabytes (None: what units were seen to take), other
    resources by name, and Ray's `runtime_env`."""

    address: str = "local"
    num_cpus: float = 1.0
    memory: int | None = None
    resources: dict[str, float] = field(default_factory=dict)
    runtime_env: dict[str, Any] = field(default_factory=dict)

    def refuse_unfit(self, out: Place, partitions: Sequence[Partition], steps: Sequence[Step], cores: int) -> None:
        """Connect, and raise Refused where a machine of the cluster has another goldsand, another library or other code
        of a step, or does not see the output folder and the inputs. Leaves nothing behind."""
        if is_private(out) or any(is_private(one.path) for one in partitions):
            raise Refused("the machines of a cluster do not see what is in the memory of this process")
        ray, _ = connected(self.address, cores)
        survey = ray.remote(num_cpus=0, max_retries=0)(_survey)
        paths = [one.path for one in (*partitions[:1], *partitions[-1:]) if not one.files and one.dataset is None]
        with _nonce(out) as (place, content):
            asked = (bytes(packed(_Carried(list(steps)))), place, content, paths, sys.path)  # type: ignore[arg-type]
            own = _survey(*asked)
            for node in [one for one in ray.nodes() if one["Alive"]]:
                at = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                one = survey.options(scheduling_strategy=at, name="goldsand: look around", **self._environment())
                name = node.get("NodeManagerHostname") or node["NodeID"][:8]
                try:
                    found = ray.get(one.remote(*asked), timeout=ANSWERS)
                except ray.exceptions.GetTimeoutError:
                    raise Refused(f"the machine {name} of the cluster did not answer for {ANSWERS:.0f} s") from None
                except ray.exceptions.RayError as error:
                    reason = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
                    raise Refused(
                        f"the machine {name} of the cluster cannot run goldsand {version()}: {reason}; install the same"
                        " version on every machine, or name it in `engine.ray.runtime_env`"
                    ) from None
                if (different := _different(own, found, out)) is not None:
                    raise Refused(f"the machine {name} of the cluster {different}")

    def _environment(self) -> dict[str, Any]:
        return {"runtime_env": self.runtime_env} if self.runtime_env else {}

    def options(self, unit: Unit, peak: int) -> dict[str, Any]:
        """What is asked for the task of a unit, where units took at most `peak` bytes so far."""
        memory = self.memory if self.memory is not None else max(ASKED, int(1.25 * peak) >> 20)
        more = {"resources": self.resources} if self.resources else {}
        return {"num_cpus": self.num_cpus, "memory": memory << 20, "name": unit.name, **more, **self._environment()}


@dataclass
class _Carried:
    """Steps as a unit carries them."""

    steps: list[Step]
    name: str = "a step"


def _different(own: dict[str, Any], found: dict[str, Any], out: Place) -> str | None:
    """In what a machine differs from this one, in words; None where it does not matter."""
    for what in own:
        if what != "sees" and own[what] != found[what]:
            return (
                f"differs from this one in {what} ({found[what]} there, {own[what]} here): install the same on every"
                " machine, or name it in `engine.ray.runtime_env`"
            )
    if found["sees"]:
        return (
            f"does not see {found['sees']}: output and inputs must lie where all machines of the cluster find them"
            f" under the same name ({out} is the output), on a shared file system or in a store"
        )
    return None


@contextlib.contextmanager
def _nonce(out: Place) -> Iterator[tuple[Place | None, bytes]]:
    """A file in the nearest folder that is there, by which machines can see that it is the same one."""
    content = uuid.uuid4().hex.encode()
    folder = out
    while is_local(folder) and not folder.is_dir():
        folder = folder.parent
    place = (folder if is_local(out) else out) / f".goldsand-seen-{content.decode()}.writing"
    try:
        place.write_bytes(content)
    except OSError:
        # Nobody can write there: the run says so in its own words.
        yield None, b""
        return
    try:
        yield place, content
    finally:
        place.unlink(missing_ok=True)


def _survey(steps: bytes, place: Place | None, content: bytes, paths: list[Any], search: list[str]) -> dict[str, Any]:
    """What a machine is, as far as it decides the output; runs on the machine."""
    import pickle

    _find_modules(search)
    missing = ""
    try:
        if place is not None and place.read_bytes() != content:
            missing = str(place.parent)
    except OSError:
        missing = str(place.parent) if place is not None else ""
    for path in paths:
        with contextlib.suppress(OSError):
            if path.exists():
                continue
        missing = missing or str(path)
    described = {}
    # From the driver, as every task.
    for number, step in enumerate(pickle.loads(steps).steps):
        one = describe_step(step)
        described[f"the step {one['step']} (its version, code, files or libraries)"] = fingerprint([number, one])[:12]
    python = ".".join(platform.python_version_tuple()[:2])
    return {"the version of goldsand": version(), "the version of Python": python, **described, "sees": missing}


def _find_modules(search: list[str]) -> None:
    """Make the modules of the driver's own steps known here too."""
    sys.path += [one for one in search if one and one not in sys.path]


class RayEngine:
    """Maps units to manifests on a cluster, as many at once as it has room for. `timeout` and `memory` as for the local
    engine; `workers`: at most so many at once."""

    def __init__(
        self,
        cluster: RayCluster,
        workers: int | None,
        timeout: float,
        on_progress: Callable[[Progress], None] | None = None,
        memory: int | None = None,
        cores: int = 1,
    ) -> None:
        self.workers = workers or cores
        self.peak_memory = 0
        self._cluster, self._most, self._cores = cluster, workers, cores
        self._given = (timeout, memory)
        self._blame = Blame(Guard(timeout, memory))
        self._on_progress = on_progress or (lambda progress: None)
        self._lost: Counter[str] = Counter()
        self._never = 0
        self._flying: dict[Any, int] = {}

    def __enter__(self) -> RayEngine:
        self._ray, _ = connected(self._cluster.address, self._cores)
        self._work = self._ray.remote(max_retries=0)(_work)
        self._asked = -ANSWERS
        self._room()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        for flying in self._flying:
            with contextlib.suppress(Exception):
                self._ray.cancel(flying, force=True)
        self._flying.clear()

    def map(self, label: str, tasks: Sequence[Unit], on_kill: OnKill | None = None) -> list[dict[str, Any]]:
        """Run all units; errors are those of the local engine."""
        group = UnitGroup(label, tasks, on_kill)
        while not group.ended:
            self._send(group)
            ready, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=1.0)
            if ready and len(self._flying) > 1:
                # What else is there by now.
                ready, _ = self._ray.wait(list(self._flying), num_returns=len(self._flying), timeout=0)
            for one in ready:
                self._settle(one, self._flying.pop(one), group)
            group.progress.memory = self.peak_memory
            self._on_progress(group.count({}))
        return group.manifests

    def _room(self) -> int:
        """How many units the cluster can do at once, as it is now."""
        now = time.monotonic()
        if now - self._asked > 5.0:
            self._asked = now
            there = self._ray.cluster_resources()
            asked = {"CPU": self._cluster.num_cpus, **self._cluster.resources}
            room = min((int(there.get(name, 0) / each) for name, each in asked.items() if each), default=1)
            self.workers = max(1, min(room, self._most or room))
        return self.workers

    def _send(self, group: UnitGroup) -> None:
        while len(self._flying) < self._room() and (queue := group.next(self._flying.values())):
            number = queue[0]
            unit = group.units[number]
            # Whoever is taken for lost may still be writing.
            unit.apart = f".{uuid.uuid4().hex}"
            task = self._work.options(**self._cluster.options(unit, self.peak_memory))
            self._flying[task.remote(bytes(packed(unit)), *self._given, sys.path)] = number
            group.take(queue)

    def _settle(self, one: Any, number: int, group: UnitGroup) -> None:
        unit = group.units[number]
        try:
            kind, what, counts, peak = self._ray.get(one)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            self._lost[unit.name] += 1
            if self._lost[unit.name] > LOST:
                raise RunError(
                    f"{unit.name}: {LOST} tasks of it were lost, the last by {type(error).__name__}: see what ends the"
                    " cluster's workers, or ask for more with `engine.ray.memory`"
                ) from None
            why = f"its task was lost ({type(error).__name__})"
            group.progress.again[why] += 1
            group.lost(number, why)
            group.queue.appendleft(number)
            if isinstance(error, self._ray.exceptions.LocalRayletDiedError):
                self._refuse_to_stay()
            return
        self.peak_memory = max(self.peak_memory, peak)
        if kind == "done":
            self._never = 0
            group.add(number, what, counts)
        elif kind == "lost":
            self._blame.judge(group, number, Ended(*what))
        elif kind == "never":
            self._never += 1
            if self._never == HOPELESS:
                raise RunError(never_began(HOPELESS, what))
            group.queue.appendleft(number)
        else:
            raise error_of(unit, (kind, what))

    def _refuse_to_stay(self) -> None:
        """Raises RunError where the machine through which this process is connected has left the cluster."""
        time.sleep(1.0)
        own = self._ray.get_runtime_context().get_node_id()
        if own not in {one["NodeID"] for one in self._ray.nodes() if one["Alive"]}:
            raise RunError(
                "the Ray process of this machine has ended, and with it the connection to the cluster: the same command"
                " goes on from here, on a cluster that is whole"
            )


_HIRED: list[Worker] = []
"""The process that does the units of this task's process, one after the other."""


def _work(unit: bytes, timeout: float, memory: int | None, search: list[str]) -> tuple[str, Any, Any, int]:
    """Do one unit in a process of its own; runs on a machine of the cluster. Returns what became of it, what it
    counted, and the most memory that it took, in bytes."""
    _find_modules(search)
    guard, clock = Guard(timeout, memory), Clock()
    worker = _hired(guard, clock)
    try:
        worker.begin(0)
        with contextlib.suppress(OSError):
            worker.channel.send_bytes(unit)
        while True:
            wait([worker.channel, worker.process.sentinel], timeout=POLL)
            clock.tick()
            if (answer := worker.answer()) is not None:
                worker.task = None
                return (*answer, worker.counts(), guard.peak_memory)
            if (ended := guard.lost(worker)) is not None:
                if not worker.started:
                    return "never", worker.ending(), None, 0
                return "lost", tuple(ended), None, guard.peak_memory
    finally:
        if worker.task is not None:
            worker.stop()
            _HIRED.clear()


def _hired(guard: Guard, clock: Clock) -> Worker:
    if _HIRED and not _HIRED[0].process.is_alive():
        _HIRED.clear()
    if not _HIRED:
        # Ray's own program is nothing that a worker should import.
        with uninterrupted(), no_program():
            _HIRED.append(Worker(context_of_workers(), guard.limit, clock))
    _HIRED[0].on_clock(clock)
    return _HIRED[0]


def address_of(given: str | None) -> str:
    """Where the cluster is: as given, or as Ray's own variable says, or else one that is started here."""
    return given or os.environ.get("RAY_ADDRESS") or "local"
