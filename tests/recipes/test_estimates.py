"""What `goldsand plan` and a run foretell: documents and work of each source, whatever form its bytes have."""

import json

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from curate.sources import Input, find_inputs
from recipes.app.recipe import plan_by_rehearsal, rehearsal
from recipes.app.recipe.build import corpus_run
from recipes.app.recipe.document_count import counted_by_source
from recipes.app.recipe.load import load
from recipes.app.recipe.plan_by_rehearsal import estimate, foretell
from recipes.app.recipe.planned_units import planned

ROWS = 3000


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Three sources: rows in one compressed stream, in a table, and pages that take longer."""
    folder = tmp_path_factory.mktemp("mix")
    texts = [f"Line {number} of a text. " + "It has words like any other text has. " * 20 for number in range(ROWS)]
    packed = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    (folder / "rows.jsonl.zst").write_bytes(zstandard.compress(packed))
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), folder / "t.parquet", row_group_size=500)
    (folder / "pages").mkdir()
    for number in range(20):
        body = "".join(f"<p>{text}</p>" for text in texts[number : number + 200])
        (folder / "pages" / f"{number}.html").write_text(f"<html><body><article>{body}</article></body></html>")
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "name: mix\ninputs:\n  - {name: pages, path: pages}\n  - {name: rows, path: rows.jsonl.zst}\n"
        "  - {name: table, path: t.parquet}\nsteps: [extract, gopher_quality, exact_dedup]\n"
    )
    return folder


def inputs(folder):
    named = {"pages": "pages", "rows": "rows.jsonl.zst", "table": "t.parquet"}
    return find_inputs([Input(name, str(folder / path)) for name, path in named.items()])


def test_documents_are_counted_source_by_source_or_estimated_from_what_was_read(sources, monkeypatch):
    counted = counted_by_source(inputs(sources), 60)
    assert {name: one.documents for name, one in counted.items()} == {"pages": 20, "rows": ROWS, "table": ROWS}
    assert all(one.counted for one in counted.values())
    # The files are small: let readers tell of smaller steps.
    monkeypatch.setattr("curate.sources.meter.METER_STEP", 1 << 10)
    some = counted_by_source(inputs(sources), 0)
    assert not some["table"].counted
    # A row group, which is the least that can be read, tells how many there are.
    assert some["table"].documents == pytest.approx(ROWS, rel=0.1)
    assert some["rows"].documents == pytest.approx(ROWS, rel=0.4)  # a few blocks
    assert some["rows"].unpacked == pytest.approx(counted["rows"].unpacked, rel=0.4)


def test_a_run_foretells_its_groups_and_weighs_the_bytes_of_each_source_by_their_work(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(rehearsal, "LONGEST", 0.0)
    job = corpus_run(load(str(sources / "recipe.yaml")), tmp_path / "out", workers=1)
    assert foretell(job) == []  # too small to be worth it
    monkeypatch.setattr(plan_by_rehearsal, "REHEARSED", 0)
    groups = foretell(job)
    assert [group.label for group in groups] == [group.label for group in planned(job, look=False)]
    reading = next(group for group in groups if group.by_source)
    # Text in compressed rows holds more for a byte than pages do, and needs less for a character.
    pages, rows = (
        reading.by_source[name] * sum(one.path.stat().st_size if one.path.is_file() else 0 for one in inputs(sources))
        for name in ("pages", "rows")
    )
    assert pages > 0 and rows > 0 and reading.seconds > 0
    told: list[float | None] = []
    job.foretell, job.on_progress = (lambda job: groups), lambda progress: told.append(progress.run_left)
    job.execute()
    assert told and all(one is not None and one >= 0 for one in told) and told[-1] < 0.5 * max(filter(None, told))
    assert not (tmp_path / "out" / "status.json").read_text().count('"left": null')
    assert foretell(job) == []  # all of the input is read already


def test_a_plan_counts_every_source(sources, tmp_path):
    job = corpus_run(load(str(sources / "recipe.yaml")), tmp_path / "out", workers=1)
    cost = estimate(job, planned(job), 30)
    assert cost is not None and cost.documents == 2 * ROWS + 20
    assert cost.rehearsed >= 30 and cost.disk > 0 and cost.seconds > 0
