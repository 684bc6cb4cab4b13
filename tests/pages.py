"""Runs a page of the documentation as its reader would: the code blocks in their order, in one folder.

`python tests/pages.py PAGE` runs PAGE in the current folder. What a block's language means:

- bash: typed into a shell. python: run, all of a page in one session.
- yaml: a recipe, or part of one, which `goldsand check` must accept; a block that begins with a comment that names a
  file (`# my-corpus.yaml`) is saved as that file first.
- output: what the block before it prints. text: not run.

Blocks listed in NOT_RUN are left out, for the reason given there.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LANGUAGES = ("bash", "python", "yaml", "output", "text")
NOT_RUN = {
    "make demo": "installs, and runs the README's commands at full size",
    "pip install": "asks a package registry",
    "cat > steps.yaml": "trains the same models for a minute; tests/recipes/test_arms.py makes its arms",
    "from curate.adapters.datatrove": "needs datatrove, whose pins differ; tests/curate/test_adapters.py runs it",
    "sbatch goldsand-pages.sbatch": "needs Slurm; `make slurm` starts one and submits such a script",
}
"""The beginning of each block that is not run, and why it is not."""


class Block(NamedTuple):
    """A fenced block: its line in the page, its language, its text."""

    line: int
    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """All fenced blocks of a page, in order. Raises ValueError for a fence that is never closed."""
    begun: tuple[int, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.splitlines(), start=1):
        if line.startswith("```"):
            if begun is None:
                begun, lines = (number, line[3:].strip()), []
            else:
                yield Block(*begun, "".join(f"{one}\n" for one in lines))
                begun = None
        elif begun is not None:
            lines.append(line)
    if begun is not None:
        raise ValueError(f"line {begun[0]}: this fence is never closed")


def without_blocks(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)


def run_page(page: Path) -> None:
    """Run every block of a page in the current folder. Raises AssertionError at the first that fails."""
    session: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}:{block.line}"
        if any(block.text.startswith(beginning) for beginning in NOT_RUN):
            continue
        if block.language == "bash":
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], capture_output=True, text=True)
            assert done.returncode == 0, f"{where} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            printed = done.stdout
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile(block.text, where, "exec"), session)
            printed = stream.getvalue()
        elif block.language == "yaml":
            read_yaml(block, where)
        elif block.language == "output":
            assert block.text == printed, f"{where} says\n{block.text}\nbut what is printed is\n{printed}"
        sys.stdout.write(printed if block.language in ("bash", "python") else "")


def read_yaml(block: Block, where: str) -> None:
    """Save a block that names its file; check what is a recipe or part of one."""
    from ruamel.yaml import YAML

    from recipes.app.recipe.load import load

    yaml = YAML(typ="safe", pure=True)
    recipe = yaml.load(block.text)
    named = re.match(r"# (\S+\.yaml)\b", block.text)
    if isinstance(recipe, list):
        recipe = {"steps": recipe}
    path = Path(named[1] if named else "part-of-a-recipe.yaml")
    if named:
        path.write_text(block.text, encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8") as stream:
            yaml.dump({"name": "part"} | recipe, stream)
    if {"steps", "inputs", "probe", "compare"} & recipe.keys():
        try:
            load(str(path))
        except ValueError as error:
            raise AssertionError(f"{where}: {error}") from None


def on_one_core() -> None:
    """For a process that is begun: one worker then does a page's few documents, and a probe trains where it was called,
    as each other process would load all libraries for them once more. Every process of the suite has a core of its own,
    where there are enough."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
