"""`import goldsand`: what the commands do, as functions that return objects; recipes as Python and as YAML."""

import dataclasses
import inspect
import json
import os
import random
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import goldsand
import pytest
from ruamel.yaml import YAML

import recipes.app.measure.compare
import recipes.app.measure.probe
from curate.errors import Refused
from curate.registry import OWN, step_class
from recipes.app.api import names
from recipes.app.api.pictures import framed, rows_html
from recipes.app.api.recipe import loaded_of
from recipes.app.api.tables import DataTable
from recipes.app.recipe.load import load, load_tree
from recipes.app.recipe.schema import build_step

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "recipes" / "sample"
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m'\"&"
SENTENCE = "The river carries sand from the mountains to the sea, and the sea gives it back to the wind. "

REQUIRED: dict[str, dict[str, Any]] = {
    "decontaminate": {"questions": str(SAMPLE / "questions.jsonl")},
    "mix": {"weights": {"crawl": 1.0}},
    "forget": {"listed": str(ROOT / "constraints.txt")},
}
APART = ("classifier", "c4_dclm")
"""Steps that cannot be built without a trained model, or a file that has to be fetched."""


def others(item: dataclasses.Field, now: Any) -> list[Any]:
    """Values of a parameter that may be allowed, beside its default."""
    meta = item.metadata
    if meta.get("path"):
        return []
    if meta.get("choices"):
        return [one for one in meta["choices"] if one != now]
    if isinstance(now, bool):
        return [not now]
    if isinstance(now, int | float):
        return [now + 1, now / 2 if isinstance(now, float) else max(now - 1, 0), 0.000001, 0.25]
    if isinstance(now, str):
        return ["de", "yes", "1e3", "null", "- a: b", "ü"]
    if isinstance(now, list | tuple):
        return [["de", "no"], [*now, "~"], list(now)[:1]]
    return [3, 0.5, ["a"], {"a": 0.5}, "text"]


def values_of(name: str) -> dict[str, list[Any]]:
    """The values that each parameter of a step accepts alone, beside its default."""
    base = REQUIRED.get(name, {})
    accepted: dict[str, list[Any]] = {}
    kind = step_class(name)
    for item in (one for one in dataclasses.fields(kind) if "doc" in one.metadata and one.name not in base):
        now = getattr(build_step(name, base), item.name)
        for value in others(item, now):
            try:
                build_step(name, {**base, item.name: value})
            except ValueError:
                continue
            accepted.setdefault(item.name, []).append(value)
    return accepted


@pytest.mark.parametrize("name", [name for name in OWN if name not in APART])
def test_every_step_goes_from_yaml_to_python_and_back(name, tmp_path):
    """With its defaults, with each parameter changed alone, and with random ones changed together."""
    draw = random.Random(name)
    accepted = values_of(name)
    assert accepted or name == "forget", "the test changes no parameter of it"
    given = [REQUIRED.get(name, {})]
    given += [{**given[0], key: value} for key, values in accepted.items() for value in values[:1]]
    given += [
        {**given[0], **{key: draw.choice(accepted[key]) for key in draw.sample(sorted(accepted), len(accepted) // 2)}}
        for _ in range(2)
    ]
    path = tmp_path / "recipe.yaml"
    for parameters in given:
        tree = {"name": "one", "steps": [{name: parameters} if parameters else name]}
        with path.open("w") as stream:
            YAML(typ="safe", pure=True).dump(tree, stream)
        try:
            wanted = load(str(path))
        except Refused:
            continue  # these do not fit together
        recipe = goldsand.Recipe.from_yaml(path)
        assert type(recipe.steps[0]) is step_class(name)
        again = goldsand.Recipe.from_yaml(recipe.to_yaml())
        built = goldsand.Recipe("one", steps=recipe.steps)
        for one in (again, built, goldsand.Recipe.from_yaml(built.to_yaml())):
            assert loaded_of(one).steps == wanted.steps, parameters
            assert one.steps == recipe.steps and one.name == "one"
        assert again.to_yaml() == recipe.to_yaml()


@pytest.mark.parametrize("name", ["quickstart", "junk-and-tags", "multilingual", "domain-tokens"])
def test_a_built_in_recipe_means_the_same_after_a_journey(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted, recipe = load(name), goldsand.Recipe.from_yaml(name)
    recipe.to_yaml("elsewhere.yaml")
    for one in map(loaded_of, (recipe, "elsewhere.yaml", goldsand.Recipe.from_yaml(recipe.to_yaml()))):
        assert one.steps == wanted.steps
        assert one.recipe.model_dump(exclude={"steps", "inputs"}) == wanted.recipe.model_dump(
            exclude={"steps", "inputs"}
        )
        places = [(one.folder / item.path, wanted.folder / of.path) for item, of in
                  zip(one.recipe.inputs, wanted.recipe.inputs, strict=True)]  # fmt: skip
        assert all(mine == theirs for mine, theirs in places)


def test_a_recipe_is_written_with_objects_of_steps():
    recipe = goldsand.Recipe(
        "own",
        inputs=["pages=jsonl:pages", {"name": "b", "path": Path("b.jsonl")}],
        steps=[goldsand.Extract(), goldsand.GopherQuality(min_words=30, stop_words=["the", "no"]), "c4"],
        output={"tokens": {"all": {"domain": "none"}}},
        max_loss=0.5,
    )
    assert YAML(typ="safe", pure=True).load(recipe.to_yaml()) == {
        "name": "own",
        "inputs": [{"name": "pages", "path": "pages", "format": "jsonl"}, {"name": "b", "path": "b.jsonl"}],
        "steps": ["extract", {"gopher_quality": {"min_words": 30, "stop_words": ["the", "no"]}}, "c4"],
        "output": {"tokens": {"all": {"domain": "none"}}},
        "max_loss": 0.5,
    }
    assert recipe.steps[1].min_words == 30 and isinstance(recipe.steps[2], goldsand.C4)
    stricter = recipe.changed({"gopher_quality.min_words": 50, "steps.c4.language": "de"})
    assert (stricter.steps[1].min_words, stricter.steps[2].language) == (50, "de")
    assert recipe.steps[1].min_words == 30 and "<pre>name: own" in recipe._repr_html_()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.name = "other"


def test_a_step_of_ones_own_is_named_by_its_file(tmp_path, monkeypatch):
    (tmp_path / "own_step_in_a_file.py").write_text(
        "from dataclasses import dataclass\nfrom goldsand import Check, Rule, param\n\n"
        "@dataclass(frozen=True)\nclass Short(Rule):\n    name = 'short_ones'\n"
        "    most: int = param(5, 'characters at most')\n\n"
        "    def checks(self, document):\n"
        "        yield Check('long', len(document.text), self.most, len(document.text) > self.most, 'most', 'over')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from own_step_in_a_file import Short

    recipe = goldsand.Recipe("own", steps=[Short(most=9)])
    assert f"{tmp_path / 'own_step_in_a_file.py'}:Short" in recipe.to_yaml()
    assert goldsand.Recipe.from_yaml(recipe.to_yaml()).steps == (Short(most=9),)
    monkeypatch.setattr(Short, "__module__", "__main__")
    with pytest.raises(goldsand.RecipeError, match="a module that workers cannot import: put it in a file of its own"):
        goldsand.Recipe("own", steps=[Short()])


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: goldsand.Recipe("a b"), r"recipe 'a b': name: use letters"),
        (lambda: goldsand.Recipe("x", steps=[goldsand.GopherQuality(min_words="x")]), r"gopher_quality.min_words: "),
        (lambda: goldsand.Recipe("x", steps=["gopher_qualty"]), r"did you mean 'gopher_quality'"),
        (lambda: goldsand.Recipe("x", steps=[goldsand.C4]), r"`C4` is the class of a step: write C4\(\)"),
        (lambda: goldsand.Recipe("x", steps=goldsand.C4()), r"`steps` is a list of steps, not C4"),
        (lambda: goldsand.Recipe("x", output={"tokns": {}}), r"output.tokns: unknown key \(did you mean 'tokens'"),
        (lambda: goldsand.Recipe("x", probe={}), r"probe.arms: is missing"),
        (
            lambda: goldsand.Recipe.from_yaml("name: x\nsteps: [extract, c5]\n"),
            r"recipe:2: steps: c5: there is no step",
        ),
        (lambda: goldsand.Recipe("x", steps=["c4"]).changed({"c4.mn": 3}), r"c4.mn: unknown key"),
        (
            lambda: goldsand.run("quickstrat", output="o"),
            r"no built-in recipe of that name \(did you mean 'quickstart'",
        ),
        (lambda: goldsand.run(3, output="o"), r"a recipe is a Recipe, a file or the name of a built-in one, not int"),
        (lambda: goldsand.run("quickstart", output=3), r"a folder is a path or a result that has one, not int"),
        (lambda: goldsand.run("quickstart", output="o", inputs="none.jsonl"), r"none\.jsonl"),
        (lambda: goldsand.run("quickstart", output="o", workers=0), r"`workers` must be a number of at least 1, not 0"),
        (lambda: goldsand.run("quickstart", output="o", limit="3"), r"`limit` must be a number of at least 0, not '3'"),
        (
            lambda: goldsand.run("quickstart", output="o", engine="rey"),
            r"`engine` must be one of local, ray, not 'rey'",
        ),
        (lambda: goldsand.run("junk-and-tags", output="o"), r"has no steps: it builds no corpus"),
        (lambda: goldsand.plan("quickstart", sample=-1), r"`sample` must be a number of at least 0"),
        (lambda: goldsand.profile("junk-and-tags", output="o"), r"no rule or edit that a profile could measure"),
        (lambda: goldsand.decide("nowhere", {"c4.language": "de"}), r"nowhere holds no profile"),
        (lambda: goldsand.verify("nowhere"), r"is not the folder of a finished run"),
        (lambda: goldsand.why("nowhere", "x"), r"is not the folder of a finished run"),
        (lambda: goldsand.diff("nowhere", "here"), r"is not the folder of a finished run"),
        (lambda: goldsand.read("nowhere"), r"is not the folder of a finished run, profile, probe or comparison"),
        (lambda: goldsand.probe("quickstart", output="o"), r"has no `probe:` part"),
        (lambda: goldsand.probe("junk-and-tags", output="o", compile="no"), r"`compile` must be one of auto, always"),
        (lambda: goldsand.compare(["a"], output="o", protocol="same"), r"`protocol` must be one of same-budget"),
        (lambda: goldsand.compare(["a"], output="o", exposures=[0]), r"`exposures` takes numbers above 0"),
        (lambda: goldsand.compare(["a"], output="o", mix_back=[2]), r"`mix_back` takes `all`, or shares .* below 1"),
        (lambda: goldsand.compare(["nowhere"], output="o"), r"nowhere: no such file"),
        (lambda: goldsand.fit("none.csv"), r"none\.csv"),
        (lambda: goldsand.fit("none.csv", on="logs"), r"`on` must be one of log, value, not 'logs'"),
    ],
)
def test_what_a_person_can_put_right_is_refused_in_one_line(call, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((Refused, OSError), match=said) as refused:
        call()
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "o").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small corpus with a hostile page, another with a stricter threshold, and a profile of the first."""
    folder = tmp_path_factory.mktemp("python")
    rows = [{"text": SENTENCE * (1 + number), "url": f"https://{number % 3}.example/{number}"} for number in range(12)]
    rows.append({"text": HOSTILE + SENTENCE * 5, "url": f"https://x.example/?{HOSTILE}", "domain": HOSTILE})
    rows.append({"text": rows[3]["text"]})
    (folder / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    recipe = goldsand.Recipe(
        "small",
        inputs=[str(folder / "pages.jsonl")],
        steps=[goldsand.GopherQuality(min_words=30, max_word_length=None), goldsand.ExactDedup()],
        max_loss=0.5,
    )
    with pytest.warns(UserWarning, match="1 of 15 records could not be read"):
        run = goldsand.run(recipe, output=folder / "one", workers=1, quiet=True)
    with warnings.catch_warnings(action="ignore"):
        other = goldsand.run(
            recipe, output=str(folder / "two"), set={"gopher_quality.min_words": 60}, workers=1, quiet=True
        )
        profile = goldsand.profile(recipe, output=folder / "profile", workers=1, quiet=True)
    return recipe, run, other, profile


def test_a_finished_run_has_its_figures_as_attributes(made):
    _, run, _, _ = made
    assert run.documents == goldsand.Balance(input=15, kept=12, dropped=2, unreadable=1)
    assert run.name == "small" and run.tokens == {} and run.report.is_file()
    assert run.steps["step"] == ["gopher_quality", "exact_dedup"]
    assert sum(run.reasons["documents"]) == 2
    assert len(run.text()) == 12 and SENTENCE in run.text().head(1)[0]["text"]
    assert sorted(run.ledger()["event"]) == ["drop", "drop", "unreadable"]
    assert any("could not be read" in line for line in run.warnings)
    assert goldsand.read(run.folder).documents == run.documents
    assert bool(run.verify()) and run.verify().faults == ()


def test_what_happened_to_a_document(made):
    _, run, _, _ = made
    dropped = next(row for row in run.ledger() if row["step"] == "gopher_quality")
    story = run.why(dropped["key"])
    assert story.outcome.startswith("dropped by gopher_quality.")
    last = story.checks.head(100)[-1]
    assert (last["parameter"], last["threshold"], last["failed"]) == ("min_words", 30, True)
    kept = goldsand.why(run, run.text().head(1)[0]["id"])
    assert kept.outcome == "kept" and SENTENCE in kept.text and kept.table["event"][-1] == "kept"
    with pytest.raises(Refused, match="knows no document with the key or URL 'nobody'"):
        run.why("nobody")


def test_two_corpora_and_other_thresholds_agree(made):
    _, run, other, profile = made
    difference = run.diff(other)
    gone = run.documents.kept - other.documents.kept
    assert difference.total >= gone > 0 and len(difference.documents) == difference.total
    assert difference.causes["cause"] == ["gopher_quality.min_words 30 -> 60"]
    assert goldsand.read(profile.folder).kept == profile.kept
    decided = profile.decide({"gopher_quality.min_words": 60})
    assert decided.kept_before - decided.kept_after == len(decided.changed) > 0
    assert profile.keeps("gopher_quality.min_words").columns == ("threshold", "documents", "words")
    assert goldsand.decide(profile.folder, ["gopher_quality.min_words=60"]).kept_after == decided.kept_after
    with pytest.raises(Refused, match=r"no curve of 'gopher_quality.min_word'.*did you mean"):
        profile.keeps("gopher_quality.min_word")


def test_a_plan_writes_nothing(made, tmp_path):
    recipe, run, _, _ = made
    done = goldsand.plan(recipe, output=run.folder, sample=0, workers=1)
    assert done.seconds is None and done.groups["units"] == done.groups["done"]
    new = goldsand.plan(recipe, output=tmp_path / "new", sample=5, workers=1)
    assert sum(new.groups["done"]) == 0 and new.documents == 14 and new.disk > 0
    assert not (tmp_path / "new").exists() and "rough guide" in new._repr_html_()


def test_too_many_losses_end_a_call_as_they_end_the_command(made, tmp_path):
    recipe, run, _, _ = made
    with pytest.raises(goldsand.TooMuchLost, match=r"1 of 15 records .*; max_loss is 1.00%$"):
        goldsand.run(recipe, output=run.folder, set={"max_loss": 0.01}, workers=1, replace=True, quiet=True)
    with pytest.raises(goldsand.TooMuchLost, match=r"--strict allows none$"):
        goldsand.run(recipe, output=run.folder, workers=1, strict=True, replace=True, quiet=True)
    assert goldsand.read(run.folder).documents == run.documents


def test_a_quiet_call_says_nothing_and_another_shows_its_progress(made, capsys, tmp_path, monkeypatch):
    recipe, run, _, _ = made
    with warnings.catch_warnings(action="ignore"):
        goldsand.run(recipe, output=run.folder, workers=1, quiet=True)
        assert capsys.readouterr() == ("", "")
        monkeypatch.setattr("recipes.app.terminal.progress.SHORT", 0.0)
        goldsand.run(recipe, output=tmp_path / "again", workers=1)
    from recipes.app.terminal.console import err

    assert "gopher_quality" in capsys.readouterr().err or err.file is not sys.stderr


def test_a_notebook_without_widgets_gets_lines(monkeypatch):
    from rich.console import Console

    import recipes.app.terminal.progress as progress

    console = Console(force_jupyter=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    with progress.shown(console) as update:
        assert isinstance(update, progress._Lines)


def test_tables_go_to_pandas_and_arrow(made):
    pandas, arrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    _, run, _, _ = made
    frame, table = run.ledger().to_pandas(), run.ledger().to_arrow()
    assert isinstance(frame, pandas.DataFrame) and isinstance(table, arrow.Table)
    assert list(frame.columns) == table.column_names == list(run.ledger().columns)
    assert len(frame) == table.num_rows == 3
    mixed = DataTable.of("mixed", [{"a": 1, "b": [1]}, {"a": 2.5, "b": None, "c": HOSTILE}, {"a": None, "b": {"x": 1}}])
    assert mixed.to_arrow().to_pydict() == {
        "a": [1.0, 2.5, None], "b": ["[1]", None, '{"x": 1}'], "c": [None, HOSTILE, None],
    }  # fmt: skip
    assert mixed.to_pandas()["b"].tolist()[2] == {"x": 1}
    empty = DataTable.of("none", [], ("a", "b"))
    assert list(empty.to_pandas().columns) == ["a", "b"] and empty.to_arrow().num_rows == 0 and not empty
    with pytest.raises(Refused, match=r"there is no column 'rul'.*did you mean 'rule'"):
        run.ledger()["rul"]


@pytest.mark.parametrize("call, module", [("to_pandas", "pandas"), ("to_arrow", "pyarrow")])
def test_a_missing_library_is_named_with_its_extra(call, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    table = DataTable.of("rows", [{"a": 1}])
    with pytest.raises(Refused, match=rf"{module} is not installed; `pip install 'goldsand\[notebook\]'` brings it"):
        getattr(table, call)()


def test_pictures_are_whole_and_hold_no_crawled_byte_unescaped(made):
    _, run, other, profile = made
    keys = [row["id"] for row in run.text() if HOSTILE in row["text"]] or [run.text().head(1)[0]["id"]]
    things = [run, profile, profile.decide({"gopher_quality.min_words": 60}), run.diff(other), run.why(keys[0])]
    things += [run.verify(), run.domains, run.text(), run.ledger(), run.reasons]
    for thing in things:
        html = thing._repr_html_()
        assert html.startswith('<div class="goldsand">') and html.endswith("</div>")
        assert "<script" not in html and "\x1b" not in html and "\u202e" not in html
        assert not re.search(r"(src|href)=|url\(|@import", html)
        assert len(html) < 200_000
    assert "alert(1)" in run.domains._repr_html_() + run.text()._repr_html_()
    assert 'class="solid"' in run._repr_html_() and "<svg" in profile._repr_html_()
    assert not re.search(r":root|(?<![-.#\w])body *{", run._repr_html_()), "the style is that of this output alone"
    assert "&lt;script&gt;" in framed(rows_html(["<script>"], [{"<script>": HOSTILE}]), title=HOSTILE, note=HOSTILE)


def test_the_page_itself_stands_in_a_notebook(made):
    html = made[1].page(300)._repr_html_()
    assert html.startswith('<iframe sandbox="allow-scripts" style="width: 100%; height: 300px')
    assert html.count("<") == 2 and "&lt;!doctype html&gt;" in html.lower()
    with pytest.raises(Refused, match=r"there is no page nowhere\.html"):
        goldsand.InlinePage(Path("nowhere.html"))._repr_html_()


def judged(**more: Any) -> dict[str, Any]:
    one = {"arm": "b", "against": "a", "paired": False, "seeds": 6, "mean": -0.02, "low": -0.03, "high": -0.01,
           "p": 0.01, "smallest": 0.012, "answer": "better"}  # fmt: skip
    return one | more


COMPARISON = {
    "verdict": [f"text: '{HOSTILE}' is better"],
    "corpora": [{"name": "a", "documents": 3, "tokens": 100}],
    "reading": {
        "confidence": 0.95,
        "control": {"worse": True},
        "differences": [judged(part="all pages of a", bits_a_byte=1.2)],
    },
    "rung": 50,
    "confidence": 0.97,
    "control": {"worse": False},
    "judged": [judged(mean=0.0, low=None, high=None, smallest=None, answer="undecided", seeds=2)],
}


def test_a_comparison_gives_answer_interval_and_power_and_never_a_boolean(tmp_path):
    (tmp_path / "compare.json").write_text(json.dumps(COMPARISON))
    found = goldsand.read(tmp_path)
    text, facts = found.answers
    assert (text.answer, text.value, text.low, text.high, text.smallest) == ("better", -0.02, -0.03, -0.01, 0.012)
    assert (text.unit, text.on, text.confidence, text.seeds) == ("bits a byte", "all pages of a", 0.95, 6)
    assert (facts.answer, facts.value, facts.low, facts.smallest) == ("undecided", 1.0, None, None)
    assert facts.unit == "times the exposures" and not found.control_found
    for thing in (found, text):
        with pytest.raises(Refused, match="a comparison is no yes or no: look at its `answers`"):
            bool(thing)
    assert found.table["answer"] == ["better", "undecided"] and found.answers_of("b") == (text, facts)
    with pytest.raises(Refused, match="there is no answer for 'c'; there are answers for: b"):
        found.answers_of("c")
    assert "<script" not in found._repr_html_()
    (tmp_path / "compare.json").write_text("{}")
    with pytest.raises(Refused, match="does not read like a comparison"):
        goldsand.read(tmp_path)


def test_what_is_compared_is_what_the_command_compares(made, tmp_path, monkeypatch):
    recipe, run, _, _ = made
    seen = {}

    def carried_out(entries, out, asked, *more):
        seen.update(entries=entries, asked=asked, more=more)
        return COMPARISON

    monkeypatch.setattr(recipes.app.measure.compare, "run_comparison", carried_out)
    monkeypatch.setattr("recipes.app.report.comparison.write_page", lambda *given: None)
    with warnings.catch_warnings(action="ignore"):
        found = goldsand.compare(
            {
                "as it is": run,
                "stricter": recipe.changed({"gopher_quality.min_words": 60}),
                "tagged": f"{run.folder},domain=special",
            },
            output=tmp_path / "out", seeds=3, exposures=[8, 4, 4], quiet=True,
        )  # fmt: skip
    assert [one.name for one in seen["entries"]] == ["as it is", "stricter", "tagged"]
    assert seen["entries"][2].rendering.domain == "special" and seen["asked"].exposures == (4, 8)
    assert seen["asked"].seeds == 3 and seen["more"] == (None, None, None, True)
    assert (tmp_path / "out" / "runs" / "stricter" / "summary.json").is_file()
    assert isinstance(found, goldsand.FinishedComparison)


def row(**more: Any) -> dict[str, Any]:
    one = {"arm": "facts", "seed": 0, "exposures": 10, "learning_rate": 0.016, "parameters": 1000, "people": 4,
           "architecture": "gpt", "junk_kind": "endless", "junk_ratio": 0.0, "windows": "own", "shuffle": True,
           "tag": "none", "tag_leak": 0.0, "tag_at_test": True, "batch": 4, "value_bits_per_parameter": 0.1,
           "max_value_bits_per_parameter": 0.4, "bits_per_parameter": 0.1,
           "value_bits": 100.0, "name_bits": 1.0}  # fmt: skip
    return one | more


def test_a_probe_is_a_table_of_runs_and_of_arms(tmp_path, monkeypatch):
    results = [
        row(exposures=rung, arm=arm, seed=seed, value_bits_per_parameter=bits)
        for arm, first in (("facts", 0.1), (HOSTILE, 0.04))
        for seed in (0, 1)
        for rung, bits in ((10, first), (40, 0.3))
    ]
    results.append({**row(arm="lost"), "error": "out of memory", "architecture": None, "parameters": None})
    seen = []
    monkeypatch.setattr(recipes.app.measure.probe, "run_probe", lambda *given: seen.append(given) or results)
    monkeypatch.setattr("recipes.app.report.sweep.write_page", lambda *given: None)
    found = goldsand.probe("junk-and-tags", output=tmp_path / "probe", corpus="nowhere", quick=True, quiet=True)
    loaded, _, quick, *_, quiet = seen[0]
    assert loaded.recipe.probe.corpus == "nowhere" and quick and quiet
    arms = {one["arm"]: one for one in found.arms}
    assert arms["facts"]["sense"] == "=" and arms[HOSTILE]["times"] > 1 and arms["facts"]["times"] is None
    assert len(found.runs) == 9 and found.failed["error"] == ["out of memory"]
    assert found.settings["seeds"].count(2) == 4
    assert "<script" not in found._repr_html_() and "1 of 9 runs failed" in found._repr_html_()


def test_a_law_is_fitted_from_a_table_and_predicts(tmp_path):
    pytest.importorskip("scipy")
    lines = ["parameters,tokens,loss"]
    for size in (1e6, 3e6, 1e7, 3e7):
        for tokens in (2e7, 1e8, 5e8):
            lines.append(f"{size},{tokens},{1.7 + 400 / size**0.34 + 410 / tokens**0.28}")
    (tmp_path / "points.csv").write_text("\n".join(lines) + "\n")
    with warnings.catch_warnings(action="ignore"):
        law = goldsand.fit(tmp_path / "points.csv", "hoffmann", budget=1e19, draws=20, output=tmp_path / "fit")
    assert law.law == "hoffmann" and set(law.parameters) == set(law.intervals)
    said = law.predict(parameters=1e7, tokens=1e8)
    assert said.low <= said.value <= said.high
    assert law.plan.budget == 1e19 and law.ranking["law"] == ["hoffmann"]
    assert (tmp_path / "fit" / "fit.json").is_file() and "<svg" in law._repr_html_()
    with pytest.raises(Refused, match="predicts from parameters, tokens, not size"):
        law.predict(size=1e7)


def test_a_program_needs_no_guard(tmp_path):
    """Workers import no program where a recipe names all steps, so a script may call at once."""
    (tmp_path / "pages.jsonl").write_text(json.dumps({"text": SENTENCE * 9}) + "\n")
    program = (
        "import goldsand\n"
        "recipe = goldsand.Recipe('x', inputs='pages.jsonl', steps=[goldsand.GopherQuality()])\n"
        "print(goldsand.run(recipe, output='out', workers=1, quiet=True).documents.kept)\n"
    )
    (tmp_path / "program.py").write_text(program)
    paths = f"{ROOT}{os.pathsep}{ROOT / 'recipes'}"
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "program.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_steps_are_listed_with_what_their_parameters_mean():
    table = goldsand.steps()
    found = next(one for one in table if (one["step"], one["parameter"]) == ("gopher_quality", "min_words"))
    assert found["default"] == 50 and found["class"] == "GopherQuality" and found["meaning"]
    assert set(table["step"]) >= set(OWN)


def test_values_of_changes_are_plain_and_paths_are_those_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("word\n")
    tree = {"name": "x", "steps": ["c4", "language"]}
    loaded = load_tree(tree, "x", ROOT / "recipes", [("c4.bad_words", "words.txt"), "language.keep=[de]"])
    assert loaded.steps[0].bad_words == str(tmp_path / "words.txt") and loaded.steps[1].keep == ["de"]
    recipe = goldsand.Recipe("x", steps=["language"]).changed({"language.keep": ("de", "en"), "max_loss": 0.25})
    assert recipe.steps[0].keep == ["de", "en"] and recipe.max_loss == 0.25


def signatures() -> list[str]:
    """The public functions and classes with their parameters, methods and fields, a line each."""
    lines = []
    for name in [*names.FUNCTIONS, *names.CLASSES]:
        thing = getattr(goldsand, name)
        if not inspect.isclass(thing):
            lines.append(f"{name}{inspect.signature(thing)}")
            continue
        if dataclasses.is_dataclass(thing):
            fields = ", ".join(one.name for one in dataclasses.fields(thing) if not one.name.startswith("_"))
            lines.append(f"class {name}({fields})")
        else:
            lines.append(f"class {name}")
        for key, value in vars(thing).items():
            if key.startswith("_") and key not in ("__bool__", "_repr_html_", "__getitem__"):
                continue
            if isinstance(value, property):
                lines.append(f"    {key}")
            elif isinstance(value, classmethod) or inspect.isfunction(value):
                lines.append(f"    {key}{inspect.signature(getattr(thing, key))}")
    return lines


def test_what_is_public_is_listed_and_its_signatures_are_kept():
    """docs/stability.md lists the names; `public.txt` holds the signatures: a change to it is a change for users, and
    goes into the change log."""
    page = (ROOT / "docs" / "stability.md").read_text()
    section = page[page.index("## What is public") : page.index("## What is private")]
    listed = re.findall(r"`(\w+)`", "".join(line for line in section.splitlines() if line.startswith("|")))
    assert sorted(listed) == sorted(goldsand.__all__), "docs/stability.md"
    assert (ROOT / "recipes" / "goldsand" / "__init__.pyi").read_text() == names.stub(), (
        "python -m recipes.app.api.names > recipes/goldsand/__init__.pyi"
    )
    snapshot = Path(__file__).with_name("public.txt")
    said = "\n".join(signatures()) + "\n"
    assert snapshot.read_text() == said, f"the public interface changed; {snapshot} would be:\n{said}"


def test_every_public_name_is_there_and_has_a_meaning():
    for name in goldsand.__all__:
        assert getattr(goldsand, name).__doc__, name
    assert set(goldsand.__all__) < set(dir(goldsand)) and isinstance(goldsand.__version__, str)
    with pytest.raises(AttributeError, match="module 'goldsand' has no attribute 'Extrct'"):
        _ = goldsand.Extrct
