"""Whole plans on a small world: results, resuming, failures, and the same figures whatever the processes."""

import json
import math
import subprocess
import sys
from dataclasses import fields
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from probe_world import END_OF_TEXT, World

from curate.shards.tokens import TokenShards
from recipes.app.report.shapes import ResultShape
from train_probe import progress
from train_probe.__main__ import main
from train_probe.figures import Figures
from train_probe.plan import PlanError, plan_of
from train_probe.progress import Printer
from train_probe.stack.adamw import AdamWSettings, StackAdamW, rates
from train_probe.train import run_plan

ALONE = {"arm": "facts alone", "exposures": 3}
JUNK = {"arm": "+ junk", "exposures": 3, "junk_kind": "endless", "junk_ratio": 0.875}
PAGES = {"arm": "+ pages", "exposures": 3, "junk_kind": "shards", "junk_ratio": 0.875, "junk_shards": "raw"}
TIMES = {"seconds"}  # the only one that may differ between two trainings

KEYS = {"run", "arm", "exposures", "junk_kind", "tag", "seed", "shards"} | {one.name for one in fields(Figures)}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def test_results_hold_every_key_and_add_up(world, tmp_path):
    results = run_plan(plan_of(world.plan([ALONE, JUNK, PAGES | {"tag": "useful"}])), tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    useful, pages = (
        [entry["sha256"] for entry in json.loads((world.folder / name / "metadata.json").read_text())["shards"]]
        for name in ("useful", "pages")
    )
    for result in results:
        assert set(result) >= KEYS | {name for name, field in ResultShape.model_fields.items() if field.is_required()}
        total = result["name_bits"] + result["value_bits"]
        assert result["bits_per_parameter"] == pytest.approx(total / result["parameters"])
        assert result["people"] == 20
        assert result["architecture"] == "GPT2-1-2-d8"
    assert [result["shards"] for result in results] == [useful, useful, useful + pages]
    assert [result["tokens"] for result in results[:2]] == [20 * 3 * 6, 20 * 3 * 6 * 8]
    assert len({result["parameters"] for result in results}) == 1
    most = 20 * (6 - math.log2(20)) + 20 * 3 * 2
    assert results[0]["max_bits_per_parameter"] == pytest.approx(most / results[0]["parameters"])


def test_a_small_model_learns_facts_that_it_sees_often(tmp_path):
    world = World(tmp_path, people=12, exposures=150)
    plan = world.plan(
        [{"arm": "a", "exposures": 150}],
        model={"layers": 2, "heads": 2, "width": 16},
        training={"batch": 4, "learning_rate": 1e-2},
    )
    (result,) = run_plan(plan_of(plan), tmp_path / "out")
    assert result["value_bits_per_parameter"] > 0.95 * result["max_value_bits_per_parameter"]
    assert result["bits_per_parameter"] <= result["max_bits_per_parameter"]


@pytest.mark.parametrize(
    "model",
    [
        {"architecture": "gpt2_no_mlp"},
        {"architecture": "gpt2_gated"},
        {"architecture": "llama"},
        {"architecture": "mistral", "kv_heads": 1},
        {"architecture": "moe", "experts": 4},
        {"architecture": "moe", "experts": 4, "top_k": 2, "capacity_factor": 1.0},
    ],
)
def test_every_architecture_learns(model, tmp_path):
    world = World(tmp_path, people=12, exposures=150)
    plan = world.plan(
        [{"arm": "a", "exposures": 150}],
        model={"layers": 2, "heads": 2, "width": 16} | model,
        training={"batch": 4, "learning_rate": 1e-2},
    )
    (result,) = run_plan(plan_of(plan), tmp_path / "out")
    assert result["value_bits_per_parameter"] > 0.8 * result["max_value_bits_per_parameter"]
    assert result["architecture"].startswith(f"{model['architecture']}-2-2-d16")


def test_the_run_is_that_of_the_resolved_architecture(world, tmp_path):
    """Named or spelt out, the same model is trained once."""
    (named,) = run_plan(plan_of(world.plan([ALONE])), tmp_path)
    model = {"layers": 1, "heads": 2, "width": 8, "inner": 32, "tied": True}
    (spelt,) = run_plan(plan_of(world.plan([ALONE], model=model)), tmp_path)
    assert named == spelt
    (other,) = run_plan(plan_of(world.plan([ALONE], model=model | {"tied": False})), tmp_path)
    assert other["run"] != named["run"]


def test_a_finished_run_is_not_trained_again(world, tmp_path):
    plan = world.plan([ALONE, JUNK])
    first = run_plan(plan_of(plan), tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*/figures.json")}
    assert len(kept) == 2
    plan["runs"] = [JUNK | {"arm": "another name"}, ALONE | {"seed": 1}, ALONE]
    second = run_plan(plan_of(plan), tmp_path)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert len(list((tmp_path / "runs").iterdir())) == 3
    assert second[2] == first[0]
    assert second[0] == first[1] | {"arm": "another name"}


def test_a_damaged_result_and_other_data_are_trained_again(tmp_path):
    world = World(tmp_path / "w")
    (first,) = run_plan(plan_of(world.plan([ALONE])), tmp_path / "out")
    (tmp_path / "out" / "runs" / first["run"] / "figures.json").write_text("{")
    (again,) = run_plan(plan_of(world.plan([ALONE])), tmp_path / "out")
    assert {k: v for k, v in again.items() if k not in TIMES} == {k: v for k, v in first.items() if k not in TIMES}
    other = World(tmp_path / "other", seed=1)
    assert run_plan(plan_of(other.plan([ALONE])), tmp_path / "out")[0]["run"] != first["run"]


def test_one_process_and_two_give_the_same_figures(world, tmp_path):
    runs = [ALONE, JUNK, PAGES, JUNK | {"tag": "useful", "seed": 3}]
    one = run_plan(plan_of(world.plan(runs)), tmp_path / "one")
    two = run_plan(plan_of(world.plan(runs, processes=2)), tmp_path / "two")
    for result in (*one, *two):
        for key in TIMES:
            result.pop(key)
    assert one == two


def test_loss_on_held_out_text_is_that_of_the_trained_model(world, tmp_path):
    """Against torch's cross_entropy over all windows of each page, from the saved weights."""
    from train_probe.inputs import pages_of
    from train_probe.records import read_checkpoint

    text = {"pages": str(world.folder / "pages")}
    plan = world.plan([PAGES], held_out_text=text, training={"batch": 4, "window": 64}, save=True)
    (result,) = run_plan(plan_of(plan), tmp_path)
    model = read_checkpoint(tmp_path / "runs" / result["run"] / "checkpoints" / "3")
    pages = pages_of(TokenShards.open(world.folder / "pages"))
    expected = nats_of_pages(model, pages)
    assert result["text"]["pages"] == {
        "nats_per_token": pytest.approx(sum(expected) / len(pages.tokens), rel=1e-5), "tokens": len(pages.tokens)
    }  # fmt: skip
    (plain,) = run_plan(plan_of(world.plan([PAGES], training={"batch": 4, "window": 64})), tmp_path / "plain")
    assert plain["run"] != result["run"] and plain["value_bits"] == result["value_bits"]


def nats_of_pages(model, pages):
    """The loss of every token of each page, from those before it in windows of 64."""
    found = []
    for page in np.split(pages.tokens.astype(np.int64), pages.ends[:-1]):
        tokens = torch.from_numpy(np.concatenate([[END_OF_TEXT], page]))
        nats = 0.0
        for first in range(0, len(page), 63):
            row = tokens[first : first + 64]
            with torch.no_grad():
                nats += torch.nn.functional.cross_entropy(model(row[None, :-1])[0], row[1:], reduction="sum").item()
        found.append(nats)
    return found


def test_a_run_without_facts_reads_pages_alone_and_is_scored_on_text_page_by_page(world, tmp_path):
    from train_probe.inputs import pages_of
    from train_probe.records import read_checkpoint

    run = {
        "arm": "text", "exposures": 0, "tokens": 5000, "junk_kind": "shards", "junk_shards": "raw", "junk_ratio": 1.0
    }  # fmt: skip
    runs = [run, run | {"arm": "coin", "kept": 0.5}, run | {"arm": "A/A", "shuffle": 1}]
    plan = world.plan(
        runs,
        held_out_text={"pages": str(world.folder / "pages")},
        training={"batch": 4, "window": 64, "learning_rate": 0.02},
        save=True,
    )
    results = run_plan(plan_of(plan), tmp_path)
    pages = pages_of(TokenShards.open(world.folder / "pages"))
    for result in results:
        model = read_checkpoint(tmp_path / "runs" / result["run"] / "checkpoints" / "0")
        assert result["text"]["pages"]["page_nats"] == pytest.approx(nats_of_pages(model, pages), rel=1e-4)
        assert result["tokens"] == 20 * 4 * 64 and result["junk_ratio"] == 1
        assert result["value_bits"] == result["max_bits_per_parameter"] == 0
    assert len({row["run"] for row in results}) == len({row["text"]["pages"]["nats_per_token"] for row in results}) == 3
    uniform = math.log(world.vocabulary)
    assert all(row["text"]["pages"]["nats_per_token"] < 0.75 * uniform for row in results)  # 10 words, all alike
    for wrong, said in (
        ({"tokens": 0}, "a run without exposures reads `tokens` of pages"),
        ({"junk_ratio": 0.5}, "junk_ratio 1 and `tokens` are for runs of pages alone"),
        ({"exposures": 2, "tokens": 0}, "junk_ratio 1 and `tokens` are for runs of pages alone"),
        ({"bare": 0.5}, "front, bare and cool_down go with facts"),
    ):
        with pytest.raises(PlanError, match=said):
            plan_of(world.plan([run | wrong]))


def test_a_run_that_diverges_is_reported_and_stops_no_other(world, tmp_path):
    plan = plan_of(world.plan([ALONE | {"training": {"learning_rate": 1e35}}, ALONE]))
    bad, good = run_plan(plan, tmp_path)
    assert bad["error"].startswith("Diverged: the loss was nan at step")
    assert bad["value_bits"] is None
    assert "error" not in good
    assert [path.parent.name for path in (tmp_path / "runs").glob("*/figures.json")] == [good["run"]]


def test_shards_of_another_tokenizer_are_refused_by_both_names(world, tmp_path):
    other = World(tmp_path / "other")
    metadata = tmp_path / "other" / "pages" / "metadata.json"
    metadata.write_text(metadata.read_text().replace('"abc"', '"def"').replace('"words"', '"letters"'))
    plan = world.plan([PAGES], junk_shards={"raw": str(other.folder / "pages")})
    with pytest.raises(PlanError, match=r"pages were written with tokenizer 'letters', the facts in .* with 'words'"):
        run_plan(plan_of(plan), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_changed_shards_are_refused_before_anything_is_trained(tmp_path):
    world = World(tmp_path / "w")
    shard = tmp_path / "w" / "useful" / "00001.ds"
    content = bytearray(shard.read_bytes())
    content[4] ^= 1
    shard.write_bytes(content)
    with pytest.raises(PlanError, match=r"00001\.ds was changed"):
        run_plan(plan_of(world.plan([ALONE])), tmp_path / "out")


def test_missing_facts_are_named(world, tmp_path):
    with pytest.raises(PlanError, match=r"facts\.json is missing"):
        run_plan(plan_of(world.plan([ALONE], facts=str(tmp_path))), tmp_path / "out")


def test_the_learning_rate_rises_then_falls_to_a_tenth():
    optimizer = StackAdamW(torch.zeros(1, 4, requires_grad=True))
    shares = []
    for steps in (1000, 1):
        optimizer.set(0, AdamWSettings(1.0, steps, 0.1))
        for _ in range(steps):
            shares.append(rates(optimizer.table).item())
            optimizer.step(torch.ones(1, 4))
    assert shares[:100] == pytest.approx(np.arange(1, 101) / 100)
    assert np.all(np.diff(shares[100:1000]) < 0)
    assert shares[550] == pytest.approx(0.55)
    assert shares[999] == pytest.approx(0.1, abs=1e-4)
    assert shares[1000] == 1.0


def test_progress_is_told_in_plain_lines(world, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_EVERY", math.inf)  # no line between, however long a run takes here
    told = StringIO()
    run_plan(plan_of(world.plan([ALONE, ALONE | {"training": {"learning_rate": 1e35}}])), tmp_path, Printer(told))
    first, done, failed = told.getvalue().splitlines()
    assert first.startswith("training 2 runs on cpu")
    assert done.startswith("[1/2] facts alone, seed 0: ")
    assert "value bits/parameter" in done
    assert "FAILED, Diverged" in failed


def test_the_command_line_trains_and_says_what_is_wrong(world, tmp_path, capsys):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(world.plan([ALONE])))
    assert main([str(plan), "-o", str(tmp_path / "out"), "--processes", "1"]) == 0
    assert "facts alone" in capsys.readouterr().out
    assert main([str(tmp_path / "none.json"), "-o", str(tmp_path / "out")]) == 2
    assert "there is no such plan" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([str(plan), "-o", str(tmp_path / "file")]) == 2
    assert "cannot be written to" in capsys.readouterr().err


def test_the_probe_needs_torch_and_numpy_only():
    """Nothing that a bare machine lacks is imported, nor the house's other rooms."""
    script = """
import sys
import numpy, torch
before = set(sys.modules)
import train_probe.__main__, train_probe.train
print("\\n".join(sorted({name for name in set(sys.modules) - before})))
"""
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    modules = ran.stdout.split()
    assert "curate.shards.tokens" in modules
    packages = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names)
    assert packages <= {"train_probe", "curate", "torch", "numpy"}
