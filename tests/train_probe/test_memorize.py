"""Memorisation: against generation by transformers, in closed form, and at every checkpoint of a run."""

import json

import numpy as np
import pytest
import torch
from probe_world import END_OF_TEXT, World
from torch import nn

from train_probe.architecture import architecture
from train_probe.asked import load_model, main, memorisation, read_sequences
from train_probe.data import Data, in_half
from train_probe.export import ExportError, export
from train_probe.inputs import read_inputs
from train_probe.memorize import distribution, memorised
from train_probe.model import Transformer
from train_probe.plan import PlanError, plan_of
from train_probe.records import RunRecord
from train_probe.train import run_name, run_plan


class Next(nn.Module):
    """A model that goes on as `follows` says, one token after another; 0.0 on all other tokens."""

    def __init__(self, vocabulary, follows):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.vocabulary, self.follows = vocabulary, follows

    def forward(self, tokens):
        logits = torch.zeros(*tokens.shape, self.vocabulary)
        for token, after in self.follows.items():
            logits[tokens == token] = 9.0 * nn.functional.one_hot(torch.tensor(after), self.vocabulary).float()
        return logits


COUNTS = Next(20, {token: token + 1 for token in range(19)})


def test_a_memoriser_is_right_in_all_tokens_and_one_miss_is_told_in_two_ways():
    rows = np.array([[0, 1, 2, 3, 4, 5], [0, 1, 2, 9, 10, 11], [0, 7, 8, 9, 10, 11]])
    scores = memorised(COUNTS, rows, 1)
    assert scores.full.tolist() == [True, False, False]
    # Behind its miss the greedy text goes on from what it wrote; the teacher-forced pass from what is true.
    assert scores.match.tolist() == [1.0, 2 / 5, 0.0]
    assert scores.forced.tolist() == [1.0, 4 / 5, 4 / 5]
    wrong, right = np.log(19 + np.e**9), np.log(19 + np.e**9) - 9
    assert scores.nats == pytest.approx([5 * right, 4 * right + wrong, 4 * right + wrong])
    assert scores.figures()["token_match"] == pytest.approx(1.4 / 3)
    assert distribution(scores.match) == [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    alone = memorised(COUNTS, rows, 1, generate=False)
    assert alone.full.tolist() == [True, False, False] and np.isnan(alone.match[1:]).all()


def test_of_equal_logits_the_lowest_token_is_the_answer():
    scores = memorised(Next(5, {}), np.array([[3, 0, 0], [3, 0, 1], [3, 4, 0]]), 1)
    assert scores.full.tolist() == [True, False, False] and scores.match.tolist() == [1.0, 0.5, 0.5]


def test_an_end_of_text_is_a_token_like_any_other():
    goes_on = Next(5, {1: 0, 0: 2, 2: 3})
    assert memorised(goes_on, np.array([[1, 0, 2, 3]]), 1).full.tolist() == [True]


@pytest.mark.parametrize("prompt", [0, 4, 5])
def test_a_prompt_leaves_something_to_ask_for(prompt):
    with pytest.raises(ValueError, match="leaves nothing of sequences of 4"):
        memorised(COUNTS, np.zeros((1, 4), np.int64), prompt)


def test_greedy_continuations_are_those_of_transformers(tmp_path):
    pytest.importorskip("transformers")
    model = Transformer(architecture("gpt2", 2, 2, 16), 30, 24, seed=3)
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    export(model, tmp_path / "model")
    theirs = load_model(str(tmp_path / "model"))
    prompts = torch.randint(0, 30, (40, 4), generator=generator)
    greedy = {"do_sample": False, "num_beams": 1, "pad_token_id": 0, "attention_mask": torch.ones_like(prompts)}
    written = theirs.model.generate(prompts, max_new_tokens=8, **greedy)
    assert written.shape == (40, 12)
    rows = written.clone()
    changed = torch.arange(40) % 8  # row i is true up to token i mod 8 of the continuation; those of 0 throughout
    for row, place in enumerate(changed.tolist()):
        if place:
            rows[row, 4 + place] = (rows[row, 4 + place] + 1 + row % 29) % 30
    expected = (written[:, 4:] == rows[:, 4:]).double().mean(1).numpy()
    for one in (model.double(), theirs.double()):
        scores = memorised(one, rows.numpy(), 4)
        assert scores.match == pytest.approx(expected)
        assert scores.full.tolist() == (changed == 0).tolist()
    # The same by the command, of a file as LLM360 publishes its chunks.
    lines = [json.dumps({"token_ids": [*row, 5], "source": "test"}) for row in rows.tolist()]
    (tmp_path / "chunk.jsonl").write_text("\n".join([*lines, json.dumps({"token_ids": [1, 2]})]) + "\n")
    found = memorisation(theirs, read_sequences(tmp_path / "chunk.jsonl"), 4, 8)
    assert found["sequences"] == 40 and found["too_short"] == 1
    assert found["token_match"] == pytest.approx(expected.mean())
    assert memorisation(theirs, read_sequences(tmp_path / "chunk.jsonl"), 4, 8, most=10)["sequences"] == 10


def test_what_a_model_cannot_be_asked_is_one_line(tmp_path, capsys):
    pytest.importorskip("transformers")
    export(Transformer(architecture("gpt2", 1, 1, 8), 30, 24, seed=3), tmp_path / "model")
    model = load_model(str(tmp_path / "model"))
    short, other = [np.arange(5)], [np.array([1, 2, 3, 99])]
    with pytest.raises(ExportError, match="prompt of 32 tokens and a continuation of 32 are 64, and the longest of 1"):
        memorisation(model, short)
    with pytest.raises(
        ExportError, match="hold token 99, the model knows 30: they were written with another tokenizer"
    ):
        memorisation(model, other, 2, 2)
    with pytest.raises(ExportError, match="are 30 tokens, and the model reads 24"):
        memorisation(model, [np.zeros(40, np.int64)], 15, 15)
    (tmp_path / "broken.jsonl").write_text('{"token_ids": [1]}\n{"token_ids": [-1]}\n')
    assert main([str(tmp_path / "model"), "--texts", str(tmp_path / "broken.jsonl")]) == 2
    assert "broken.jsonl, line 2: it must be JSON with a list `token_ids`" in capsys.readouterr().err
    assert main([str(tmp_path / "model")]) == 2


def test_several_checkpoints_of_somebody_elses_are_asked_for_several_chunks(tmp_path, capsys):
    pytest.importorskip("transformers")
    generator = torch.Generator().manual_seed(2)
    chunks = [torch.randint(0, 30, (6, 8), generator=generator).tolist() for _ in range(2)]
    names = [str(tmp_path / name) for name in ("first", "last")]
    for number, (name, chunk) in enumerate(zip(names, chunks, strict=True)):
        export(Transformer(architecture("gpt2", 1, 1, 8), 30, 24, seed=number), tmp_path / name)
        (tmp_path / f"{number}.jsonl").write_text("".join(json.dumps({"token_ids": row}) + "\n" for row in chunk))
    texts = [str(tmp_path / f"{number}.jsonl") for number in range(2)]
    asked = ["--texts", texts[0], "--texts", texts[1], "--prompt", "3", "--continuation", "5"]
    assert main([*names, *asked]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["checkpoints"] == names and found["texts"] == texts and found["sequences"] == [6, 6]
    matches = []
    for name, row in zip(names, found["token_match"], strict=True):
        cells = [memorised(load_model(name).double(), np.array(chunk), 3) for chunk in chunks]
        assert row == [cell.figures()["token_match"] for cell in cells]
        matches.append(np.concatenate([cell.match for cell in cells]))
    assert found["distribution"] == [distribution(one) for one in matches]
    assert found["correlation"][0][1] == pytest.approx(np.corrcoef(*matches)[0, 1])
    assert [one["checkpoint"] for one in found["foretold"]] == names[:1]
    assert main([*names, "--texts", texts[0], "--prompt", "9"]) == 2
    assert f"{names[0]} on {texts[0]}: a prompt of 9 tokens and" in capsys.readouterr().err
    for missing in (str(tmp_path / "none"), "./none", f"{tmp_path}/0.jsonl"):
        assert main([names[0], missing, "--texts", texts[0]]) == 2
        said = capsys.readouterr()
        assert f"there is no model in {missing}: name a run's checkpoint" in said.err and not said.out
    assert main([*names, "--facts", str(tmp_path)]) == 2
    assert "calibration is told of one model" in capsys.readouterr().err


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"), people=8, exposures=6, values=3)


RUN = {"arm": "a", "exposures": 6}
EVALUATED = {"evaluate": ["memorisation"], "training": {"batch": 4, "window": 64, "evaluate_exposures": [2, 4]}}


def test_every_checkpoint_is_asked_for_every_chunk_since_the_one_before(world, tmp_path):
    (row,) = run_plan(plan_of(world.plan([RUN], **EVALUATED)), tmp_path)
    found = [one["evaluations"]["memorisation"] for one in [*row["curve"], row]]
    for one in found:
        assert [chunk["steps"] for chunk in one["chunks"]] == [[0, 4], [4, 8], [8, 12]]
        assert [chunk["sequences"] for chunk in one["chunks"]] == [8, 8, 8]
        assert (one["prompt"], one["continuation"]) == (3, 3) and "each" not in one
        assert sum(one["distribution"]) == 8
    kept = RunRecord(tmp_path / "runs" / row["run"])
    each = kept.evaluated(4)["memorisation"]["each"]
    assert sorted(each["chunk"][2]) == sorted(each["chunk"][0]) == each["shown"] == list(range(8))
    # The losses of people's values add up to the run's own figure.
    assert np.mean(kept.evaluated(6)["memorisation"]["each"]["people"]["value_bits"]) == pytest.approx(
        row["value_nats"] / np.log(2), abs=1e-3
    )
    # A score is a function of the checkpoint: trained once more, alone or not, it is the same.
    (again,) = run_plan(plan_of(world.plan([RUN], **EVALUATED)), tmp_path / "again")
    assert again["evaluations"] == row["evaluations"]
    path = tmp_path / "runs" / row["run"] / "evaluations" / "4.json"
    path.write_text(path.read_text().replace('"prompt": 3', '"prompt": 2'))
    with pytest.raises(PlanError, match=r"4\.json is not what was written"):
        kept.evaluated(4)
    path.unlink()
    with pytest.raises(PlanError, match=r"4\.json holds no evaluation of a checkpoint"):
        kept.evaluated(4)


def test_what_is_evaluated_is_part_of_a_runs_name_and_nothing_else_is(world):
    def name(**changes):
        plan = plan_of(world.plan([RUN | changes.pop("run", {})], **changes))
        return run_name(plan, plan.runs[0], read_inputs(plan))

    assert name() == name(run={"halves": 0, "half": 0, "blocks": 0}) == name(memorisation={"prompt": 2})
    others = [
        name(evaluate=["memorisation"]),
        name(evaluate=["memorisation"], memorisation={"prompt": 2}),
        name(run={"halves": 2}),
        name(run={"halves": 2, "half": 1}),
        name(run={"blocks": 2}),
    ]
    assert len({name(), *others}) == 6


def test_texts_too_short_for_prompt_and_continuation_are_refused_before_anything_is_trained(world, tmp_path):
    asked = {"memorisation": {"prompt": 4, "continuation": 3}, **EVALUATED}
    with pytest.raises(PlanError, match="are 7, and the longest text of arm 'a' has 6: ask for less"):
        run_plan(plan_of(world.plan([RUN], **asked)), tmp_path)
    with pytest.raises(PlanError, match="no windows of pages alone"):
        run_plan(plan_of(world.plan([RUN], **(asked | {"memorisation": {"of": "pages"}}))), tmp_path)
    assert not list(tmp_path.glob("runs/*/metrics.jsonl"))
    with pytest.raises(PlanError, match=r"evaluate.0.: must be one of memorisation, calibration"):
        plan_of(world.plan([RUN], evaluate=["memorization"]))


def test_pages_are_asked_for_by_their_windows(world, tmp_path):
    run = {"arm": "pages", "exposures": 2, "junk_kind": "shards", "junk_ratio": 0.75, "junk_shards": "raw"}
    asked = {"memorisation": {"of": "pages", "prompt": 4, "continuation": 5, "chunks": 2}, "evaluate": ["memorisation"]}
    (row,) = run_plan(plan_of(world.plan([run], training={"batch": 4, "window": 16}, **asked)), tmp_path)
    chunks = row["evaluations"]["memorisation"]["chunks"]
    assert [chunk["steps"] for chunk in chunks] == [[0, 2], [2, 4]]
    assert all(chunk["sequences"] > 1 and chunk["too_short"] == 0 for chunk in chunks)


def test_everybody_is_in_exactly_half_of_the_halves(world):
    for halves in (2, 8):
        members = [in_half(10, halves, half, "here") for half in range(halves)]
        assert all(len(one) == 5 and np.all(np.diff(one) > 0) for one in members)
        assert np.bincount(np.concatenate(members)).tolist() == [halves // 2] * 10
    assert len({tuple(one) for one in members}) == 8
    with pytest.raises(PlanError, match="9 people, who have no halves"):
        in_half(9, 2, 0, "here")
    for run in ({"halves": 3}, {"halves": 4, "half": 4}, {"half": 1}):
        with pytest.raises(PlanError, match="there is no half"):
            plan_of(world.plan([RUN | run]))
    with pytest.raises(PlanError, match="a half is of all people"):
        plan_of(world.plan([RUN | {"halves": 2, "people": [0, 4]}]))


def shown(world, **run):
    """Which person each row of each step of a run shows."""
    plan = plan_of(world.plan([RUN | run]))
    stream = Data(plan, read_inputs(plan), torch.device("cpu")).stream(plan.runs[0])
    ((tokens, lengths),) = stream.chunk(0, stream.steps)
    rows = tokens.flatten(0, 1)[lengths.flatten() > 0]
    assert (rows[:, 0] == END_OF_TEXT).all()
    who = {tuple(body): person for person, body in enumerate(world.bodies.tolist())}
    return [who[tuple(row)] for row in rows[:, 1:].tolist()]


def test_a_half_is_shown_as_often_as_all_would_be_and_blocks_come_one_after_another(world):
    people = shown(world, halves=4, half=3)
    assert np.bincount(people, minlength=8).tolist() == [
        6 * int(one) for one in np.isin(range(8), in_half(8, 4, 3, ""))
    ]
    order = shown(world, blocks=4)
    blocks = [order[first : first + 12] for first in range(0, 48, 12)]
    assert sorted(person for block in blocks for person in set(block)) == list(range(8))
    for block in blocks:
        assert all(len(set(block[first : first + 2])) == 2 for first in range(0, 12, 2))
    assert shown(world, blocks=4, seed=1) != order
    with pytest.raises(PlanError, match="8 people do not fill 9 blocks"):
        shown(world, blocks=9)
