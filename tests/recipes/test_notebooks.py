"""The notebooks of docs/notebooks run: in small and in this process here, with a kernel in `make test-slow`."""

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

from curate.run.corpus import CorpusRun
from curate.run.serial import SerialEngine

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "docs" / "notebooks"
SMALL = {
    "data-team": {"pages": 8, "files": "crawl-00003.warc.gz"},
    "researcher": {"exposures": [2, 4, 8, 16], "seeds": [0], "people": 8},
}
"""What the suite sets the parameters of each notebook to."""

pytestmark = pytest.mark.filterwarnings("ignore")


def notebook(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    return read


def code_of(name: str, **parameters: Any) -> list[str]:
    """The code cells, with other values behind the cell of parameters."""
    cells = []
    for cell in notebook(name)["cells"]:
        if cell["cell_type"] == "code":
            said = "".join(cell["source"])
            if "parameters" in cell["metadata"].get("tags", ()):
                said += "\n" + "\n".join(f"{key} = {value!r}" for key, value in parameters.items())
            cells.append(said)
    return cells


def shown(cell: str, session: dict[str, Any]) -> Any:
    """Run a cell as a notebook does: the value of its last line, if that is an expression."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), session)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), session) if last is not None else None


def test_every_notebook_is_run_and_holds_no_output():
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(SMALL)
    for name in SMALL:
        cells = notebook(name)["cells"]
        assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
        assert sum("parameters" in cell["metadata"].get("tags", ()) for cell in cells) == 1
        assert len({cell["id"] for cell in cells}) == len(cells)


@pytest.fixture
def worked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs do their units in this process: workers would each load what reads HTML, which takes longer."""
    monkeypatch.setattr(CorpusRun, "engine", lambda run, on_progress=None: SerialEngine(on_progress))
    monkeypatch.setattr("curate.run.corpus.all_cores", lambda: 1)


@pytest.mark.usefixtures("trained_here", "worked_here")
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_in_small(name, tmp_path, monkeypatch):
    for module in ("pandas", *(("torch", "scipy") if name == "researcher" else ())):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    session: dict[str, Any] = {"__name__": "__main__"}
    pictures = []
    for cell in code_of(name, **SMALL[name]):
        value = shown(cell, session)
        if hasattr(value, "_repr_html_"):
            pictures.append(value._repr_html_())
    assert len(pictures) >= 5 and pictures[-1].startswith("<iframe ")


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs_in_a_kernel_and_shows_its_pictures(name, tmp_path):
    """With a real kernel: its progress, its workers, what it displays."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.from_dict(notebook(name))
    nbformat.validate(book)
    cells = iter(code_of(name, **SMALL[name]))
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.source = next(cells).replace(", quiet=True", "")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "recipes"), *filter(None, [os.environ.get("PYTHONPATH")])])
    client = nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env={**os.environ, "PYTHONPATH": paths, "JUPYTER_PLATFORM_DIRS": "1"})
    outputs = [one for cell in book.cells for one in cell.get("outputs", ())]
    assert sum("text/html" in one.get("data", {}) for one in outputs) >= 5
    assert not [one for one in outputs if one.output_type == "error"]
