"""The command line before a finished corpus: another recipe is refused, a dry run changes nothing, a plan says all."""

import json
from pathlib import Path

import pytest
from test_command_line import refused

RECIPE = """
name: clean
inputs: [{name: crawl, path: pages.jsonl}]
steps: [gopher_quality: {min_words: 5, min_stop_words: 0}, exact_dedup]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, within) -> Path:
    root = tmp_path_factory.mktemp("replace")
    texts = (f"the boats lay still in the harbour {n} " * (1 + n % 3) for n in range(60))
    rows = (json.dumps({"text": text, "url": f"https://harbour.example/{n}"}) for n, text in enumerate(texts))
    (root / "pages.jsonl").write_text("\n".join(rows) + "\n")
    (root / "clean.yaml").write_text(RECIPE)
    (root / "raw.yaml").write_text(RECIPE.replace("name: clean", "name: raw"))
    result = within("run", "clean.yaml", "-o", "clean", "--workers", "1", cwd=root)
    assert result.returncode == 0, result.stderr
    # At published thresholds and below nothing is warned of.
    assert "warning" not in result.stderr
    return root


def content(folder: Path) -> dict[str, bytes]:
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file() and one.name != ".lock"}


def test_another_recipe_on_a_finished_folder_is_refused_with_what_would_do(folder, within):
    before = content(folder / "clean")
    for command in (["run", "raw.yaml", "-o", "clean"], ["run", "raw.yaml", "-o", "clean", "--dry-run"]):
        refused(within(*command, cwd=folder), "clean holds the corpus 'clean' (60 documents, finished 2",
                "this recipe is named 'raw'", "--replace", "another output folder keeps both")  # fmt: skip
    would = within("run", "raw.yaml", "-o", "clean", "--replace", "--dry-run", cwd=folder)
    assert would.returncode == 0 and "it stays whole in clean/previous until the new one is" in would.stdout
    nothing = within("run", "clean.yaml", "-o", "clean", "--dry-run", cwd=folder)
    assert nothing.returncode == 0 and "nothing that is finished there would change" in nothing.stdout
    refused(within("profile", "raw.yaml", "-o", "clean", "--replace", cwd=folder), "holds a finished run")
    assert content(folder / "clean") == before


def test_a_plan_says_what_is_replaced_what_it_takes_meanwhile_and_whether_it_would_be_refused(folder, within):
    plan = within("plan", "clean.yaml", "-o", "clean", "--set", "gopher_quality.min_words=12", cwd=folder).stdout
    assert "made again: stages 00-gopher_quality, 01-exact_dedup (gopher_quality is new or changed)" in plan
    assert "about 67% of its documents are kept (rehearsed on 60)" in plan
    assert "kB more, until the new corpus is whole" in plan and "refuses" not in plan
    plan = within("plan", "clean.yaml", "-o", "clean", "--set", "gopher_quality.min_words=17", cwd=folder).stdout
    assert "`goldsand run` refuses this without --replace: this run would keep about 33% of its documents" in plan
    assert "stays whole" not in within("plan", "clean.yaml", "-o", "clean", cwd=folder).stdout


def test_a_change_says_what_it_does_and_a_rule_that_takes_most_of_a_source_is_warned_of(folder, within):
    changed = ["run", "clean.yaml", "-o", "clean", "--set", "gopher_quality.min_words=17", "--workers", "1"]
    refused(within(*changed, cwd=folder), "would keep about 33% of its documents, rehearsed on 60")
    result = within(*changed, "--replace", cwd=folder)
    assert result.returncode == 0, result.stderr
    said = " ".join(result.stderr.split())
    assert "clean holds the corpus 'clean' (60 documents" in said and "made again: stages 00-gopher_quality" in said
    assert (
        "warning: gopher_quality takes 67% of the source 'crawl' (40 of 60 documents), 40 of them by its rule" in said
    )
    page = (folder / "clean" / "report.html").read_text()
    assert "gopher_quality takes 67% of the source" in page and "exact_dedup dropped nothing" not in page
