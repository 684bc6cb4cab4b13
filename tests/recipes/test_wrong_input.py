"""Wrong input to every command: one message that says what is wrong, exit code 2, and never a traceback."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from recipes.app.cli import app

RECIPE = """\
name: small
inputs: [{path: in/*.jsonl}]
steps: [{gopher_quality: {min_words: 3}}, exact_dedup]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, within) -> Path:
    """A folder with a finished run, a run without a summary, one whose files end early, and files that are no good."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "in").mkdir()
    rows = [{"text": f"This is the text of page {number} and it has words to be read."} for number in range(40)]
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "small.yaml").write_text(RECIPE)
    (folder / "empty.yaml").write_text("")
    (folder / "torn.yaml").write_text(RECIPE.replace("]\n", "\n"))
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00name")
    (folder / "no-rules.yaml").write_text(RECIPE.replace("{gopher_quality: {min_words: 3}}, ", ""))
    (folder / "binary").write_bytes(b"\xff\x00\x01" * 40)
    (folder / "nothing").mkdir()
    assert within("run", "small.yaml", "-o", "out", cwd=folder).returncode == 0
    assert within("profile", "small.yaml", "-o", "profile", cwd=folder).returncode == 0
    for name in ("unfinished", "torn"):
        shutil.copytree(folder / "out", folder / name)
    (folder / "unfinished" / "summary.json").unlink()
    for path in [path for path in sorted((folder / "torn").rglob("*")) if path.is_file()]:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "torn" / "goldsand.json").write_bytes((folder / "out" / "goldsand.json").read_bytes())
    shutil.copytree(folder / "profile", folder / "torn-profile")
    (folder / "torn-profile" / "profile.json").write_text("{")
    (folder / "results").mkdir()
    (folder / "results" / "results.json").write_text("[{")
    return folder


FOLDERS = ("gone", "nothing", "in/a.jsonl", "unfinished", "torn")
"""What is no folder of a finished run: not there, empty, a file, not finished, damaged."""
RECIPES = ("gone.yaml", "nothing", "empty.yaml", "torn.yaml", "binary.yaml", "smal")
MODEL = ("train-classifier", "-o", "model.bin", "--positive")
COMPARE = ("compare", "-o", "compared")
PEOPLE = ("synth", "people", "--count", "3", "--exposures", "1", "-o")
WRONG: list[tuple[str, ...]] = [
    *(("run", one, "-o", "new") for one in RECIPES),
    ("run", "small.yaml", "-o", "in/a.jsonl/new"),
    ("run", "small.yaml", "-o", "in"),
    ("run", "small.yaml", "-o", "new", "--set", "max_loss=much"),
    ("run", "small.yaml", "-o", "new", "--set", "nothing"),
    ("run", "small.yaml", "-o", "new", "--input", "gone.jsonl"),
    ("run", "small.yaml", "-o", "new", "--input", "s4://bucket/a"),
    ("run", "small.yaml", "-o", "s4://bucket/new"),
    ("run", "small.yaml", "-o", "new", "--workers", "0"),
    ("run", "small.yaml", "-o", "new", "--limit", "many"),
    ("run", "small.yaml"),
    *(("plan", one) for one in RECIPES),
    ("plan", "small.yaml", "--input", "gone.jsonl"),
    ("plan", "small.yaml", "--sample", "-1"),
    *(("check", one) for one in RECIPES),
    ("check", "small.yaml", "--set", "gopher_quality.min_words=few"),
    ("check", "quickstart", "--set", "decontaminate.questions=gone.jsonl"),
    ("steps", "gone"),
    ("status", "gone"),
    ("status", "nothing"),
    ("status", "torn"),
    *(("retry", one) for one in FOLDERS),
    *(("card", one, "-o", "new") for one in FOLDERS),
    ("card", "out", "--form", "paper", "-o", "new"),
    *(("publish", one, "--to", "new") for one in FOLDERS),
    ("publish", "out", "--to", "in"),
    ("publish", "out", "--to", "hf://corpus"),
    *(("export", one, "--form", "mds", "-o", "new") for one in FOLDERS),
    ("export", "out", "--form", "megatron", "-o", "new"),
    ("export", "out", "--form", "mds", "-o", "in"),
    ("export", "out", "--form", "mds", "-o", "new", "--tokens", "gone"),
    ("publish", "out", "--to", "s3://bucket/corpus"),
    *(("forget", one, "site1.example") for one in FOLDERS),
    ("forget", "out", "https:///nowhere"),
    ("forget", "out", "binary"),
    ("laws", "--seed-from", "-1"),
    ("laws", "-o", "in/a.jsonl"),
    *(("release", "make", one, "-o", "new") for one in FOLDERS),
    *(("release", "show", one, "--step", "1") for one in FOLDERS),
    ("release", "--check", "nothing"),
    ("synth", "table", "gone.csv", "--exposures", "2", "-o", "new"),
    ("synth", "table", "binary", "--exposures", "2", "-o", "new"),
    ("fit", "gone.csv"),
    ("fit", "binary"),
    ("fit", "nothing"),
    *(("slurm", one, "-o", "new", "--tasks", "2") for one in RECIPES),
    ("slurm", "small.yaml", "-o", "new", "--tasks", "0"),
    ("train-extractor", "--gold", "gone", "-o", "new"),
    ("train-extractor", "--gold", "nothing", "-o", "new"),
    ("stages", "in/a.jsonl"),
    ("stages", "gone", "--unused"),
    ("stages", "--keep-bytes", "much"),
    *(("verify", one) for one in FOLDERS),
    *(("why", one, "crawl/a.jsonl@0") for one in FOLDERS),
    ("why", "out", "gone"),
    *(("diff", "out", one) for one in FOLDERS),
    *(("diff", one, "out") for one in FOLDERS),
    ("diff", "out", "out", "-o", "out/table.txt"),
    *(("contamination", one) for one in FOLDERS),
    ("contamination", "out"),
    *(("report", one) for one in FOLDERS),
    ("report", "out", "--probe", "gone"),
    ("report", "out", "--probe", "results"),
    ("report", "out", "-o", "nothing"),
    ("report", "out", "-o", "small.yaml"),
    ("diff", "out", "out", "-o", "in/a.jsonl"),
    ("decide", "profile", "--set", "gopher_quality.min_words=5", "-o", "in/a.jsonl"),
    ("slurm", "small.yaml", "-o", "new", "--tasks", "2", "--time", "1:00:00", "--script", "small.yaml"),
    ("train-classifier", "-o", "small.yaml", "--positive", "in/a.jsonl", "--negative", "in/a.jsonl"),
    ("train-extractor", "-o", "small.yaml", "--gold", "in"),
    *(("clusters", one) for one in FOLDERS),
    ("clusters", "out", "--document", "gone"),
    ("clusters", "gone", "--check"),
    *(("index", "build", "index", one) for one in FOLDERS),
    ("index", "build", "index", "out"),
    ("index", "add", "gone", "out"),
    ("index", "add", "nothing", "out"),
    ("index", "show", "gone"),
    ("index", "show", "in/a.jsonl"),
    *(("profile", one, "-o", "new") for one in RECIPES),
    ("profile", "no-rules.yaml", "-o", "new"),
    ("profile", "small.yaml", "-o", "out"),
    *(("decide", one) for one in (*FOLDERS, "torn-profile")),
    ("decide", "profile", "--set", "gopher_quality.gone=1"),
    ("decide", "profile", "--set", "gopher_quality.min_words=few"),
    ("decide", "profile", "--set", "gopher_quality.min_words=5", "-o", "nothing"),
    *(("probe", one, "-o", "new") for one in RECIPES),
    ("probe", "small.yaml", "-o", "new"),
    ("probe", "junk-and-tags", "-o", "new"),
    *(("probe", "junk-and-tags", "-o", "new", "--corpus", one) for one in FOLDERS),
    ("probe", "junk-and-tags", "-o", "new", "--compile", "perhaps"),
    *((*COMPARE, f"one={one}", "two=out") for one in FOLDERS),
    (*COMPARE, "one=out"),
    (*COMPARE, "one=out", "one=profile"),
    (*COMPARE, "one=out", "two=out", "--rates", "fast"),
    (*COMPARE, "one=out", "two=out", "--exposures", "0"),
    (*COMPARE, "one=out", "two=out", "--mix-back", "2"),
    (*COMPARE, "one=out", "two=out", "--tokenizer", "binary"),
    (*COMPARE, "one=out", "two=out", "--own-facts", "gone.csv"),
    (*COMPARE, "one=out", "two=out", "--own-facts", "binary"),
    (*MODEL, "gone.jsonl", "--negative", "in/a.jsonl"),
    (*MODEL, "in/a.jsonl", "--negative", "nothing"),
    (*MODEL, "in/a.jsonl", "--negative", "binary"),
    (*MODEL, "in/a.jsonl", "--negative", "in/a.jsonl"),
    (*MODEL, "in/a.jsonl", "--negative", "in/a.jsonl", "--letters", "9-1"),
    (*MODEL, "in/a.jsonl", "--negative", "in/a.jsonl", "--held-out", "0"),
    (*PEOPLE, "in"),
    (*PEOPLE, "in/a.jsonl/new"),
    (*PEOPLE, "new", "--pools", "gone"),
    (*PEOPLE, "new", "--pools", "nothing"),
    (*PEOPLE, "new", "--tokenizer", "gone.json"),
    (*PEOPLE, "new", "--tokenizer", "binary"),
    *(("synth", "rewrite", one, "--model", "gone", "-o", "new") for one in FOLDERS),
    *(("synth", "describe", one) for one in RECIPES),
    ("synth", "describe", "small.yaml"),
]


def is_refused(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr and "fault of goldsand" not in result.stderr
    assert re.search(r"goldsand:|Usage:", result.stderr), result.stderr


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_input_is_one_message_and_exit_code_2(made, within, arguments):
    is_refused(within(*arguments, cwd=made))


def test_every_command_meets_wrong_input():
    root = typer.main.get_command(app)
    commands = set()
    for name, command in root.commands.items():
        below = getattr(command, "commands", None)
        commands |= {(name, one) for one in below} if below else {(name,)}
    assert {one for one in commands if not any(wrong[: len(one)] == one for wrong in WRONG)} == set()
