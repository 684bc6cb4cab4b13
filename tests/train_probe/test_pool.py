"""Runs given out to workers: a run that fails, or kills its process, costs itself alone."""

import probe_pool_work
import pytest
import torch

from train_probe.plan import PlanError
from train_probe.pool import Advanced, Ask, Failed, Opening, Queue, Trained, failed, pooled
from train_probe.scorer import Diverged


def queue(numbers, workers=2, most=2, group=lambda number: "group", cost=lambda number: 10.0 - number):
    groups = {number: group(number) for number in numbers}
    names = set(groups.values())
    return Queue(
        groups, {n: cost(n) for n in numbers}, dict.fromkeys(names, most), dict.fromkeys(names, False), workers
    )


def events(numbers, processes, start):
    taken = []
    pooled(queue(numbers, processes), processes, start, taken.append)
    return taken


def test_a_run_that_kills_its_process_and_one_that_fails_do_not_stop_the_others():
    """Runs beside the killer are done by another process: each of those that died is tried once more, alone."""
    taken = events([0, 1, 2, 3, 4, 5], 2, probe_pool_work.start)
    finished = {event.number: event.figures["square"] for event in taken if isinstance(event, Trained)}
    failed = {event.number: event.error for event in taken if isinstance(event, Failed)}
    assert finished == {0: 0, 3: 9, 4: 16, 5: 25}
    assert failed == {1: "the process that trained it ended with code 9", 2: "ValueError: this run alone"}
    assert Advanced(3, 1, 2, 30, 4.5) in taken


def test_a_process_that_cannot_start_fails_its_runs_and_ends():
    assert [event.error for event in events([0, 3], 1, probe_pool_work.broken_start)] == [
        "OSError: the shards are gone"
    ] * 2


def test_a_fault_of_a_process_comes_back_with_its_traceback_and_a_refusal_without():
    (faulty,) = events([0], 1, probe_pool_work.faulty_start)
    assert faulty.error == "IndexError: list index out of range"
    assert faulty.traceback.startswith("Traceback") and "# the line of the fault" in faulty.traceback
    assert [event.traceback for event in events([0], 1, probe_pool_work.broken_start)] == [""]


@pytest.mark.parametrize(
    "error",
    [PlanError("no rows"), OSError("gone"), ModuleNotFoundError("no", name="torch"), Diverged("the loss was nan"),
     RuntimeError("DefaultCPUAllocator: can't allocate memory"), torch.OutOfMemoryError("CUDA out of memory")],
)  # fmt: skip
def test_what_a_person_can_put_right_and_full_memory_are_no_faults_of_a_run(error):
    assert failed(3, error) == Failed(3, f"{type(error).__name__}: {error}", "")
    assert failed(3, ValueError("shapes")).traceback == "ValueError: shapes\n"


def test_a_group_is_shared_by_all_workers_and_several_groups_are_not():
    one = queue(range(6), workers=2, most=8)
    assert one.answer(Ask()) == Opening(0, "group", 3, False)
    assert [one.answer(Ask("group")) for _ in range(2)] == [1, 2]
    assert one.answer(Ask()) == Opening(3, "group", 2, False)
    assert one.answer(Ask("other")) is None
    two = queue(range(6), workers=2, most=8, group=lambda number: number % 2, cost=lambda number: float(number + 1))
    assert two.answer(Ask()) == Opening(5, 1, 3, False)  # the group with more to do, its longest run first
    assert two.answer(Ask()) == Opening(4, 0, 3, False)
    assert queue(range(9), workers=1, most=4).answer(Ask()) == Opening(0, "group", 4, False)
