"""Near-duplicates from the command line: clusters shown and checked, an index built, added to and used."""

import json
import random
import shutil
from pathlib import Path

import pytest
import xxhash
from generated_corpus import edited, prose
from test_command_line import refused

from curate.errors import Refused
from curate.places.manifest import sealed
from recipes.app.recipe import of_run

RECIPE = """\
name: near
inputs: [{path: %s.jsonl, name: crawl}]
steps: [{minhash_dedup: {%s}}]
"""


def write(folder: Path, name: str, texts: list[str], parameters: str = "") -> None:
    rows = [json.dumps({"text": text, "id": str(number)}) for number, text in enumerate(texts)]
    (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    (folder / f"{name}.yaml").write_text(RECIPE % (name, parameters))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, within) -> Path:
    root = tmp_path_factory.mktemp("near")
    rng = random.Random(1)
    base = prose(rng, 200)
    changed = list(base)
    changed[100] = "\x1b[mred[/bold]"
    copies = [" ".join(base), " ".join(changed), " ".join([*base, "longer", "than", "both"])]
    others = [" ".join(prose(rng, 200)) for _ in range(5)]
    write(root, "first", [*others, *copies])
    write(root, "second", [" ".join(edited(rng, base, 2)), others[0], " ".join(prose(rng, 200))], "index: kept")
    for name in ("first",):
        result = within("run", f"{name}.yaml", "-o", name, cwd=root)
        assert result.returncode == 0, result.stderr
    return root


def test_clusters_are_shown_with_what_differs(folder, within):
    result = within("clusters", "first", cwd=folder)
    assert result.returncode == 0, result.stderr
    first, *members = result.stdout.splitlines()
    assert "survivor of 3 documents" in first
    assert len([line for line in members if line.startswith("    crawl/first.jsonl@")]) == 2
    assert (
        "[-longer than both-]" in result.stdout
        and "{+\\x1b[mred[/bold]+}" in result.stdout
        and "\x1b[mred" not in result.stdout
    )
    one = within("clusters", "first", "--document", members[0].split()[0], cwd=folder)
    assert one.stdout == result.stdout
    refused(within("clusters", "first", "--document", "crawl/none@1", cwd=folder), "has no cluster")


def checksum_of(text: str) -> str:
    return xxhash.xxh3_128_hexdigest(text.encode())


def test_every_merge_is_computed_again_and_a_wrong_one_is_told(folder, within):
    result = within("clusters", "first", "--check", cwd=folder)
    assert result.returncode == 0 and "2 merges checked, 0 do not hold" in result.stdout
    recipe = folder / "first" / "recipe.yaml"
    before = recipe.read_text()
    recipe.write_text(before.replace("minhash_dedup: {}", "minhash_dedup: {threshold: 0.99}"))
    assert recipe.read_text() != before
    summary = folder / "first" / "summary.json"
    noted = summary.read_text()
    try:
        refused(within("clusters", "first", "--check", cwd=folder), "recipe.yaml is not what this run wrote")
        noting = json.loads(noted)
        noting.pop("seal")
        noting["files"]["recipe.yaml"] = checksum_of(recipe.read_text())
        summary.write_text(json.dumps(sealed(noting)))
        result = within("clusters", "first", "--check", cwd=folder)
    finally:
        recipe.write_text(before)
        summary.write_text(noted)
    assert result.returncode == 3 and "their similarity is 0.9" in result.stderr


def test_a_second_crawl_is_held_against_an_index_of_the_first(folder, within):
    refused(within("index", "add", "kept", "first", cwd=folder), "kept is not an index", "goldsand index build")
    refused(within("run", "second.yaml", "-o", "second", cwd=folder), "index")
    would = within("index", "build", "kept", "first", "--dry-run", cwd=folder)
    assert would.returncode == 0 and "kept is new; 6 documents of first come" in would.stdout
    assert not (folder / "kept").exists()
    built = within("index", "build", "kept", "first", cwd=folder)
    assert built.returncode == 0 and "6 documents of 1 corpora" in built.stdout, built.stderr
    refused(within("index", "build", "kept", "first", cwd=folder), "is an index already")
    refused(within("index", "add", "kept", "first", cwd=folder), "already")
    result = within("run", "second.yaml", "-o", "second", cwd=folder)
    assert result.returncode == 0, result.stderr
    summary = json.loads((folder / "second" / "summary.json").read_text())
    assert summary["reasons"] == {"minhash_dedup.near_duplicate": 2}
    # The copy has the same shingles as a document of the index: there is nothing to compare.
    assert summary["steps"][0]["found"]["verified"] == 1
    checked = within("clusters", "second", "--check", cwd=folder)
    assert checked.returncode == 0 and "0 merges checked, 2 against an index not checked" in checked.stdout
    shown = within("clusters", "second", cwd=folder)
    assert shown.stdout.count("index:crawl/first.jsonl@") == 2
    would = within("index", "add", "kept", "second", "--dry-run", cwd=folder)
    assert "kept holds 6 of 1 corpora, which stay; 1 documents of second come" in would.stdout
    added = within("index", "add", "kept", "second", cwd=folder)
    assert added.returncode == 0 and "7 documents of 2 corpora" in added.stdout, added.stderr
    # The index has changed: what depends on it is done again, and now everything is known, so that nothing is left.
    refused(
        within("run", "second.yaml", "-o", "second", cwd=folder), "would keep about 0% of its documents", "--replace"
    )
    again = within("run", "second.yaml", "-o", "second", "--replace", cwd=folder)
    assert again.returncode == 0, again.stderr
    summary = json.loads((folder / "second" / "summary.json").read_text())
    assert summary["documents"]["kept"] == 0
    show = within("index", "show", "kept", cwd=folder)
    assert "1 documents from" in show.stdout and "shingle 5" in show.stdout


def test_an_index_of_other_parameters_is_a_mistake_in_the_recipe(folder, tmp_path, within):
    index = folder / "other"
    assert within("index", "build", str(index), "first", cwd=folder).returncode == 0
    write(tmp_path, "third", ["some words that nobody wrote before in this order"], f"index: {index}, shingle: 4")
    refused(within("check", "third.yaml", cwd=tmp_path), "shingle: 5 in the index, 4 here")


def test_an_index_is_made_of_what_the_run_wrote_or_not_at_all(folder, tmp_path, within):
    """A folder without its manifests was "0 documents", a damaged stage another index."""
    run = tmp_path / "run"
    (stage,) = (folder / "first" / "stages" / "01-minhash_dedup").glob("*.jsonl.zst")
    damaged = bytearray(stage.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    index = str(tmp_path / "i")
    for left_out, content in (("manifests", None), ("manifests/stages/01-minhash_dedup", None), ("", bytes(damaged))):
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(folder / "first", run)
        if content is None:
            shutil.rmtree(run / left_out)
        else:
            (run / stage.relative_to(folder / "first")).write_bytes(content)
        said = "manifests" if content is None else stage.name
        refused(within("index", "build", index, str(run), cwd=tmp_path), said)
    shutil.rmtree(run)
    shutil.copytree(folder / "first", run)
    assert within("index", "build", index, str(run), cwd=tmp_path).returncode == 0


def test_a_damaged_layer_is_refused_before_the_run_begins(folder, tmp_path, within):
    index = tmp_path / "i"
    assert within("index", "build", str(index), "first", cwd=folder).returncode == 0
    layer = index / "00000.0000.classes"
    layer.write_bytes(layer.read_bytes()[:-1] + b"\1")
    write(tmp_path, "third", ["some words that nobody wrote before in this order"], f"index: {index}")
    for command in (("check", "third.yaml"), ("run", "third.yaml", "-o", "out"), ("index", "show", str(index))):
        refused(within(*command, cwd=tmp_path), "00000.0000.classes is damaged")
    assert not (tmp_path / "out" / "text").exists()


@pytest.mark.parametrize(("step", "of"), [("minhash_dedup", "minhash_steps"), ("decontaminate", "decontaminate_steps")])
def test_a_recipe_of_another_version_is_one_message(step, of, tmp_path, monkeypatch):
    monkeypatch.setattr(of_run, "steps_of_run", lambda out: [(step, {"not_yet": 1})])
    with pytest.raises(Refused, match=rf"does not fit this version of goldsand: {step}\.not_yet"):
        getattr(of_run, of)(tmp_path, *([None] if step == "decontaminate" else []))
