"""Decontamination on generated test sets and, where they are at hand, on real ones."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import string
from pathlib import Path

import pytest
import zstandard

from curate.decontaminate import Decontaminate, read_items
from curate.document import Document, Drop

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SYLLABLES = ["ba", "ke", "lo", "mi", "nu", "ra", "so", "ti", "vu", "za"]
ASCII_MARKS = {
    "deleted": str.maketrans("", "", string.punctuation),
    "spaced": str.maketrans(dict.fromkeys(string.punctuation, " ")),
}
REFORMATTED = {
    "verbatim": lambda text: text,
    "upper case": str.upper,
    "one word a line": lambda text: "\n".join(text.split()),
    "no punctuation": lambda text: text.translate(ASCII_MARKS["deleted"]),
    "spaces for punctuation": lambda text: text.translate(ASCII_MARKS["spaced"]),
    "curly quotes, hard spaces": lambda text: text.replace("'", "\u2019").replace('"', "\u201c").replace(" ", "\u00a0"),
}


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(SYLLABLES) + rng.choice(SYLLABLES) + rng.choice(SYLLABLES) for _ in range(count))


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def question(rng: random.Random, length: int) -> str:
    """A question with joints of every kind between its words."""
    return (
        f'{words(rng, length // 2)}\'s well-known $2,5{rng.randrange(1000)} "{words(rng, length - length // 2)}", why?'
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    rng = random.Random(1)
    rows = [{"question": question(rng, 8 + i), "answer": words(rng, 1 + i % 20)} for i in range(60)]
    return rows, Decontaminate(questions=str(write(tmp_path_factory.mktemp("q") / "test.jsonl", rows)))


@pytest.mark.parametrize("form", REFORMATTED)
def test_every_question_is_found_inside_a_long_page_however_it_is_formatted(made, form):
    rows, step = made
    rng = random.Random(2)
    for number, row in enumerate(rows, start=1):
        page = f"{words(rng, 1500)}. {REFORMATTED[form](row['question'])} {words(rng, 1500)}"
        (drop,) = step.apply([Document(key="s/a", text=page)])
        assert isinstance(drop, Drop)
        assert (drop.step, drop.rule, drop.threshold) == ("decontaminate", "contaminated", 0.5)
        assert drop.value["item"] == f"test.jsonl:{number}"
        assert 0.5 <= drop.value["overlap"] <= 1.0


def test_pages_that_hold_no_question_are_kept(made):
    _, step = made
    rng = random.Random(3)
    documents = [Document(key=f"s/{i}", text=words(rng, 2000)) for i in range(50)]
    assert list(step.apply(documents)) == documents


def test_an_opened_step_travels_without_its_index(made):
    rows, step = made
    step.open()
    assert len(pickle.dumps(step)) < 1000
    assert pickle.loads(pickle.dumps(step))(rows[3]["question"]).value["item"] == "test.jsonl:4"


def test_a_changed_file_is_read_again(tmp_path):
    rng = random.Random(9)
    old, new = words(rng, 20), words(rng, 30)
    path = write(tmp_path / "q.jsonl", [{"question": old}])
    assert not Decontaminate(questions=str(path))(old)
    write(path, [{"question": new}])
    step = Decontaminate(questions=str(path))
    assert step(old)
    assert not step(new)


def test_protected_documents_pass(made):
    rows, step = made
    document = Document(key="s/a", text=rows[0]["question"], protected=True)
    assert list(step.apply([document])) == [document]


def test_overlap_is_the_share_of_the_items_ngrams(tmp_path):
    text = words(random.Random(4), 40).split()
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [{"question": " ".join(text)}])), min_overlap=0.5)
    for length in range(13, 41):
        value = next(step.checks(Document(key="", text=" ".join(text[:length])))).value
        assert value["overlap"] == pytest.approx((length - 12) / 28)
        assert bool(step(" ".join(text[:length]))) == ((length - 12) / 28 < 0.5)


def test_one_phrase_of_a_long_passage_does_not_condemn_a_page(tmp_path):
    passage = words(random.Random(5), 200)
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [{"question": passage}])))
    assert step("A page that quotes " + " ".join(passage.split()[50:70]) + " and goes on.")
    assert not step("A page that quotes " + " ".join(passage.split()[50:190]) + " and goes on.")


def test_other_numbers_are_another_question(tmp_path):
    text = "A train of {} cars leaves at {} and each car holds {} people how many people travel on it in all"
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [{"question": text.format(31, 9, 48)}])))
    assert not step(text.format(31, 9, 48))
    assert step(text.format(32, 8, 47))


def test_short_items_match_whole_and_shorter_ones_are_listed(tmp_path):
    rows = [
        {"question": "Why do eight plain words make one item?", "answer": "yes"},
        {"question": "Seven plain words make no item here", "answer": "because they are too common"},
        {"question": "Too short", "answer": "too"},
    ]
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", rows)))
    assert step.undetectable == ["q.jsonl:3"]
    assert step.undetectable_alone == ["q.jsonl:2", "q.jsonl:3"]
    assert not step("so: why do eight plain words make one item then")
    assert step("why do eight plain words never make one item")
    assert step("Seven plain words make no item here. Too short, too.")
    assert not step("Seven plain words make no item here: because they are too common.")


def test_short_items_are_found_when_deleted_punctuation_joined_their_words(tmp_path):
    step = Decontaminate(
        questions=str(write(tmp_path / "q.jsonl", [{"question": "Isn't O'Brien's well-known dog old?"}]))
    )
    assert step.undetectable == []
    assert not step("So, isnt obriens wellknown dog old, they ask.")


def test_labels_put_around_a_question_for_a_model_are_not_part_of_it(tmp_path):
    rng = random.Random(6)
    passage, asked, choices = words(rng, 150), words(rng, 20), [words(rng, 6) for _ in range(4)]
    query = f"Passage: {passage}\nQuestion: {asked}?\nChoices:\n" + "\n".join(f"A. {choice}" for choice in choices)
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [{"query": query, "choices": ["A", "B"]}])))
    assert not step(f"Quiz. {asked}? Answers below.")
    assert not step(query)
    assert step(passage)


def test_fields_can_be_named_and_files_compressed(tmp_path):
    rng = random.Random(7)
    row = {"stem": [words(rng, 14), words(rng, 15)], "key": words(rng, 14), "id": "x7"}
    line = json.dumps(row).encode() + b"\n"
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line))
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(line))
    for name in ("a.jsonl.gz", "b.jsonl.zst"):
        step = Decontaminate(questions=[str(tmp_path / name)], question_field="stem", answer_field="key")
        assert [step(text).value["item"] for text in row["stem"]] == [f"{name}:x7"] * 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b'{"question": "fine"}\n{"body": "x", "gold": 1}\n',
            "line 2: no question in it: expected a text in 'question'",
        ),
        (b'{"question": ""}\n', "line 1: no question"),
        (b'{"question": "fine"}\n\n[1]\n', "line 3: not a JSON object"),
        (b"question,answer\n", "line 1: not JSON"),
        (b"\n", "no test items"),
    ],
)
def test_files_without_questions_are_refused_with_their_line(tmp_path, content, said):
    path = tmp_path / "q.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"q\.jsonl") as error:
        Decontaminate(questions=str(path)).open()
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["missing.jsonl", "torn.jsonl.gz", "torn.jsonl.zst", "plain.jsonl.zst"])
def test_missing_and_broken_files_are_refused_by_name(tmp_path, name):
    if name == "torn.jsonl.gz":
        (tmp_path / name).write_bytes(gzip.compress(b'{"question": "fine"}\n')[:-12])
    elif name == "torn.jsonl.zst":
        lines = b"".join(b'{"question": "fine %d"}\n' % number for number in range(100_000))
        (tmp_path / name).write_bytes(zstandard.compress(lines)[:-100])
    elif name == "plain.jsonl.zst":
        (tmp_path / name).write_bytes(b'{"question": "fine"}\n')
    with pytest.raises(ValueError, match=name):
        Decontaminate(questions=str(tmp_path / name)).open()


def test_real_test_sets_are_found_in_real_prose():
    path = SHARED / "benchmarks" / "gsm8k_test.jsonl.gz"
    if not path.exists():
        pytest.skip("shared test sets are not here")
    step = Decontaminate(questions=str(path))
    items = list(read_items(path))
    assert len(items) == 1319
    assert step.undetectable_alone == []
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    rng = random.Random(8)
    for row in rng.sample(rows, 100):
        for form in REFORMATTED.values():
            other = rng.choice(rows)["answer"]
            assert not step(f"{other}\n{form(row['question'])}\n{other}")
