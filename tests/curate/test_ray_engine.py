"""Units on a Ray cluster: the same bytes and the same account, whatever becomes of documents, tasks and machines."""

import itertools
import json
import os
import random
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_steps import Perilous, Trim, corpus_run, tree, write_corpus
from hostile_steps import Peril, lines_of

from curate.audit.verify import verify
from curate.dedup import ExactDedup, MinHashDedup
from curate.errors import Refused
from curate.run import ray_engine
from curate.run.engine import TaskError
from curate.run.folder import read_kills
from curate.run.ray_engine import RayCluster, _different
from curate.run.session import Shard
from curate.run.sharded import ShardedRun

ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """One for all tests, of two cores."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 << 20)
    yield RayCluster("auto")
    ray.shutdown()


def test_a_cluster_gives_the_same_bytes_and_account_whatever_a_document_does(cluster, tmp_path):
    inputs = write_corpus(tmp_path / "in")
    with (inputs / "part-1.jsonl").open("a") as stream:
        stream.write('{"text": "HANG for ever"}\n{"text": "and a neighbour of it"}\n{"text": "CRASH at once"}\n')
    steps = [Trim(), Perilous(), ExactDedup()]
    one = corpus_run(inputs, tmp_path / "one", steps, workers=1, document_timeout=0.15).execute()
    told: list[Any] = []
    job = corpus_run(inputs, tmp_path / "many", steps, document_timeout=0.15, cluster=cluster, on_progress=told.append)
    many = job.execute()
    assert tree(tmp_path / "one") == tree(tmp_path / "many") and list(verify(tmp_path / "many")) == []
    assert read_kills(tmp_path / "one") == read_kills(tmp_path / "many") != []
    for name in ("documents", "losses", "unreadable", "records"):
        assert one[name] == many[name]
    assert many["workers"] == 2 and told[-1].done == told[-1].tasks
    assert not list(tmp_path.glob(".goldsand-seen*"))


def test_a_document_that_eats_memory_costs_itself_and_a_task_that_dies_costs_its_unit_a_retry(cluster, tmp_path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "a.jsonl").write_text('{"text": "GROW !"}\n{"text": "WAIT here"}\n{"text": "a neighbour"}\n')
    diary = tmp_path / "diary"
    job = corpus_run(inputs, tmp_path / "out", [Peril(str(diary))], memory=300, cluster=cluster)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(job.execute()))
    thread.start()
    lines = list(lines_of(diary, 3, seconds=60))
    assert [line[0] for line in lines][:3] == ["GROW", "GROW", "WAIT"]
    # Ray's own process, and with it that of the unit: as when the machine is lost.
    watched = int(Path(f"/proc/{lines[2][1]}/status").read_text().split("PPid:")[1].split()[0])
    server = int(Path(f"/proc/{watched}/status").read_text().split("PPid:")[1].split()[0])
    os.kill(server, signal.SIGKILL)
    next(lines_of(diary, 4, seconds=60))
    (tmp_path / "go").touch()
    thread.join(60)
    assert results[0]["documents"]["kept"] == 2 and results[0]["documents"]["unreadable"] == 1
    assert [kill.reason for kill in read_kills(tmp_path / "out")] == ["needed more than 300 MB of memory"]


def test_a_fault_names_its_unit_and_no_later_unit_is_begun(cluster, tmp_path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "a.jsonl").write_text('{"text": "RAISE"}\n')
    with pytest.raises(TaskError, match=r"a-jsonl.*IndexError"):
        corpus_run(inputs, tmp_path / "out", [Peril("")], cluster=cluster).execute()


def test_what_does_not_fit_is_refused_before_anything_is_written(cluster, tmp_path, monkeypatch):
    inputs = write_corpus(tmp_path / "in", files=1)
    job = corpus_run(inputs, tmp_path / "out", [Trim()], cluster=cluster)
    found = ray_engine._survey
    said = {"the version of goldsand": "0.0.1", "sees": "/somewhere"}
    for name, words in (("the version of goldsand", r"0\.0\.1 there"), ("sees", "does not see /somewhere")):
        # What a machine says; this one is asked directly.
        own = found(bytes(ray_engine.packed(ray_engine._Carried([Trim()]))), None, b"", [], [])
        other = {**own, name: said[name]}
        message = _different(own, other, tmp_path / "out")
        assert message is not None and re.search(words, message)
    monkeypatch.setattr(ray_engine, "_different", lambda *_: "differs")
    with pytest.raises(Refused, match="of the cluster differs"):
        job.execute()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_memory_is_asked_for_by_what_units_took():
    unit = type("Some", (), {"name": "a unit"})()
    assert RayCluster().options(unit, 0)["memory"] == 512 << 20
    assert RayCluster().options(unit, 4 << 30)["memory"] == 5 << 30
    assert RayCluster(memory=100, num_cpus=2, resources={"disk": 1}).options(unit, 4 << 30) == {
        "num_cpus": 2,
        "memory": 100 << 20,
        "name": "a unit",
        "resources": {"disk": 1},
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Copies of each page in several files, exact ones and near ones; and what one process makes of them."""
    root = tmp_path_factory.mktemp("planted")
    (root / "in").mkdir()
    words = ["".join(letters) for letters in itertools.product("bdgklm", "aeiou", "nrst", "aeo")]
    for file in range(6):
        rows = []
        for page in range(30):
            text = random.Random(page).choices(words, k=240)
            if page % 2:
                text[file * 7] = f"changed{'abcdef'[file]}"
            rows.append(json.dumps({"text": " ".join(text)}))
        (root / "in" / f"{file}.jsonl").write_text("\n".join(rows) + "\n")
    job = corpus_run(root / "in", root / "out", [ExactDedup(), MinHashDedup(ranges=2)], workers=1)
    assert job.execute()["documents"]["kept"] == 30
    return root / "in", root / "out"


@pytest.mark.parametrize("engine", ["local", "ray", "shards"])
def test_duplicates_are_found_across_all_workers_on_every_engine(engine, planted, tmp_path, request):
    """Recall, retention by step, counters and ledger are those of one process."""
    inputs, alone = planted
    steps = [ExactDedup(), MinHashDedup(ranges=2)]
    more = {"cluster": request.getfixturevalue("cluster")} if engine == "ray" else {}
    jobs = [corpus_run(inputs, tmp_path / "out", steps, workers=2, **more)]
    if engine == "shards":
        jobs = [ShardedRun.of(jobs[0], Shard(number, 3)) for number in range(3)]
    threads = [threading.Thread(target=job.execute) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    made, before = (json.loads((folder / "summary.json").read_text()) for folder in (tmp_path / "out", alone))
    for name in ("documents", "characters", "records", "reasons", "losses", "domains"):
        assert made.get(name) == before.get(name), name
    steps_of = [[{**row, "seconds": 0, "memory_mb": 0} for row in one["steps"]] for one in (made, before)]
    assert steps_of[0] == steps_of[1]
    here = {name: data for name, data in tree(tmp_path / "out").items() if not name.startswith(".shards")}
    assert here == tree(alone)
