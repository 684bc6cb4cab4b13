"""`goldsand forget`: what goes, what is said of it, and that no later run brings it back."""

import json

import pytest

from curate.audit.verify import verify
from curate.shards.text import read_text_shard

RECIPE = "name: small\ninputs: [{name: rows, path: in.jsonl}]\nsteps: [exact_dedup]\n"


def texts(out):
    return [row["url"] for row in read_text_shard(out / "text/00000.jsonl.zst")]


@pytest.fixture
def corpus(tmp_path, within):
    rows = [{"text": f"Text {number}.", "url": f"https://site{number % 2}.example/{number}"} for number in range(5)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "small.yaml").write_text(RECIPE)
    assert within("run", "small.yaml", "-o", "out", cwd=tmp_path).returncode == 0
    return tmp_path


def test_what_is_named_goes_and_stays_away_whatever_runs_into_the_folder(corpus, within):
    before = sorted(path.name for path in (corpus / "out").iterdir())
    said = within("forget", "out", "site1.example", "gone.example", "--dry-run", cwd=corpus)
    assert said.returncode == 0 and "site1.example: 2 documents, rows/in.jsonl@" in said.stdout
    assert "gone.example: no documents" in said.stdout
    assert sorted(path.name for path in (corpus / "out").iterdir()) == before and len(texts(corpus / "out")) == 5
    (corpus / "asked.txt").write_text("# asked for in May\nhttps://site0.example/2\n")
    done = within("forget", "out", "site1.example", "asked.txt", cwd=corpus)
    assert done.returncode == 0, done.stderr
    assert "3 documents (21 characters) are gone from text and ledger" in " ".join(done.stdout.split())
    left = ["https://site0.example/0", "https://site0.example/4"]
    assert texts(corpus / "out") == left and list(verify(corpus / "out")) == []
    (corpus / "small.yaml").write_text(
        RECIPE.replace("[exact_dedup]", "[exact_dedup, c4: {min_sentences: 1, min_words_per_line: 1}]")
    )
    assert within("run", "small.yaml", "-o", "out", cwd=corpus).returncode == 0
    assert texts(corpus / "out") == left
    assert within("forget", "out", "https://site0.example/4", cwd=corpus).returncode == 0
    assert texts(corpus / "out") == left[:1]
    assert (corpus / "out/forget.txt").read_text().splitlines() == [
        "site1.example",
        "https://site0.example/2",
        "https://site0.example/4",
    ]


def test_nothing_named_is_refused_and_nothing_is_noted(corpus, within):
    (corpus / "empty.txt").write_text("# nothing\n")
    said = within("forget", "out", "empty.txt", cwd=corpus)
    assert said.returncode == 2 and "nothing is named" in said.stderr
    assert not (corpus / "out/forget.txt").exists()
