"""What a run or a profile says of itself is what it wrote, or the command that reads it says so."""

import json

import pytest

from curate.places.manifest import NotAsWritten, read_summary

RECIPE = """
name: small
inputs: [{name: crawl, path: in.jsonl}]
steps: [gopher_quality: {min_words: 5, min_stop_words: 0}, minhash_dedup]
"""


@pytest.fixture
def world(tmp_path, within):
    words = ["river", "stone", "hill", "water", "light", "garden", "winter", "letter", "music", "paper"]
    rows = [{"text": " ".join(words[place:] + words[:place])} for place in range(8)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0], {"text": "short"}]))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    assert within("run", "recipe.yaml", "-o", "out", "--workers", 1, cwd=tmp_path).returncode == 0
    return tmp_path


def refused(done, *said):
    assert done.returncode == 2 and all(one in done.stderr for one in said), (done.returncode, done.stderr)


def edited(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_edited_summary_is_believed_by_nobody(world, within):
    path = world / "out" / "summary.json"
    sound = path.read_text()
    assert within("report", "out", cwd=world).returncode == 0
    edited(path, seconds=99.0)
    with pytest.raises(NotAsWritten, match=f"{path} is damaged"):
        read_summary(world / "out")
    for command in (("report", "out"), ("clusters", "out", "--check"), ("profile", "recipe.yaml", "-o", "out")):
        refused(within(*command, cwd=world), "summary.json is damaged")
    assert within("verify", "out", cwd=world).returncode == 3
    path.write_text(sound)
    assert within("verify", "out", cwd=world).returncode == 0


def test_an_edited_status_is_said_to_be_damaged(world, within):
    assert "finished" in within("status", "out", cwd=world).stdout
    edited(world / "out" / "status.json", host="elsewhere")
    refused(within("status", "out", cwd=world), "status.json is damaged")


def test_figures_of_a_profile_that_were_edited_decide_nothing(world, within):
    assert within("profile", "recipe.yaml", "-o", "seen", "--workers", 1, cwd=world).returncode == 0
    decide = ("decide", "seen", "--set", "gopher_quality.min_words=6")
    assert within(*decide, cwd=world).returncode == 0
    edited(world / "seen" / "profile.json", counted_in="tokens")
    refused(within(*decide, cwd=world), "profile.json is damaged")


@pytest.mark.parametrize("gone", ["ledger/00000", "stages/01-minhash_dedup"])
def test_a_manifest_that_is_gone_leaves_no_shorter_story(gone, world, within):
    there = world / "out" / "manifests" / gone
    path = there.with_suffix(".json") if gone.startswith("ledger") else next(there.iterdir())
    path.unlink()
    for command in (("clusters", "out"), ("why", "out", "crawl/in.jsonl@0")):
        refused(within(*command, cwd=world), f"{world / 'out' / 'manifests'} lacks".removeprefix(f"{world}/"))
