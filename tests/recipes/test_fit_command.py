"""`goldsand fit`: a table or a probe in, figures, page and refusals out."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("scipy")

from recipes.app.cli import app
from recipes.app.report.shapes import read_results
from train_probe.figures import write_results


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("points") / "points.csv"
    random = np.random.default_rng(0)
    lines = ["parameters,tokens,loss,right"]
    for size in np.geomspace(2e7, 1e9, 4):
        for tokens in np.geomspace(5e8, 5e10, 4):
            loss = (1.8 + 480 / size**0.35 + 2100 / tokens**0.37) * np.exp(0.002 * random.standard_normal())
            lines.append(f"{size},{tokens},{loss},{np.exp(-2 * loss)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def said(*words):
    done = CliRunner().invoke(app, ["fit", *map(str, words)])
    return done.exit_code, done.output, done.stderr


@pytest.fixture(scope="module")
def answered(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit") / "out"
    words = ("--budget", "1e21", "--accuracy", "right", "--counted", "body", "--draws", 20, "-o", folder)
    return folder, said(table, *words)


def test_a_table_becomes_an_answer_with_intervals(answered):
    folder, (code, printed, _) = answered
    assert code == 0 and "16 points: converged" in printed and "1e+21 operations" in printed and "next run" in printed
    held = json.loads((folder / "fit.json").read_text())
    assert held["parameters_counted"] == "parameters without embeddings" and held["status"] == "converged"
    low, high = held["plan"]["parameters_range"]
    assert low < held["plan"]["parameters"] < high and len(held["next_runs"]) == 5
    assert "is the smooth one" in held["emergence"]


def test_the_page_shows_points_residuals_budget_and_what_emerges(answered):
    page = (answered[0] / "report.html").read_text()
    assert page.count("<svg") == 4 and "http" not in page.replace("http-equiv", "")
    for words in (
        "6 N D",
        "Kaplan 2020",
        "The next run",
        "Emergence",
        "95 % over runs",
        "neither is known alone",
    ):
        assert words in page


def test_laws_are_ranked_and_one_that_is_not_carried_is_said(table):
    code, printed, notes = said(table, "--law", "hoffmann", "--law", "parameters", "--law", "repeated", "--draws", 20)
    assert code == 0 and "by held-out error: hoffmann" in printed
    assert "'repeated' is left out" in printed + notes and "unique_tokens" in printed + notes


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("parameters,tokens,loss\n1e6,1e8,4\n2e6,1e8,3.9\n", (), "needs 6 points at least, and there are 2"),
        ("parameters,tokens,loss\n1e6,1e8,inf\n", (), "row 1: loss is inf"),
        ("parameters,tokens,loss\n1e6,1e8,4\n", ("--law", "hofman"), "did you mean 'hoffmann'?"),
        ("parameters,tokens,loss\n1e6,1e8,4\n", ("--column", "los"), "did you mean 'loss'?"),
        ("parameters,tokens,loss\n1e6,1e8,4\n1e6,1e8,4\n", (), "row 2 is the same as row 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, text, words, message):
    (tmp_path / "points.csv").write_text(text)
    code, printed, error = said(tmp_path / "points.csv", *words)
    assert code == 2 and message in " ".join((printed + error).split())


def row(size, exposures, seed=0):
    held = 2.0 * size / (1 + (30 / exposures) ** 2)
    bits = (20000.0**-3 + held**-3) ** (-1 / 3)
    return {
        "arm": f"facts alone, model.width {size}, model.bias false",
        "bits_per_parameter": bits / size, "error": None, "exposures": exposures,
        "junk_kind": "none", "junk_ratio": 0.0, "max_bits_per_parameter": 20000 / size,
        "max_value_bits_per_parameter": 20000 / size, "parameters": size, "people": 40, "seconds": 1.0, "seed": seed,
        "shards": [], "tag": "none", "tokens": 1000 * exposures, "value_bits_per_parameter": bits / size,
    }  # fmt: skip


def test_a_probe_says_what_a_parameter_holds(tmp_path):
    rows = [row(size, shown) for size in (2000, 5000, 12000) for shown in (5, 20, 80, 320)]
    slow = {**rows[0], "bits_per_parameter": 1e-6, "learning_rate": 1e-5}
    write_results(tmp_path, [*rows, slow, {"arm": "facts alone", "error": "out of memory"}])
    assert len(read_results(tmp_path)) == 14
    code, printed, notes = said(tmp_path, "--draws", 20, "-o", tmp_path / "fit")
    assert code == 0 and "12 points" in printed
    assert "1 runs that failed were left out" in printed + notes and "were not the best" in printed + notes
    found = json.loads((tmp_path / "fit" / "fit.json").read_text())["parameters"]
    assert found["c"] == pytest.approx(2, rel=1e-4) and found["half"] == pytest.approx(30, rel=1e-4)


def test_of_several_arms_one_must_be_named(tmp_path):
    rows = [row(size, shown) for size in (2000, 5000, 12000) for shown in (5, 20, 80, 320)]
    write_results(tmp_path, [*rows, *({**one, "arm": one["arm"].replace("facts alone", "junk")} for one in rows)])
    code, printed, error = said(tmp_path)
    told = " ".join((printed + error).split())
    assert code == 2 and "name it with --arm: facts alone, model.bias false, junk, model.bias false" in told
    code, printed, error = said(tmp_path, "--arm", "junk, model.bias fals")
    assert code == 2 and "did you mean 'junk, model.bias false'" in " ".join((printed + error).split())
    assert said(tmp_path, "--arm", "junk, model.bias false", "--draws", 20)[0] == 0


def test_a_probe_of_one_exposure_count_has_no_plateau(tmp_path):
    write_results(tmp_path, [row(size, 320) for size in (1000, 2000, 5000, 12000, 30000)])
    code, printed, _ = said(tmp_path, "--draws", 20)
    assert code == 0 and "smooth min of shown and c P, 5 points" in printed


def test_points_of_several_budgets_have_parabolas_with_their_bias(tmp_path):
    lines = ["parameters,compute,loss"]
    for budget in (1e18, 1e19, 1e20):
        for share in (0.1, 0.3, 1.0, 3.0, 10.0):
            size = share * (budget / 120) ** 0.5
            loss = 1.8 + 480 / size**0.35 + 2100 / (budget / 6 / size) ** 0.37
            lines.append(f"{size},{budget},{loss}")
    (tmp_path / "points.csv").write_text("\n".join(lines))
    code, _, _ = said(tmp_path / "points.csv", "--budget", "1e20", "--draws", 20, "-o", tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert code == 0 and "By parabolas of 3 budgets" in page and "are biased where" in page
