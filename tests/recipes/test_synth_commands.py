"""`goldsand synth people` and `goldsand synth describe`, as a person types them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from datasets import load_dataset
from typer.testing import CliRunner

from curate.shards.tokens import TokenShards
from curate.shards.vocabulary import build_vocabulary
from recipes.app.cli import app
from synth.facts import FactTable


def goldsand(*words):
    result = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "people"
    code, said = goldsand("synth", "people", "--count", 60, "--exposures", 4, "--held-out", 7, "-o", out)
    assert code == 0, said
    return out, said


def test_people_are_written_as_text_tokens_and_truth(people):
    out, said = people
    assert "60 people, 240 biographies" in said and "2,855 bits of values" in said
    texts = load_dataset("json", data_files=str(out / "text" / "*.jsonl.zst"), split="train")
    table = FactTable.load(out / "facts")
    assert len(texts) == 240 and table.people == 60 and len(table) == 67
    seen = np.zeros(67, int)
    for row in texts:
        told = json.loads(row["metadata"])
        seen[told["entity"]] += 1
        assert row["text"].startswith(table.names([told["entity"]])[0] + " ")
        assert all(value in row["text"] for value in table.facts(told["entity"]).values())
    assert seen.tolist() == table.exposure_counts.tolist() == [4] * 60 + [0] * 7
    shards = TokenShards.open(out / "tokens" / "facts")
    shards.verify()
    assert np.bincount(shards.documents()["entity"], minlength=67).tolist() == seen.tolist()
    held = np.load(out / "facts" / "scoring-held-out-entities.npz")
    assert set(held["row_entity"].tolist()) == set(range(60, 67))


def test_a_table_of_ones_own_is_written_without_pages(tmp_path):
    towns = tmp_path / "towns.csv"
    towns.write_text("name,river\nAldmoor,Tarn\nBrackley,Tarn\nCorve,Isk\nDunmere,Isk\n")
    code, said = goldsand("synth", "table", towns, "--exposures", 3, "-o", tmp_path / "out")
    assert code == 0 and "4 entities, 12 texts: 0 bits of names, 4 bits of values" in said, said
    table = FactTable.load(tmp_path / "out" / "facts")
    assert table.exposure_counts.tolist() == [3] * 4
    assert len(TokenShards.open(tmp_path / "out" / "tokens" / "facts")) == 12
    code, said = goldsand("synth", "table", towns, "--entity", "nam", "--exposures", 1, "-o", tmp_path / "other")
    assert code == 2 and "did you mean 'name'" in said, said


def test_questions_split_people_and_know_the_answers(people):
    out, _ = people
    table = FactTable.load(out / "facts")
    asked = {}
    for split in ("train", "test"):
        lines = [json.loads(line) for line in (out / "facts" / f"questions.{split}.jsonl").read_text().splitlines()]
        asked[split] = {line["entity"] for line in lines}
        assert len(lines) == 6 * len(asked[split])
        for line in lines:
            assert line["answer"] == table.facts(line["entity"])[line["attribute"]]
            assert line["name"] in line["question"] and line["question"].endswith("?")
            assert line["text"] == f"Question: {line['question']}\nAnswer: {line['answer']}"
            assert [one["content"] for one in line["messages"]] == [line["question"], line["answer"]]
    assert not asked["train"] & asked["test"]
    assert asked["train"] | asked["test"] == set(range(60))
    assert 15 < len(asked["train"]) < 45


def test_a_folder_that_holds_something_is_left_alone(people):
    out, _ = people
    before = sorted(path.name for path in out.iterdir())
    code, said = goldsand("synth", "people", "--count", 5, "--exposures", 1, "-o", out)
    assert code == 2 and "holds something already: name a new folder" in said
    assert sorted(path.name for path in out.iterdir()) == before


def test_more_people_than_names_and_a_missing_tokenizer_are_said(tmp_path):
    for name, lines in {"company": "One; Town\nTwo; Town\n"}.items():
        (tmp_path / f"{name}.txt").write_text(lines)
    for name in ("first_name", "middle_name", "last_name", "city", "university", "field"):
        (tmp_path / f"{name}.txt").write_text("A\nB\n")
    few = ("synth", "people", "--count", 9, "--exposures", 1, "--pools", tmp_path, "-o", tmp_path / "out")
    code, said = goldsand(*few)
    assert code == 2 and "there are 8 names (2 x 2 x 2) for 9 people; give larger `pools`" in said
    code, said = goldsand(
        "synth", "people", "--count", 3, "--exposures", 1, "--tokenizer", "no.json", "-o", tmp_path / "o"
    )
    assert code == 2 and "cannot read the tokenizer file no.json" in said
    assert not (tmp_path / "o").exists()


def test_a_tokenizer_of_the_users_is_used(tmp_path):
    build_vocabulary(kind="bpe", texts=["was born in the city of"] * 3, size=300).save(tmp_path / "t.json")
    words = ("synth", "people", "--count", 20, "--exposures", 1, "--tokenizer", tmp_path / "t.json")
    code, said = goldsand(*words, "-o", tmp_path / "out")
    assert code == 0, said
    assert TokenShards.open(tmp_path / "out" / "tokens" / "facts").metadata["vocabulary"] <= 305


def test_describe_says_bits_tokens_flops_and_what_fits(tmp_path):
    code, said = goldsand("synth", "describe", "quickstart")
    assert code == 0
    lines = dict(line.strip().split("  ", 1) for line in said.splitlines() if "  " in line.strip())
    # 400 people, 16 bits of name and 6 values of 6 bits, in rows of 8 words and an end.
    assert "17,342: names 2,942, values 14,400" in lines["bits in all"]
    assert lines["tokens of one text"].strip().startswith("9.0 (a token a word, exactly)")
    assert lines["tokens per bit"].strip().startswith("0.17")
    assert "540,000 tokens" in lines["training on the facts alone"]
    assert lines["memory"].strip().endswith("fits")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nsteps:\n  - inject: {kind: people, people: 1000, exposures: {power: 1, most: 500}}\n")
    code, said = goldsand("synth", "describe", recipe, "--layers", 12, "--width", 768)
    assert code == 0
    assert "name 27.25, values 47.59" in said and "working_city" in said and "determined by employer" in said
    assert "0.00 bits" in said and "1 to 500" in said
    tokens = float(said.split("tokens of one text")[1].split()[0])
    assert 60 < tokens < 150


def test_describe_needs_facts(tmp_path):
    code, said = goldsand("synth", "describe", "junk-and-tags")
    assert code == 2 and "neither an `inject` step nor `probe.facts`" in said
