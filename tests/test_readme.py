"""What the README tells a reader to type is typed here, in the order in which it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_recipe_of_the_readme_has_no_mistakes(tmp_path):
    from recipes.app.recipe.load import load

    (recipe,) = blocks("yaml")
    (tmp_path / "my-corpus.yaml").write_text(recipe)
    assert len(load(str(tmp_path / "my-corpus.yaml")).steps) == 9


def test_the_commands_of_the_readme_run_as_they_stand(tmp_path):
    pytest.importorskip("torch")
    commands = "set -euo pipefail\n" + "\n".join(blocks("bash"))
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", commands], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
    )
    assert result.returncode == 0, result.stderr
    assert "facts alone" in result.stdout and "open report.html" in result.stdout
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_the_python_of_the_readme_says_what_it_should(tmp_path):
    (code,) = blocks("python")
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=600
    ).stdout
    assert blocks("text") == [printed]
