"""`goldsand --install-completion` in bash, with a home folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = f"#!{sys.executable}\nfrom recipes.app.start import main\n\nmain()\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_and_options(tmp_path):
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    (programs / "goldsand").write_text(PROGRAM)
    (programs / "goldsand").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("_TYPER")}
    environment = {**kept, "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def bash(*lines: str) -> str:
        # Several lines: of a single one bash makes no process of its own, and the shell is found by its process.
        done = subprocess.run(
            ["bash", "--norc", "-c", "\n".join(lines)], env=environment, capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "bash completion installed" in bash("goldsand --install-completion", "true")
    typed = """
    source ~/.bashrc
    offered() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); $completes goldsand; echo "${COMPREPLY[@]}"; }
    completes=$(complete -p goldsand | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    offered goldsand pro
    offered goldsand run --work
    """
    commands, options = bash(typed).splitlines()
    assert commands.split() == ["probe", "profile"] and options.split() == ["--workers"]
