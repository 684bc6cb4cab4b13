"""The examples of a page are drawn over the whole ledger, from drops whose text was kept."""

import io
from collections import Counter
from pathlib import Path

import pytest

from curate.run.ledger import DroppedTexts, write_ledger
from recipes.app.report.drops import EXAMPLES, Drops, drops_of

FILES, RULES = 6, 30


def write_ledgers(folder: Path, each: int) -> Path:
    """A ledger of so many drops of each rule in each file."""
    (folder / "ledger").mkdir(parents=True)
    for file in range(FILES):
        texts = DroppedTexts("sample")
        rows = []
        for rule in range(RULES):
            for place in range(each):
                key = f"in/{file}.jsonl@{rule * each + place}"
                text = texts(key, "step", f"rule {rule}", f"the text of {key}")
                row = {"event": "drop", "step": "step", "rule": f"rule {rule}", "key": key, "characters": 9}
                rows.append(("00-step", {**row, "value": 1, "threshold": 2, "text": text}))
        with (folder / "ledger" / f"{file:05d}.parquet").open("wb") as stream:
            write_ledger(iter(rows), stream, io.BytesIO(), "sample")
    return folder


@pytest.mark.parametrize("each", [3, 150])
def test_every_drop_of_a_reason_has_the_same_chance_to_be_an_example(tmp_path, each):
    folder = write_ledgers(tmp_path / "out", each)
    found = drops_of(folder).examples
    assert len(found) == RULES and found == drops_of(folder).examples
    examples = [row for rows in found.values() for row in rows]
    assert len(examples) == RULES * EXAMPLES
    assert all(row["text"] == f"the text of {row['key']}" for row in examples)
    files = Counter(row["key"][3] for row in examples)
    # 360 of them: 60 +- 7 from each file, where they were 360 from the first.
    assert len(files) == FILES and max(files.values()) < 95, files
    for rows in found.values():
        keys = [row["key"] for row in rows]
        assert len(set(keys)) == EXAMPLES
        assert [key[3] for key in keys] == sorted(key[3] for key in keys)


def test_a_reason_with_few_drops_shows_all_of_them(tmp_path):
    found = drops_of(write_ledgers(tmp_path / "out", 1))
    assert len(found.examples) == RULES
    assert all(len(rows) == FILES < EXAMPLES for rows in found.examples.values())
    assert drops_of(tmp_path / "none") == Drops()


def test_the_values_of_each_reason_are_counted(tmp_path):
    (tmp_path / "ledger").mkdir()
    row = {"event": "drop", "step": "s", "text": None}
    sizes = [50, 10, 90, 30]
    rows = [{**row, "rule": "short", "key": f"a@{n}", "value": n, "threshold": 50, "characters": n} for n in sizes]
    rows += [{**row, "rule": "language", "key": "a@1", "value": "fr", "threshold": ["en"], "characters": 5}] * 3
    with (tmp_path / "ledger" / "00000.parquet").open("wb") as stream:
        write_ledger((("00-s", dict(one)) for one in rows), stream, io.BytesIO(), "sample")
    found = drops_of(tmp_path)
    short, language = found.values["s", "short"], found.values["s", "language"]
    assert sorted(short.numbers) == [10, 30, 50, 90] and short.threshold == 50 and not short.words
    assert language.words == {"fr": 3} and language.threshold is None and not language.numbers
    assert [one["characters"] for one in found.longest][:2] == [90, 50]
    assert [one["characters"] for one in found.shortest][:4] == [5, 5, 5, 10]
