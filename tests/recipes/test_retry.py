"""`goldsand retry`: what was set aside comes back as if it had never been away."""

import json
import subprocess
from pathlib import Path

import pytest
from engine_steps import tree

READER = """\
import os, signal
from curate.document import Document

def read(path):
    for number, line in enumerate(path.read_text().splitlines()):
        if line == "CRASH" and not path.parents[1].joinpath("go").exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        yield Document(key=str(number), text=line)
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe over a document that waits for a file `go`, one that never ends, and a file that cannot be read before
    that file is there; with a reader and a step of the user's own."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("".join(f'{{"text": "{one}"}}\n' for one in ("one", "WAIT !", "two")))
    (tmp_path / "in" / "b.jsonl").write_text('{"text": "three"}\n{"text": "EXIT !"}\n')
    (tmp_path / "in" / "c.txt").write_text("four\nCRASH\nfive\n")
    (tmp_path / f"reader_{tmp_path.name}.py").write_text(READER)
    recipe = {
        "name": "waits",
        "inputs": [
            {"name": "rows", "path": "in/*.jsonl"},
            {"name": "own", "path": "in/*.txt", "format": f"reader_{tmp_path.name}.py:read"},
        ],
        "steps": [{"hostile_steps:Peril": {"diary": str(tmp_path / "diary")}}, "exact_dedup"],
        "output": {"keep_dropped": "all", "tokens": {"all": {}}, "tokenizer": {"size": 300}},
        "engine": {"document_timeout": 0.2},
        "max_loss": 1,
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    return tmp_path


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_what_comes_back_leaves_no_trace_of_having_been_away(world, within, workers):
    def goldsand(*words: str) -> subprocess.CompletedProcess[str]:
        return within(*words, cwd=world)

    said = goldsand("run", "recipe.yaml", "-o", "out", "--workers", workers)
    assert said.returncode == 0, said.stderr
    kills = [json.loads(line) for line in (world / "out" / "kills.jsonl").read_text().splitlines()]
    assert sorted(kill["key"] for kill in kills) == ["own/c.txt@0/file", "rows/a.jsonl@16", "rows/b.jsonl@18"]

    said = goldsand("retry", "out", "--workers", workers)
    assert (said.returncode, said.stdout) == (0, "out: 3 tried again, 0 came back\n"), said.stderr

    (world / "go").touch()
    said = goldsand("retry", "out", "--workers", workers)
    assert (said.returncode, said.stdout) == (0, "out: 3 tried again, 2 came back\n"), said.stderr
    assert goldsand("verify", "out").returncode == 0 and (world / "out" / "report.html").is_file()
    assert goldsand("run", "recipe.yaml", "-o", "fresh", "--workers", workers).returncode == 0
    assert tree(world / "out") == tree(world / "fresh")

    (world / "diary").unlink()
    assert goldsand("run", "out/recipe.yaml", "-o", "out").returncode == 0
    assert not (world / "diary").exists(), "what does not come back is set aside again"


def test_a_retry_is_of_the_same_documents_and_says_what_it_cannot_do(world, within):
    def goldsand(*words: str) -> subprocess.CompletedProcess[str]:
        return within(*words, cwd=world)

    rows = ("run", "recipe.yaml", "-o", "out", "--input", "rows=in/*.jsonl", "--workers", "1")
    assert goldsand(*rows, "--limit", "2").returncode == 0
    (world / "go").touch()
    said = goldsand("retry", "out", "--workers", "1")
    assert (said.returncode, said.stdout) == (0, "out: 1 tried again, 1 came back\n"), said.stderr
    summary = json.loads((world / "out" / "summary.json").read_text())
    assert (summary["documents"]["input"], summary["made_with"]["limit"]) == (2, 2)
    assert not (world / "out" / "kills.jsonl").exists()
    assert goldsand("retry", "out").stdout == "out: nothing was set aside\n"

    # A folder of an earlier version, which noted no limit; one whose recipe is another; one that did not finish.
    assert goldsand(*rows).returncode == 0
    path = world / "out" / "summary.json"
    summary = json.loads(path.read_text())
    left = {name: value for name, value in summary.items() if name not in ("made_with", "files", "seal")}
    path.write_text(json.dumps(left))
    said = goldsand("retry", "out")
    assert said.returncode == 2 and "did not write down whether it had a --limit" in said.stderr
    path.write_text(json.dumps(summary))
    (world / "out" / "recipe.yaml").write_text((world / "recipe.yaml").read_text())
    said = goldsand("retry", "out")
    assert said.returncode == 2 and "recipe.yaml is not what this run wrote" in said.stderr
    path.unlink()
    said = goldsand("retry", "out")
    assert said.returncode == 2 and "not the folder of a finished run" in said.stderr
    assert (world / "out" / "kills.jsonl").exists()
