"""A setting is declared once: what a dataclass declares is what a recipe takes, with its limits and its meaning."""

import dataclasses
import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import curate.run.output as output
import curate.sources.partition as partition
import recipes.app.recipe.schema as schema
import train_probe.architecture as architecture
import train_probe.plan as plan
from curate.errors import Refused
from curate.shards.domain_rendering import domain_tokens
from curate.step import param
from recipes.app.measure.asked import Comparison
from recipes.app.measure.probe import make_plan
from recipes.app.recipe.load import load
from synth import exposures
from synth.domains import Domains
from synth.facts import FactsError
from synth.inject import Inject
from synth.own.table import bits_of
from train_probe.inputs import PLACEMENTS, read_facts
from train_probe.plan import PlanError, RunPlan, TrainingPlan, plan_of
from train_probe.settings import setting

ROOT = Path(__file__).parents[2]
PROBE = """\
name: tiny
probe:
  facts: {kind: compact, people: 20, exposures: 4, name_parts: [16, 16], attributes: 3, values: 8}
  model: {layers: 1, heads: 1, width: 16, rotary_base: 500, norm_epsilon: 1.0e-6}
  training: {batch: 4, evaluate_bits: [4, 8]}
  grid:
    model.rotary_base: [500, 2000]
  arms:
    - {arm: junk, junk: endless, junk_ratio: 0.5}
"""


def recipe_with(where: str, given: dict) -> dict:
    """A recipe that says `given` at one place."""
    recipe: dict = {"name": "a", "probe": {"arms": [{"arm": "x"}]}, "inputs": [{"path": "a"}], "output": {"tokens": {}}}
    if where == "probe.arms":
        recipe["probe"]["arms"][0] |= given
    elif where == "inputs":
        recipe["inputs"][0] |= given
    elif where == "output.tokens":
        recipe["output"]["tokens"]["a"] = given
    else:
        part, name = where.split(".")
        recipe[part][name] = given
    return recipe


def said(schema_module, recipe: dict, where: str):
    """What a recipe's model holds at a place."""
    found = schema_module.Recipe.model_validate(recipe)
    for name in where.split("."):
        found = getattr(found, name)
    return found["a"] if isinstance(found, dict) else found[0] if isinstance(found, list) else found


@pytest.mark.parametrize(
    ("module", "kind", "where"),
    [
        (architecture, "Architecture", "probe.model"),
        (plan, "TrainingPlan", "probe.training"),
        (plan, "RunPlan", "probe.arms"),
        (partition, "Input", "inputs"),
        (output, "VocabularyChoice", "output.tokenizer"),
        (output, "Rendering", "output.tokens"),
    ],
)
def test_a_new_field_is_taken_by_recipes_at_once(module, kind, where, monkeypatch):
    declare = setting if module.__name__.startswith("train_probe") else param

    @dataclass(frozen=True)
    class More(getattr(module, kind)):
        polish: float = declare(0.25, "how much it is polished", ge=0, le=1)
        finish: str = declare("matt", "what it looks like", choices=("matt", "glossy"))

    for one in (module, plan):
        if hasattr(one, kind):
            monkeypatch.setattr(one, kind, More)
    spec = importlib.util.spec_from_file_location("schema_again", schema.__file__)
    assert spec is not None and spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "schema_again", again)
    spec.loader.exec_module(again)

    given = {"polish": 0.75, "finish": "glossy"}
    found = said(again, recipe_with(where, given), where)
    assert (found.polish, found.finish) == (0.75, "glossy")
    usual = said(again, recipe_with(where, {}), where)
    if kind == "Architecture":
        assert (usual.polish, usual.finish) == (None, None)  # as the published architecture has it
        assert (usual.built().polish, found.built().polish) == (0.25, 0.75)
        assert plan.ModelPlan.of(found.model_dump()).built().finish == "glossy"
    else:
        assert (usual.polish, usual.finish) == (0.25, "matt")
    assert "how much it is polished" in json.dumps(again.Recipe.model_json_schema())
    for wrong, message in (({"polish": 1.5}, "less than or equal to 1"), ({"finish": "dull"}, "'matt' or 'glossy'")):
        with pytest.raises(ValidationError, match=message):
            again.Recipe.model_validate(recipe_with(where, wrong))
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            schema.Recipe.model_validate(recipe_with(where, wrong))


def test_every_field_of_an_architecture_can_be_changed_by_a_recipe():
    names = {item.name for item in dataclasses.fields(architecture.Architecture)}
    assert names | {"architecture"} == set(schema.ProbeModel.model_fields)


def test_rotary_base_and_norm_epsilon_reach_the_architecture_of_every_run(tmp_path):
    (tmp_path / "recipe.yaml").write_text(PROBE)
    content = make_plan(load(str(tmp_path / "recipe.yaml")).recipe.probe, tmp_path / "out")
    assert content["model"]["rotary_base"] == 500  # flat, beside layers and width
    found = plan_of(json.loads(json.dumps(content)))
    built = [found.model_of(run).built() for run in found.runs]
    assert [(one.rotary_base, one.norm_epsilon) for one in built] == [(500.0, 1e-6), (2000.0, 1e-6)]
    assert [one.evaluate_bits for one in map(found.training_of, found.runs)] == [(4, 8), (4, 8)]


def test_the_schema_is_made_without_numpy_and_torch():
    code = "import recipes.app.recipe.schema, sys; print([m for m in ('numpy', 'torch', 'yaml') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RunPlan("a", 1, tag="usefull"), "RunPlan.tag: must be one of .* \\(did you mean 'useful'"),
        (lambda: RunPlan("a", 1, junk_kind="endles", junk_ratio=0.5), "RunPlan.junk_kind: must be one of"),
        (lambda: RunPlan("a", 1, windows="mixt"), "RunPlan.windows: must be one of pure, mixed"),
        (lambda: TrainingPlan(precision="half"), "TrainingPlan.precision: must be one of auto, float64"),
        (lambda: TrainingPlan(clip=float("inf")), "must be finite and above 0, not inf"),
    ],
)
def test_a_plan_cannot_hold_a_choice_that_nobody_knows(make, message):
    with pytest.raises(PlanError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: output.Rendering("a", source="extracted"), "`source` must be one of extract, end, not 'extracted'"),
        (lambda: output.Rendering("a", domain="speshal"), "did you mean 'special'"),
        (lambda: output.Publication(keep_dropped="al"), "`keep_dropped` must be one of none, sample, all"),
        (lambda: output.Publication(text_domain="url"), "`text_domain` must be one of none, prefix"),
        (lambda: Inject(kind="compakt"), "did you mean 'compact'"),
        (lambda: Inject(placement="evn"), "`placement` must be one of even"),
        (lambda: Comparison(protocol="same-comput"), "must be one of same-budget, same-compute, own-size"),  # type: ignore[arg-type]
    ],
)
def test_what_is_made_without_a_recipe_is_checked_too(make, message):
    with pytest.raises(Refused, match=message):
        make()


def test_facts_and_shards_are_made_in_no_way_that_nobody_knows(tmp_path):
    with pytest.raises(Refused, match="'speshal' \\(did you mean 'special'"):
        domain_tokens([("a.org", None)], None, "speshal")  # type: ignore[arg-type]
    with pytest.raises(FactsError, match="`entropy` must be one of empirical, uniform, not 'uniforn'"):
        bits_of(np.array([0, 1]), entropy="uniforn")
    for name, content in (("facts", {}), ("scoring", {}), ("injection", {"placement": "evn"})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    with pytest.raises(PlanError, match="placement must be one of even, clustered, curriculum, not 'evn'"):
        read_facts(tmp_path)
    assert PLACEMENTS == exposures.PLACEMENTS
    with pytest.raises(FactsError, match="`domains` must be one of own, corpus, shuffled, not 'shufled'"):
        Domains("shufled", "facts", 0, [("a.org", 3)])
