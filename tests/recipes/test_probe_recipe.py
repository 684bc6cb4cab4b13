"""A probe's recipe: lists become runs, results become JSON, Parquet and means with intervals, mistakes are said."""

import json
import math

import pytest

from curate.document import Document
from curate.shards.text import write_text_shard
from curate.shards.tokens import TokenShards
from recipes.app.measure.probe import make_plan, parquet, run_probe, summary
from recipes.app.measure.statistics import arms_of, multiplier
from recipes.app.recipe.load import RecipeError, load
from recipes.app.report.sweep import write_page

RECIPE = """\
name: tiny
probe:
  facts: {kind: compact, people: 20, exposures: 4, name_parts: [16, 16], attributes: 3, values: 8}
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4}
  exposures: [2, 4]
  learning_rates: [1.0e-2]
  seeds: [0, 1, 2]
  grid:
    model.width: [16, 32]
    arm.tag_leak: [0.0, 0.5]
  arms:
    - arm: junk
      junk: endless
      junk_ratio: 0.5
      tag: useful
"""


def recipe(tmp_path, text=RECIPE, **changes):
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return path


def mistakes(tmp_path, old, new):
    with pytest.raises(RecipeError) as caught:
        load(str(recipe(tmp_path, **{old: new})))
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


def test_lists_become_the_product_of_runs(tmp_path):
    loaded = load(str(recipe(tmp_path)))
    plan = make_plan(loaded.recipe.probe, tmp_path / "out")
    assert len(plan["runs"]) == 2 * 3 * 2 * 2
    told = {(run["exposures"], run["seed"], run["model"]["width"], run["tag_leak"]) for run in plan["runs"]}
    assert len(told) == 24
    assert plan["runs"][3]["arm"] == "junk, model.width 32, arm.tag_leak 0.5"
    assert {run["training"]["learning_rate"] for run in plan["runs"]} == {1e-2}


def test_results_are_json_parquet_and_means_over_seeds(tmp_path):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    changes = {"    model.width: [16, 32]\n    arm.tag_leak: [0.0, 0.5]\n": "    model.width: [16]\n"}
    out = tmp_path / "out"
    results = run_probe(load(str(recipe(tmp_path, **changes))), out, processes=1)
    assert json.loads((out / "results.json").read_text()) == results and len(results) == 6
    table = pyarrow.read_table(out / "results.parquet").to_pylist()
    assert [row["value_bits"] for row in table] == [row["value_bits"] for row in results]
    assert [json.loads(row["clipped"]) for row in table] == [row["clipped"] for row in results]
    lines = json.loads((out / "summary.json").read_text())
    assert [(line["exposures"], line["seeds"]) for line in lines] == [(2, 3), (4, 3)]
    for line in lines:
        values = [row["value_bits"] for row in results if row["exposures"] == line["exposures"]]
        mean = sum(values) / 3
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / 2 / 3)
        assert line["value_bits"] == pytest.approx(mean)
        assert line["value_bits_half_width"] == pytest.approx(4.302653 * spread)  # t of 2 degrees of freedom, 97.5 %
    again = run_probe(load(str(recipe(tmp_path, **changes))), out, processes=1)
    assert again == results


def test_failed_runs_are_counted_apart():
    sound = dict.fromkeys(("arm", "architecture", "exposures", "junk_kind", "windows", "tag"), "a")
    sound |= dict.fromkeys(("parameters", "people", "junk_ratio", "shuffle", "tag_leak", "learning_rate", "batch"), 1)
    sound |= {"tag_at_test": True, "value_bits": 4.0, "name_bits": 1.0}
    sound |= {"value_bits_per_parameter": 4.0, "bits_per_parameter": 5.0}
    failed = sound | {"error": "Diverged: ...", "value_bits": None, "parameters": None, "architecture": None}
    (line,) = summary([sound, failed])
    assert (line["seeds"], line["failed"], line["value_bits"], line["value_bits_half_width"]) == (1, 1, 4.0, None)
    (only,) = summary([failed])
    assert (only["seeds"], only["failed"], only["value_bits"]) == (0, 1, None)
    assert parquet([sound, failed]).startswith(b"PAR1")


def test_a_grid_of_what_is_no_setting_is_a_mistake(tmp_path):
    assert any(
        "'model.widht' is not a setting that a grid can vary" in line
        for line in mistakes(tmp_path, "model.width", "model.widht")
    )
    assert any("'model.width' has no values" in line for line in mistakes(tmp_path, "[16, 32]", "[]"))
    said = mistakes(tmp_path, "[16, 32]", "[16, wide]")
    assert any("grid: with one of its values width is invalid" in line for line in said)


def test_what_needs_a_bundle_and_has_none_is_said(tmp_path):
    loaded = load(str(recipe(tmp_path, **{"  exposures: [2, 4]\n": "  exposures: [9]\n"})))
    with pytest.raises(ValueError, match="holds 4 exposures of each fact, and the recipe asks for 9"):
        make_plan(loaded.recipe.probe, tmp_path / "out")


def test_facts_may_be_drawn_where_models_train(tmp_path):
    text = RECIPE.replace("  model:", "  drawn: true\n  model:").replace("    arm.tag_leak: [0.0, 0.5]\n", "")
    loaded = load(str(recipe(tmp_path, text, **{"[16, 32]": "[16]", "seeds: [0, 1, 2]": "seeds: [0]"})))
    results = run_probe(loaded, tmp_path / "out", processes=1)
    assert all(row["value_bits"] is not None for row in results)
    assert not list((tmp_path / "out" / "corpus" / "tokens").glob("*/*.ds"))


def test_guards_and_schedules_are_fields_of_the_grid(tmp_path):
    changes = {"[16, 32]": "[16]", "seeds: [0, 1, 2]": "seeds: [0]", "exposures: [2, 4]": "exposures: [4]"}
    text = RECIPE.replace(
        "arm.tag_leak: [0.0, 0.5]", "training.guard: [off, skip]\n    training.schedule: [cosine, linear]"
    )
    results = run_probe(load(str(recipe(tmp_path, text, **changes))), tmp_path / "out", processes=1)
    assert [row.get("guarded") for row in results] == [None, None, {"action": "skip"}, {"action": "skip"}]
    for plain, guarded in zip(results[:2], results[2:], strict=True):
        assert plain["value_nats"] == guarded["value_nats"]
    assert results[0]["value_nats"] != results[1]["value_nats"]
    page = write_page("tiny", results, tmp_path / "out").read_text()
    assert page.count("guard skip: 0 steps skipped") == 2


CLIMB = """\
name: tiny
probe:
  facts: {kind: compact, people: 10, exposures: 512, name_parts: [8, 8], attributes: 2, values: 4}
  drawn: true
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4}
  exposures: [4, 8, 16, 32, 64, 128, 256, 512]
  climb: true
  learning_rates: [1.0e-2]
  seeds: [0, 1]
  arms:
    - {arm: facts}
    - {arm: junk, junk: endless, junk_ratio: 0.5}
"""


def test_a_climb_trains_no_more_than_brackets_half_of_the_facts(tmp_path):
    results = run_probe(load(str(recipe(tmp_path, CLIMB))), tmp_path / "out", processes=1)
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
    planned = json.loads((tmp_path / "out" / "plan.json").read_text())["runs"]
    assert [(run["arm"], run["seed"], run["exposures"]) for run in planned] == [
        (row["arm"], row["seed"], row["exposures"]) for row in results
    ]
    facts, junk = arms_of(results).values()
    for arm in (facts, junk):
        for seed in (0, 1):
            trained = sorted(rung for rung, found in arm.stored.items() if seed in found)
            low, high = trained[-2:] if arm.stored[64][seed] < 0.5 else trained[:2]
            assert high == 2 * low and arm.stored[low][seed] < 0.5 <= arm.stored[high][seed]
            assert 64 in trained  # the middle, where all begin
    assert len(results) < 2 * 2 * 8 / 2
    assert multiplier(junk, facts).value > 1.5
    page = write_page("tiny", results, tmp_path / "out").read_text()
    assert "Exposures to half of the facts" in page and "64 exposures" in page and "4 exposures</h3>" in page
    assert run_probe(load(str(recipe(tmp_path, CLIMB))), tmp_path / "out", processes=1) == results


def test_the_first_arm_of_a_climb_is_the_first_of_the_recipe(tmp_path):
    """Others are compared with it, whichever is trained at the lowest rung."""
    facts, junk = CLIMB.splitlines()[-2:]
    swapped = CLIMB.replace(f"{facts}\n{junk}", f"{junk}\n{facts}")
    results = run_probe(load(str(recipe(tmp_path, swapped))), tmp_path / "out", processes=1)
    assert list(arms_of(results)) == ["junk", "facts"]
    assert min(row["exposures"] for row in results if row["arm"] == "facts") < min(
        row["exposures"] for row in results if row["arm"] == "junk"
    )


def test_a_climb_wants_a_ladder(tmp_path):
    wrong = CLIMB.replace("[4, 8, 16, 32, 64, 128, 256, 512]", "[4]")
    with pytest.raises(RecipeError, match="climb: there is no ladder to climb"):
        load(str(recipe(tmp_path, wrong)))


WITH_PAGES = """\
name: tiny
probe:
  facts: {kind: compact, people: 20, exposures: 4, name_parts: [16, 16], attributes: 3, values: 8}
  drawn: true
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4, window: 64}
  exposures: [4]
  arms:
    - {arm: facts}
    - {arm: pages, junk: pages, junk_ratio: 0.5}
    - {arm: both tagged, junk: tagged-pages, junk_ratio: 0.5, tag: useful}
"""


def test_real_pages_are_junk_where_a_run_is_named(tmp_path):
    """Without one, what wants them is left out and said."""
    path = recipe(tmp_path, WITH_PAGES)
    said: list[str] = []
    alone = run_probe(load(str(path)), tmp_path / "alone", processes=1, warn=said.append)
    assert [row["arm"] for row in alone] == ["facts"]
    assert said == ["left out: pages, both tagged; their junk is the text of a finished run: name it with --corpus"]
    (tmp_path / "run" / "text").mkdir(parents=True)
    pages = (
        Document(
            key=f"p/{n}", text=f"Page {n} tells of rivers and of {n * n} stones. " * 8, source="s", domain="a.example"
        )
        for n in range(40)
    )
    with (tmp_path / "run" / "text" / "00000.jsonl.zst").open("wb") as stream:
        write_text_shard(stream, pages)
    loaded = load(str(path), [f"probe.corpus={tmp_path / 'run'}"])
    results = run_probe(loaded, tmp_path / "all", processes=1)
    assert [row["arm"] for row in results] == ["facts", "pages", "both tagged"]
    assert not [row["error"] for row in results if row.get("error")]
    assert len({row["parameters"] for row in results}) == 1 and results[0]["parameters"] > alone[0]["parameters"]
    assert [row["junk_ratio"] for row in results] == pytest.approx([0, 0.5, 0.5], abs=0.1)
    tagged = TokenShards.open(tmp_path / "all" / "corpus" / "tokens" / "tagged-pages").documents()
    assert tagged["prefix"].all()


OWN_ARMS = """\
name: tiny
probe:
  facts: {kind: compact, people: 20, exposures: 8, name_parts: [16, 16], attributes: 3, values: 8}
  drawn: true
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4}
  exposures: [2, 4]
  seeds: [0, 1]
  arms:
    - {arm: plain}
    - {arm: gated, model: {architecture: gpt2_gated, width: equal P to plain}}
    - {arm: more people, facts: {people: 50}, exposures: [8], learning_rates: [1.0e-3, 2.0e-3], training: {batch: 8}}
"""


def test_arms_have_a_model_people_exposures_and_rates_of_their_own(tmp_path):
    probe = load(str(recipe(tmp_path, OWN_ARMS))).recipe.probe
    plan = make_plan(probe, tmp_path / "out")
    by_arm = {}
    for run in plan["runs"]:
        by_arm.setdefault(run["arm"], []).append(run)
    assert [len(runs) for runs in by_arm.values()] == [4, 4, 4]
    assert json.loads((tmp_path / "out" / "corpus" / "facts" / "facts.json").read_text())["people"] == 50
    plain, gated, more = (runs[0] for runs in by_arm.values())
    assert plain["people"] == gated["people"] == [0, 20] and more["people"] == []
    assert {run["exposures"] for run in by_arm["more people"]} == {8}
    assert {run["training"]["learning_rate"] for run in by_arm["more people"]} == {1e-3, 2e-3}
    assert (plain["training"]["batch"], more["training"]["batch"]) == (4, 8)
    # 43 words, the end of text and the tag: 16 wide, 12 d^2 + 13 d + 2 d + V d and 11 d^2 + ...
    assert gated["model"]["architecture"] == "gpt2_gated" and gated["model"]["width"] == 16
    results = run_probe(load(str(recipe(tmp_path, OWN_ARMS))), tmp_path / "out", processes=1)
    parameters = {row["arm"]: row["parameters"] for row in results}
    assert abs(parameters["gated"] / parameters["plain"] - 1) < 0.1
    assert {row["arm"]: row["people"] for row in results} == {"plain": 20, "gated": 20, "more people": 50}
    alone = OWN_ARMS.replace("    - {arm: gated", "#").replace("    - {arm: more", "#")
    same = run_probe(load(str(recipe(tmp_path, alone))), tmp_path / "alone", processes=1)
    assert [row["value_bits"] for row in same if row["seed"] == 0] != []


def test_an_arm_climbs_its_own_ladder(tmp_path):
    own = CLIMB.replace("junk_ratio: 0.5}", "junk_ratio: 0.5, exposures: [16, 32, 64, 128, 256]}")
    results = run_probe(load(str(recipe(tmp_path, own))), tmp_path / "out", processes=1)
    facts, junk = arms_of(results).values()
    assert 64 in facts.stored and 64 in junk.stored and min(junk.stored) >= 16
    with pytest.raises(RecipeError, match="no ladder to climb"):
        load(str(recipe(tmp_path, CLIMB.replace("junk_ratio: 0.5}", "junk_ratio: 0.5, exposures: [16]}"))))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("equal P to plain", "equal P to plan", "there is no such arm with a width of its own"),
        ("equal P to plain", "equal P to gated", "there is no such arm with a width of its own"),
        ("equal P to plain", "broad", "width"),
        ("{people: 50}", "{persons: 50}", "persons"),
        ("{people: 50}", "{people: 50}, people: [0, 4]", "both say who is shown"),
        ("training: {batch: 8}", "training: {bath: 8}", "bath"),
        ("  seeds: [0, 1]", "  grid: {training.batch: [4, 8]}", "and arm 'more people' has its own"),
        ("  seeds: [0, 1]", "  grid: {arm.exposures: [[4], [8]]}", "is not a setting that a grid can vary"),
        ("  seeds: [0, 1]", "  quick: {arms: [gated]}", "there is no such arm with a width of its own"),
    ],
)
def test_what_an_arm_cannot_have_is_said(tmp_path, old, new, message):
    assert any(message in line for line in mistakes_of(tmp_path, OWN_ARMS, old, new))


def mistakes_of(tmp_path, text, old, new):
    with pytest.raises(RecipeError) as caught:
        load(str(recipe(tmp_path, text, **{old: new})))
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


def test_people_of_an_arm_and_equal_parameters_are_refused_where_there_are_none(tmp_path):
    relations = OWN_ARMS.replace(
        "kind: compact, people: 20, exposures: 8, name_parts: [16, 16], attributes: 3, values: 8",
        "kind: relations, people: 20, exposures: 8, employers: 5",
    ).replace("drawn: true", "drawn: false")
    with pytest.raises(ValueError, match="is for facts of compact, people, biod; these are of 'relations'"):
        make_plan(load(str(recipe(tmp_path, relations))).recipe.probe, tmp_path / "out")
    tall = OWN_ARMS.replace("architecture: gpt2_gated", "architecture: gpt2, layers: 64")
    with pytest.raises(ValueError, match="arm 'gated': no width has"):
        make_plan(load(str(recipe(tmp_path, tall))).recipe.probe, tmp_path / "tall")
