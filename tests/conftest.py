"""What tests of several packages share."""

import contextlib
import functools
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
import typer.testing

MEMORY = Path("/dev/shm")
ROOM = 2 << 30
"""Bytes; the whole suite writes a tenth of it."""


def pytest_configure(config: pytest.Config) -> None:
    """The tests' folders lie in memory, where there is room: a run syncs each of its many small files, and half of a
    small run's time is waiting for the disk to do so. No test asks the hub: without this, some try for a minute.
    Bytecode is kept, whatever the environment says: some hundred processes would each compile all that they import."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # Until all is collected nothing is garbage; afterwards the collector need not go through it again (below).
    gc.disable()
    # A runner builds all commands anew for each one that it runs, which takes longer than most of them.
    typer.testing._get_command = functools.cache(typer.main.get_command)  # type: ignore[attr-defined]
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


LONG = (
    "test_docs.py",
    "test_local_engine.py",
    "test_stores.py",
    "test_mutants.py",
    "test_determinism.py",
    "test_chaos.py",
    "test_own_steps.py",
    "test_time_limits.py",
    "test_engine.py",
    "test_hostile.py",
    "test_train.py",
    "test_command_line.py",
    "test_ray_engine.py",
    "test_refusals_and_faults.py",
    "test_killed_between_files.py",
    "test_adapters.py",
    "test_compare.py",
    "test_decontaminate.py",
    "test_engines_in_stores.py",
    "test_profile.py",
    "test_truths.py",
    "test_dialects.py",
    "test_scoring.py",
    "test_drawn.py",
    "test_classifier.py",
    "test_extract.py",
    "test_probe_recipe.py",
    "test_text_reading.py",
    "test_source_pieces.py",
    "test_release.py",
    "test_meta_device.py",
    "test_peer_recipes.py",
    "test_remote_sources.py",
    "test_recipe_fuzz.py",
    "test_retry.py",
    "test_filter_parity.py",
)
"""Files of more than about 8 s, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: one process does all of a file's tests, and the last ones should not wait for it."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


def pytest_collection_finish() -> None:
    """What is there now, libraries and tests, stays to the end."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture
def trained_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small grids train in this process, as on a machine of one core: for tests that are not about the pool, whose
    processes load torch, which takes longer than to train."""
    import train_probe.train

    monkeypatch.setattr(train_probe.train, "cores", lambda: 1)


@pytest.fixture(scope="session")
def within() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`within("run", ..., cwd=FOLDER)`: the command line in this process, for tests that are not about the process:
    its start takes most of the time. A traceback is raised."""
    from typer.testing import CliRunner

    from recipes.app.cli import app

    def invoked(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        with contextlib.chdir(cwd):
            result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return subprocess.CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)

    return invoked
