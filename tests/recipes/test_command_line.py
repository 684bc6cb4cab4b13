"""The command line as a person meets it: built-in recipes, wrong input, exit codes, interruption."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MALFORMED = ROOT.parent / "shared" / "data" / "crawl" / "malformed"
GOLDSAND = [sys.executable, "-m", "recipes.app.start"]
RECIPE = """\
name: small
inputs: [{path: in/*.jsonl}]
steps: [{gopher_quality: {min_words: 3}}, exact_dedup]
"""


def goldsand(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(
        [*GOLDSAND, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(RECIPE)
    (tmp_path / "in").mkdir()
    rows = [{"text": f"This is the text of page {number} and it has some words to be read."} for number in range(120)]
    (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_a_run_ends_with_what_to_open_and_its_accounts(folder):
    result = goldsand("run", "small.yaml", "-o", "out", cwd=folder)
    assert result.returncode == 0, result.stderr
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert summary["documents"]["input"] == 120
    assert "documents: 120 in =" in result.stdout and "open out/report.html" in result.stdout
    assert (folder / "out" / "report.html").is_file()


def planned(result: subprocess.CompletedProcess[str]) -> dict[str, tuple[int, int]]:
    """Label -> units, and those that are done."""
    assert result.returncode == 0, result.stderr
    found = {}
    for line in result.stdout.splitlines():
        row = re.match(r"(\S.*?) {2,}(\d+) +(\d+)\b", line)
        if row:
            found[row[1]] = (int(row[2]), int(row[3]))
    return found


def test_a_plan_says_what_would_be_done_and_writes_nothing(folder, within):
    result = within("plan", "small.yaml", "-o", "out", cwd=folder)
    assert planned(result) == {
        "inputs": (1, 0),
        "gopher_quality": (1, 0),
        "exact_dedup: text": (9, 0),
        "exact_dedup": (1, 0),
        "text shards": (1, 0),
        "ledger": (1, 0),
    }
    for words in ("120 in the input", "time left: about", "MB a worker", "disk: about"):
        assert words in result.stdout
    assert not (folder / "out").exists()


def test_a_plan_knows_what_is_done_and_what_a_change_or_a_comment_would_cost(folder, within):
    assert within("run", "small.yaml", "-o", "out", cwd=folder).returncode == 0
    recipe = folder / "small.yaml"
    recipe.write_text("# a comment changes nothing\n" + RECIPE)
    command = ("plan", "small.yaml", "-o", "out", "--sample", "0")
    assert all(units == done for units, done in planned(within(*command, cwd=folder)).values())
    changed = planned(within(*command, "--set", "exact_dedup.normalise=whitespace-and-case", cwd=folder))
    assert {label for label, (units, done) in changed.items() if done == units} == {"inputs", "gopher_quality"}
    assert within("run", "small.yaml", "-o", "out", cwd=folder).stdout.count("14 units were already done") == 1


def test_a_status_tells_a_running_a_finished_and_a_dead_run_apart(folder, within):
    refused(within("status", "out", cwd=folder), "no run was begun in out")
    (folder / "slow.yaml").write_text(RECIPE.replace("in/*", "in/big/*"))
    (folder / "in" / "big").mkdir()
    rows = "".join(
        json.dumps({"text": f"page {number} of the river and the hill " * 200}) + "\n" for number in range(500)
    )
    (folder / "in" / "big" / "0.jsonl").write_text(rows)
    for number in range(1, 12):
        os.link(folder / "in" / "big" / "0.jsonl", folder / "in" / "big" / f"{number}.jsonl")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*GOLDSAND, "run", "slow.yaml", "-o", "out", "--workers", "1"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 600
    while not _counts(folder / "out" / "status.json", "gopher_quality"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    # The run waits while it is looked at: on a fast machine it would end before its status is read.
    os.killpg(process.pid, signal.SIGSTOP)
    running = within("status", "out", cwd=folder).stdout
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert re.search(r"gopher_quality +\d+ +12 +[\d,]+ +[\d,]+ +[\d,]+ +(about|working)", running), running
    assert f"running (process {process.pid} on" in running and "waiting" in running
    dead = within("status", "out", cwd=folder).stdout
    assert "out: died" in dead and "the same command goes on" in dead
    assert within("run", "slow.yaml", "-o", "out", cwd=folder).returncode == 0
    assert "out: finished" in within("status", "out", cwd=folder).stdout


def _counts(status: Path, label: str) -> int:
    """The documents of a stage that a run has told so far."""
    progress = json.loads(status.read_text())["progress"] if status.is_file() else {}
    return progress.get(label, {}).get("documents", 0)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["run", "nothing.yaml", "-o", "out"], ["no such file"]),
        (["run", "small.yaml", "-o", "out", "--input", "absent.jsonl"], ["there is no file or folder", "absent.jsonl"]),
        (["run", "small.yaml", "-o", "out", "--input", "in/*.warc.gz"], ["no file matches"]),
        (["run", "small.yaml", "-o", "out", "--set", "gopher_quality.min_wrods=1"], ["did you mean 'min_words'"]),
        (["run", "small.yaml", "-o", "in/a.jsonl/out"], ["in/a.jsonl/out"]),
        (["run", "junk-and-tags", "-o", "out"], ["has no steps"]),
        (["probe", "small.yaml", "-o", "out"], ["has no `probe:` part"]),
        (["probe", "junk-and-tags", "-o", "out", "--corpus", "in"], ["holds no facts to score"]),
        (["probe", "junk-and-tags", "-o", "out", "--corpus", "nowhere"], ["there is no folder", "nowhere"]),
        (["check", "in"], ["is a folder"]),
        (["check", "quickstart", "--set", "language.keep=en"], ["write [en]"]),
        (["check", "quickstart", "--set", "inject.people=0"], ["1 mistake", "greater than or equal to 1"]),
        (["steps", "gopher"], ["did you mean 'gopher_"]),
        (["report", "in"], ["summary.json"]),
    ],
)
def test_what_a_person_can_put_right_is_one_message_and_exit_code_2(folder, arguments, words, within):
    refused(within(*arguments, cwd=folder), *words)
    assert not (folder / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said(folder):
    folder.chmod(0o500)
    refused(goldsand("run", "small.yaml", "-o", "out", cwd=folder), "cannot write")


def test_pages_without_extract_are_refused_with_the_remedy(folder, within):
    (folder / "in" / "page.html").write_text("<html><body><p>a page</p></body></html>")
    refused(within("run", "small.yaml", "-o", "out", "--input", "in/page.html", cwd=folder), "needs `extract`")


def test_a_folder_with_other_files_is_left_alone(folder, within):
    (folder / "mine" / "text").mkdir(parents=True)
    (folder / "mine" / "text" / "thesis.txt").write_text("years of work")
    refused(within("run", "small.yaml", "-o", "mine", cwd=folder), "holds files that no run wrote")
    assert (folder / "mine" / "text" / "thesis.txt").read_text() == "years of work"


def test_losses_are_a_warning_then_exit_code_3(folder, within):
    with (folder / "in" / "a.jsonl").open("a") as stream:
        stream.write('{"text": "cut of\n')
    warned = within("run", "small.yaml", "-o", "out", cwd=folder)
    assert warned.returncode == 0 and "1 of 121 records could not be read" in warned.stderr
    assert within("run", "small.yaml", "-o", "out", "--strict", cwd=folder).returncode == 3
    assert within("run", "small.yaml", "-o", "out", "--set", "max_loss=0.001", cwd=folder).returncode == 3


@pytest.mark.skipif(not MALFORMED.is_dir(), reason="the malformed files of ../shared are not there")
def test_every_malformed_file_is_survived_and_named(folder, within):
    recipe = RECIPE.replace("steps: [", "steps: [extract, ")
    (folder / "small.yaml").write_text(recipe)
    result = within("run", "small.yaml", "-o", "out", "--input", str(MALFORMED), "--set", "max_loss=1", cwd=folder)
    assert result.returncode == 0, result.stderr
    summary = json.loads((folder / "out" / "summary.json").read_text())
    named = {item["key"].split("@")[0] for item in summary["unreadable"]}
    assert named and all(any(name.endswith(path.name) for path in MALFORMED.iterdir()) for name in named)
    assert summary["records"]["unreadable"] == len(summary["unreadable"]) == summary["documents"]["unreadable"]


def test_ctrl_c_leaves_a_folder_that_the_same_command_finishes(folder, within):
    rows = [
        {"text": " ".join(f"word{number * place % 997} the of and" for place in range(400))} for number in range(300)
    ]
    for name in "bcd":
        (folder / "in" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*GOLDSAND, "run", "small.yaml", "-o", "out", "--workers", "1"]
    # A suite that runs in the background hands down that SIGINT is ignored.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **heard)
    deadline = time.monotonic() + 600
    while not list((folder / "out" / "manifests" / "stages" / "00-gopher_quality").glob("*.json")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130 and "the same command goes on from here" in said and "Traceback" not in said
    assert not list((folder / "out").rglob("*.writing"))
    assert within("run", "small.yaml", "-o", "out", "--workers", "2", cwd=folder).returncode == 0
    assert json.loads((folder / "out" / "summary.json").read_text())["units"]["found_done"] >= 1


def test_steps_lists_parameters_with_defaults_and_sources(tmp_path, within):
    every = within("steps", cwd=tmp_path).stdout
    for name in ("extract", "language", "gopher_quality", "minhash_dedup", "decontaminate", "inject"):
        assert f"{name} " in every
    one = within("steps", "gopher_quality", cwd=tmp_path).stdout
    assert "min_words = 50" in one and "Gopher, section A.1.1" in one


def test_a_page_cannot_speak_to_the_terminal(folder, within):
    """An address may hold escape sequences: they would rename the window, or hide what is said."""
    row = {"text": "These are words to be read by all.", "url": "https://a.org/\x1b]0;renamed\x07\x1b[31m[red]"}
    (folder / "in" / "a.jsonl").write_text(json.dumps(row) + "\n")
    assert within("run", "small.yaml", "-o", "out", cwd=folder).returncode == 0
    told = within("why", "out", "crawl/a.jsonl@0", cwd=folder).stdout
    assert "\x1b" not in told and "\x07" not in told
    assert r"https://a.org/\x1b]0;renamed\x07\x1b[31m[red]" in told


def test_a_reader_who_leaves_changes_nothing_and_a_full_output_is_said(folder):
    run = [*GOLDSAND, "run", "small.yaml", "-o", "out"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(run, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 0 and (folder / "out" / "summary.json").is_file()
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            result = subprocess.run(run, cwd=folder, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
        assert result.returncode == 2 and "cannot be written: No space left" in result.stderr
        assert "Traceback" not in result.stderr


def test_ctrl_c_while_the_command_is_still_being_imported_is_one_line(folder):
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'rich':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from recipes.app.start import main\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 130
    assert result.stderr == "goldsand: interrupted; the same command goes on from here\n"
