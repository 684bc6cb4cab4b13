"""What a probe keeps (results, checkpoints, the state of a run that was cut off) is what it wrote, or is not believed;
models that somebody sent are refused in one line."""

import json
import shutil

import numpy as np
import pytest
from probe_world import World

from curate.errors import Refused, Unchecked
from recipes.app.report.shapes import read_results
from train_probe.export import ExportError, export, load_hf
from train_probe.plan import PlanError, plan_of
from train_probe.records import RunRecord, read_checkpoint
from train_probe.train import run_plan

pytestmark = pytest.mark.filterwarnings("ignore:nobody can check the facts")


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probed")
    one = plan_of(World(folder, people=8, exposures=2).plan([{"arm": "a", "exposures": 1}], save=True))
    run_plan(one, folder / "out")
    return folder


@pytest.fixture
def out(probed, tmp_path):
    shutil.copytree(probed / "out", tmp_path / "out")
    return tmp_path / "out"


def test_edited_results_are_refused_and_those_without_a_hash_are_read_after_a_warning(out):
    path = out / "results.json"
    sound = path.read_text()
    rows = read_results(out)
    path.write_text(json.dumps([rows[0] | {"value_bits_per_parameter": 9.9}]))
    with pytest.raises(Refused, match=f"{path} is not what was written"):
        read_results(out)
    path.write_text(sound)
    (out / "written.json").unlink()
    with pytest.warns(Unchecked, match=f"nobody can check {path}"):
        assert read_results(out) == rows


def test_a_checkpoint_is_that_of_its_run(out):
    (folder,) = out.glob("runs/*/checkpoints/*")
    assert read_checkpoint(folder)
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PlanError, match=f"{weights} is not what was written"):
        read_checkpoint(folder)
    weights.write_bytes(content)
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(about | {"vocabulary": 7}))
    with pytest.raises(PlanError, match=r"model\.json is damaged"):
        read_checkpoint(folder)
    del about["seal"], about["files"]
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.warns(Unchecked, match="nobody can check"):
        read_checkpoint(folder)
    weights.write_bytes(b"\xff" * 40)
    with pytest.warns(Unchecked), pytest.raises(PlanError, match="does not read as a checkpoint"):
        read_checkpoint(folder)


def test_a_state_that_was_edited_or_is_of_another_run_is_not_gone_on_from(tmp_path):
    first, second = RunRecord(tmp_path / "one"), RunRecord(tmp_path / "two")
    for record in (first, second):
        record.folder.mkdir()
    row, moments = np.arange(4, dtype=np.float32), np.ones((2, 4), np.float32)
    first.save(row, moments, 3, {1: {"value": 0.5}}, 1.5)
    state = first.state(4)
    assert state is not None and state.done == 3 and state.curve == {1: {"value": 0.5}}
    shutil.copy(first.folder / "state.npz", second.folder / "state.npz")
    assert second.state(4) is None
    with np.load(first.folder / "state.npz") as held:
        np.savez(first.folder / "state.npz", **{**dict(held), "row": row + 1})
    assert first.state(4) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_hidden_layers": 10**20}, "`num_hidden_layers` is"),
        ({"num_hidden_layers": 2**31}, "`num_hidden_layers` is"),
        ({"vocab_size": 2**40}, "describes a model of"),
        ({"vocab_size": None}, "does not describe a model"),
        ({"num_attention_heads": []}, "cannot be loaded|does not describe"),
    ],
)
def test_a_damaged_configuration_is_one_line(probed, tmp_path, changes, said):
    pytest.importorskip("transformers")
    (folder,) = probed.glob("out/runs/*/checkpoints/*")
    export(read_checkpoint(folder), tmp_path, check=False)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ExportError, match=said) as error:
        load_hf(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_damaged_weights_are_one_line(probed, tmp_path):
    pytest.importorskip("transformers")
    (folder,) = probed.glob("out/runs/*/checkpoints/*")
    export(read_checkpoint(folder), tmp_path, check=False)
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    for damage in (content[:5], b"\xff" * 8 + content[8:], content[:9] + b"[" + content[10:], content[: 8 + size + 40]):
        path.write_bytes(damage)
        with pytest.raises(ExportError) as error:
            load_hf(tmp_path)
        assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
