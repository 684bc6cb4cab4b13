"""Test sets in the layouts in which they are published, a made example of each; numbers in words; what a set's items
share; held-out text of the user's own."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from curate.decontaminate import Decontaminate, read_items
from curate.document import Document

SYLLABLES = ["ba", "ke", "lo", "mi", "nu", "ra", "so", "ti", "vu", "za"]


def said(rng: random.Random, count: int) -> str:
    return " ".join("".join(rng.choices(SYLLABLES, k=3)) for _ in range(count))


def texts(seed: str) -> tuple[str, str, list[str], str]:
    """A question of 14 words, an answer of 24, four choices of 4 and a passage of 60."""
    rng = random.Random(seed)
    return said(rng, 14), said(rng, 24), [said(rng, 4) for _ in range(4)], said(rng, 60)


Q, A, C, P = texts("made")
CODE = f"def {A.replace(' ', '_')[:20]}(values):\n    return [{A.replace(' ', ', ')}]\n"

WORDS = {
    "$Q_BEGIN": Q.rpartition(" ")[0], "$Q_LAST": Q.rpartition(" ")[2],
    "$Q_FIRST": Q.partition(" ")[0], "$Q_REST": Q.partition(" ")[2],
    **{f"$C{place}": choice for place, choice in enumerate(C)}, "$CODE": CODE, "$Q": Q, "$A": A, "$P": P,
}  # fmt: skip


def filled(value: Any) -> Any:
    """A made row with words in it."""
    if isinstance(value, dict):
        return {key: filled(one) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one) for one in value]
    if isinstance(value, str):
        for name, words in WORDS.items():
            value = value.replace(name, json.dumps(words)[1:-1] if value.startswith("[") else words)
    return value


# Fields as the sets' own files or pages name them, and what must be found: Question, Answer, Code, choice 1.
ROWS = {}
for line in Path(__file__).with_name("published_rows.jsonl").read_text().splitlines():
    made = json.loads(line)
    ROWS[made["set"]] = filled(made["row"]), made["finds"]


@pytest.mark.parametrize("name", ROWS)
def test_the_row_of_a_published_set_is_an_item(tmp_path, name):
    row, parts = ROWS[name]
    path = tmp_path / f"{name}.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (item,) = read_items(path)
    step = Decontaminate(questions=str(path))
    assert step.undetectable == []
    if "Q" in parts:
        assert Q in [" ".join(one.split()) for one in item.questions]
        assert not step(f"{P[:50]} so {Q} and on")
    if "A" in parts:
        assert any(A in answer for answer in item.answers)
        assert not step(f"so {A} and on")
    if "C" in parts:
        assert CODE in item.answers
        assert not step(f"so\n{CODE}\nand on")
    if "1" in parts:
        assert C[1] in item.answers


def squad(passage: str, questions: list[str]) -> dict:
    asked = [{"id": f"q{n}", "question": one, "answers": [{"text": A}]} for n, one in enumerate(questions)]
    return {"title": "t", "paragraphs": [{"context": passage, "qas": asked}]}


OTHER = said(random.Random(1), 80)
TURNS = [{"input_text": Q, "turn_id": 1}, {"input_text": P, "turn_id": 2}]
RIGHT = [{"text": A, "label": 1}]
WHOLE = {
    "list": [{"question": Q}, {"question": P}],
    "squad": {"version": "1.1", "data": [squad(OTHER, [Q, P])]},
    "drop": {"nfl_1": {"passage": OTHER, "qa_pairs": [{"question": Q, "query_id": "a"}, {"question": P}]}},
    "bigbench": {"name": "n", "keywords": ["x"], "examples": [{"input": Q, "target": A}, {"input": P, "target": "x"}]},
    "viewer": {
        "features": [{"name": str(n)} for n in range(9)],
        "rows": [{"row": {"question": Q}}, {"row": {"question": P}}],
    },
    "coqa": {"version": "1", "data": [{"id": "1", "story": "s", "questions": TURNS, "answers": [TURNS[0]]}]},
    "multirc": {
        "data": [
            {"passage": {"text": OTHER, "questions": [{"question": one, "answers": RIGHT} for one in (Q, P)]}, "idx": 0}
        ]
    },
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_file_that_is_one_json_value_is_read_whole(tmp_path, name, indent):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(WHOLE[name], indent=indent))
    step = Decontaminate(questions=str(path))
    assert not step(f"so {Q} and on")
    assert not step(f"so {P} and on")


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_tables_are_read_with_a_header_and_mmlu_without(tmp_path, suffix):
    delimiter = "," if suffix == ".csv" else "\t"

    def table(name: str, rows: list[list[str]]) -> Path:
        with (tmp_path / f"{name}{suffix}").open("w", newline="", encoding="utf-8-sig") as stream:
            csv.writer(stream, delimiter=delimiter).writerows(rows)
        return tmp_path / f"{name}{suffix}"

    truthful = table(
        "truthful",
        [["Type", "Question", "Best Answer", "Correct Answers"], ["x", f'{Q}, "so"\nis it?', A, f"{A}; {P}"]],
    )
    (item,) = read_items(truthful)
    assert (item.name, item.answers) == (f"truthful{suffix}:2", (A, P))
    assert not Decontaminate(questions=str(truthful))(f"so {Q}, so is it")
    (item,) = read_items(table("mmlu_test", [[Q, *C, "B"]]))
    assert (item.question, item.answers, item.choices) == (Q, (C[1],), tuple(C))
    with pytest.raises(ValueError, match="line 3: 3 cells under a header of 2"):
        list(read_items(table("torn", [["question", "answer"], ["a", "b"], ["a", "b", "c"]])))
    with pytest.raises(ValueError, match=r"line 2: no question in it.*fields: \{odd"):
        list(read_items(table("odd", [["zeile", "loesung"], [Q, A]])))


def test_fields_are_named_by_file(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"frage": Q, "question": "no"}) + "\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"question": P}) + "\n")
    step = Decontaminate(questions=str(tmp_path), fields={"a*": {"question": "frage"}})
    assert step(Q).value["item"] == "a.jsonl:1"
    assert step(P).value["item"] == "b.jsonl:1"
    with pytest.raises(
        ValueError, match="`fields` of 'a' names some of answer, choices, passage, question, not 'title'"
    ):
        Decontaminate(questions=str(tmp_path), fields={"a": {"title": "x"}})


NUMBERS = {
    "5": "five", "0": "zero", "12": "twelve", "90": "ninety", "25": "twenty-five", "41": "Forty-one",
    "100": "one hundred", "150": "one hundred and fifty", "245": "two hundred forty-five",
    "3,402": "three thousand, four hundred and two", "16000": "sixteen thousand",
}  # fmt: skip


@pytest.mark.parametrize("digits", NUMBERS)
@pytest.mark.parametrize("numbers", ["guard", "ignore"])
def test_a_number_in_words_is_the_number(tmp_path, digits, numbers):
    rng = random.Random(digits)
    before, after = said(rng, 5), said(rng, 6)
    shapes = [f"{before} {number} {after}" for number in (digits, NUMBERS[digits])]
    for own, page in (shapes, shapes[::-1]):
        path = tmp_path / "q.jsonl"
        path.write_text(json.dumps({"question": own}) + "\n")
        step = Decontaminate(questions=str(path), numbers=numbers)
        whole = f"{said(rng, 200)}. {page}. {said(rng, 200)}"
        (hit,) = step.hits(whole)
        assert hit.score == 1.0
        assert page in whole[hit.begin : hit.end]
        assert len(whole[hit.begin : hit.end]) <= len(page) + 12
        if numbers == "guard":
            assert step(whole.replace(page, page.replace(digits, "77").replace(NUMBERS[digits], "seventy-seven")))


def test_numbers_that_only_stand_side_by_side_are_not_one(tmp_path):
    from curate.decontaminate.number_words import in_digits

    assert in_digits(b"one two three, hundred of them; sixty - minus ty-one; a hundredfold") == (
        b"one two three, hundred of them; sixty - minus ty-one; a hundredfold"
    )
    assert in_digits(b"five thousand and a hundred") == b"5100"


@pytest.mark.parametrize("mark", ["\u00ad", "\u200b", "\u2060", "\ufeff"])
def test_invisible_characters_hide_nothing(tmp_path, mark):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": Q}) + "\n")
    step = Decontaminate(questions=str(path))
    assert not step("so " + "".join(mark + letter if n % 3 else letter for n, letter in enumerate(Q)) + " on")
    assert not step("so " + Q.replace(" ", mark + " ") + " on")
    assert not step("so " + Q.replace(" ", " " + mark) + " on")


INSTRUCTIONS = {
    "before": "Choose the best answer to the question that stands below.\n\n{}",
    "behind": "{}\nRead the passage above and explain your answer step by step.",
    "around": "Read the following passage and answer the question: {}? Answer with a single letter, A, B, C or D.",
}


@pytest.mark.parametrize("where", INSTRUCTIONS)
def test_the_instruction_that_a_set_shares_is_no_item(tmp_path, where):
    rng = random.Random(where)
    asked = [said(rng, 12) for _ in range(60)]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps({"question": INSTRUCTIONS[where].format(one)}) + "\n" for one in asked))
    step = Decontaminate(questions=str(path))
    assert step.undetectable_alone == []
    for one in asked:
        assert step(f"{said(rng, 100)} {one} {said(rng, 100)}").value["item"] == f"q.jsonl:{asked.index(one) + 1}"
    assert step(f"{said(rng, 100)} {INSTRUCTIONS[where].format('')} {said(rng, 100)}")


def test_a_set_of_one_question_is_told_apart_by_its_choices(tmp_path):
    rng = random.Random(5)
    rows = [
        {"question": "Which of these sentences is right?", "choices": [said(rng, 6), said(rng, 6)], "answer": 1}
        for _ in range(30)
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    step = Decontaminate(questions=str(path))
    assert len(step.index.items) == 30
    assert step.undetectable == []
    assert step("Which of these sentences is right? We asked everybody. " + said(rng, 60))
    assert step(f"{rows[7]['question']} {' '.join(rows[7]['choices'])}").value["item"] == "q.jsonl:8"


DRESSED = {
    "wrapped": lambda words: "\n".join(" ".join(words[n : n + 8]) for n in range(0, len(words), 8)),
    "numbered": lambda words: "\n".join(f"{n}. " + " ".join(words[n : n + 8]) for n in range(0, len(words), 8)),
    "indented": lambda words: "\n".join("      > " + " ".join(words[n : n + 8]) for n in range(0, len(words), 8)),
    "list": lambda words: "\n".join("<li>" + " ".join(words[n : n + 8]) + "</li>" for n in range(0, len(words), 8)),
    "table": lambda words: "\n".join("| " + " | ".join(words[n : n + 4]) + " |" for n in range(0, len(words), 4)),
    "one a line": lambda words: "\n".join(words),
}  # fmt: skip


@pytest.mark.parametrize("how", DRESSED)
@pytest.mark.parametrize("length", [16, 60, 300])
def test_other_lines_numbers_lists_and_tables_hide_nothing(tmp_path, how, length):
    rng = random.Random(length)
    asked = said(rng, length)
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": asked}) + "\n")
    page = f"{said(rng, 300)}\n{DRESSED[how](asked.split())}\n{said(rng, 300)}"
    assert Decontaminate(questions=str(path))(page).value["score"] > 0.95


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A validation split of documents on one site: 300 words each, and two lines that all share."""
    rng = random.Random(11)
    shared = [said(rng, 30), said(rng, 40)]
    documents = ["\n".join([shared[0], *(said(rng, 50) for _ in range(6)), shared[1]]) for _ in range(8)]
    folder = tmp_path_factory.mktemp("split")
    (folder / "valid.jsonl").write_text(
        "".join(json.dumps({"id": f"v{n}", "text": one}) + "\n" for n, one in enumerate(documents))
    )
    return folder / "valid.jsonl", documents, shared


def test_held_out_text_is_found_by_document_and_by_piece(split):
    path, documents, shared = split
    rng = random.Random(12)
    step = Decontaminate(held_out=str(path))
    evidence = step(documents[3].upper()).value
    assert (evidence["item"], evidence["benchmark"], evidence["part"]) == ("valid.jsonl:v3", "valid", "document")
    words = documents[5].split()
    quoted = f"{said(rng, 200)} {' '.join(words[60:160])} {said(rng, 200)}"
    evidence = step(quoted).value
    assert (evidence["item"], evidence["part"]) == ("valid.jsonl:v5", "piece")
    assert Decontaminate(held_out=str(path), parts=["document"])(quoted)
    assert not Decontaminate(held_out=str(path), parts=["piece"])(documents[0])
    # The lines that a site repeats are in the training text too.
    assert step("\n".join([shared[0], said(rng, 300), shared[1]]))
    # Another number somewhere makes no other document of it.
    assert not step(documents[2].replace(documents[2].split()[100], "1999"))


def test_held_out_text_and_test_sets_are_searched_for_together(tmp_path, split):
    path, documents, _ = split
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": Q}) + "\n")
    step = Decontaminate(questions=str(tmp_path / "q.jsonl"), held_out=str(path))
    assert {one.name for one in step.resources()} == {"q.jsonl", "valid.jsonl"}
    assert step(Q).value["benchmark"] == "q"
    assert step(documents[1]).value["benchmark"] == "valid"
    with pytest.raises(ValueError, match="name test sets with `questions`"):
        Decontaminate()


def test_held_out_text_may_be_plain_or_a_finished_run(tmp_path, split):
    from curate.shards.text import write_text_shard

    _, documents, _ = split
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text(documents[0])
    assert Decontaminate(held_out=str(tmp_path / "texts"))(documents[0]).value["item"] == "one.txt"
    with (tmp_path / "00000.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, [Document(key="s/a", text=documents[1])])
    assert Decontaminate(held_out=str(tmp_path / "00000.jsonl.zst"))(documents[1]).value["part"] == "document"
    (tmp_path / "none.jsonl").write_text('{"question": "x"}\n')
    with pytest.raises(ValueError, match=r"none\.jsonl, line 1: no text in it"):
        Decontaminate(held_out=str(tmp_path / "none.jsonl")).open()
