"""Questions: rows with an answer, halves that do not mix, what is right, what tuning leaves alone, what is refused."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch import nn

from curate.shards.vocabulary import Vocabulary
from synth.asking import write_question_rows
from synth.corpus import facts_corpus
from synth.facts import FactsError
from synth.inject import Inject
from synth.questions import split_of
from train_probe.data import Data
from train_probe.evaluation_plans import QuestionsPlan
from train_probe.inputs import read_inputs
from train_probe.junk import ShownQuestions
from train_probe.model import Transformer
from train_probe.plan import PlanError, plan_of
from train_probe.question_rows import read_questions
from train_probe.questions import AskedQuestions, answered
from train_probe.tuning import tuned

RECORDS = {"people": 24, "name_parts": [8, 8], "attributes": 3, "chunks": 1, "strings": 8, "length": 1, "alphabet": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    inject = Inject(kind="biod", exposures=4, **RECORDS)
    facts_corpus(folder, inject, name=None)
    write_question_rows(folder / "questions.npz", inject.table(), Vocabulary.load(folder / "tokens/tokenizer.json"))
    return folder


def opened(folder, run=None, **changes):
    content = {
        "facts": str(folder / "facts"),
        "useful": None,
        "questions": str(folder / "questions.npz"),
        "evaluate": ["questions"],
        "runs": [{"arm": "a", "exposures": 4, **(run or {})}],
        "model": {"layers": 1, "heads": 2, "width": 8},
        "training": {"window": 32, "batch": 2},
    }
    plan = plan_of(content | changes)
    return plan, Data(plan, read_inputs(plan), torch.device("cpu"))


class Knows(nn.Module):
    """A model that goes on with the right token of rows that it knows, and with token 1 elsewhere."""

    def __init__(self, vocabulary, rows):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.vocabulary = vocabulary
        self.next = {tuple(row[:place].tolist()): int(row[place]) for row in rows for place in range(1, len(row))}

    def forward(self, tokens):
        logits = torch.zeros(*tokens.shape, self.vocabulary)
        logits[..., 1] = 1.0
        for number, row in enumerate(tokens.tolist()):
            for place in range(len(row)):
                token = self.next.get(tuple(row[: place + 1]))
                if token is not None:
                    logits[number, place, token] = 2.0
        return logits


def test_a_question_of_records_is_the_mark_the_name_and_the_value(folder):
    inject = Inject(kind="biod", exposures=4, **RECORDS)
    table, words = inject.table(), Vocabulary.load(folder / "tokens/tokenizer.json")
    _, data = opened(folder)
    one = data.inputs.questions
    assert len(one.rows) == 24 * 3
    for number in (0, 20, 71):
        entity, attribute = divmod(number, 3)
        mark, name = f"<a:{attribute}>", table.names([entity])[0]
        value = table.facts(entity)[f"a{attribute + 1}.1"]
        expected = words.encode_words(f"{mark} {name} {value}")
        assert one.rows[number].tolist() == [data.facts.vocabulary, *expected] and one.answer[number] == 4
    assert one.split.tolist() == np.repeat(split_of(table, np.arange(24)), 3).tolist()
    assert set(one.size.tolist()) == {8}


def test_questions_of_sentences_end_with_their_answer(tmp_path):
    inject = Inject(kind="people", people=20, exposures=2)
    facts_corpus(tmp_path, inject, name=None)
    words = Vocabulary.load(tmp_path / "tokens/tokenizer.json")
    table = inject.table()
    write_question_rows(tmp_path / "questions.npz", table, words)
    one = read_questions(tmp_path / "questions.npz", words.end_of_text, words.size)
    read = Tokenizer.from_file(str(tmp_path / "tokens/tokenizer.json"))
    for row, entity, answer in zip(one.rows[::17], one.entity[::17], one.answer[::17], strict=True):
        said = read.decode(row[answer:].tolist()).strip()
        assert said in table.facts(int(entity)).values()
        assert read.decode(row[1:answer].tolist()).rstrip().endswith("Answer:")


def test_only_the_one_half_is_shown_every_question_once_a_pass(folder):
    _, data = opened(folder)
    one = data.inputs.questions
    shown = ShownQuestions(one, 3, 32, torch.device("cpu"))
    count = int((one.split == 0).sum())
    for turn in (0, 1):
        numbers = torch.arange(turn * count, (turn + 1) * count)
        rows = shown.tokens(numbers).split(shown.lengths(numbers).tolist())
        expected = sorted(row.tolist() for row, half in zip(one.rows, one.split, strict=True) if half == 0)
        assert sorted(row.tolist() for row in rows) == expected
    windows = shown.windows(2, 5)
    assert windows.shape == (3, 32) and (windows[:, 0] == data.facts.vocabulary).all()
    assert torch.equal(windows[1:], shown.windows(3, 5))


def test_a_run_is_shown_its_share_of_questions_beside_the_same_texts(folder):
    _, data = opened(folder, {"junk_kind": "questions", "junk_ratio": 0.5})
    stream = data.stream(data.plan.runs[0])
    assert stream.junk_ratio == pytest.approx(0.5, abs=0.05)
    begins = sum(int((block[0] == data.facts.vocabulary).sum()) for block in stream.chunk(0, stream.steps))
    assert begins > 100


def test_a_fixed_text_is_that_of_the_first_exposure(folder):
    _, data = opened(folder, {"fixed": True})
    run = data.plan.runs[0]
    texts, first = data.texts_of(run), data.texts.tokens(torch.arange(24), False)
    for exposure in range(4):
        numbers = torch.arange(24) + 24 * exposure
        assert torch.equal(texts.tokens(numbers, False), first)
    assert not torch.equal(data.texts.tokens(torch.arange(24, 48), False), first)


def test_what_is_stored_and_what_can_be_asked_for_are_told_apart(folder):
    _, data = opened(folder)
    asked = AskedQuestions.of_run(data, data.plan.runs[0], data.stream(data.plan.runs[0]))
    one = data.inputs.questions
    found = asked(Knows(data.facts.vocabulary + 8, asked._stated[0]))
    assert found == {"chance": 1 / 8, "stored": 1.0, "shown": 0.0, "asked": 0.0}
    shown = [row for row, half in zip(one.rows, one.split, strict=True) if half == 0]
    found = asked(Knows(data.facts.vocabulary + 8, shown))
    assert found["shown"] == 1.0 and found["stored"] == found["asked"] == 0.0


def test_an_answer_is_right_where_the_greedy_one_is_word_for_word():
    rows = [np.array([5, 6, 2, 3]), np.array([5, 7, 2, 4, 4])]
    model = Knows(9, [np.array([5, 6, 2, 3]), np.array([5, 7, 2, 1, 4])])
    assert answered(model, rows, np.array([2, 2]), np.array([4, 5])).tolist() == [True, False]
    assert answered(model, rows, np.array([2, 2]), np.array([4, 3])).tolist() == [True, True]


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_tuning_learns_answers_and_leaves_the_model_alone(folder, kind):
    _, data = opened(folder)
    one = data.inputs.questions
    model = Transformer(data.plan.model.built(), data.facts.vocabulary + 8, 64, seed=1)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    plan = QuestionsPlan(passes=60, batch=24, rate=3e-2, rank=4, embedding_rank=8)
    rows, starts = [one.rows[0], one.rows[1]], one.answer[:2]
    after = tuned(model, rows, starts, kind, plan, 3)
    assert answered(after, rows, starts, starts + 1).all()
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert torch.equal(tuned(model, rows, starts, kind, plan, 3)(torch.tensor([[1, 2]])), after(torch.tensor([[1, 2]])))


def test_facts_without_questions_and_plans_without_a_file_are_refused(folder, tmp_path):
    compact = Inject(people=12, exposures=2)
    facts_corpus(tmp_path, compact, name=None)
    with pytest.raises(FactsError, match="`kind: compact` have no questions"):
        write_question_rows(tmp_path / "q.npz", compact.table(), Vocabulary.load(tmp_path / "tokens/tokenizer.json"))
    plan, data = opened(folder, {"junk_kind": "questions", "junk_ratio": 0.5}, questions=None)
    with pytest.raises(PlanError, match="no file of `questions`"):
        data.stream(plan.runs[0])
    with pytest.raises(PlanError, match="no file of `questions`"):
        AskedQuestions.of_run(data, plan.runs[0], None)
    (tmp_path / "questions.npz").write_bytes(b"no")
    with pytest.raises(PlanError, match="does not hold questions"):
        read_questions(tmp_path / "questions.npz", 0, 10)
