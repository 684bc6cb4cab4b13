"""Two processes in one probe folder: the second is refused and names the first, whichever way each came in."""

import json
import multiprocessing
import threading

import pytest
from probe_world import World

from recipes.app.measure.asked import Comparison
from recipes.app.measure.compare import run_comparison
from recipes.app.measure.probe import run_probe
from recipes.app.recipe.load import load
from train_probe.__main__ import main
from train_probe.alone import alone_in
from train_probe.plan import PlanError, plan_of
from train_probe.train import run_plan

RECIPE = """\
name: tiny
probe:
  facts: {kind: compact, people: 20, exposures: 2, name_parts: [16, 16], attributes: 3, values: 8}
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4}
  exposures: [2]
  arms: [{arm: junk, junk: endless, junk_ratio: 0.5}]
"""


def _hold(folder, held, release):
    with alone_in(folder):
        held.set()
        release.wait(600)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder `out`."""
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path / "out", held, release))
    process.start()
    assert held.wait(120)
    yield process
    process.kill()
    process.join()


def test_a_second_process_is_refused_and_the_first_named(tmp_path, holder, within, capsys):
    out, said = tmp_path / "out", rf"out is being written by another .* \(process {holder.pid}\)"
    plan = World(tmp_path / "world").plan([{"arm": "facts alone", "exposures": 3}])
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    with pytest.raises(PlanError, match=said):
        run_plan(plan_of(plan), out)
    with pytest.raises(PlanError, match=said):
        run_probe(load(str(tmp_path / "recipe.yaml")), out, processes=1)
    with pytest.raises(PlanError, match=said):
        run_comparison([], out, Comparison())
    assert main([str(tmp_path / "plan.json"), "-o", str(out)]) == 2
    assert f"(process {holder.pid})" in capsys.readouterr().err
    result = within("probe", "recipe.yaml", "-o", "out", cwd=tmp_path)
    assert result.returncode == 2 and f"(process {holder.pid})" in " ".join(result.stderr.split())
    assert [path.name for path in out.iterdir()] == [".lock"]
    holder.kill()
    holder.join()
    assert len(run_plan(plan_of(plan), out)) == 1


def test_who_holds_a_folder_may_enter_it_again_and_nobody_else(tmp_path):
    refused = []

    def other():
        with pytest.raises(PlanError, match="is being written"), alone_in(tmp_path / "a"):
            raise AssertionError
        refused.append(True)

    with alone_in(tmp_path / "a"), alone_in(tmp_path / "b"):
        with alone_in(tmp_path / "b" / ".." / "a"):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused
    with pytest.raises(OSError, match="of the block"), alone_in(tmp_path / "a"):
        raise OSError("of the block")
    with alone_in(tmp_path / "a"):
        pass
