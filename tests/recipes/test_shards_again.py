"""The commands that read a finished run: its files are what the run wrote, or one line names the one that is not."""

import json
import shutil

import pytest


@pytest.fixture(scope="module")
def finished(tmp_path_factory, within):
    folder = tmp_path_factory.mktemp("finished")
    with (folder / "pages.jsonl").open("w") as stream:
        for number in range(30):
            text = f"page {number} tells of the river, the hill and house number {number * 7}"
            stream.write(json.dumps({"text": text, "url": f"https://site{number}.org/"}) + "\n")
    (folder / "pages.yaml").write_text(
        "name: pages\ninputs: [{name: pages, path: pages.jsonl}]\nsteps: [exact_dedup, minhash_dedup]\n"
    )
    done = within("run", "pages.yaml", "-o", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "again.yaml").write_text(
        "name: again\ninputs: [{name: text, path: out/text, format: shards}]\nsteps: [exact_dedup]\n"
    )
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path.name


@pytest.mark.parametrize(
    ("harmed", "command"),
    [
        ("text/*", ("run", "again.yaml", "-o", "new")),
        ("text/*", ("compare", "out", "-o", "new")),
        ("ledger/*", ("report", "out")),
        ("ledger/*", ("clusters", "out")),
        ("stages/02*/*.jsonl.zst", ("index", "build", "index", "out")),
    ],
)
def test_a_changed_file_ends_the_command_with_its_name(folder, within, harmed, command):
    name = flipped(next((folder / "out").glob(harmed)))
    done = within(*command, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and f"{name} is not what its run wrote" in done.stderr
    assert not (folder / "index" / "index.json").exists()


def test_shards_alone_are_read_after_one_warning(folder, within):
    shutil.rmtree(folder / "out" / "manifests")
    done = within("run", "again.yaml", "-o", "new", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: input 'text': nobody can check 1 shards") == 1
    assert json.loads((folder / "new" / "summary.json").read_text())["documents"]["kept"] == 30
