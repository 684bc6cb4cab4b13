"""A fault looks like a fault: exit code 2 and one message only where a person can put it right, else a traceback, exit
code 1 and where to report it; in the parent and in workers alike."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from curate.errors import BASE, EXTRAS, Refused, nearest, refusal, report_line
from recipes.app.measure.protocol import failure

ROOT = Path(__file__).parents[2]
GOLDSAND = [sys.executable, "-m", "recipes.app.start"]
OURS = "this is a fault of goldsand, not yours"
STEP = '''
"""A rule that fails in three ways."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from curate import Check, Document, Rule, param
from curate.errors import Refused


@dataclass(frozen=True)
class Failing(Rule):
    """Fails as its parameter says."""

    name = "failing"
    how: str = param("not", "in which way")

    def checks(self, document: Document) -> Iterator[Check]:
        if self.how == "fault":
            np.ones(3) + np.ones(4)  # the line of the fault
        if self.how == "refusal":
            raise Refused("the word list of failing is empty; give one with words")
        if self.how == "extra":
            raise ModuleNotFoundError("No module named 'pycld2'", name="pycld2")
        yield from ()
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "failing_step.py").write_text(STEP)
    (tmp_path / "small.yaml").write_text("name: small\ninputs: [{path: in/*.jsonl}]\nsteps: [exact_dedup]\n")
    (tmp_path / "failing.yaml").write_text(
        "name: failing\ninputs: [{path: in/*.jsonl}]\nsteps: ['failing_step:Failing']\n"
    )
    (tmp_path / "in").mkdir()
    rows = [{"text": f"This is the text of page {number}."} for number in range(20)]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def goldsand(folder: Path, *arguments: object, first: str = "", module: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, which runs the code `first` before it."""
    (folder / "site" / "sitecustomize.py").write_text(first)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]), "COLUMNS": "200"}
    command = [sys.executable, "-m", module] if module else GOLDSAND
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def is_a_fault(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 1, result.stderr
    assert "Traceback (most recent call last)" in result.stderr
    assert OURS in result.stderr.splitlines()[-1] and result.stderr.count(OURS) == 1
    for word in words:
        assert word in result.stderr


def is_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr and OURS not in result.stderr
    for word in words:
        assert word in result.stderr


def raising(where: str, what: str) -> str:
    """Code that lets a function of the house raise; `where` is module:function."""
    module, _, name = where.partition(":")
    return f"import numpy as np\nimport {module} as module\ndef broken(*_, **__):\n    {what}\nmodule.{name} = broken\n"


BROADCAST = "np.ones(3) + np.ones(4)"


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["run", "small.yaml", "-o", "out"], "recipes.app.report.page:write_report"),
        (["plan", "small.yaml"], "recipes.app.recipe.plan_by_rehearsal:estimate"),
        # Outside any block of a command that answers refusals.
        (["check", "small.yaml"], "recipes.app.recipe.load:_cross_check"),
        (["steps"], "recipes.app.terminal.tables:print_steps"),
        (["run", "small.yaml", "-o", "out"], "recipes.app.terminal.tables:print_summary"),
        (["status", "out"], "curate.run.status:read_status"),
        (
            ["synth", "people", "--count", "2", "--exposures", "1", "-o", "out"],
            "recipes.app.recipe.facts:write_alone",
        ),
    ],
)
def test_a_value_error_of_numpy_is_a_traceback_exit_code_1_and_where_to_report_it(folder, arguments, where):
    result = goldsand(folder, *arguments, first=raising(where, BROADCAST))
    is_a_fault(result, "in broken", "operands could not be broadcast together")


def test_a_module_that_no_extra_brings_is_a_fault(folder):
    what = "raise ModuleNotFoundError(\"No module named 'recipes.gone'\", name='recipes.gone')"
    is_a_fault(goldsand(folder, "status", "out", first=raising("curate.run.status:read_status", what)), "recipes.gone")


@pytest.mark.parametrize(
    ("module", "extra"), [("torch", "probe"), ("pycld2", "cld2"), ("nltk", "dclm"), ("pyarrow.parquet", "hub")]
)
def test_a_missing_module_is_answered_with_the_extra_that_brings_it(folder, module, extra):
    what = f"raise ModuleNotFoundError('No module named', name={module!r})"
    result = goldsand(folder, "status", "out", first=raising("curate.run.status:read_status", what))
    is_refused(result, f"{module.split('.')[0]} is not installed; `pip install 'goldsand[{extra}]'` brings it")


@pytest.mark.parametrize("module", ["typer", "tldextract", "ruamel.yaml", "resiliparse", "phonenumbers"])
def test_a_missing_base_dependency_is_named_before_anything_is_read(folder, module):
    result = goldsand(folder, "run", "small.yaml", "-o", "out", first=f"import sys; sys.modules[{module!r}] = None")
    is_refused(result, f"{module} is not installed, and goldsand needs it: pip install '{BASE[module]}'")
    assert not (folder / "out").exists()


def test_a_base_dependency_that_ends_a_program_of_ones_own_is_a_refusal_too():
    error = ModuleNotFoundError("No module named 'brotli'", name="brotli")
    assert refusal(error) == "brotli is not installed, and goldsand needs it: pip install 'brotli>=1.2'"


def test_every_extra_of_the_project_is_named_for_what_it_brings():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
    assert set(EXTRAS.values()) == extras - {"dev", "all"}


def test_a_fault_of_a_step_in_a_worker_shows_the_line_of_the_step(folder):
    result = goldsand(folder, "run", "failing.yaml", "-o", "out", "--set", "failing.how=fault")
    is_a_fault(result, "# the line of the fault", "failing_step.py", "operands could not", "in hand: crawl/a.jsonl@0")


def test_a_fault_of_a_step_in_this_process_shows_the_line_of_the_step(folder):
    """An address of this process's own memory is written without workers."""
    result = goldsand(folder, "run", "failing.yaml", "-o", "memory://out", "--set", "failing.how=fault")
    is_a_fault(result, "# the line of the fault", "failing_step.py", "operands could not", "in hand: crawl/a.jsonl@0")


@pytest.mark.parametrize("output", ["out", "memory://out"])
@pytest.mark.parametrize(
    ("how", "message"),
    [("refusal", "the word list of failing is empty; give one with words"), ("extra", "pip install 'goldsand[cld2]'")],
)
def test_a_refusal_of_a_step_is_one_line_in_workers_as_here(folder, how, message, output):
    result = goldsand(folder, "run", "failing.yaml", "-o", output, "--set", f"failing.how={how}")
    is_refused(result, message)
    assert [line for line in result.stderr.splitlines() if line.startswith("goldsand:")] == [
        line for line in result.stderr.splitlines() if message in line
    ]


def test_a_fault_of_the_probe_alone_ends_as_one_of_the_command(folder):
    (folder / "plan.json").write_text("{}")
    broken = raising("train_probe.plan:read_plan", BROADCAST)
    is_a_fault(goldsand(folder, "plan.json", module="train_probe", first=broken), "broken")
    is_refused(goldsand(folder, "gone.json", module="train_probe"), "there is no such plan")


def test_the_version_is_said(folder):
    result = goldsand(folder, "--version")
    assert result.returncode == 0 and result.stdout.startswith("goldsand ")


def test_an_error_that_a_person_can_put_right_is_known_by_its_class():
    assert refusal(Refused("a name")) == "a name"
    assert refusal(FileNotFoundError(2, "No such file or directory", "/x")) == "No such file or directory: /x"
    assert refusal(ModuleNotFoundError("no", name="ray.util")) == (
        "ray is not installed; `pip install 'goldsand[ray]'` brings it"
    )
    for fault in (ValueError("shapes"), KeyError("x"), ModuleNotFoundError("no", name="recipes"), ImportError("no")):
        assert refusal(fault) is None


@pytest.mark.parametrize(
    ("urls", "where"),
    [
        (["Issues, https://example.org/issues", "Home, https://example.org"], "https://example.org/issues"),
        ([], "the issue tracker of the place this copy came from"),
    ],
)
def test_a_fault_is_reported_where_the_package_says(urls, where, monkeypatch):
    monkeypatch.setattr("curate.errors._metadata", lambda field: urls)
    assert report_line().endswith(f"to {where}") and "goldsand --version" in report_line()


def test_the_hint_names_the_nearest_and_nothing_where_none_is_near():
    assert nearest("gophr", ["c4", "gopher"]) == " (did you mean 'gopher'?)"
    assert nearest("zzz", ["c4", "gopher"]) == ""


PROBE = """\
name: tiny
probe:
  facts: {kind: compact, people: 20, exposures: 2, name_parts: [16, 16], attributes: 3, values: 8}
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4}
  learning_rates: [1.0e-2]
  seeds: [0]
  arms: [{arm: alone}]
"""


def test_a_probe_whose_run_fails_by_a_fault_shows_its_traceback_and_ends_with_exit_code_1(folder):
    pytest.importorskip("torch")
    (folder / "probe.yaml").write_text(PROBE)
    broken = raising("train_probe.scorer:learned", BROADCAST)
    result = goldsand(folder, "probe", "probe.yaml", "-o", "out", "--processes", "1", first=broken)
    assert result.returncode == 1 and result.stderr.count(OURS) == 1
    assert "Traceback (most recent call last)" in result.stderr and "in broken" in result.stderr
    assert "1 of 1 runs failed: alone: ValueError: operands could not be broadcast" in result.stderr


def test_runs_of_a_comparison_that_failed_are_a_refusal_unless_one_failed_by_a_fault():
    diverged = {"error": "Diverged: the loss was nan"}
    assert isinstance(failure("all runs of a failed", [diverged]), Refused)
    fault = failure("all runs of a failed", [diverged, {"error": "ValueError: x", "traceback": "Traceback: here"}])
    assert refusal(fault) is None and "Traceback: here" in str(fault)
