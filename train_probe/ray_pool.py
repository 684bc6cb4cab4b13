"""Workers as actors of Ray Core: one a GPU of the cluster, or one a core where it has no GPU.

Driver and actors exchange run numbers and figures; plans, facts, shards and records are read and written by path, so
every machine must see the same folders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from curate import ray_cluster
from curate.errors import Refused
from train_probe.estimate import Machine
from train_probe.plan import PlanError
from train_probe.pool import Event, Failed, Queue, Worker, broken

_PEAK = {"cpu": 5e10, "cuda": 5e14}  # operations a second, for an estimate of machines that were not measured


def connected(address: str, workers: int | None) -> Machine:
    """Connect to the cluster at `address` ("local": one is started here); its workers, or `workers` of them.

    Raises PlanError where Ray is not installed, or the cluster cannot be reached.
    """
    try:
        ray, _ = ray_cluster.connected(address)
    except Refused as error:
        raise PlanError(str(error)) from error
    resources = ray.cluster_resources()
    kind = "cuda" if resources.get("GPU") else "cpu"
    there = int(resources.get("GPU" if kind == "cuda" else "CPU", 1))
    return Machine(kind, min(workers or there, there), None, _PEAK[kind])


def rayed(queue: Queue, machine: Machine, start: Callable[[], Worker], send: Callable[[Event], None]) -> None:
    """Do all the queue's runs in `machine.workers` actors that each run `start()`, as `pooled` does in processes."""
    import ray

    actor: Any = ray.remote(num_cpus=1, num_gpus=1 if machine.kind == "cuda" else 0, max_restarts=0)(_Actor)
    busy: dict[Any, tuple[Any, list[int]]] = {}

    def hire() -> None:
        one = actor.remote(start)
        busy[one.next.remote(None)] = (one, [])

    for _ in range(machine.workers):
        hire()
    while busy:
        (answer,), _ = ray.wait(list(busy), num_returns=1)
        one, running = busy.pop(answer)
        try:
            message = ray.get(answer)
        except ray.exceptions.RayError as error:
            # An error of the actor's own code carries its traceback.
            trace = str(error) if isinstance(error, ray.exceptions.RayTaskError) else ""
            for number in queue.died(running):
                send(Failed(number, f"the actor that trained it died ({type(error).__name__})", trace))
            if not running:
                raise RuntimeError(f"an actor died before any run: {error}") from error
            if queue:
                hire()
            continue
        if message is None:
            ray.kill(one)
            continue
        busy[one.next.remote(queue.take(message, running, send))] = (one, running)


class _Actor:
    """One worker, advanced from message to message."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        self._start = start
        self._worker: Worker | None = None

    def next(self, reply: Any) -> Any:
        """What the worker says next after `reply`; None at its end."""
        if self._worker is None:
            try:
                self._worker = self._start()
            except Exception as error:
                self._worker = broken(error)
        try:
            return self._worker.send(reply)
        except StopIteration:
            return None
