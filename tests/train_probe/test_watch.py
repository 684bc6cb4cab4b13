"""Training that is watched: schedules, guards, both continuations of a spike, stopping early, losses by class; and that
what is off changes no number."""

import dataclasses
import json
import math

import numpy as np
import pytest
from probe_world import World

torch = pytest.importorskip("torch")

from train_probe.inputs import read_inputs  # noqa: E402
from train_probe.plan import PlanError, plan_of  # noqa: E402
from train_probe.records import read_checkpoint  # noqa: E402
from train_probe.stack.adamw import AdamWSettings, StackAdamW, rates  # noqa: E402
from train_probe.stack.guard import GuardedAdamW  # noqa: E402
from train_probe.stream import Stream  # noqa: E402
from train_probe.train import run_name, run_plan  # noqa: E402
from train_probe.watch import LossGuard, Stopping, TokenClasses  # noqa: E402


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), people=20, exposures=12)


def trained(world, out, *changes, arms=None, save=True):
    """The results of a run for each change of the training, and the folders of the runs."""
    training = {"batch": 4, "window": 32, "learning_rate": 1e-2}
    runs = [
        {"arm": "facts", "exposures": 12, "training": training | change, **arm}
        for change in changes
        for arm in arms or [{}]
    ]
    results = run_plan(plan_of(world.plan(runs, save=save)), out)
    assert not [row["error"] for row in results if row.get("error")]
    return results, [out / "runs" / row["run"] for row in results]


def weights(folder, exposures=12):
    return (folder / "checkpoints" / str(exposures) / "model.safetensors").read_bytes()


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def shares(schedule, **settings):
    """The learning rates of all steps."""
    optimizer = StackAdamW(torch.zeros(1, 4, requires_grad=True), schedule=schedule)
    optimizer.set(0, AdamWSettings(1.0, 20, **settings))
    found = []
    for _ in range(20):
        found.append(rates(optimizer.table, schedule).item())
        optimizer.step(torch.ones(1, 4))
    return found


def test_schedules_are_what_they_say():
    linear = shares("linear", warmup=0.1, final=0.1)
    assert linear[:3] == [0.5, 1.0, 1.0]
    assert np.allclose(np.diff(linear[2:]), -0.9 / 18)
    constant = shares("constant", warmup=0.1, final=0.1, falling=0.25)
    assert constant[2:16] == [1.0] * 14
    assert np.allclose(constant[15:], [1.0, 0.82 + 0.18, 0.82, 0.64, 0.46][:5], atol=0.19)
    assert np.allclose(np.diff(constant[15:]), -0.9 / 5) and constant[-1] == pytest.approx(0.1 + 0.9 / 5)
    assert shares("constant", falling=0.0, final=0.1) == [1.0] * 20
    cosine = shares("cosine", final=0.1)
    assert cosine[10] == pytest.approx(0.55) and cosine[0] == 1.0


def test_what_is_off_leaves_the_names_of_runs(world):
    """So that finished runs of before are not trained again."""
    runs = [
        {"arm": "a", "exposures": 12, "training": {"learning_rate": 1e-2} | more} for more in ({}, {"guard": "skip"})
    ]
    plan = plan_of(world.plan(runs))
    inputs = read_inputs(plan)
    names = [run_name(plan, run, inputs) for run in plan.runs]
    assert names[0] == "5fe842ebae04fb4e" and names[1] != names[0]


def guarded(norms, action="skip", spread=6.0, window=4):
    """Weights, limits, and what is known, of a slot whose gradients have these norms."""
    master = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    optimizer = GuardedAdamW(master, action=action)
    optimizer.set(0, AdamWSettings(0.1, 100, spread=spread, window=window))
    seen, limits = [], []
    for norm in norms:
        optimizer.step(torch.full((1, 4), norm / 2, dtype=torch.float64))
        seen.append(master.detach().clone())
        limits.append(float(optimizer.limit[0]))
    return seen, limits, optimizer


def test_a_guard_skips_a_step_and_counts_it_as_none():
    plain = [1.0, 1.1, 0.9, 1.0, 1.05, 1.0]
    seen, limits, optimizer = guarded([*plain[:5], 50.0, plain[5]])
    assert limits[:4] == [math.inf] * 4 and 1 < limits[5] < 2
    assert torch.equal(seen[5], seen[4]) and not torch.equal(seen[6], seen[5])
    without, _, _ = guarded(plain[:5])
    assert torch.equal(without[4], seen[4])
    assert optimizer.watched_of(0)[3] == 1  # skipped: no part of the bias correction
    broken, _, _ = guarded([1.0, 1.0, math.nan, 1.0, 1.0])
    assert torch.equal(broken[2], broken[1]) and bool(torch.isfinite(broken[4]).all())


def test_a_guard_shrinks_a_step_to_the_mean():
    plain = [1.0, 1.1, 0.9, 1.0, 1.05]
    shrunk, _, optimizer = guarded([*plain, 50.0], "shrink")
    mean = float(np.mean(plain[:4])) * 0.75 + 1.05 * 0.25
    as_mean, _, _ = guarded([*plain, mean], "shrink")
    assert torch.allclose(shrunk[5], as_mean[5], rtol=1e-5)
    assert optimizer.watched_of(0)[3] == 0


def test_gradients_that_stay_longer_are_let_on():
    seen, _, _ = guarded([*([1.0, 1.1, 0.9, 1.0] * 4), *([5.0] * 40)])
    assert not torch.equal(seen[-1], seen[-2])


def test_a_guarded_run_without_a_spike_is_the_run_without_a_guard(world, tmp_path):
    arms = [{"junk_kind": "endless", "junk_ratio": 0.5, "arm": "junk"}]
    off, plain = trained(world, tmp_path / "off", {}, arms=arms)
    for guard in ("skip", "shrink", "back"):
        wide = {"guard": guard, "guard_spread": 1e6, "guard_window": 7}
        found, folders = trained(world, tmp_path / guard, wide, arms=arms)
        for row, usual, folder, before in zip(found, off, folders, plain, strict=True):
            assert weights(folder) == weights(before)
            same = {key: value for key, value in row.items() if key not in ("run", "seconds", "guarded")}
            assert same == {key: value for key, value in usual.items() if key not in ("run", "seconds")}
            assert row["guarded"] == {"action": guard} and not (folder / "events.jsonl").exists()


def spoil(monkeypatch, step):
    """Put a token that is never seen in place of all of one step of every stream."""
    usual = Stream.chunk

    def chunk(self, first, last):
        made = usual(self, first, last)
        if type(self) is Stream and first < step <= last:
            for tokens, _ in made:
                tokens[step - 1 - first] = 7
        return made

    monkeypatch.setattr(Stream, "chunk", chunk)


TIGHT = {"guard_spread": 2.5, "guard_window": 10}


def test_a_spike_is_written_down_and_both_continuations_are_kept(world, tmp_path, monkeypatch):
    spoil(monkeypatch, 50)
    change = {"guard": "skip", "keep_spikes": 1, "clip": 10.0, **TIGHT}
    (row,), (folder,) = trained(world, tmp_path / "skip", change)
    events = lines(folder / "events.jsonl")
    assert 50 in [event["step"] for event in events]
    assert row["guarded"] == {"action": "skip", "skip": len(events)}
    for event in events:
        assert event["action"] == "skip" and event["gradient_norm"] > event["limit"]
    first = events[0]["step"]
    kept = folder / "spikes" / str(first)
    assert json.loads((kept / "event.json").read_text()) == events[0]
    both = lines(kept / "losses.jsonl")
    until = [line for line in both if line["step"] < first]
    assert until and all(line["guarded"] == line["unguarded"] for line in until)
    behind = next(line for line in both if line["step"] == first + 1)
    assert behind["guarded"] != behind["unguarded"]
    before = [read_checkpoint(kept / side / str(first - 1)).state_dict() for side in ("guarded", "unguarded")]
    after = [read_checkpoint(kept / side / str(first)).state_dict() for side in ("guarded", "unguarded")]
    same = [all(torch.equal(one[key], other[key]) for key in one) for one, other in (before, after)]
    assert same == [True, False]
    # The guarded one is the run itself.
    assert all(torch.equal(before[0][key], after[0][key]) for key in before[0])


def test_a_run_goes_back_past_what_it_read(world, tmp_path, monkeypatch):
    spoil(monkeypatch, 45)
    (row,), (folder,) = trained(world, tmp_path / "back", {"guard": "back", "guard_spread": 4.0, "guard_window": 10})
    events = lines(folder / "events.jsonl")
    assert [event["step"] for event in events] == [45]
    assert events[0]["loss"] > events[0]["limit"] and events[0]["lost_steps"] == 10
    assert row["guarded"] == {"action": "back", "back": 1, "lost_steps": 10}


def test_a_loss_that_stays_high_is_let_on():
    guard = LossGuard(4.0, 10)
    assert guard.judged([1.0, 1.1] * 10) is None
    assert [guard.judged([9.0] * 10) for _ in range(4)] == [0, 0, 0, None]
    assert guard.judged([9.0, 9.1] * 5) is None
    assert LossGuard(4.0, 10).judged([math.nan]) == 0 == LossGuard(4.0, 10).judged([math.inf])


def test_a_watched_run_that_is_cut_off_ends_with_the_same_bits(world, tmp_path, monkeypatch):
    """A state is saved after every look; the run is killed at its 30th step or so, and goes on."""
    from train_probe import slots

    spoil(monkeypatch, 45)
    for guard in ("skip", "back"):
        change = {"guard": guard, **TIGHT, "guard_spread": 4.0}
        (row,), (folder,) = trained(world, tmp_path / f"{guard} whole", change)
        with monkeypatch.context() as patched:
            patched.setattr(slots, "_SAVED", -1.0)
            patched.setitem(slots._TOKENS, "cpu", 1)  # four steps at once
            usual = slots.Slots._advance

            def advance(self, usual=usual):
                yield from usual(self)
                if self.at > 30:
                    raise KeyboardInterrupt

            patched.setattr(slots.Slots, "_advance", advance)
            with pytest.raises(KeyboardInterrupt):
                trained(world, tmp_path / f"{guard} cut", change)
        (again,), (onward,) = trained(world, tmp_path / f"{guard} cut", change)
        assert weights(onward) == weights(folder) and again["guarded"] == row["guarded"]
        assert (onward / "events.jsonl").read_text() == (folder / "events.jsonl").read_text()


def test_losses_by_class_are_those_of_the_step(world, tmp_path):
    arms = [{"junk_kind": "endless", "junk_ratio": 0.5, "tag": "useful", "arm": "junk"}]
    _, (plain,) = trained(world, tmp_path / "off", {}, arms=arms)
    _, (folder,) = trained(world, tmp_path / "on", {"watch": True}, arms=arms)
    assert weights(folder) == weights(plain)
    watched = lines(folder / "metrics.jsonl")
    assert {tuple(line["losses"]) for line in watched} == {("junk", "name", "value")}
    assert watched[-1]["learning_rate"] == 0.0
    ours = [{k: v for k, v in line.items() if k not in ("losses", "learning_rate", "seconds")} for line in watched]
    assert ours == [{k: v for k, v in line.items() if k != "seconds"} for line in lines(plain / "metrics.jsonl")]
    # All classes together are the loss of the batch.
    plan = plan_of(world.plan([{"arm": "junk", "exposures": 12, **arms[0]}], training={"batch": 4, "window": 32}))
    from train_probe.data import Data

    data = Data(plan, read_inputs(plan), torch.device("cpu"))
    run = plan.runs[0]
    model = read_checkpoint(folder / "checkpoints" / "12")
    classes = TokenClasses(data, run, data.stream(run)).losses(model, 7)
    (tokens, lengths), *rest = data.stream(run).chunk(6, 7)
    assert not rest and bool((lengths == tokens.shape[2]).all())
    whole = model.loss(tokens[0]).item() / (tokens[0].numel() - len(tokens[0]))
    # A record is a tag, two parts of a name and three values; junk has five predicted tokens too.
    assert (classes["junk"] * 4 * 5 + classes["name"] * 4 * 2 + classes["value"] * 4 * 3) / 40 == pytest.approx(whole)


def test_stopping_needs_something_held_out(world, tmp_path):
    with pytest.raises(PlanError, match="facts: stop_early looks at the loss on what is held out, and nothing is"):
        trained(world, tmp_path / "out", {"stop_early": 2})
    assert not list((tmp_path / "out").glob("runs/*/metrics.jsonl"))
    with pytest.raises(PlanError, match=r"keep_spikes: continuations with and without a guard need one"):
        plan_of(world.plan([{"arm": "a", "exposures": 2, "training": {"keep_spikes": 1}}]))


def test_a_run_stops_where_the_held_out_loss_was_lowest_some_looks_ago(world, tmp_path):
    """Pages of random words: a model of facts alone knows less and less of them."""
    runs = [{"arm": "facts", "exposures": 12, "training": {"batch": 4, "stop_early": 2, "stop_every": 0.1}}]
    plan = plan_of(world.plan(runs, held_out_text={"pages": str(world.folder / "pages")}, save=True))
    (row,) = run_plan(plan, tmp_path / "out")
    looks = lines(tmp_path / "out" / "runs" / row["run"] / "events.jsonl")
    nats = [look["held_out_nats"] for look in looks]
    assert row["steps"] == row["stopped"]["step"] == looks[-1]["step"] < 60
    assert row["stopped"]["held_out_nats"] == min(nats) == nats[-3]
    assert row["tokens"] < 12 * 20 * 6
    assert (tmp_path / "out" / "runs" / row["run"] / "checkpoints" / "12" / "model.json").is_file()
    one = Stopping(2, 1)
    assert [one.over(done, nats) for done, nats in enumerate([3.0, 2.0, 2.5, 1.0, 1.0, 1.0])] == [False] * 5 + [True]


def test_figures_have_no_new_fields_where_nothing_is_watched(world, tmp_path):
    (row,), (folder,) = trained(world, tmp_path / "off", {}, save=False)
    from train_probe.figures import Figures

    names = {item.name for item in dataclasses.fields(Figures)}
    assert set(json.loads((folder / "figures.json").read_text())) == names | {"seal"}
    assert "guarded" not in row and "stopped" not in row
