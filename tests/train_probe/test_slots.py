"""Slots: the same figures to the bit however runs are packed, moved, cut off and gone on with."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from probe_world import World

import train_probe.slots as module
from train_probe.data import Data
from train_probe.groups import Group
from train_probe.inputs import read_inputs
from train_probe.plan import plan_of
from train_probe.pool import Advanced, Ask, Failed, Trained
from train_probe.scorer import Scorer
from train_probe.slots import Slots
from train_probe.train import _Work, run_plan

RUNS = [
    {"arm": "a", "exposures": 2},
    {"arm": "b", "exposures": 6, "seed": 1},
    {"arm": "c", "exposures": 3, "tag": "useful", "training": {"learning_rate": 1e-2, "warmup": 0.3}},
    {"arm": "d", "exposures": 5, "training": {"clip": 0.1, "beta2": 0.9, "weight_decay": 0.1}},
    {"arm": "e", "exposures": 4, "seed": 2},
    {"arm": "f", "exposures": 4, "model": {"layers": 1, "heads": 2, "width": 8, "initialisation": "gpt2"}},
]
TIMES = ("seconds",)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def expected(world, tmp_path_factory):
    """Every run trained in a stack of its own."""
    return figures(run_plan(plan_of(world.plan(RUNS, slots=1)), tmp_path_factory.mktemp("alone")))


def figures(results):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in results]


@pytest.mark.parametrize(("slots", "processes"), [(2, 1), (8, 1), (3, 2)])
def test_results_are_the_same_to_the_bit_however_runs_are_packed(world, expected, slots, processes, tmp_path):
    """Slots are refilled as runs of different length end, and the stack shrinks when nothing waits."""
    plan = plan_of(world.plan(RUNS, slots=slots, processes=processes))
    assert figures(run_plan(plan, tmp_path)) == expected


def test_runs_that_draw_their_first_weights_otherwise_share_a_stack(world):
    plan = plan_of(world.plan(RUNS))
    groups = _Work(Data(plan, read_inputs(plan), torch.device("cpu"))).groups
    assert groups[5] == groups[0] and groups[5].by_width
    equal = plan_of(world.plan([RUNS[5]]))
    (alone,) = _Work(Data(equal, read_inputs(equal), torch.device("cpu"))).groups
    assert not alone.by_width  # nothing is multiplied where no rate goes by width


def worker(world, folder, runs, slots=3):
    """A stack for all the runs, and the generator that trains them when it is sent their numbers."""
    plan = plan_of(world.plan(runs))
    data = Data(plan, read_inputs(plan), torch.device("cpu"))
    streams = [data.stream(run) for run in plan.runs]
    group = Group(plan.model.built().program, "auto", streams[0].shape, streams[0].longest)
    return Slots(data, group, [f"run{i}" for i in range(len(runs))], Path(folder), slots, False)


def driven(slots, numbers, until=lambda event: False):
    """All events of a stack that is given these runs, up to one that is enough."""
    waiting, events = list(numbers), []
    work, reply = slots.work(waiting.pop(0)), None
    while True:
        try:
            message = work.send(reply)
        except StopIteration:
            return events
        reply = None
        if isinstance(message, Ask):
            reply = waiting.pop(0) if waiting else None
            continue
        events.append(message)
        if until(message):
            return events


def value_bits(events):
    return {event.number: event.figures["value_bits"] for event in events if isinstance(event, Trained)}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_killed_run_goes_on_from_its_state_and_ends_the_same(world, expected, tmp_path, monkeypatch):
    """Cut off after a state was saved; then gone on with beside other runs. Metrics hold every step once."""
    monkeypatch.setattr(module, "_SAVED", 0.0)
    monkeypatch.setattr(module, "_STEPS", (3, 3))
    cut = worker(world, tmp_path, RUNS)
    seen = driven(cut, [1], until=lambda event: isinstance(event, Advanced) and event.step >= 12)
    assert isinstance(seen[-1], Advanced) and (tmp_path / "run1" / "state.npz").is_file()
    again = worker(world, tmp_path, RUNS)
    events = driven(again, [0, 1, 4])
    first = next(event for event in events if event.number == 1)
    assert first.step > 9
    assert value_bits(events) == {n: expected[n]["value_bits"] for n in (0, 1, 4)}
    assert not (tmp_path / "run1" / "state.npz").exists()
    steps = [json.loads(line)["step"] for line in (tmp_path / "run1" / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(set(steps)) and steps[-1] == 30


def test_a_damaged_state_is_as_good_as_none(world, expected, tmp_path):
    (tmp_path / "run0").mkdir()
    (tmp_path / "run0" / "state.npz").write_bytes(b"PK nothing of the kind")
    assert value_bits(driven(worker(world, tmp_path, RUNS), [0])) == {0: expected[0]["value_bits"]}


def test_out_of_memory_halves_the_slots_and_goes_on(world, expected, tmp_path, monkeypatch):
    """Every step of more than one slot runs out of memory: four slots become two, then one, and runs end as ever."""
    sizes = []
    step = module.StackStep.__call__

    def narrow(self, blocks):
        sizes.append(self.stack.slots)
        if self.stack.slots > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, blocks)

    monkeypatch.setattr(module.StackStep, "__call__", narrow)
    events = driven(worker(world, tmp_path, RUNS, slots=4), range(len(RUNS)))
    assert sizes[:2] == [4, 2] and set(sizes[2:]) == {1}
    assert value_bits(events) == {n: row["value_bits"] for n, row in enumerate(expected)}


def test_a_model_that_does_not_fit_alone_fails_and_the_next_is_tried(world, tmp_path, monkeypatch):
    def never(self, blocks):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(module.StackStep, "__call__", never)
    events = driven(worker(world, tmp_path, RUNS, slots=2), [0, 1])
    assert [event.number for event in events] == [0, 1] and all(isinstance(event, Failed) for event in events)
    assert "out of memory with this model alone" in events[0].error


def test_a_fault_of_one_run_is_kept_in_its_result_with_the_traceback(world, tmp_path, monkeypatch):
    bits = Scorer.bits

    def broken(self, state):
        if self.run.arm == "b":
            np.ones(3) + np.ones(4)  # the line of the fault
        return bits(self, state)

    monkeypatch.setattr(Scorer, "bits", broken)
    good, bad = run_plan(plan_of(world.plan(RUNS[:2], processes=1)), tmp_path)
    assert "error" not in good and "traceback" not in good
    assert bad["error"].startswith("ValueError: operands could not be broadcast")
    assert "# the line of the fault" in bad["traceback"] and bad["value_bits"] is None
    assert json.loads((tmp_path / "results.json").read_text())[1]["traceback"] == bad["traceback"]


def test_a_diverged_run_leaves_its_slot_to_the_next_and_changes_nothing_beside_it(world, expected, tmp_path):
    runs = [*RUNS, {"arm": "bad", "exposures": 6, "training": {"learning_rate": 1e35}}]
    results = run_plan(plan_of(world.plan(runs, slots=2)), tmp_path)
    assert results[len(RUNS)]["error"].startswith("Diverged: the loss was nan at step")
    assert figures(results)[: len(RUNS)] == expected


def test_scores_on_the_way_are_those_of_the_weights_at_that_exposure(world, tmp_path):
    """At so many steps as the exposures take; saved weights are those that were scored, whole and rounded."""
    from train_probe.records import read_checkpoint
    from train_probe.scorer import Scorer

    training = {"batch": 4, "evaluate_exposures": [1, 3, 99], "evaluate_bits": [4]}
    plan = plan_of(world.plan([{"arm": "a", "exposures": 6}], training=training, save=True))
    (result,) = run_plan(plan, tmp_path)
    assert [point["exposures"] for point in result["curve"]] == [1, 3]
    folder = tmp_path / "runs" / result["run"]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["1", "3", "6"]
    data = Data(plan, read_inputs(plan), torch.device("cpu"))
    scorer = Scorer(data, plan.runs[0])
    for point in (*result["curve"], result):
        state = read_checkpoint(folder / "checkpoints" / str(point["exposures"])).state_dict()
        found = scorer.bits(state)
        assert found["value_bits"] == pytest.approx(point["value_bits"])
        assert found["quantized"]["4"]["value_bits"] == pytest.approx(point["quantized"]["4"]["value_bits"])
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {5, 15, 30} <= {line["step"] for line in lines}
    assert lines[-1]["tokens"] == result["tokens"] and all(np.isfinite(line["gradient_norm"]) for line in lines)
