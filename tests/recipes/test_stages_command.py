"""Shared extraction as a user has it: by itself between folders side by side, by `--stages`, listed, pruned."""

from pathlib import Path

import pytest

RECIPE = """\
name: pages
inputs: [{{path: pages.warc.gz}}]
steps: [extract: {{engine: resiliparse}}{more}]
"""
SAMPLE = Path(__file__).parents[2] / "recipes" / "sample" / "crawl-00001.warc.gz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, within) -> Path:
    root = tmp_path_factory.mktemp("shared")
    (root / "pages.warc.gz").write_bytes(SAMPLE.read_bytes())
    (root / "raw.yaml").write_text(RECIPE.format(more=""))
    (root / "clean.yaml").write_text(RECIPE.format(more=", gopher_quality, exact_dedup"))
    done = within("run", "raw.yaml", "-o", "raw", "--workers", "1", cwd=root)
    assert done.returncode == 0 and "extracted before" not in done.stderr
    return root


def said(within, folder: Path, *arguments: str, code: int = 0) -> str:
    done = within(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_a_plan_foretells_what_the_next_folder_takes(folder, within):
    planned = said(within, folder, "plan", "clean.yaml", "-o", "clean", "--sample", "0")
    assert "extract 1 1 extract" in planned and "stages shared between folders: 1 units" in planned
    alone = said(within, folder, "plan", "clean.yaml", "-o", "clean", "--sample", "0", "--stages", "none")
    assert "extract 1 0 extract" in alone and "stages shared" not in alone
    assert "extracted before: 1 of 1 units" in said(
        within, folder, "run", "clean.yaml", "-o", "clean", "--workers", "1"
    )
    profiled = said(within, folder, "profile", "clean.yaml", "-o", "seen", "--workers", "1")
    assert "extracted before: 1 of 1 units" in profiled


def test_a_pool_has_a_name_and_a_list(folder, within):
    assert ".goldsand-stages" not in {path.name for path in (folder / "raw").iterdir()}
    named = ("--workers", "1", "--stages", "text")
    assert "extracted before" not in said(within, folder, "run", "raw.yaml", "-o", "deep/a", *named)
    assert "extracted before" in said(within, folder, "run", "raw.yaml", "-o", "deep/b", *named)
    assert not (folder / "deep" / ".goldsand-stages").exists()
    listed = said(within, folder, "stages", "text")
    assert "kept: 1 units" in listed and "deep/a" in listed and "deep/b" in listed and " ago" in listed
    assert "raw" in said(within, folder, "stages") and "raw" in said(within, folder, "stages", "raw")
    assert "no stages are shared in" in said(within, folder, "stages", "deep/a/text", code=2)
    assert "--keep-bytes much: a number of bytes" in said(within, folder, "stages", "--keep-bytes", "much", code=2)
    assert "holds other files" in said(within, folder, "run", "raw.yaml", "-o", "x", "--stages", ".", code=2)


def test_a_prune_takes_nothing_from_a_folder(folder, within):
    assert "would be removed: 1 units" in said(within, folder, "stages", "--keep-bytes", "1k", "--dry-run")
    assert "kept: 1 units" in said(within, folder, "stages", "--unused")
    gone = said(within, folder, "stages", "--keep-bytes", "1k")
    assert "removed: 1 units" in gone and "disk freed: 0 kB" in gone
    assert "holds no units" in said(within, folder, "stages")
    assert "every file is as it was written" in said(within, folder, "verify", "raw")
    said(within, folder, "run", "raw.yaml", "-o", "raw", "--workers", "1")
    assert "kept: 1 units" in said(within, folder, "stages")
