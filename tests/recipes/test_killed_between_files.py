"""A kill between any two files of an output: what it leaves is never taken for a finished run, nor for another's."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_steps import tree

from curate.audit.verify import kept_documents, verify
from curate.errors import Refused, Unchecked
from curate.places.manifest import NotAsWritten
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.serial import SerialEngine
from curate.run.status import read_status
from recipes.app.measure.begun import COMPARISON, PROBE
from recipes.app.recipe.load import steps_of_run

RECIPE = """\
name: pages
inputs: [{path: in}]
steps: [c4: {min_sentences: 0, min_words_per_line: %d}, minhash_dedup]
max_loss: 1
"""


def killed_after(count: int, folder: Path, act: Callable[[], object]) -> bool:
    """Whether an act in a process of its own was killed after it had put in place, or removed, so many files that lie
    directly in a folder; False where it ended before that."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    left = [count]

    def counted(what: Callable[..., object]) -> Callable[..., object]:
        def put(path: Path, *more: object, **options: object) -> object:
            done = what(path, *more, **options)
            left[0] -= path.parent.resolve() == folder.resolve()
            if left[0] == 0:
                os._exit(9)
            return done

        return put

    code = 1
    try:
        for name in ("rename", "replace", "unlink"):
            setattr(Path, name, counted(getattr(Path, name)))
        act()
        code = 0
    finally:
        os._exit(code)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, within: Callable) -> Path:
    """Finished runs of two recipes, and profiles of both."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "in").mkdir()
    for name in ("a", "b"):
        texts = [f"the {name} stone lies {number} miles from the river.\nand so on." for number in range(6)]
        (folder / "in" / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))
        for words in (1, 4):
            (folder / f"{words}.yaml").write_text(RECIPE % words)
            for command in ("run", "profile"):
                done = within(command, f"{words}.yaml", "-o", f"{command}-{words}", cwd=folder)
                assert done.returncode == 0, done.stderr
        yield folder


def faults_of(out: Path) -> list[str]:
    try:
        return list(verify(out))
    except Refused as error:
        return [str(error)]


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", ["run", "profile"])
def test_a_kill_between_any_two_files_of_a_run_leaves_no_mix(world, within, command, every):
    """A run of another recipe into the folder of a finished one, killed at each of its steps there."""
    old, fresh, out = world / f"{command}-1", world / f"{command}-4", world / "out"
    states = []
    for count in range(1, 40, every):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out)
        killed = killed_after(count, out, lambda: within(command, "4.yaml", "-o", "out", cwd=world))
        if not killed:
            break
        state = read_status(out)["state"]
        states.append(state)
        finished = (out / "summary.json").is_file()
        assert (state == "finished") == finished == (faults_of(out) == []), f"after {count} files: {state}"
        if finished:
            assert whole(out, old) or whole(out, fresh), f"after {count} files"
        if command == "profile" and not (out / "profile.json").is_file():
            assert within("decide", "out", cwd=world).returncode == 2
        if finished and not (out / "report.html").is_file():
            said = " ".join(within("status", "out", cwd=world).stdout.split())
            assert ("goldsand report out" if command == "run" else "goldsand profile") in said
        again = within(command, "4.yaml", "-o", "out", cwd=world)
        assert again.returncode == 0, again.stderr
        assert tree(out) == tree(fresh) and faults_of(out) == []
        assert whole(out, fresh) and (out / "report.html").is_file()
    # It was killed in front of the summary and behind it, and ended in the end.
    assert not killed and {"died", "finished"} <= set(states) and len(states) > 6 // every


def whole(out: Path, run: Path) -> bool:
    """Whether what lies beside the units is that of this run, in so far as it is there. Seconds stand in a page."""
    for name in ("recipe.yaml", "profile.json"):
        if (out / name).exists() and (out / name).read_bytes() != (run / name).read_bytes():
            return False
    others = {path.name for path in run.parent.glob(f"{run.name.partition('-')[0]}-*")} - {run.name}
    pages = [(run.parent / other / "report.html").read_bytes() for other in others]
    return not (out / "report.html").exists() or (out / "report.html").read_bytes() not in pages


def test_a_recipe_that_is_not_that_of_the_run_is_named_and_believed_by_nobody(world, within):
    out = world / "mixed"
    shutil.copytree(world / "run-4", out)
    shutil.copy(world / "run-1" / "recipe.yaml", out)
    assert list(verify(out)) == ["recipe.yaml is not what this run wrote"]
    assert read_status(out)["state"] == "mixed"
    assert "its recipe.yaml is not that of its run" in within("status", "mixed", cwd=world).stdout
    with pytest.raises(NotAsWritten, match=r"mixed/recipe\.yaml is not what this run wrote"):
        steps_of_run(out)
    key = next(kept_documents(out)).key
    for words in (("why", "mixed", key), ("clusters", "mixed", "--check"), ("index", "build", "index", "mixed")):
        said = within(*words, cwd=world)
        assert said.returncode == 2 and "recipe.yaml is not what this run wrote" in said.stderr
    assert within("run", "4.yaml", "-o", "mixed", cwd=world).returncode == 0 and faults_of(out) == []
    (out / "recipe.yaml").unlink()
    assert list(verify(out)) == ["recipe.yaml is missing"]


def test_a_run_of_an_earlier_version_goes_on_as_it_did_and_that_is_said(world, within):
    out = world / "older"
    shutil.copytree(world / "run-4", out)
    summary = json.loads((out / "summary.json").read_text())
    del summary["files"], summary["seal"], summary["made_with"]
    (out / "summary.json").write_text(json.dumps(summary))
    with pytest.warns(Unchecked, match=r"nobody can check .*older/recipe\.yaml"):
        assert list(verify(out)) == []
    assert read_status(out)["state"] == "finished"
    with pytest.warns(Unchecked, match=r"nobody can check .*older/recipe\.yaml"):
        assert [name for name, _ in steps_of_run(out)] == ["c4", "minhash_dedup"]
    said = within("why", "older", next(kept_documents(out)).key, cwd=world)
    assert said.returncode == 0 and "nobody can check" in said.stderr


def test_a_run_without_a_recipe_leaves_none_of_another(world, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(world / "run-4", out)
    CorpusRun("pages", [], [], out, replace=True).execute()
    assert not (out / "recipe.yaml").exists() and not (out / "report.html").exists()
    assert list(verify(out)) == []
    shutil.copy(world / "run-4" / "recipe.yaml", out)
    assert list(verify(out)) == ["recipe.yaml was not written by this run"]


def test_a_last_stage_without_manifests_is_missed_where_it_dropped_nothing(world, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(world / "run-1", out)
    assert json.loads((out / "summary.json").read_text())["documents"]["dropped"] == 0
    before = [document.key for document in kept_documents(out)]
    assert len(before) == 12
    shutil.rmtree(out / "manifests" / "stages" / "01-minhash_dedup")
    with pytest.raises(RunError, match="lack 01-minhash_dedup, the last stage"):
        kept_documents(out)
    shutil.rmtree(out / "stages" / "01-minhash_dedup")
    (fault,) = verify(out)
    assert "lack 01-minhash_dedup, the last stage" in fault


TINY = """\
name: tiny
probe:
  facts: {kind: compact, people: 20, exposures: %s, name_parts: [16, 16], attributes: 3, values: 8}
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4}
  exposures: [2]
  arms: [{arm: junk, junk: endless, junk_ratio: 0.5}]
"""


def test_a_kill_between_any_two_files_of_a_probe_leaves_no_mix(tmp_path, within, monkeypatch):
    """The training itself is left out: what it leaves is written between the plan and the first file of results."""
    pytest.importorskip("torch")
    import train_probe.train

    def trained(plan: Path, out: Path, *more: object, whole: bool) -> list[dict]:
        assert not whole
        read = json.loads(Path(plan).read_text())
        shown = json.loads((Path(read["facts"]) / "facts.json").read_text())["exposures"]
        return [{**ROW, "exposures": run["exposures"], "shown": shown} for run in read["runs"]]

    monkeypatch.setattr(train_probe.train, "run_plan", trained)
    for exposures in (2, 3):
        (tmp_path / f"{exposures}.yaml").write_text(TINY % exposures)
        said = within("probe", f"{exposures}.yaml", "-o", f"probe-{exposures}", cwd=tmp_path)
        assert said.returncode == 0, said.stderr
    fresh, out = tmp_path / "probe-3", tmp_path / "out"
    finished = 0
    for count in range(1, 40):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(tmp_path / "probe-2", out)
        killed = killed_after(count, out, lambda: within("probe", "3.yaml", "-o", "out", cwd=tmp_path))
        if not killed:
            break
        if (out / "results.json").is_file():
            finished += 1
            for name in PROBE:
                assert not (out / name).exists() or (out / name).read_bytes() == (fresh / name).read_bytes(), name
        assert within("probe", "3.yaml", "-o", "out", cwd=tmp_path).returncode == 0
        assert all((out / name).read_bytes() == (fresh / name).read_bytes() for name in PROBE)
    assert not killed and finished and count > 6


ROW = {
    "arm": "junk", "architecture": "x", "parameters": 10, "people": 20, "junk_kind": "endless", "junk_ratio": 0.5,
    "windows": "mixed", "shuffle": True, "tag": "none", "tag_leak": 0.0, "tag_at_test": True, "learning_rate": 0.1,
    "batch": 4, "value_bits_per_parameter": 0.1, "bits_per_parameter": 0.1, "value_bits": 1.0, "name_bits": 1.0,
    "max_value_bits_per_parameter": 0.2, "max_bits_per_parameter": 0.2, "seed": 0, "seconds": 1.0, "tokens": 9,
    "shards": [], "error": None,
}  # fmt: skip


def test_a_comparison_is_none_until_its_figures_are_written(world, tmp_path, within, monkeypatch):
    import recipes.app.measure.compare

    out = tmp_path / "answer"
    out.mkdir()
    for name in COMPARISON:
        (out / name).write_text("of an earlier one")
    monkeypatch.setattr(recipes.app.measure.compare, "tokenised", lambda *given: 1 / 0)
    names = (f"a={world / 'run-1'}", f"b={world / 'run-4'}")
    with pytest.raises(ZeroDivisionError):
        within("compare", *names, "-o", out, "--reading", "facts", cwd=tmp_path)
    assert not any((out / name).exists() for name in COMPARISON)
    for command in (("compare", *names, "--reading", "facts"), ("probe", tmp_path / "2.yaml")):
        (tmp_path / "2.yaml").write_text(TINY % 2)
        said = within(*command, "-o", world / "run-1", cwd=tmp_path)
        assert said.returncode == 2 and "is the folder of a corpus" in said.stderr
    assert list(verify(world / "run-1")) == []
