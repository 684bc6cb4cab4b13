"""The Slurm array that `goldsand slurm` writes, and the Kubernetes job of the documentation."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = "name: small\ninputs: [{path: in.jsonl}]\nsteps: [exact_dedup]\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "in.jsonl").write_text('{"text": "one page"}\n{"text": "another page"}\n')
    return tmp_path


def test_the_script_runs_as_a_task_of_an_array_would(folder, within):
    given = ("slurm", "small.yaml", "-o", "out", "--tasks", 2, "--workers", 2, "--set", "max_loss=0.5")
    done = within(*given, "--sample", 0, "--time", "1:00:00", "--partition", "short", cwd=folder)
    assert done.returncode == 0 and "goldsand-small.sbatch: 2 tasks, 2 cores, 4,608 MB, 1:00:00 each" in done.stdout
    script = (folder / "goldsand-small.sbatch").read_text()
    for line in ("array=0-1", "ntasks=1", "cpus-per-task=2", "mem=4608M", "time=1:00:00", "partition=short", "requeue"):
        assert f"#SBATCH --{line}\n" in script
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "7", "PYTHONPATH": str(ROOT)}
    command = ["bash", "goldsand-small.sbatch"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert (folder / "out" / "summary.json").exists() and "max_loss: 0.5" in (folder / "out/recipe.yaml").read_text()


def test_memory_and_time_are_the_plans(folder, within):
    done = within("slurm", "small.yaml", "-o", "out", "--tasks", 4, "--sample", 2, cwd=folder)
    assert done.returncode == 0 and re.search(r"plan: about .* of each of 4 tasks, and \d+ MB a worker", done.stdout)
    assert "#SBATCH --time=0:11:00\n" in (folder / "goldsand-small.sbatch").read_text()
    assert not (folder / "out").exists()


def test_what_cannot_be_submitted_is_one_line(folder, within, monkeypatch):
    done = within("slurm", "small.yaml", "-o", "out", "--sample", 0, cwd=folder)
    assert done.returncode == 2 and "--time 4:00:00" in done.stderr
    assert within("slurm", "small.yaml", "-o", "out", "--tasks", 1001, cwd=folder).returncode == 2
    monkeypatch.setenv("PATH", str(folder))
    given = ("slurm", "small.yaml", "-o", "out", "--sample", 0, "--time", "10", "--submit")
    done = within(*given, cwd=folder)
    assert done.returncode == 2 and "there is no sbatch here" in done.stderr


def test_the_job_of_the_documentation_gives_each_pod_its_shard():
    from ruamel.yaml import YAML

    page = (ROOT / "docs" / "many-machines.md").read_text()
    job = YAML(typ="safe").load(page.partition("```text\napiVersion")[2].partition("```")[0].join(["apiVersion", ""]))
    spec = job["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    command = container["command"][2].removeprefix("exec goldsand").replace("$JOB_COMPLETION_INDEX", "5")
    assert spec["completionMode"] == "Indexed" and f'--shard "5/{spec["completions"]}"' in command


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--engine", "ray", "--shard", "1/2"), "give one of them"),
        (("--address", "auto"), "give --engine ray"),
        (("--engine", "ray", "--address", "127.0.0.1:9"), "there is no Ray cluster at 127.0.0.1:9"),
        (("--engine", "ray", "--set", "engine.ray.runtime_env.env_vars={}"), "may hold secrets"),
        (("--engine", "ray", "--set", "engine.ray.num_cpus=0"), "num_cpus"),
    ],
)
def test_engines_that_cannot_be_are_refused_before_anything_is_written(given, words, folder, within):
    pytest.importorskip("ray")
    done = within("run", "small.yaml", "-o", "out", *given, cwd=folder)
    assert done.returncode == 2 and words in done.stderr and not (folder / "out").exists(), done.stderr
