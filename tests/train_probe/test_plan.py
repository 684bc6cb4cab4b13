"""A plan is checked before anything starts, and a mistake is named with what would be right."""

import ast
import dataclasses
import json
import re
from pathlib import Path

import pytest

import train_probe.plan
from train_probe.architecture import architecture
from train_probe.plan import PlanError, RunPlan, TrainingPlan, plan_of, read_plan

RUN = {"arm": "facts alone", "exposures": 5}
PLAN = {"facts": "f", "useful": "u", "runs": [RUN]}


def test_defaults_are_filled_in_and_folders_stand_beside_the_plan(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN | {"junk_shards": {"raw": "/elsewhere/raw"}}))
    plan = read_plan(path)
    assert plan.facts == tmp_path / "f"
    assert plan.junk_shards == {"raw": Path("/elsewhere/raw")}
    assert (plan.training.beta1, plan.training.beta2, plan.training.epsilon) == (0.9, 0.98, 1e-6)
    assert plan.training_of(plan.runs[0]) == dataclasses.replace(plan.training, rates="by-width")
    assert plan.processes is None


def test_rates_are_equal_where_weights_are_drawn_as_gpt2s_unless_the_plan_says_otherwise():
    for model, training, rates in (
        ({}, {}, "by-width"),
        ({"initialisation": "gpt2"}, {}, "equal"),
        ({"initialisation": "gpt2"}, {"rates": "by-width"}, "by-width"),
        ({}, {"rates": "equal"}, "equal"),
    ):
        plan = plan_of(PLAN | {"model": model, "training": training})
        assert plan.training_of(plan.runs[0]).rates == rates


def test_a_run_may_differ_from_the_plan_in_its_model_and_training():
    runs = [RUN | {"training": {"learning_rate": 1e-4}, "model": {"layers": 3}}, RUN | {"training": None}]
    plan = plan_of(PLAN | {"runs": runs, "training": {"batch": 3}})
    first, second = (plan.training_of(run) for run in plan.runs)
    assert (first.learning_rate, first.batch) == (1e-4, 3)
    assert dataclasses.replace(second, rates=None) == plan.training and plan.model_of(plan.runs[1]) == plan.model
    assert plan.model_of(plan.runs[0]).layers == 3


def test_a_model_is_a_published_architecture_and_what_differs_from_it():
    assert plan_of(PLAN).model.name == "GPT2-2-2-d32"
    assert plan_of(PLAN).model.built() == architecture("gpt2", 2, 2, 32)
    paper = plan_of(PLAN | {"model": {"layers": 4, "heads": 2, "width": 128}}).model
    assert paper.name == "GPT2-4-2"
    changed = plan_of(PLAN | {"model": {"architecture": "llama", "tied": True, "inner": 40, "kv_heads": None}}).model
    assert changed.built() == architecture("llama", 2, 2, 32, tied=True, inner=40)
    assert changed.name == "llama-2-2-d32, inner 40, tied true"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trianing": {}}, "plan: there is no key 'trianing' (did you mean 'training'?)"),
        ({"training": {"bacth": 8}}, "plan.training: there is no key 'bacth' (did you mean 'batch'?)"),
        ({"training": {"batch": 8.5}}, "plan.training.batch: a whole number is needed, not 8.5"),
        ({"training": {"batch": True}}, "plan.training.batch: a whole number is needed, not true"),
        ({"training": {"warmup": 100}}, "plan.training.warmup: must be at least 0 and below 1, not 100.0"),
        ({"training": {"learning_rate": 0}}, "plan.training.learning_rate: must be above 0, not 0.0"),
        (
            {"training": {"learning_rate": float("nan")}},
            "plan.training.learning_rate: must be finite and above 0, not nan",
        ),
        ({"model": {"width": 30, "heads": 4}}, "plan.model: width 30 does not divide into 4 heads"),
        ({"model": {"architecture": "lama"}}, "mistral, moe, not 'lama' (did you mean 'llama'?)"),
        ({"model": {"norm": "batch"}}, "plan.model: norm must be one of layer, rms, not 'batch'"),
        ({"model": {"rotary_bass": 500.0}}, "plan.model: there is no key 'rotary_bass' (did you mean 'rotary_base'?)"),
        ({"model": {"changes": {"inner": 4}}}, "plan.model: there is no key 'changes'"),
        ({"model": {"rotary_base": "500"}}, 'plan.model.rotary_base: a number is needed, not "500"'),
        ({"model": {"gated": 1}}, "plan.model.gated: true or false is needed, not 1"),
        ({"model": {"experts": 4, "inner": 0}}, "plan.model: experts need an inner width above 0"),
        (
            {"training": {"evaluate_bits": [8, 1]}},
            "plan.training.evaluate_bits[1]: must be at least 2 and at most 8, not 1",
        ),
        ({"training": {"evaluate_bits": 8}}, "plan.training.evaluate_bits: a list is needed, not 8"),
        ({"facts": 3}, "plan.facts: the path of a folder is needed, not 3"),
        ({"runs": []}, "plan.runs: must hold at least one run"),
        ({"runs": {}}, "plan.runs: a list is needed, not {}"),
        ({"runs": [RUN, {"arm": "b"}]}, r"plan.runs\[1\]: 'exposures' is missing"),
        (
            {"runs": [RUN | {"junk_kind": "endles", "junk_ratio": 0.5}]},
            "must be one of none, endless, repetitive, learnable, shards, questions, not 'endles' (did you mean"
            " 'endless'?)",
        ),
        ({"runs": [RUN | {"junk_kind": "endless"}]}, "'endless' does not go with junk_ratio 0.0"),
        (
            {"runs": [RUN | {"junk_ratio": 1.5, "junk_kind": "endless"}]},
            r"plan.runs\[0\].junk_ratio: must be at least 0 and at most 1, not 1.5",
        ),
        ({"runs": [RUN | {"junk_kind": "shards", "junk_ratio": 0.5}]}, "must name token shards exactly when"),
        (
            {
                "runs": [RUN | {"junk_kind": "shards", "junk_ratio": 0.5, "junk_shards": "rwa"}],
                "junk_shards": {"raw": "r"},
            },
            r"plan.runs\[0\].junk_shards: there is no token shards 'rwa' (did you mean 'raw'?)",
        ),
        ({"processes": 0}, "plan.processes: must be at least 1, not 0"),
    ],
)
def test_a_mistake_is_named(change, message):
    with pytest.raises(PlanError, match=re.escape(message.replace("\\[", "[").replace("\\]", "]"))):
        plan_of(PLAN | change)


def test_every_field_of_a_run_and_of_its_training_is_read_by_something():
    """A field that was declared, and is used nowhere, is accepted and changes nothing."""
    folder = Path(train_probe.plan.__file__).parent
    functions = [
        node
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name != "_fits_together"  # what is only checked is not used
    ]
    nodes = (node for function in functions for node in ast.walk(function))
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    assert {item.name for kind in (TrainingPlan, RunPlan) for item in dataclasses.fields(kind)} <= read


def test_a_missing_or_broken_file_is_one_clear_message(tmp_path):
    with pytest.raises(PlanError, match=r"nothing\.json: there is no such plan"):
        read_plan(tmp_path / "nothing.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(PlanError, match="not a readable JSON file"):
        read_plan(broken)
    broken.write_text("[]")
    with pytest.raises(PlanError, match="a JSON object is needed"):
        read_plan(broken)
