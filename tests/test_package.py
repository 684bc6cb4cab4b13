"""The wheel carries everything a run needs: recipes, the sample crawl, word lists, templates, the page; the sdist also
what a distributor needs: docs and tests. Bounds of dependencies, and the one address that the owner fills in."""

import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from lowest import base, lowest
from packaging.requirements import Requirement
from packaging.version import Version

from curate.errors import BASE

ROOT = Path(__file__).parent.parent
DATA = {".pyi", ".yaml", ".gz", ".jsonl", ".txt", ".json", ".html", ".js", ".css", ".md", ".typed"}

needs_build = pytest.mark.skipif(
    importlib.util.find_spec("build") is None or importlib.util.find_spec("setuptools") is None,
    reason="`build` and `setuptools` are not installed",
)


def tracked() -> set[str]:
    """The modules and data files of the packages, as they lie in the checkout."""
    return {
        str(path.relative_to(ROOT))
        for package in ("curate", "synth", "train_probe", "recipes")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in {".py", *DATA} and "__pycache__" not in path.parts
    }


def beside() -> set[str]:
    """Docs, tests and what stands at the top: in the sdist alone."""
    top = {"pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "Makefile"}
    top |= {"CITATION.cff", "CONTRIBUTING.md", "SECURITY.md", "constraints.txt"}
    return top | {
        str(path.relative_to(ROOT))
        for folder in ("docs", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


ADDRESS = "https://host.example/owner/goldsand"
"""A made-up address, in place of the one that pyproject.toml may have."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    # A copy, so that building leaves nothing in the checkout.
    for name in tracked() | beside():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    project = (source / "pyproject.toml").read_text()
    (source / "pyproject.toml").write_text(re.sub(r'^home = ".*"$', f'home = "{ADDRESS}"', project, flags=re.MULTILINE))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (out / "said").write_text(done.stdout + done.stderr)
    return out


@needs_build
def test_a_build_says_nothing_that_somebody_would_have_to_look_into(built):
    lines = (built / "said").read_text().splitlines()
    assert [line for line in lines if re.search("warn|deprecat", line, re.IGNORECASE)] == []


@needs_build
def test_the_wheel_holds_every_module_and_data_file(built):
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    # `import goldsand` is kept in recipes/goldsand, and installed beside the four packages.
    assert not {name.replace("recipes/goldsand/", "goldsand/") for name in tracked()} - names
    assert not {name for name in names if name.startswith("recipes/goldsand/")}
    assert any(name.endswith("LICENSE") for name in names)


@needs_build
def test_the_sdist_holds_them_too_and_docs_and_tests(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert not (tracked() | beside()) - names


@needs_build
def test_what_a_package_index_shows_has_its_links_from_one_address(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        described = message_from_bytes(archive.read(name))
    assert f"Issues, {ADDRESS}/issues" in described.get_all("Project-URL")
    links = re.findall(r"\]\(([^)\s]+)\)", described.get_payload(decode=True).decode())
    assert len(links) > 10
    for link in links:
        place, _, _ = link.partition("#")
        assert place.startswith(ADDRESS), link
        assert (ROOT / re.sub(r"^/(blob|raw)/main/", "", place.removeprefix(ADDRESS))).exists(), link


def test_without_an_address_nothing_is_invented():
    spec = importlib.util.spec_from_file_location("setup_of_goldsand", ROOT / "setup.py")
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    page = (ROOT / "README.md").read_text()
    assert setup.urls("") == {} and setup.absolute(page, "") == page
    assert setup.absolute("[a](#here) ![b](c.png) [d](https://e.org)", "h:") == (
        "[a](#here) ![b](h:/raw/main/c.png) [d](https://e.org)"
    )


def test_the_lowest_versions_are_pinned_from_the_bounds():
    """`make test-lowest` installs these and runs with them."""
    pins = [Requirement(pin) for pin in lowest(base())]
    for pin, bound in zip(pins, map(Requirement, base()), strict=True):
        assert bound.specifier.contains(Version(str(pin.specifier).removeprefix("==")))
    with pytest.raises(ValueError, match="no lower bound"):
        list(lowest(["numpy<3"]))


def test_what_is_patched_or_listed_by_version_has_an_upper_bound():
    uppers = {one.name for one in map(Requirement, base()) if any(s.operator == "<" for s in one.specifier)}
    assert uppers == {"trafilatura", "lxml", "fasttext-community", "py3langid", "chardet", "selectolax"}


def test_a_missing_dependency_is_asked_for_as_pyproject_asks_for_it():
    assert list(BASE.values()) == base()


@needs_build
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


@needs_build
def test_goldsand_is_imported_from_the_wheel(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import goldsand;"
        "print(goldsand.__file__, goldsand.Recipe.from_yaml('quickstart').steps[0].name, len(goldsand.__all__) > 60)"
    )
    result = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.split() == [str(tmp_path / "goldsand" / "__init__.py"), "extract", "True"], result.stderr


def test_a_citation_names_this_version():
    (said,) = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert said == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
