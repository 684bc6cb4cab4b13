"""What a grid costs, before it starts: operations and memory against torch's own count, and what cannot be is said."""

import io

import pytest
import torch
from probe_world import World
from torch.utils.flop_counter import FlopCounterMode

from curate.errors import report_line
from train_probe.architecture import architecture, training_flops
from train_probe.estimate import MOST_SLOTS, Machine, slot_bytes
from train_probe.model import Transformer
from train_probe.plan import PlanError, plan_of
from train_probe.pool import Advanced, Failed
from train_probe.progress import Board, Cost, Printer, duration
from train_probe.train import run_plan


@pytest.mark.parametrize("name", ["gpt2", "gpt2_no_mlp", "gpt2_gated", "llama", "mistral"])
def test_operations_are_those_that_torch_counts(name):
    """Torch counts products alone, and attention as if every token saw every other: its share is taken out of both."""
    one = architecture(name, 3, 4, 32)
    model = Transformer(one, 100, 17, seed=0)
    with FlopCounterMode(display=False) as counter:
        model.loss(torch.zeros(5, 17, dtype=torch.long)).backward()
    attention = 16 * 12 * one.layers * one.width
    counted = counter.get_total_flops() - sum(
        count
        for kinds in (counter.get_flop_counts()["Global"],)
        for kind, count in kinds.items()
        if "scaled_dot" in str(kind)
    )
    assert 5 * (training_flops(one, 100, 17) - attention * 17 / 2) == pytest.approx(counted, rel=0.02)


def test_memory_is_estimated_to_a_factor_of_two(tmp_path):
    """Against what torch's allocator really holds at most in one step, on a batch that takes much, and a model that
    does."""
    from train_probe.stack.adamw import AdamWSettings, StackAdamW
    from train_probe.stack.models import Stack
    from train_probe.stack.step import StackStep

    for shape, width in ((((64, 64),), 32), (((9, 8),), 256)):
        one = architecture("gpt2", 2, 4, width)
        (length, rows), vocabulary = shape[0], 512
        stack = Stack(one, vocabulary, 2, length)
        step = StackStep(stack, StackAdamW(stack.master))
        for slot in range(2):
            stack.reset(slot, slot)
            step.optimizer.set(slot, AdamWSettings(1e-3, 10))
        tokens = torch.zeros(2, rows, length, dtype=torch.long)
        with torch.profiler.profile(profile_memory=True) as profile:
            step([(tokens, None)])
        held, most = 0, 0
        for event in profile.profiler.kineto_results.events():
            if event.name() == "[memory]":
                held += event.nbytes()
                most = max(most, held)
        used = most + 2 * 3 * 4 * stack.master.shape[1]  # master and moments were there before
        assert 0.5 < 2 * slot_bytes(one, vocabulary, shape) / used < 2


def test_a_model_that_does_not_fit_is_refused_with_both_figures():
    machine = Machine("cpu", 2, 3_000_000_000, 1e10)
    assert machine.slots_that_fit("GPT2-2-2", 100_000_000) == MOST_SLOTS["cpu"]
    assert machine.slots_that_fit("GPT2-2-2", 1_000_000_000) == 2
    with pytest.raises(PlanError, match=r"GPT2-2-2 with its batch takes about 2\.5 GB, and 2\.4 GB are free"):
        machine.slots_that_fit("GPT2-2-2", 2_500_000_000)


def test_a_grid_that_cannot_fit_ends_before_anything_is_trained(tmp_path):
    world = World(tmp_path / "world")
    plan = world.plan([{"arm": "a", "exposures": 2}], model={"layers": 64, "heads": 64, "width": 65_536})
    with pytest.raises(PlanError, match=r"a model of GPT2-64-64-d65536 with its batch takes about .* GB"):
        run_plan(plan_of(plan), tmp_path / "out")


def test_a_grid_of_days_is_said_before_it_starts():
    told = io.StringIO()
    run = plan_of({"facts": "f", "useful": "u", "runs": [{"arm": "a", "exposures": 1}]}).runs[0]
    Printer(told).begin([run], 2, Cost("cpu", 2, [1e16], [10**10], 1e11, 333_333.0))
    first, second = told.getvalue().splitlines()
    assert first == "training 1 runs (2 finished before) on cpu, 2 processes: 10,000,000,000 tokens, about 3.9 days"
    assert second.startswith("this is long: 1.0e+16 operations")
    assert [duration(seconds) for seconds in (5, 100, 6000, 9e5)] == ["5 s", "1.7 min", "1.7 h", "10 days"]


def test_a_second_grid_is_counted_from_its_own_beginning():
    """A probe that climbs trains again and again; what went before is no part of what is left."""
    told = io.StringIO()
    runs = plan_of({"facts": "f", "useful": "u", "runs": [{"arm": "a", "exposures": n} for n in (1, 2, 3)]}).runs
    printer = Printer(told)
    printer.begin(runs, 0, Cost("cpu", 1, [1e9] * 3, [100] * 3, 1e11, 1.0))
    printer.event(Failed(2, "Diverged"))
    printer.begin(runs[:1], 3, Cost("cpu", 1, [1e9], [100], 1e11, 1.0))
    printer._printed = float("-inf")  # a line is due
    printer.event(Advanced(0, 1, 2, 50, 3.0))
    assert "0 of 1 runs done" in told.getvalue().splitlines()[-1]


def test_tensorboard_reads_losses_and_figures(tmp_path):
    pytest.importorskip("tensorboard", reason="an extra: pip install 'goldsand[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    world = World(tmp_path / "world")
    (result,) = run_plan(
        plan_of(world.plan([{"arm": "a b", "exposures": 3}])), tmp_path / "out", Board(tmp_path / "board")
    )
    (folder,) = (tmp_path / "board").iterdir()
    assert folder.name == "a-b-0"
    read = EventAccumulator(str(folder))
    read.Reload()
    assert read.Scalars("loss")[-1].step == result["steps"]
    assert read.Scalars("value_bits_per_parameter")[0].value == pytest.approx(
        result["value_bits_per_parameter"], rel=1e-5
    )


def test_the_traceback_of_a_fault_that_all_runs_meet_is_shown_once_with_where_to_report_it():
    told = io.StringIO()
    runs = plan_of({"facts": "f", "useful": "u", "runs": [{"arm": "a", "exposures": n} for n in (1, 2, 3)]}).runs
    printer = Printer(told)
    printer.begin(runs, 0, Cost("cpu", 1, [1e9] * 3, [100] * 3, 1e11, 1.0))
    for number, trace in enumerate(("Traceback: one\n", "Traceback: one\n", "")):
        printer.event(Failed(number, "IndexError: x", trace))
    said = told.getvalue()
    assert said.count("FAILED, IndexError: x") == 3
    assert said.count("Traceback: one\n" + report_line()) == 1 and said.count("Traceback") == 1
