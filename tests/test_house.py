"""The walls of the house: which package may know which, what an import may cost, what travels in the wheel."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("curate", "synth", "train_probe", "recipes")
ALLOWED = {
    "curate": set(),
    "synth": {"curate"},
    "train_probe": {"curate"},
    "recipes": {"curate", "synth", "train_probe"},
}
HEAVY = ("torch", "pyarrow", "ray", "datasets", "transformers", "trafilatura", "tokenizers", "tldextract", "fasttext")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_go_one_way(package):
    for path in modules(package):
        for name in imports(path):
            root = name.split(".")[0]
            if root in PACKAGES and root != package:
                assert root in ALLOWED[package], f"{path} imports {name}"


def test_the_probe_knows_token_shards_and_nothing_else_of_the_house():
    for path in modules("train_probe"):
        known = {name for name in imports(path) if name.split(".")[0] == "curate"}
        assert all(name.startswith("curate.shards") and "text" not in name for name in known), path


@pytest.mark.parametrize("package", ["curate", "curate.filters", "synth"])
def test_an_import_is_light(package):
    """No heavy library, and well under 0.2 s of a core beyond the interpreter's own start (the best of three)."""
    code = (
        f"import time; t = time.process_time(); import {package}; s = time.process_time() - t; import sys;"
        f"print(s, [m for m in {HEAVY!r} if m in sys.modules])"
    )
    seconds = []
    for _ in range(3):
        printed = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
        spent, _, loaded = printed.partition(" ")
        assert loaded.strip() == "[]"
        seconds.append(float(spent))
    assert min(seconds) < 0.2


def test_files_stay_readable():
    long = {
        str(path.relative_to(ROOT)): count
        for package in PACKAGES
        for path in modules(package)
        if (count := len(path.read_text().splitlines())) > 420
    }
    assert not long


def test_no_file_of_the_tests_hides_another_module():
    """Test files share one name space, and folders of theirs are put on the path."""
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path.name != "__init__.py"]
    tests = Counter(path.name for path in paths if path.name.startswith("test_"))
    assert [name for name, count in tests.items() if count > 1] == []
    known = sys.stdlib_module_names | set(PACKAGES)
    assert [path for path in paths if path.stem in known and path.stem != "sitecustomize"] == []
