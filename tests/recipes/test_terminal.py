"""What a file says is shown on the terminal and never obeyed, whichever command shows it."""

import io
import json

import pytest
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from recipes.app.cli import app
from recipes.app.terminal.console import _Terminal

BAD = "a\x1b]0;pwn\x07\x1b[2J\x9b1m\u202eb"


def shown(printed: object) -> str:
    stream = io.StringIO()
    _Terminal(file=stream, width=200, highlight=False).print(printed)
    return stream.getvalue()


def is_harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("wrap", [str, Text, Panel, lambda text: Panel(Text(text), title=text)])
def test_control_characters_are_shown(wrap):
    text = shown(wrap(BAD))
    assert is_harmless(text) and "a\\x1b]0;pwn" in text and "\\x1b[2J" in text and "\\u202eb" in text


def test_cells_and_headings_of_tables_are_no_exception():
    table = Table(BAD, title=BAD, caption=BAD)
    table.add_row(BAD)
    table.add_row(Text(BAD))
    assert is_harmless(shown(table))


def test_colours_of_the_console_itself_stay():
    stream = io.StringIO()
    _Terminal(file=stream, force_terminal=True, color_system="standard", highlight=False).print(f"[red]{BAD}[/]")
    assert stream.getvalue().startswith("\x1b[31ma\\x1b]") and "\x1b[2J" not in stream.getvalue()


def test_a_status_file_and_an_index_that_somebody_sent(tmp_path):
    status = {"state": "running", "host": BAD, "process": 1, "time": 0.0, "group": BAD, "version": BAD, "error": BAD}
    (tmp_path / "status.json").write_text(json.dumps(status))
    layer = {"name": BAD, "documents": 1, "from": BAD}
    (tmp_path / "index.json").write_text(json.dumps({"format": 1, "parameters": {BAD: BAD}, "layers": [layer]}))
    for arguments in (["status", str(tmp_path)], ["index", "show", str(tmp_path)], ["check", BAD], ["steps", BAD]):
        done = CliRunner().invoke(app, arguments)
        assert is_harmless(done.output), arguments
        assert isinstance(done.exception, SystemExit | None), arguments
