"""What tests of several packages share."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
ROOM = 2 << 30
"""Bytes; the whole suite writes a tenth of it."""


def pytest_configure(config: pytest.Config) -> None:
    """The tests' folders lie in memory, where there is room: a run syncs each of its many small files, and half of a
    small run's time is waiting for the disk to do so."""
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`within("run", ..., cwd=FOLDER)`: the command line in this process, for tests that are not about the process:
    its start takes most of the time. A traceback is raised."""
    from typer.testing import CliRunner

    from recipes.app.cli import app

    monkeypatch.setenv("COLUMNS", "200")

    def invoked(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        with contextlib.chdir(cwd):
            result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)

    return invoked
