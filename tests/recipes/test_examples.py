"""The examples of a page are drawn over the whole ledger, from drops whose text was kept."""

import io
from collections import Counter
from pathlib import Path

import pytest

from curate.run.ledger import DroppedTexts, write_ledger
from recipes.app.report.examples import EXAMPLES, examples_of

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
    found = examples_of(write_ledgers(tmp_path / "out", each))
    assert len(found) == RULES and found == examples_of(tmp_path / "out")
    examples = [row for rows in found.values() for row in rows]
    assert len(examples) == RULES * EXAMPLES
    assert all(row["text"] == f"the text of {row['key']}" for row in examples)
    files = Counter(row["key"][3] for row in examples)
    # 90 of them: 15 +- 3.5 from each file, where they were 90 from the first.
    assert len(files) == FILES and max(files.values()) < 29, files
    for rows in found.values():
        keys = [row["key"] for row in rows]
        assert len(set(keys)) == EXAMPLES
        assert [key[3] for key in keys] == sorted(key[3] for key in keys)


def test_a_reason_with_few_drops_shows_all_of_them(tmp_path):
    found = examples_of(write_ledgers(tmp_path / "out", 1))
    assert all(len(rows) == EXAMPLES for rows in found.values())
    assert examples_of(tmp_path / "none") == {}
