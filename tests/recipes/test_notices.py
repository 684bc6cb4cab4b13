"""What a step has to say of itself reaches a person: in the summary, on the page, and as one warning."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from curate.errors import BASE
from curate.extract import shortcut

ROOT = Path(__file__).parents[2]
RECIPE = """
name: small
inputs: [{path: pages/*.html}]
steps: [extract]
"""
OTHER_SHAPE = """
from lxml import html
from trafilatura import core, external, xpaths

original = external.compare_extraction

def compare(cleaned, raw, body, text, options):
    return original(cleaned, raw, body, text, options)

change = {
    "second opinion": lambda: [setattr(module, "compare_extraction", compare) for module in (core, external)],
    "xpaths": lambda: xpaths.TEASER_DISCARD_XPATH.clear(),
    "classes": lambda: delattr(html.HtmlElementClassLookup, "_default_element_classes"),
    "nothing": lambda: None,
}
"""
RUN = """
# Workers are new processes, which nothing here would change.
from curate.run.corpus import CorpusRun
from curate.run.serial import SerialEngine
from recipes.app.cli import app

CorpusRun.engine = lambda self, on_progress=None: SerialEngine(on_progress)
app(["run", "small.yaml", "-o", "out"])
"""


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    (tmp_path / "small.yaml").write_text(RECIPE)
    for name in ("one", "two", "three"):
        prose = f"<p>The harbour of {name} was quiet that morning, and the boats lay still at the quay.</p>" * 8
        (tmp_path / "pages" / f"{name}.html").write_text(f"<html><body><article>{prose}</article></body></html>")
    return tmp_path


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("changed", ["nothing", "second opinion"])
def test_a_run_without_the_shortcut_says_so_once_and_writes_the_same(pages, within, changed):
    shown = python(f"{OTHER_SHAPE}\nchange[{changed!r}]()\n{RUN}", pages)
    assert shown.returncode == 0, shown.stderr
    notices = json.loads((pages / "out" / "summary.json").read_text())["notices"]
    page = (pages / "out" / "report.html").read_text()
    if changed == "nothing":
        assert notices == [] and "warning" not in shown.stderr and "shortcut" not in page
        return
    (notice,) = notices
    assert notice.startswith(f"extract: trafilatura {version('trafilatura')} ")
    assert f"pip install '{BASE['trafilatura']}'" in notice
    assert " ".join(shown.stderr.split()).count(f"warning: {notice}") == 1
    assert page.count("is not built as goldsand") == 1
    # What the first run said of its machine is not said of a run that takes its text.
    taken = within("run", "small.yaml", "-o", "taken", cwd=pages)
    assert "extracted before" in taken.stderr and "warning" not in taken.stderr
    again = within("run", "small.yaml", "-o", "with", "--stages", "none", cwd=pages)
    assert again.returncode == 0 and "warning" not in again.stderr
    (one,), (other,) = ((pages / folder / "text").glob("*.zst") for folder in ("out", "with"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("changed", ["xpaths", "classes", "second opinion"])
def test_any_part_of_the_shortcut_that_does_not_fit_is_noticed(changed, tmp_path):
    ask = "from curate.extract import Extract\nprint(*[Extract(engine=e).notice() for e in ('cascade', 'resiliparse')])"
    shown = python(f"{OTHER_SHAPE}\nchange[{changed!r}]()\n{ask}", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("is not built as goldsand") == 1


def test_what_is_installed_is_what_the_shortcut_was_written_for():
    assert version("trafilatura").startswith(shortcut.WRITTEN_FOR)
    major, minor = map(int, shortcut.WRITTEN_FOR.split("."))
    asked = BASE["trafilatura"]
    assert asked.startswith(f"trafilatura>={major}.{minor}.") and asked.endswith(f",<{major}.{minor + 1}")
    assert shortcut.notice() == ""
