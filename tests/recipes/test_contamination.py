"""`goldsand contamination`: a run's hits by benchmark, by item, and side by side with the item."""

import json
import random

import pytest

RECIPE = """\
name: small
inputs: [{path: in/*.jsonl}]
steps:
  - decontaminate: {questions: tests, action: ACTION}
  - shuffle
"""
WORDS = ["zubake", "ranovi", "melovu", "tisora", "kenuba", "lomira", "vutiza", "sobake", "minura", "rasoti"]


def sentence(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORDS) + rng.choice(WORDS) for _ in range(count))


@pytest.fixture(scope="module", params=["drop", "report"])
def folder(request, tmp_path_factory, within):
    """Forty pages, three of which hold one question, and one of them another as well, with a word changed."""
    root = tmp_path_factory.mktemp("contamination")
    rng = random.Random(1)
    questions = [sentence(rng, 12) for _ in range(3)]
    (root / "tests").mkdir()
    rows = [json.dumps({"question": question, "answer": "yes"}) for question in questions]
    rows.append(json.dumps({"question": "Too short?", "answer": "no"}))
    (root / "tests" / "riddles_test.jsonl").write_text("\n".join(rows) + "\n")
    pages = [sentence(rng, 80) for _ in range(40)]
    for place in (3, 20, 30):
        pages[place] += f"\n{questions[0]}\x1b[31m\n" + sentence(rng, 20)
    changed = questions[2].split()
    changed[6] = "otherwise"
    pages[30] += "\n" + " ".join(changed)
    (root / "in").mkdir()
    (root / "in" / "a.jsonl").write_text("".join(json.dumps({"text": page}) + "\n" for page in pages))
    (root / "small.yaml").write_text(RECIPE.replace("ACTION", request.param))
    result = within("run", "small.yaml", "-o", "out", cwd=root)
    assert result.returncode == 0, result.stderr
    return root, questions, request.param


def test_hits_by_benchmark_and_by_item(folder, within):
    root, questions, action = folder
    result = within("contamination", "out", "--json", cwd=root)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["benchmarks"] == [{"benchmark": "riddles", "items": 4, "undetectable": 1, "found": 2, "documents": 3}]
    assert [(row["item"], row["documents"]) for row in told["items"]] == [
        ("riddles_test.jsonl:1", 3),
        ("riddles_test.jsonl:3", 1),
    ]
    assert [row["dropped"] for row in told["hits"]] == [action == "drop"] * 3
    assert all(row["passage"].split("\x1b")[0] == questions[0] for row in told["hits"])
    kept = json.loads((root / "out" / "summary.json").read_text())["documents"]["kept"]
    assert kept == (37 if action == "drop" else 40)


def test_hits_stand_beside_their_items_without_the_page_s_own_control_sequences(folder, within):
    root, questions, _ = folder
    result = within("contamination", "out", cwd=root)
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout
    rows = [line.split("│")[1:3] for line in result.stdout.splitlines() if line.startswith("│")]
    item, document = (" ".join(row[side].strip() for row in rows) for side in (0, 1))
    assert item.split().count(questions[0].split()[0]) == document.split().count(questions[0].split()[0]) == 3
    one = within("contamination", "out", "--item", "riddles_test.jsonl:3", "--hits", "1", cwd=root)
    assert one.stdout.count("the document") == 1


def test_what_cannot_be_shown_is_said(folder, within):
    root, _, _ = folder
    missing = within("contamination", "out", "--questions", "elsewhere", cwd=root)
    assert missing.returncode == 2 and "there is no test set elsewhere" in missing.stderr
    no_run = within("contamination", "in", cwd=root)
    assert no_run.returncode == 2 and "not the folder of a finished run" in no_run.stderr


def test_the_page_of_the_run_counts_them(folder, within):
    root, _, action = folder
    assert within("report", "out", cwd=root).returncode == 0
    page = (root / "out" / "report.html").read_text()
    section = page.partition(">Test items in documents</h2>")[2]
    assert f"3 documents with test items, {3 if action == 'drop' else 0} of them dropped" in section
    assert '<td class="left">riddles</td><td>2</td><td>3</td>' in section
    assert "riddles_test.jsonl:1" in section
