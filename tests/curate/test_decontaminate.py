"""Decontamination on generated test sets and, where they are at hand, on real ones."""

from __future__ import annotations

import gzip
import json
import pickle
import random
import re
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
    "no spaces around marks": lambda text: re.sub(r"\s*([^\w\s])\s*", r"\1", text),
    "a space after each letter": " ".join,
    "no punctuation": lambda text: text.translate(ASCII_MARKS["deleted"]),
    "spaces for punctuation": lambda text: text.translate(ASCII_MARKS["spaced"]),
    "curly quotes, hard spaces": lambda text: text.replace("'", "\u2019").replace('"', "\u201c").replace(" ", "\u00a0"),
}


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(SYLLABLES) + rng.choice(SYLLABLES) + rng.choice(SYLLABLES) for _ in range(count))


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def letters(text: str) -> str:
    return "".join(re.findall(r"[a-z0-9]", text.lower()))


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
        assert (drop.step, drop.rule, drop.threshold) == ("decontaminate", "contaminated", 0.6)
        assert drop.value["item"] == f"test.jsonl:{number}"
        assert drop.value["part"] == "question"
        assert drop.value["score"] == 1.0
        shown = page[drop.value["begin"] : drop.value["end"]]
        assert letters(row["question"]) in letters(shown)
        assert len(shown) <= len(REFORMATTED[form](row["question"])) + 80


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


def test_the_score_is_the_share_of_the_words_that_are_there(tmp_path):
    text = words(random.Random(4), 40).split()
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [{"question": " ".join(text)}])), min_score=0.5)
    for length in range(10, 41):
        # None of these words is in the table of common ones, so all weigh the same.
        verdict = step(" ".join(text[:length]))
        assert bool(verdict) == (length / 40 < 0.5)
        if not verdict:
            assert verdict.value["score"] == pytest.approx(length / 40, abs=1e-4)
            assert verdict.value["bits"] == pytest.approx(12 * length)


def test_rare_words_weigh_more_than_common_ones(tmp_path):
    row = {"question": "what is the name of the zubakeran in the city of the melovutis"}
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [row])), evidence=0.0)
    rare = step("so what is the name of the zubakeran in the city of the other one").value
    assert rare["score"] < 1 - 1 / 13
    common = step("so what is the name and the zubakeran in the city of the melovutis").value
    assert common["score"] > 1 - 1 / 13


@pytest.mark.parametrize("length", [10, 20, 40, 80])
def test_a_tenth_of_the_words_may_be_other_ones_or_gone_or_new(tmp_path, length):
    rng = random.Random(length)
    text = words(rng, length).split()
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [{"question": " ".join(text)}])))
    for _ in range(30):
        for edit in ("replace", "delete", "insert"):
            changed = list(text)
            for place in sorted(rng.sample(range(length), length // 10), reverse=True):
                if edit != "insert":
                    del changed[place]
                if edit != "delete":
                    changed.insert(place, words(rng, 1))
            assert not step(f"{words(rng, 200)}. {' '.join(changed)}. {words(rng, 200)}"), (edit, changed)


def test_a_phrase_of_a_short_question_is_not_the_question(tmp_path):
    row = {"question": "Is the Zanzibar Archipelago Marathon part of the world championship series?"}
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", [row])))
    assert step("Every year the Zanzibar Archipelago Marathon draws runners from all over the world.")
    assert not step("They ask: is the Zanzibar Archipelago Marathon part of the world championship series? It is.")


def test_a_whole_test_set_on_one_page_is_found_item_by_item(made):
    rows, step = made
    page = "\n".join(f"{number}. {row['question']}" for number, row in enumerate(rows))
    hits = step.hits(page)
    assert sorted(hit.item for hit in hits) == sorted(f"test.jsonl:{number}" for number in range(1, len(rows) + 1))
    for hit in hits:
        row = rows[int(hit.item.split(":")[1]) - 1]
        assert letters(row["question"]) in letters(page[hit.begin : hit.end])
        assert hit.end - hit.begin < len(row["question"]) + 60


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


def test_numbers_can_be_told_to_be_alike(tmp_path):
    text = "A train of {} cars leaves at {} and each car holds {} people how many people travel on it in all"
    path = write(tmp_path / "q.jsonl", [{"question": text.format(31, "1,250", 48)}])
    assert Decontaminate(questions=str(path))(text.format(7, 12, 6))
    assert not Decontaminate(questions=str(path), numbers="ignore")(text.format(7, 12, 6))


def test_too_short_questions_are_found_with_their_answers_and_shorter_ones_listed(tmp_path):
    rows = [
        {"question": "Why do eight plain words make one item?", "answer": "yes"},
        {"question": "Seven plain words make no item here", "answer": "because they are too common"},
        {"question": "Too short", "answer": "too"},
        {"question": "Which of these is true?", "choices": ["moss grows upwards", "stones are alive"], "answer": 1},
    ]
    step = Decontaminate(questions=str(write(tmp_path / "q.jsonl", rows)))
    assert step.undetectable == ["q.jsonl:3"]
    assert step.undetectable_alone == ["q.jsonl:2", "q.jsonl:3", "q.jsonl:4"]
    assert not step("so: why do eight plain words make one item then")
    assert step("Seven plain words make no item here. Too short, too.")
    assert not step("Seven plain words make no item here: because they are too common.")
    assert step("Which of these is true? Nobody knows.")
    assert not step("Which of these is true? Stones are alive.")
    assert not step("Which of these is true?\nA. Moss grows upwards.\nB. Stones are alive.")


def test_an_answer_alone_counts_when_it_is_long_and_a_passage_when_asked(tmp_path):
    rng = random.Random(10)
    row = {"question": words(rng, 12), "answer": words(rng, 25), "passage": words(rng, 100)}
    path = str(write(tmp_path / "q.jsonl", [row]))
    step = Decontaminate(questions=path)
    assert step(row["answer"]).value["part"] == "answer"
    assert step(row["passage"])
    assert Decontaminate(questions=path, parts=["question"])(row["answer"])
    assert Decontaminate(questions=path, parts=["passage"])(row["passage"]).value["part"] == "passage"
    with pytest.raises(ValueError, match="`parts` lists some of question, answer, passage, document, piece: title"):
        Decontaminate(questions=path, parts=["title"])


def test_cut_takes_every_copy_and_a_margin_and_leaves_the_rest(made):
    rows, _ = made
    rng = random.Random(11)
    before, between, after = words(rng, 300), words(rng, 300), words(rng, 300)
    path = made[1].questions
    page = f"{before} {rows[5]['question']} {between} {rows[5]['question']} {after}"
    step = Decontaminate(questions=path, action="cut", margin=100)
    (left,) = step.apply([Document(key="s/a", text=page)])
    assert step.hits(left.text) == []
    one, two, three = left.text.split("\n")
    assert before.startswith(one) and len(before) - 130 <= len(one) <= len(before) - 90
    assert two in between and len(between) - 260 <= len(two) <= len(between) - 190
    assert after.endswith(three)
    assert left.edits == [("decontaminate", len(page), len(left.text))]
    assert [(name, rule, value["item"]) for name, rule, value in left.notes] == [
        ("decontaminate", "contaminated", "test.jsonl:6")
    ]
    assert step(page).text == left.text
    assert isinstance(next(step.apply([Document(key="s/b", text=rows[5]["question"])])), Drop)
    many = f" {before} ".join(row["question"] for row in rows[:12])
    assert isinstance(next(step.apply([Document(key="s/c", text=many)])), Drop)


@pytest.mark.parametrize("action", ["tag", "report"])
def test_tag_and_report_keep_the_text(made, action):
    rows, step = made
    text = f"{rows[7]['question']} {words(random.Random(12), 50)} {rows[8]['question']}"
    (kept,) = Decontaminate(questions=step.questions, action=action).apply([Document(key="s/a", text=text)])
    assert kept.text == text
    ((_, _, evidence),) = kept.notes
    assert evidence["hits"] == 2
    assert sorted(evidence["all"]) == [["test.jsonl:8", "question", 1.0], ["test.jsonl:9", "question", 1.0]]
    assert kept.metadata == ({"contamination": evidence} if action == "tag" else {})


def test_rows_with_one_question_are_one_item(tmp_path):
    question = words(random.Random(13), 5)
    rows = [{"question": question, "answer": f"{n} {words(random.Random(n), 5)}", "is_correct": n == 2} for n in (1, 2)]
    (item,) = read_items(write(tmp_path / "set_test-1.jsonl", rows))
    assert (item.name, item.benchmark) == ("set_test-1.jsonl:1", "set")
    assert item.answers == (rows[1]["answer"],)
    assert item.choices == (rows[0]["answer"], rows[1]["answer"])


LAYOUTS = {
    "labelled choices": (
        {"question": "Why?", "choices": {"text": ["one", "two"], "label": ["A", "B"]}, "answerKey": "B"},
        ("two",),
    ),
    "numbered answer": ({"question": "Why?", "choices": ["one", "two"], "answer": 0}, ("one",)),
    "lettered answer": ({"question": "Why?", "options": ["one", "two"], "answer": "B"}, ("two",)),
    "split choices": ({"goal": "Why?", "sol1": "one", "sol2": "two", "label": 1}, ("two",)),
    "endings": ({"ctx": "Why?", "endings": ["one", "two"], "label": "1"}, ("two",)),
    "listed in the question": (
        {"query": "Question: Why?\nChoices:\nA. one\nB. two\nAnswer:", "choices": ["A", "B"], "gold": 1},
        ("two",),
    ),
    "a solution": ({"problem": "Why?", "solution": "So <<1+1=2>>2."}, ("So <<1+1=2>>2.", "So 2.")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fields_are_found_in_the_layouts_that_people_publish(tmp_path, layout):
    row, answers = LAYOUTS[layout]
    (item,) = read_items(write(tmp_path / "q.jsonl", [row]))
    assert item.question.strip() == "Why?"
    assert item.answers == answers


def test_a_blank_is_filled_with_each_choice(tmp_path):
    row = {"sentence": "The cat hid from the dog because _ was small.", "option1": "the cat", "option2": "the dog"}
    (item,) = read_items(write(tmp_path / "q.jsonl", [{**row, "answer": "1"}]))
    assert "The cat hid from the dog because the cat was small." in item.questions
    step = Decontaminate(questions=str(tmp_path / "q.jsonl"))
    assert not step("The cat hid from the dog because the dog was small.")
    assert not step(row["sentence"])


def test_parquet_and_folders(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    rng = random.Random(14)
    rows = [{"question": words(rng, 12), "choices": [words(rng, 3), words(rng, 3)]} for _ in range(3)]
    write_table(pyarrow.Table.from_pylist(rows), tmp_path / "b.parquet")
    other = {"question": words(rng, 12)}
    write(tmp_path / "a.jsonl", [other])
    (tmp_path / "notes.txt").write_text("no test set")
    step = Decontaminate(questions=str(tmp_path))
    assert [path.name for path in step.resources()] == ["a.jsonl", "b.parquet"]
    assert step(rows[1]["question"]).value["item"] == "b.parquet:2"
    assert step(other["question"]).value["item"] == "a.jsonl:1"
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match=r"b\.parquet: cannot be read as Parquet"):
        Decontaminate(questions=str(tmp_path)).open()


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
    (item,) = read_items(tmp_path / "q.jsonl")
    assert (item.question, item.passage) == (f"{asked}?", passage)


def test_fields_can_be_named_and_files_compressed(tmp_path):
    rng = random.Random(7)
    row = {"stem": [words(rng, 14), words(rng, 15)], "key": words(rng, 14), "id": "x7"}
    line = json.dumps(row).encode() + b"\n"
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line))
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(line))
    for name in ("a.jsonl.gz", "b.jsonl.zst"):
        step = Decontaminate(questions=[str(tmp_path / name)], fields={"*": {"question": "stem", "answer": "key"}})
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


def bare_questions(path: Path) -> list[str]:
    """The questions of a shared set by its own layout, in a few lines for each; one with other choices is another."""
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    if "context_options" in rows[0]:
        return [f"{row['context_options'][0]} {row['continuation']}" for row in rows]
    field = next(name for name in ("question", "query", "prompt") if name in rows[0])
    listed = {(row[field], *(row.get("choices", ()) if "is_correct" not in row else ())) for row in rows}
    bare = [question.split("Question:")[-1].split("\nChoices:")[0].split("\nAnswer:")[0] for question, *_ in listed]
    return [question.strip() for question in bare]


def test_published_sets_are_read_without_naming_fields():
    folder = SHARED / "benchmarks"
    if not folder.exists():
        pytest.skip("shared test sets are not here")
    step = Decontaminate(questions=str(folder))
    questions: dict[str, list[str]] = {}
    for path in step.resources():
        questions.setdefault(path.name.split("_test")[0].split(".")[0], []).extend(bare_questions(path))
    index = step.index
    assert {name: index.benchmarks.count(name) for name in set(index.benchmarks)} == {
        name: len(texts) for name, texts in questions.items()
    }
    home = dict(zip(index.items, index.benchmarks, strict=True))
    for name, texts in questions.items():
        short = sum(len(re.findall(r"[^\W_]+", text)) < 8 for text in texts)
        assert sum(home[item] == name for item in step.undetectable_alone) == short
    # "dresser": replace drawer with bobby pin.
    assert len(step.undetectable) == 8 and {home[item] for item in step.undetectable} == {"piqa"}
