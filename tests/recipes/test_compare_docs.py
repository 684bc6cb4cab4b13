"""docs/compare.md, block by block, on the sample crawl."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_tutorial_runs_as_it_stands(tmp_path):
    page = (ROOT / "docs" / "compare.md").read_text()
    script = "\n".join(re.findall(r"```bash\n(.*?)```", page, re.S)).replace("SAMPLE", str(ROOT / "recipes" / "sample"))
    (tmp_path / "goldsand").write_text(f'#!/bin/sh\nexec {sys.executable} -m recipes.app.start "$@"\n')
    (tmp_path / "goldsand").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "undecided" in ran.stdout and "no evidence above this scale" in ran.stdout
    assert (tmp_path / "answer" / "report.html").is_file()
