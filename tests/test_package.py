"""The wheel carries everything a run needs: recipes, the sample crawl, word lists, templates, the page."""

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = {".yaml", ".gz", ".jsonl", ".txt", ".json", ".html", ".css", ".md"}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("build") is None or importlib.util.find_spec("setuptools") is None,
    reason="`build` and `setuptools` are not installed",
)


def tracked() -> set[str]:
    """The modules and data files of the four packages, as they lie in the checkout."""
    return {
        str(path.relative_to(ROOT))
        for package in ("curate", "synth", "train_probe", "recipes")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in {".py", *DATA} and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    # A copy, so that building leaves nothing in the checkout.
    for name in [*tracked(), "pyproject.toml", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    return out


def test_the_wheel_holds_every_module_and_data_file(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert not tracked() - names
    assert any(name.endswith("LICENSE") for name in names)


def test_the_sdist_holds_them_too(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert not tracked() - names


def test_a_built_in_recipe_runs_from_the_wheel_by_its_name(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    arguments = ["goldsand", "run", "quickstart", "-o", "out", "--limit", "8"]
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(site)!r}); sys.argv = {arguments!r};"
        "runpy.run_module('recipes.app.start', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out" / "report.html").is_file()
