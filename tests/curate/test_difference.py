"""Two corpora side by side: each document that ended otherwise is named, with the change that turned it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from engine_steps import Perilous, Trim, corpus_run, write_corpus

from curate import Check, Document, Rule
from curate.audit.difference import Difference, Differing
from curate.dedup import ExactDedup
from curate.places.manifest import NotAsWritten
from curate.run.corpus import CorpusRun
from curate.run.output import Publication
from curate.run.serial import SerialEngine

STEPS = [Trim(), Perilous(), ExactDedup()]


@dataclass(frozen=True)
class TrimMore(Trim):
    """A later version, which leaves less."""

    version = 2

    def edit(self, document: Document) -> str | Check:
        return document.text.split(" of ")[0]


@dataclass(frozen=True)
class Odd(Rule):
    """Drops what a library of its own says; the documents of one file are all it knows."""

    name = "odd"
    libraries = ("ruff",)

    def checks(self, document: Document) -> Iterator[Check]:
        odd = self.libraries == ("orjson",) and " 7 " in document.text
        yield Check("odd", 1 if odd else 0, None, odd)


@dataclass(frozen=True)
class OddAgain(Odd):
    libraries = ("orjson",)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    corpus_run(write_corpus(tmp_path / "in"), tmp_path / "old", STEPS).execute()
    return tmp_path / "old"


def against(old: Path, steps: list, inputs: Path | None = None, **options) -> tuple[Difference, list[Differing]]:
    corpus_run(inputs or old.parent / "in", old.parent / "new", steps, **options).execute()
    difference = Difference(old, old.parent / "new")
    return difference, list(difference.differing())


def causes(difference: Difference) -> dict[str, dict[str, int]]:
    return {f"{cause.kind}: {cause.words}": dict(counts) for cause, counts in difference.causes()}


def test_two_runs_of_one_recipe_are_alike_whatever_is_put_in_front_of_texts(old):
    difference, differing = against(old, STEPS, publication=Publication(text_domain="prefix"))
    # 20 documents and a bad line of each of three files.
    assert (differing, difference.total, difference.same, difference.moved) == ([], 0, 63, 0)
    assert difference.apart.all() == []


def test_a_threshold_is_named_where_it_decided(old):
    difference, differing = against(old, [Trim(), Perilous(shortest=3), ExactDedup()])
    # "short" stands in each of three files; the second and third are duplicates of the first now.
    assert causes(difference) == {
        "threshold: perilous.shortest 10 -> 3": {"another rule": 2, "dropped -> kept": 1},
    }
    (kept,) = [one for one in differing if one.change == "dropped -> kept"]
    assert kept.key.startswith("crawl/part-0.jsonl@") and kept.url == "https://site2.example.org/5"
    assert kept.before["value"] == 5 and kept.before["threshold"] == 10 and kept.after["characters"] == 5
    assert json.loads(json.dumps(kept.row()))["cause"] == "perilous.shortest 10 -> 3"


def test_a_step_version_is_named_for_the_texts_that_it_shaped(old):
    difference, _ = against(old, [TrimMore(), Perilous(), ExactDedup()])
    # Shorter texts are other texts, and equal ones of two files: what drops those did not change.
    assert causes(difference) == {"version: trim: version 1 -> 2": {"another text": 17, "kept -> dropped": 17}}


def test_a_library_and_a_step_that_is_new_are_named(old, tmp_path):
    difference, _ = against(old, [Trim(), Perilous(), OddAgain(), ExactDedup()])
    assert causes(difference)["step: odd is new"] == {"kept -> dropped": 2, "another rule": 1}
    corpus_run(tmp_path / "in", tmp_path / "first", [Trim(), Perilous(), Odd(), ExactDedup()]).execute()
    again = Difference(tmp_path / "first", tmp_path / "new")
    again.go_through()
    ((cause, counts),) = again.causes()
    assert cause.kind == "library" and cause.words.startswith("odd: ") and counts.total() == 3


def test_an_input_file_that_changed_costs_its_own_documents_only(old, tmp_path):
    inputs = write_corpus(tmp_path / "other")
    lines = (inputs / "part-1.jsonl").read_text().splitlines(keepends=True)
    row = json.loads(lines[4]) | {"text": "quite another page"}
    (inputs / "part-1.jsonl").write_text("".join([lines[0], json.dumps({"text": "one more, in front"}) + "\n",
                                                  *lines[1:4], json.dumps(row) + "\n", *lines[5:]]))  # fmt: skip
    (inputs / "part-2.jsonl").unlink()
    (inputs / "part-3.jsonl").write_text('{"text": "a page of a new file"}\n')
    difference, differing = against(old, STEPS, inputs)
    assert causes(difference) == {
        "input: an input file is gone": {"gone": 21},
        "input: an input file is another": {"another text": 1, "new": 1},
        "input: an input file is new": {"new": 1},
    }
    # The others of the changed file stand behind one more line, and are the same.
    assert difference.moved == 19 and difference.same == 21 + 20
    assert {one.key.rpartition("@")[0] for one in differing if one.change == "another text"} == {"crawl/part-1.jsonl"}


def test_a_document_that_lost_its_twin_is_told_so(old, tmp_path):
    inputs = write_corpus(tmp_path / "other")
    (inputs / "part-0.jsonl").unlink()
    difference, _ = against(old, STEPS, inputs)
    assert causes(difference) == {
        "corpus: exact_dedup: it is compared with other documents": {"dropped -> kept": 17},
        "input: an input file is gone": {"gone": 21},
    }


def test_fewer_documents_are_the_limits_doing(old):
    difference, _ = against(old, STEPS, limit=20)
    assert causes(difference) == {"limit: limit none -> 20": {"gone": 43}}


def test_a_folder_that_is_not_as_its_run_wrote_it_is_refused(old):
    against(old, STEPS)
    ledger = old / "ledger" / "00000.parquet"
    ledger.write_bytes(ledger.read_bytes()[:-1] + b"x")
    with pytest.raises(NotAsWritten, match=r"00000\.parquet is not what its run wrote"):
        Difference(old, old.parent / "new").go_through()


def test_the_command_prints_a_table_and_writes_a_page_or_every_document(old, within):
    against(old, [Trim(), Perilous(shortest=3), ExactDedup()])
    shown = within("diff", "old", "new", "-o", "d.html", cwd=old.parent)
    assert shown.returncode == 0 and "perilous.shortest 10 -> 3" in shown.stdout
    assert "3 documents ended otherwise, 60 as before" in shown.stdout
    page = (old.parent / "d.html").read_text()
    assert "perilous.short 5 (threshold 10)" in page and page.count("https://site2.example.org/5") == 3
    within("diff", "old", "new", "-o", "d.jsonl", "--show", "0", cwd=old.parent)
    rows = [json.loads(line) for line in (old.parent / "d.jsonl").read_text().splitlines()]
    assert [row["kind"] for row in rows] == ["threshold"] * 3
    refused = within("diff", "old", "in", cwd=old.parent)
    assert refused.returncode == 2 and "in is not the folder of a finished run" in refused.stderr
    assert within("diff", "old", "new", "-o", "d.txt", cwd=old.parent).returncode == 2
