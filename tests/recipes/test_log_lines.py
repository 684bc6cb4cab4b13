"""`goldsand run --log json`: each line on stderr is an event; units begin and end, are reused, lost and tried again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from curate.run.engine import Progress, UnitEvent
from curate.run.status import StatusFile
from recipes.app.terminal.shards import print_in_hand

ROOT = Path(__file__).resolve().parents[2]

STEP = '''
import os
from dataclasses import dataclass

from curate import Check, Document, Rule


@dataclass(frozen=True)
class Fatal(Rule):
    """Ends its process."""

    name = "fatal"
    version = 1

    def checks(self, document):
        if "fatal" in document.text:
            os._exit(7)
        return ()
'''


def run(folder: Path, *words: str) -> tuple[int, list[dict]]:
    command = [sys.executable, "-m", "recipes.app.start", "run", *words, "--log", "json"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return done.returncode, [json.loads(line) for line in done.stderr.splitlines()]


def recipe(folder: Path) -> Path:
    rows = [{"id": str(number), "text": f"a line of text, number {number}\n" * 20} for number in range(40)]
    for part in range(3):
        lines = "".join(json.dumps(row) + "\n" for row in rows[part::3])
        (folder / f"{part}.jsonl").write_text(lines)
    path = folder / "rows.yaml"
    path.write_text("name: rows\ninputs: [{path: '*.jsonl'}]\nsteps: [exact_dedup]\n")
    return path


def test_units_begin_end_and_are_found_done_the_second_time(tmp_path: Path) -> None:
    recipe(tmp_path)
    code, events = run(tmp_path, "rows.yaml", "-o", "out", "--workers", "2")
    assert code == 0
    assert all(set(event) >= {"time", "event"} for event in events)
    began = {(one["unit"], one["attempt"]) for one in events if one["event"] == "unit began"}
    ended = [one for one in events if one["event"] == "unit ended"]
    assert {(one["unit"], one["attempt"]) for one in ended} == began and len(ended) == len(began)
    manifests = {path for path in (tmp_path / "out/manifests").rglob("*") if path.is_file()}
    assert len(ended) == len(manifests)
    assert all(one["seconds"] >= 0 for one in ended)
    stages = [one for one in events if one["event"] == "stage ended"]
    assert [one["stage"] for one in stages] == [one["stage"] for one in events if one["event"] == "stage began"]
    assert all(one["done"] == one["units"] for one in stages)
    read = next(one for one in stages if one["stage"] == "exact_dedup: text")
    assert read["documents"] == 40

    _, again = run(tmp_path, "rows.yaml", "-o", "out")
    assert {one["unit"] for one in again if one["event"] == "unit reused"} == {one["unit"] for one in ended}
    assert not [one for one in again if one["event"] == "unit ended"]


def test_what_a_person_would_be_told_is_an_event_too(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\nsteps: [nothing_of_this_name]\n")
    code, events = run(tmp_path, "bad.yaml", "-o", "out")
    assert code == 2
    assert {event["event"] for event in events} == {"message"}
    assert any("nothing_of_this_name" in event["text"] for event in events)


def test_a_unit_whose_worker_was_lost_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "fatal.py").write_text(STEP)
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "one line"}\n{"id": "b", "text": "a fatal line"}\n')
    (tmp_path / "rows.yaml").write_text("name: rows\ninputs: [{path: rows.jsonl}]\nsteps: [fatal.py:Fatal]\n")
    code, events = run(tmp_path, "rows.yaml", "-o", "out", "--workers", "1")
    assert code in (0, 3)
    lost = [one for one in events if one["event"] == "unit lost"]
    assert [one["attempt"] for one in lost] == [1, 2]
    assert all("exit 7" in one["why"] and one["in_hand"] for one in lost)
    last = [one for one in events if one["event"] == "unit ended" and one["unit"] == lost[0]["unit"]]
    assert [one["attempt"] for one in last] == [3]


def test_a_status_names_what_has_been_in_hand_for_longest_and_why_again(tmp_path: Path) -> None:
    status, progress = StatusFile(tmp_path, ["extract"]), Progress("extract", 3)
    for event in (
        UnitEvent("began", "a", 100.0),
        UnitEvent("began", "b", 101.0),
        UnitEvent("lost", "a", 130.0, 1, why="took longer than 30 s", in_hand="a#0"),
        UnitEvent("began", "a", 131.0, 2),
        UnitEvent("began", "c", 132.0),
        UnitEvent("ended", "c", 133.0, 1, 1.0),
    ):
        progress.events = [event]
        status(progress)
    status.write("running", "extract")
    written = json.loads((tmp_path / "status.json").read_text())
    assert [(one["unit"], one["attempt"], one["why"]) for one in written["in_hand"]] == [
        ("b", 1, ""), ("a", 2, "took longer than 30 s"),
    ]  # fmt: skip
    screen = Console(record=True, width=200)
    print_in_hand(screen, written | {"alive": True, "written": 191.0})
    said = screen.export_text()
    assert "in hand: b for 2 min" in said and "a for 60 s, attempt 2 (the one before: took longer than 30 s)" in said
    status.write("stopped")
    assert json.loads((tmp_path / "status.json").read_text())["in_hand"] == []
