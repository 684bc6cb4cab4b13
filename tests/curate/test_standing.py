"""A finished corpus is not lost by a slip: another recipe is refused, a change keeps the old one whole until it is
done, and files that no run wrote stay."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from engine_steps import Perilous, Trim, corpus_run, tree, write_corpus

from curate.audit.verify import verify
from curate.dedup import ExactDedup
from curate.places.manifest import NotAsWritten, manifests_below, written
from curate.places.store import place_of
from curate.run.corpus import CorpusRun
from curate.run.engine import RunError
from curate.run.output import Publication, Rendering, VocabularyChoice
from curate.run.serial import SerialEngine
from curate.run.status import read_status
from curate.sources import Input, find_inputs

STEPS = [Trim(), Perilous(), ExactDedup()]
LOOSER = [Trim(), Perilous(shortest=3), ExactDedup()]


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decided here does not depend on the engine."""
    monkeypatch.setattr(CorpusRun, "engine", lambda self, on_progress=None: SerialEngine(on_progress))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    corpus_run(write_corpus(tmp_path / "in"), tmp_path / "out", STEPS).execute()
    return tmp_path / "out"


def changed(out: Path, steps: list = LOOSER, **options) -> CorpusRun:
    return corpus_run(out.parent / "in", out, steps, **options)


def named(out: Path, name: str) -> CorpusRun:
    return CorpusRun(name, STEPS, find_inputs([Input("crawl", str(out.parent / "in"))]), out)


def reading(out: Path, source: str, path: Path, steps: list = STEPS) -> CorpusRun:
    return CorpusRun("test", steps, find_inputs([Input(source, str(path))]), out)


def files(out: Path) -> dict[str, bytes]:
    """All of a folder but its lock."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.name != ".lock" and path.is_file()
    }


def test_another_recipe_or_other_inputs_are_refused_and_nothing_is_touched(out, tmp_path):
    before = files(out)
    write_corpus(tmp_path / "other")
    profile = changed(out, [ExactDedup(), type("Profile", (Trim,), {"name": "profile"})()])
    for run, words in (
        (named(out, "raw"), "named 'raw'"),
        (reading(out, "another", tmp_path / "in"), "reads the input 'another', not the input 'crawl'"),
        (reading(out, "crawl", tmp_path / "other"), r"reads 'crawl' from \S+/other, not from \S+/in"),
        (changed(out, STEPS, limit=3), "keep about 9% of its documents"),
        (changed(out, [Trim(), Perilous(shortest=30), ExactDedup()]), "about 0% of its documents, rehearsed on 34"),
        (profile, "this is a profile"),
    ):
        with pytest.raises(RunError, match=rf"holds the corpus 'test' \(\d+ documents, finished 2.*{words}: --replace"):
            run.execute()
    # Two of three files are gone: the documents of those are counted, nothing is rehearsed.
    for number in (0, 1):
        (tmp_path / "in" / f"part-{number}.jsonl").rename(tmp_path / f"{number}")
    with pytest.raises(RunError, match="this run would keep about 0% of its documents:"):
        changed(out, STEPS).execute()
    assert files(out) == before


def test_what_is_asked_for_is_replaced(out, tmp_path):
    (out / "text" / "README.md").write_text("our corpus")
    run = named(out, "raw")
    run.replace = True
    assert run.execute()["recipe"] == "raw"
    (fresh := named(tmp_path / "fresh", "raw")).execute()
    assert {k: v for k, v in tree(out).items() if k != "text/README.md"} == tree(fresh.out)


def test_the_same_recipe_changed_goes_on_after_it_has_said_what_changes(out, tmp_path):
    write_corpus(tmp_path / "more", files=4)
    shutil.copy2(tmp_path / "more" / "part-3.jsonl", tmp_path / "in" / "part-3.jsonl")
    said = []
    run = changed(out)
    run.on_change = lambda change: said.extend(change.lines())
    assert run.execute()["documents"]["kept"] > 30
    assert len(said) == 3
    assert "test' (34 documents, finished 2" in said[0] and f"stays whole in {out / 'previous'}" in said[0]
    assert (
        said[1] == "made again: stages 00-trim, 01-exact_dedup (perilous is new or changed), what is published of them"
    )
    assert said[2] == "about 100% of its documents are kept (rehearsed on 34)"
    assert list(verify(out)) == [] and not (out / "previous").exists()


def test_outputs_that_go_are_named(out):
    sets = [Rendering("bare"), Rendering("tagged", domain="special")]
    vocabulary = VocabularyChoice("bpe", 300)
    changed(out, STEPS, publication=Publication(vocabulary=vocabulary, renderings=sets)).execute()
    fewer = changed(out, [Trim(), Perilous()], publication=Publication(vocabulary=vocabulary, renderings=sets[:1]))
    change = fewer.change()
    assert change is not None and change.gone == ["stage 01-exact_dedup", "tokens/tagged"]
    fewer.execute()
    assert sorted(path.name for path in (out / "tokens").iterdir()) == ["bare", "tokenizer.json"]


def test_moved_inputs_and_a_run_of_the_same_again_change_nothing(out, tmp_path):
    assert changed(out, STEPS).change() is None
    (tmp_path / "in").rename(tmp_path / "moved")
    assert reading(out, "crawl", tmp_path / "moved").execute()["units"]["done"] == 0


def test_files_that_no_run_wrote_stay(out, tmp_path):
    """A card among the shards, notes elsewhere, a shard of somebody's own: through a change and through --replace."""
    own = ["text/README.md", "notes.md", "stages/00-trim/notes.txt", "manifests/README.md", "manifests/text/x.md",
           "ledger/plots/one.png", "text/extra.jsonl.zst", "tokens/README.md", "previous/mine.txt"]  # fmt: skip
    for name in own:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    with pytest.raises(RunError, match=r"previous holds files that no run wrote, and is where .* move it"):
        changed(out).execute()
    (out / "previous" / "mine.txt").rename(out / "mine.txt")
    (out / "previous").rmdir()
    changed(out).execute()
    again = changed(out, [Trim()], replace=True)
    again.name = "another"
    again.execute()
    assert [name for name in own[:-1] if (out / name).read_text() != "mine"] == []
    # Only what would be read as a shard of the corpus is a fault.
    assert list(verify(out)) == ["text/extra.jsonl.zst was not written by any unit of this run"]
    (out / "text" / "extra.jsonl.zst").unlink()
    assert list(verify(out)) == [] and written(out, "text")


def test_a_token_shard_that_no_run_wrote_is_not_taken_into_the_set(out):
    def run(size: int) -> None:
        published = Publication(vocabulary=VocabularyChoice("bpe", size), renderings=[Rendering("bare")])
        changed(out, STEPS, publication=published).execute()

    run(300)
    (out / "tokens" / "bare" / "00007.ds").write_bytes(b"mine")
    with pytest.raises(RunError, match=r"00007\.ds was written by no unit of this run: move it out of"):
        run(310)
    assert (out / "tokens" / "bare" / "00007.ds").read_bytes() == b"mine"


KILLED = """
import sys
from pathlib import Path
import curate.places.failpoint as failpoint, curate.run.unit as unit
import test_standing as t
from curate.run.corpus import CorpusRun
from curate.run.serial import SerialEngine
CorpusRun.engine = lambda self, on_progress=None: SerialEngine(on_progress)
CorpusRun._rehearse = lambda self, *_: ({"one"}, {"one"})
left = [int(sys.argv[2])]
def reached(point):
    if point == sys.argv[3]:
        left[0] -= 1
        if left[0] == 0:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
unit.reached = reached
t.changed(Path(sys.argv[1])).execute()
"""


def kill(out: Path, unit: int, point: str) -> None:
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", KILLED, str(out), str(unit), point]
    assert subprocess.run(command, env=environment).returncode == -signal.SIGKILL


@pytest.mark.parametrize("unit, point", [(1, "before the rename"), (5, "between data and manifest"),
                                         (14, "after the temporary write")])  # fmt: skip
def test_a_change_killed_in_the_middle_leaves_the_old_corpus_whole_and_goes_on_either_way(out, tmp_path, unit, point):
    before = tree(out)
    kill(out, unit, point)
    aside = f"the corpus that it was to replace is whole in {out / 'previous'}"
    for read in (lambda: list(verify(out)), lambda: written(out, "text")):
        with pytest.raises((RunError, NotAsWritten), match=aside):
            read()
    assert aside in read_status(out)["aside"]
    assert list(verify(out / "previous")) == []
    assert tree(out / "previous") == before and written(out / "previous", "text")
    shutil.copytree(out, tmp_path / "copy")
    # A third recipe does not get past what stands aside.
    with pytest.raises(RunError, match="named 'raw'"):
        named(out, "raw").execute()
    changed(out).execute()
    changed(tmp_path / "fresh").execute()
    assert tree(out) == tree(tmp_path / "fresh") and not (out / "previous").exists()
    # The recipe of before, instead: its corpus comes back, and no unit runs.
    back = changed(tmp_path / "copy", STEPS)
    change = back.change()
    assert change is not None and "it comes back from" in change.lines()[0]
    assert back.execute()["units"]["done"] == 0
    assert tree(tmp_path / "copy") == before and list(verify(tmp_path / "copy")) == []


def test_data_whose_manifest_never_came_are_still_known_as_a_runs(out, tmp_path):
    """Killed between data and manifest, and then the unit is no more: what it left is not a stranger's."""
    shutil.copy2(tmp_path / "in" / "part-0.jsonl", tmp_path / "in" / "part-9.jsonl")
    kill(out, 4, "between data and manifest")
    assert list((out / "manifests").rglob("*.json.writing"))
    (tmp_path / "in" / "part-9.jsonl").unlink()
    changed(out).execute()
    changed(tmp_path / "fresh").execute()
    assert tree(out) == tree(tmp_path / "fresh")
    assert {path.suffix for path in manifests_below(out)} == {".json"}


def test_what_a_unit_wrote_before_and_no_longer_writes_goes(out):
    """A unit's second form may have fewer outputs."""
    from curate.run.unit import Outputs

    for names in (("a", "b"), ("b",)):
        outputs = Outputs(out, "text/00000")
        for name in names:
            with outputs.open(out / "text" / name) as stream:
                stream.write(b"x")
        outputs.commit("")
    assert sorted(path.name for path in (out / "text").iterdir() if len(path.name) == 1) == ["b"]


def test_in_a_store_what_was_published_is_copied_aside(tmp_path):
    write_corpus(tmp_path / "in")
    out = place_of("memory://standing")
    for steps in (STEPS, LOOSER):
        run = changed(tmp_path / "x", steps)
        run.out = out
        if steps is LOOSER:
            text = (out / "text" / "00000.jsonl.zst").read_bytes()
            run.on_progress = stop_at("text shards")
            with pytest.raises(KeyboardInterrupt):
                run.execute()
            assert (out / "previous" / "text" / "00000.jsonl.zst").read_bytes() == text
            assert json.loads((out / "previous" / "summary.json").read_bytes())["recipe"] == "test"
            assert written(out / "previous", "text")
            run.on_progress = None
        run.execute()
    assert not (out / "previous" / "summary.json").exists() and not (out / "previous" / "text").exists()
    run = changed(tmp_path / "x", LOOSER)
    run.name, run.out = "raw", out
    with pytest.raises(RunError, match="named 'raw'"):
        run.execute()


def stop_at(label: str):
    def on_progress(progress) -> None:
        if progress.label == label:
            raise KeyboardInterrupt

    return on_progress


def test_a_folder_of_an_older_version_is_guarded_by_what_its_ledger_names(out, tmp_path):
    summary = json.loads((out / "summary.json").read_text())
    del summary["made_of"], summary["seal"], summary["files"]
    (out / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(RunError, match="reads the input 'another', not the input 'crawl'"):
        reading(out, "another", tmp_path / "in").execute()
    with pytest.raises(RunError, match="about 0% of its documents, rehearsed"):
        changed(out, [Trim(), Perilous(shortest=30), ExactDedup()]).execute()
    changed(out).execute()


def test_a_rehearsal_compares_the_same_documents_wherever_the_good_ones_stand(tmp_path):
    """The beginning of each file is junk that was dropped before, too: what is kept of the rest decides."""
    (tmp_path / "in").mkdir()
    with (tmp_path / "in" / "a.jsonl").open("w") as stream:
        for place in range(150):
            text = "tiny" if place < 140 else f"a longer text, the {place}th of its file, | and a tail"
            stream.write(json.dumps({"text": text}) + "\n")
    out = tmp_path / "out"
    changed(out, [Trim(), Perilous()]).execute()
    assert changed(out, [Trim(), Perilous(shortest=20)]).change().keeps == 1
    assert changed(out, [Trim(), Perilous(shortest=60)]).change().refusal
