"""The laws: a file of criteria is read and checked, its parts are trained, and figures become outcomes by it alone."""

import json
import math

import pytest
from typer.testing import CliRunner

from curate.errors import Refused
from recipes.app.cli import app
from recipes.app.measure.law_figures import FIGURES, Asked, Found, Unknown
from recipes.app.measure.laws import Criterion, outcome_of, plain, read_book, run_laws
from recipes.app.recipe.schema import Recipe
from recipes.app.report.laws import figure_words, limit_words, write_laws_page

BOOK = """\
name: tiny laws
seed_from: 7
facts_seed: 3
quick: [1]
trial: ["<seed 0>: nothing"]
parts:
  one:
    quick: {seeds: 1, arms: [small]}
    seeds: 2
    probe:
      facts: {kind: compact, people: 12, name_parts: [8, 8], attributes: 2, values: 4, exposures: 16}
      drawn: true
      model: {layers: 1, heads: 1, width: 8}
      training: {batch: 4, evaluate_bits: [8], evaluate_gptq: true}
      exposures: [16]
      learning_rates: [1.0e-2]
      arms:
        - {arm: small}
        - {arm: large, model: {width: 16}}
laws:
  - result: 1
    under: default
    says: much is stored
    criteria:
      - {figure: highest R, part: one, arms: [small], holds: [-100, 100], seen: none}
      - {figure: most lost, part: one, arms: [small], holds: [-100, 100], seen: none}
  - result: 6
    under: default
    says: large stores more
    expected: false
    criteria:
      - {figure: R ratio, part: one, arms: [large], base: [small], holds: [500, 600], seen: none}
"""


def book(tmp_path, old="", new=""):
    path = tmp_path / "book.yaml"
    path.write_text(BOOK.replace(old, new) if old else BOOK)
    return path


def test_laws_are_trained_judged_resumed_and_printed(tmp_path, monkeypatch):
    out = tmp_path / "out"
    said = []
    told = run_laws(out, book=book(tmp_path), say=said.append, processes=1)
    assert json.loads((out / "laws.json").read_text()) == told and said == ["one"]
    assert [(law["result"], law["outcome"]) for law in told["laws"]] == [(1, "holds"), (6, "not shown")]
    small, large = told["parts"]["one"]
    assert small["seeds"] == large["seeds"] == [7, 8] and len(small["R"]) == len(small["clipped"]) == 2
    assert told["laws"][0]["criteria"][0]["value"] == pytest.approx(sum(small["R"]) / 2, abs=1e-3)
    assert set(small["rounded"]) == {"int 8", "gptq 8"} and told["as_registered"]
    assert told["criteria_sha256"] == read_book(out / "laws.yaml")[1]
    before = {path: path.stat().st_mtime_ns for path in out.glob("parts/one/runs/*/figures.json")}
    assert len(before) == 4
    page = write_laws_page(told, out).read_text()
    assert told["criteria_sha256"] in page and "&lt;seed 0&gt;" in page and "not the trial as" not in page
    again = run_laws(out, book=book(tmp_path), processes=1)
    assert again == told
    assert {path: path.stat().st_mtime_ns for path in out.glob("parts/one/runs/*/figures.json")} == before
    monkeypatch.setattr("recipes.app.measure.laws.LAWS", book(tmp_path))
    called = CliRunner().invoke(app, ["laws", "-o", str(out), "--processes", "1"])
    assert called.exit_code == 0 and "result  1, default: holds" in called.output, called.output
    assert told["criteria_sha256"] in called.output and "report.html" in called.output
    fresh = run_laws(tmp_path / "quick", quick=True, seed_from=20, book=book(tmp_path), processes=1)
    assert [line["arm"] for line in fresh["parts"]["one"]] == ["small"] and fresh["parts"]["one"][0]["seeds"] == [20]
    assert [law["result"] for law in fresh["laws"]] == [1] and not fresh["as_registered"]
    assert "not the trial as it was registered" in write_laws_page(fresh, tmp_path / "quick").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("arms: [small], holds", "arms: [tall], holds", "has no arm 'tall'"),
        ("part: one, arms: [large]", "part: two, arms: [large]", "there is no part 'two'"),
        ("figure: highest R", "figure: hight R", "there is no figure 'hight R'"),
        ("holds: [500, 600]", "holds: [500]", "holds"),
        ("width: 16", "wide: 16", "wide"),
        ("name: tiny laws", "name: [", "book.yaml"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_trained(tmp_path, old, new, message):
    with pytest.raises(Refused, match="book"):
        run_laws(tmp_path / "out", book=book(tmp_path, old, new))
    with pytest.raises(Refused) as caught:
        read_book(book(tmp_path, old, new))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_file_that_is_shipped_can_be_used():
    """Its seeds are not those of its trial, and every result is there under both initialisations."""
    shipped, digest = read_book()
    assert len(digest) == 64 and shipped.seed_from == 100 and shipped.facts_seed != 0
    assert {law.result for law in shipped.laws} == set(range(1, 13))
    under = {(law.result, law.under.split(",")[0]) for law in shipped.laws}
    assert {(result, kind) for result in (1, 4, 8, 9, 10, 11, 12) for kind in ("default", "gpt2")} <= under
    assert {law.result for law in shipped.laws if not law.expected} >= {5, 6, 7}
    assert len({Recipe(name=plain(name)).name for name in shipped.parts}) == len(shipped.parts)
    for name, part in shipped.parts.items():
        assert all(len(part.probe.rates_of(arm)) == 1 for arm in part.probe.arms), name
    fast = {name for name, part in shipped.parts.items() if part.quick}
    assert {law.result for law in shipped.laws if law.parts <= fast} == set(shipped.quick)


def criterion(**given):
    return Criterion(**{"figure": "highest R", "part": "one", "arms": ["a"], "holds": (2, 3), "seen": ""} | given)


@pytest.mark.parametrize(
    ("given", "found", "outcome"),
    [
        ({}, Found(2.0), "holds"),
        ({}, Found(3.1), "not shown"),
        ({"direction": (1.5, 4)}, Found(3.1), "in direction"),
        ({"direction": (1.5, 4)}, Found(1.4), "not shown"),
        ({}, Found(None, why="not trained"), "not shown"),
        ({"decided": True}, Found(2.5, 0.9, 4.0), "not shown"),
        ({"decided": True}, Found(2.5), "not shown"),
        ({"decided": True}, Found(2.5, 2.0, 3.1), "holds"),
        ({"decided": True}, Found(0.5, 0.4, 0.6), "reversed"),
        ({"decided": True, "holds": (0.3, 0.8)}, Found(2.5, 2.0, 3.1), "reversed"),
        ({"decided": True, "direction": (1, 9)}, Found(1.5, 1.2, 1.9), "in direction"),
    ],
)
def test_a_figure_becomes_an_outcome(given, found, outcome):
    assert criterion(**given).outcome(found) == outcome


def test_a_law_is_no_better_than_its_worst_figure():
    assert outcome_of(["holds", "holds"]) == "holds"
    assert outcome_of(["holds", "in direction"]) == "in direction"
    assert outcome_of(["in direction", "not shown"]) == "not shown"
    assert outcome_of(["not shown", "reversed"]) == "reversed"


def rows(values, most=4.0, **more):
    return [
        {"arm": "a", "seed": seed, "bits_per_parameter": value, "max_bits_per_parameter": most, "exposures": 10,
         "quantized": {"8": {"bits_per_parameter": 0.9 * value}}, "gptq": {"8": {"bits_per_parameter": value / 2}}}
        | more
        for seed, value in enumerate(values)
    ]  # fmt: skip


def of(name, *arms, base=()):
    return FIGURES[name][1](Asked(tuple(arms), tuple(base)))


def test_figures_are_what_they_say():
    one, two = rows([1.0, 3.0]), rows([4.0, 4.0])
    assert of("highest R", one, two).value == 4 and of("lowest R", one, two).value == 2
    assert of("lowest share", one, two).value == 0.5 and of("spread of R", one, two).value == 2
    assert of("most lost", one, two).value == pytest.approx(0.1)
    assert of("highest R by gptq", one, two).value == 2
    ratio = of("R ratio", one, base=[two])
    assert ratio.value == pytest.approx(math.sqrt(3) / 4) and ratio.low < ratio.value < ratio.high
    assert of("least R ratio", one, two, base=[two, one]).value == 0.5
    assert of("most R ratio", one, two, base=[two, one]).value == 2
    assert of("R ratio", one[:1], base=[two]).why == "one seed"
    with pytest.raises(Unknown):
        of("R ratio", rows([-1.0]), base=[two])


def climb(half, **more):
    """Three seeds that store .25 at one rung and .75 at the next, between which half lies."""
    return [
        row
        for rung, share in ((half / 2, 0.25), (half * 2, 0.75))
        for row in rows([0.0] * 3, exposures=int(rung), learning_rate=0.01, value_bits_per_parameter=share,
                        max_value_bits_per_parameter=1.0, **more)
    ]  # fmt: skip


def test_exposures_and_what_a_tag_wins_back():
    none, junk, tagged = climb(10), climb(160), climb(40)
    assert of("exposures ratio", junk, base=[none]).value == pytest.approx(16)
    assert of("won back", junk, tagged, base=[none]).value == pytest.approx(0.5)
    with pytest.raises(Unknown, match="costs nothing"):
        of("won back", none, tagged, base=[none])


def test_figures_in_words():
    told = {"value": 1.23456, "low": 1.0, "high": 2.0, "why": ""}
    assert figure_words(told) == "1.235 (1.000 to 2.000)"
    assert figure_words(told | {"low": None, "why": "one seed"}) == "1.235 (one seed)"
    assert figure_words(told | {"value": None, "why": "not trained"}) == "none: not trained"
    assert [limit_words(one) for one in ([1, 2.5], [None, 2], [2, None])] == ["1 to 2.5", "at most 2", "at least 2"]
