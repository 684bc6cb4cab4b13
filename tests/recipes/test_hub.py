"""`goldsand publish --to hf://ORG/NAME`, with the real client and a server that speaks its protocol."""

import io
import json

import pytest
from hub_server import TOKEN, Hub

from curate.dedup.exact import ExactDedup
from curate.errors import Refused
from curate.run.corpus import CorpusRun
from curate.sources import Input, find_inputs

pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")

from recipes.app.papers import hub as papers_hub
from recipes.app.papers.publish import publish_to


@pytest.fixture
def server(monkeypatch):
    hub = Hub()
    for module in ("huggingface_hub.constants", "huggingface_hub.hf_api"):
        monkeypatch.setattr(f"{module}.ENDPOINT", hub.address, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(papers_hub, "PAUSE", 0.01)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield hub
    hub.close()
    assert hub.unknown == []


@pytest.fixture
def finished(tmp_path):
    rows = [{"text": f"Text number {number}.", "url": f"https://a.example/{number}"} for number in range(40)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ("small", [ExactDedup()], find_inputs([Input("rows", str(tmp_path / "in.jsonl"))]), tmp_path / "out")
    CorpusRun(*given, workers=1).execute()
    return tmp_path / "out"


def test_one_commit_has_all_that_a_folder_would_have(server, finished, tmp_path):
    import pyarrow.parquet as pq

    publish_to(finished, tmp_path / "folder", 1_000_000)
    made = papers_hub.publish_to_hub(finished, "hf://org/corpus", 1_000_000, private=False)
    there = server.repositories["org/corpus"]
    files = {path.relative_to(tmp_path / "folder").as_posix(): path for path in (tmp_path / "folder").rglob("*.*")}
    assert server.commits == 1 and made["files"] == len(there) == len(files)
    assert {name: path.read_bytes() for name, path in files.items() if path.suffix == ".parquet"} == {
        name: content for name, content in there.items() if name.endswith(".parquet")
    }
    assert pq.read_table(io.BytesIO(there["data/00000.parquet"])).num_rows == 40
    assert not finished.with_name("out.publication").exists()


def test_files_of_an_earlier_publication_that_are_no_more_go(server, finished):
    server.repositories["org/corpus"] = {"data/00009.parquet": b"old", "notes.md": b"a person's"}
    papers_hub.publish_to_hub(finished, "hf://datasets/org/corpus", 1_000_000, private=True)
    there = server.repositories["org/corpus"]
    assert "data/00009.parquet" not in there and there["notes.md"] == b"a person's"


def test_a_connection_that_breaks_is_tried_again_and_what_was_sent_is_not_sent_again(server, finished):
    server.broken = 1
    papers_hub.publish_to_hub(finished, "hf://org/corpus", 1_000_000, private=False)
    whole = len(set(server.uploads))
    assert server.commits == 1 and whole < len(server.uploads) <= whole + 1


def test_a_commit_that_got_no_answer_is_tried_again(server, finished):
    server.silent = 1
    papers_hub.publish_to_hub(finished, "hf://org/corpus", 1_000_000, private=False)
    assert server.commits == 1 and len(server.uploads) == len(set(server.uploads))


def test_a_hub_that_never_answers_is_said_and_the_same_command_goes_on(server, finished, monkeypatch):
    monkeypatch.setattr(papers_hub, "TRIES", 1)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    server.broken = 100
    with pytest.raises(Refused, match="nothing was published, and the same command goes on"):
        papers_hub.publish_to_hub(finished, "hf://org/corpus", 1_000_000, private=False)
    assert server.commits == 0 and server.repositories["org/corpus"] == {}
    server.broken = 0
    monkeypatch.setattr(papers_hub, "publish_to", lambda *_: pytest.fail("written again"))
    papers_hub.publish_to_hub(finished, "hf://org/corpus", 1_000_000, private=False)
    assert server.commits == 1


def test_a_token_that_may_not_write_is_refused_before_anything_is_written(server, finished, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(Refused, match=r"refuses the token for hf://org/corpus \(403\).*hf auth login"):
        papers_hub.publish_to_hub(finished, "hf://org/corpus", 1_000_000, private=False)
    assert not finished.with_name("out.publication").exists()


@pytest.mark.parametrize("address", ["hf://corpus", "hf://models/org/corpus/x", "s3://org/corpus", "hf://org/cor pus"])
def test_what_is_no_data_set_is_refused(address):
    with pytest.raises(Refused, match="is no data set of the Hub"):
        papers_hub.repository_of(address)
