"""Laws recovered from noise-free surfaces, derivatives, refusals, intervals and plans of made-up points."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from curate.errors import Refused
from train_probe.scaling import LAWS, Objective, fit
from train_probe.scaling.counts import Shape, by_rule, exact, rule_over_exact
from train_probe.scaling.intervals import bootstrap, lack_of_fit, leave_largest_out, worth
from train_probe.scaling.plans import (
    TENFOLD,
    affordable,
    best_split,
    closed_split,
    enough_tokens,
    isoflop,
    next_runs,
    plan,
    ranked,
    seed_noise,
    tenfold,
)
from train_probe.scaling.points import of_probe, points, read_columns

TRUE = {
    "parameters": {"E": 1.7, "A": 420.0, "alpha": 0.34},
    "tokens": {"E": 1.7, "B": 400.0, "beta": 0.28},
    "compute": {"E": 1.7, "K": 900.0, "alpha": 0.15},
    "kaplan-parameters": {"Nc": 8.8e13, "alpha": 0.076},
    "kaplan-tokens": {"Dc": 5.4e13, "alpha": 0.095},
    "kaplan-compute": {"Cc": 3.1e26, "alpha": 0.05},
    "kaplan": {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103},
    "hoffmann": {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    "repeated": {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.35, "beta": 0.35, "half_life": 15.4},
    "repeated-both": {
        "E": 1.87,
        "A": 521.0,
        "B": 1488.0,
        "alpha": 0.35,
        "beta": 0.36,
        "half_life": 15.4,
        "half_life_of_size": 5.3,
    },
    "capacity": {"c": 2.0, "sharpness": 3.0, "half": 40.0, "steepness": 2.0},
    "capacity-at-one": {"c": 2.0, "sharpness": 3.0},
    "learning": {"top": 0.9, "half": 35.0, "steepness": 2.2},
}


def grid(law):
    """Columns of 5 sizes x 5 lengths, with repeated and unique tokens, exposures and bits shown."""
    size, length = (one.ravel() for one in np.meshgrid(np.geomspace(5e7, 1e10, 5), np.geomspace(1e9, 1e12, 5)))
    columns = {"parameters": size, "tokens": length, "compute": 6 * size * length}
    if law.startswith("repeated"):
        columns["unique_tokens"] = length / np.tile([1.0, 2.0, 5.0, 20.0, 60.0], 5)
    if law.startswith("capacity"):
        columns = {
            "parameters": np.repeat([1e4, 3e4, 1e5, 3e5], 6),
            "exposures": np.tile([3.0, 10, 30, 100, 300, 1000], 4),
        }
        columns["shown"] = np.tile([2e5, 5e4], 12)
    if law == "learning":
        columns = {"exposures": np.geomspace(2, 1000, 12)}
    return columns


def surface(name, noise=0.0, seed=0):
    law, columns = LAWS[name], grid(name)
    value = law.value(law.inner(TRUE[name]), columns)[0]
    value = value * np.exp(noise * np.random.default_rng(seed).standard_normal(len(value)))
    return points({**columns, law.target: value}, law)


@pytest.mark.parametrize("name", LAWS)
def test_a_surface_without_noise_is_recovered(name):
    law = LAWS[name]
    assert set(TRUE[name]) == set(law.parameters)
    made = fit(surface(name), name, objective=Objective("squared", log=law.target == "loss"))
    assert made.status == "converged", made.why
    assert made.parameters == pytest.approx(TRUE[name], rel=1e-6)


@pytest.mark.parametrize("name", LAWS)
def test_derivatives_are_those_of_finite_differences(name):
    law, columns = LAWS[name], grid(name)
    inner = law.inner(TRUE[name])
    value, slopes = law.value(inner, columns)
    for place in range(len(inner)):
        step = np.zeros(len(inner))
        step[place] = 1e-6
        apart = (law.value(inner + step, columns)[0] - law.value(inner - step, columns)[0]) / 2e-6
        assert slopes[:, place] == pytest.approx(apart, rel=1e-5, abs=1e-7 * float(value.max()))


@pytest.mark.parametrize("kind", ["huber", "squared"])
@pytest.mark.parametrize("log", [True, False])
def test_projection_is_at_or_below_the_published_method(kind, log):
    known = surface("hoffmann", 0.003)
    objective = Objective(kind, log=log, delta=1e-3 if log else 3e-3)
    first = fit(known, objective=objective)
    assert first.sum <= fit(known, objective=objective, method="lbfgs", starts=5).sum * (1 + 1e-6)


def test_a_bound_and_a_limit_are_said():
    law, columns = LAWS["hoffmann"], grid("hoffmann")
    flat = {**TRUE["hoffmann"], "A": 1e-12}
    made = fit(points({**columns, "loss": law.value(law.inner(flat), columns)[0]}, law))
    assert made.status == "at a bound" and "do not carry it" in made.why
    assert fit(surface("hoffmann", 0.01), limit=2).status == "at the iteration limit"


COLUMNS = {"parameters": [1e6, 2e6, 4e6, 8e6] * 2, "tokens": [1e8] * 4 + [2e8] * 4}
LOSS = [4.0, 3.7, 3.5, 3.3, 3.9, 3.6, 3.4, 3.2]


@pytest.mark.parametrize(
    ("columns", "law", "message"),
    [
        ({**COLUMNS, "loss": [*LOSS[:7], float("inf")]}, "hoffmann", "row 8: loss is inf"),
        ({**COLUMNS, "loss": [*LOSS[:2], -1.0, *LOSS[3:]]}, "hoffmann", "row 3: loss is -1"),
        ({**COLUMNS, "los": LOSS}, "hoffmann", r"needs a column 'loss' \(did you mean 'los'\?\)"),
        ({name: one[:4] for name, one in {**COLUMNS, "loss": LOSS}.items()}, "hoffmann", "needs 6 points at least"),
        ({**COLUMNS, "parameters": [1e6] * 8, "loss": LOSS}, "hoffmann", "all 8 points have parameters 1e"),
        ({name: [*one, one[0]] for name, one in {**COLUMNS, "loss": LOSS}.items()}, "hoffmann", "row 9 is the same"),
        ({**COLUMNS, "loss": LOSS}, "hofmann", "did you mean 'hoffmann'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message(columns, law, message):
    with pytest.raises(Refused, match=message):
        fit(columns, law)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("parameters,tokens,loss\n1e6,1e8,four\n", "row 1: loss is 'four', and a number is needed"),
        ("paramters,tokens,loss\n1e6,1e8,4\n", r"column 'paramters' \(did you mean 'parameters'\?\)"),
        ("parameters,tokens,loss\n1e6,1e8\n", "row 1: 2 cells, and the header has 3"),
        ("parameters,tokens,loss\n", "no rows"),
        ("a,b\n1,2\n", "no column of parameters"),
    ],
)
def test_a_bad_table_is_one_message(tmp_path, text, message):
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(Refused, match=message):
        read_columns(path)


def test_tables_are_read_by_the_names_that_people_use(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("run,Model Size,Training FLOP,loss\na,1e6,6e14,4\n\nb,2e6,6e14,3.9\n")
    columns, rows = read_columns(path)
    assert columns == {"parameters": [1e6, 2e6], "compute": [6e14, 6e14], "loss": [4.0, 3.9]} and rows == [1, 2]
    known = points({**columns, "loss": [4.0, 3.9]}, LAWS["hoffmann"])
    assert known.columns["tokens"] == pytest.approx([1e8, 5e7]) and known.notes == ("tokens are counted as C / (6 N)",)
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(
        pyarrow.table({"N": [1e6], "tokens": [2], "mine": [3.5]}), tmp_path / "points.parquet"
    )
    assert read_columns(tmp_path / "points.parquet", loss="mine")[0]["loss"] == [3.5]
    with pytest.raises(Refused, match=r"no column 'main' \(did you mean 'mine'\?\)"):
        read_columns(tmp_path / "points.parquet", loss="main")


def test_a_probe_without_finished_runs_is_refused():
    with pytest.raises(Refused, match="no finished run"):
        of_probe([{"error": "out of memory"}])


def test_intervals_hold_the_truth_and_say_what_is_outside():
    known = surface("hoffmann", 0.002)
    made = worth(fit(known, objective=Objective("squared")), 40)
    low, high = made.runs.interval("alpha")
    assert low < 0.34 < high and made.runs.checked == 4
    true = LAWS["hoffmann"].inner(TRUE["hoffmann"])
    target = {"parameters": np.array([2e10]), "tokens": np.array([2e12])}
    said = made.predict(parameters=2e10, tokens=2e12)
    assert said.low < LAWS["hoffmann"].value(true, target)[0][0] < said.high and not said.outside
    assert "100 times the largest" in made.predict(parameters=1e12, tokens=1e12).outside
    assert [one.what for one in leave_largest_out(made.fit)] == ["largest parameters", "largest tokens"]
    assert {"A", "alpha"} in [{a, b} for a, b, _ in made.runs.correlations()]


def test_an_exponent_that_the_points_do_not_carry_is_flat():
    few = surface("hoffmann", 0.05, seed=3)
    assert "alpha" in worth(fit(few, objective=Objective("squared")), 4).flat
    assert worth(fit(surface("hoffmann", 1e-4), objective=Objective("squared")), 4).flat == []


def test_draws_by_size_take_all_runs_of_a_size():
    made = bootstrap(fit(surface("hoffmann", 0.002)), 6, "size", check=0)
    assert made.draws.shape == (6, 5) and made.by == "size"


def test_lack_of_fit_needs_repeats():
    assert "cannot be told apart" in str(lack_of_fit(fit(surface("hoffmann", 0.002))))
    known = surface("hoffmann", 0.002)
    columns = {name: np.concatenate([one, one[:5]]) for name, one in known.columns.items()}
    again = points({**columns, "loss": np.concatenate([known.target, known.target[:5] * 1.002])}, LAWS["hoffmann"])
    assert lack_of_fit(fit(again)).repeats == 5
    assert seed_noise(again, ("parameters", "tokens")) == pytest.approx(
        0.002 * known.target[:5].mean() / 2**0.5, rel=0.1
    )
    with pytest.raises(Refused, match="another seed"):
        seed_noise(known, ("parameters", "tokens"))


def test_a_budget_is_split_as_the_formula_says():
    made = fit(surface("hoffmann"))
    assert best_split(made, 1e21) == pytest.approx(closed_split(made, 1e21), rel=1e-4)
    assert tenfold(made, 1e21) == pytest.approx((10 ** (0.28 / 0.62), 10 ** (0.34 / 0.62)), rel=1e-3)
    smaller, longer = best_split(made, 1e21, served=1e12)
    size, _ = best_split(made, 1e21)
    assert smaller < size and 6 * smaller * longer + 2 * smaller * 1e12 == pytest.approx(1e21)
    answer = plan(made, 1e21, [bootstrap(made, 5, check=0)])
    assert answer.parameters_range[0] <= answer.parameters * (1 + 1e-6) and not answer.outside
    assert plan(made, 1e26).outside
    with pytest.raises(Refused, match="law of parameters and tokens"):
        plan(fit(surface("tokens"), "tokens"), 1e21)


def test_a_budget_is_split_for_the_unique_tokens_there_are():
    made = fit(surface("repeated"), "repeated")
    scarce, plenty = plan(made, 1e21, unique=1e9), plan(made, 1e21, unique=1e13)
    assert scarce.loss > plenty.loss and scarce.tokens < plenty.tokens
    with pytest.raises(Refused, match="unique tokens, which is not given"):
        plan(made, 1e21)
    with pytest.raises(Refused, match="unique tokens, which is not given"):
        enough_tokens(made, 1e9, 0.01)


def test_parameters_beyond_those_that_unique_tokens_call_for_are_worth_less():
    law = LAWS["repeated-both"]
    inner = law.inner(TRUE["repeated-both"])
    columns = {"parameters": np.array([1e7, 1e10]), "tokens": np.full(2, 1e11), "unique_tokens": np.full(2, 1e10)}
    both = law.value(inner, columns)[0]
    data_alone = LAWS["repeated"].value(inner[:6], columns)[0]
    # The published form, written out: N_opt(U) of the law without repetition, 3.6e8 here.
    p = TRUE["repeated-both"]
    called = (p["alpha"] * p["A"] / (p["beta"] * p["B"]) * 1e10 ** p["beta"]) ** (1 / p["alpha"])
    worth = called + called * 5.3 * (1 - np.exp(-(1e10 / called - 1) / 5.3))
    assert both[0] == pytest.approx(data_alone[0], rel=1e-12)
    assert both[1] - data_alone[1] == pytest.approx(521 * (worth**-0.35 - 1e10**-0.35), rel=1e-9)
    made = fit(surface("repeated-both"), "repeated-both")
    assert plan(made, 1e21, unique=1e9).parameters < plan(made, 1e21, unique=1e13).parameters


def test_the_three_published_answers_to_ten_times_the_compute():
    quoted = [(5.4, 1.9), (3.16, 3.16), (2.8, 3.5)]
    for (size, tokens, _), (n, d) in zip(TENFOLD.values(), quoted, strict=True):
        assert size == pytest.approx(n, rel=0.015) and tokens == pytest.approx(d, rel=0.025)
        assert size * tokens == pytest.approx(10, rel=1e-9)


def test_tokens_are_enough_where_the_rest_is_noise():
    made = fit(surface("hoffmann"))
    length = enough_tokens(made, 1e9, 0.01)
    never = float(made.value(parameters=1e9, tokens=1e60))
    assert float(made.value(parameters=1e9, tokens=length)) - never == pytest.approx(0.01, rel=1e-6)
    joint = fit(surface("kaplan"), "kaplan")
    length = enough_tokens(joint, 1e9, 0.01)
    said = joint.value(parameters=1e9, tokens=np.array([length, 1e60]))
    assert said[0] - said[1] == pytest.approx(0.01, rel=1e-4)


def test_the_next_run_narrows_the_answer_most():
    made = fit(surface("hoffmann", 0.003))
    found = next_runs(made, 1e22, affordable(made.points, 1e21), 1e21)
    assert all(one.cost <= 1e21 and 0 <= one.left <= 1 for one in found) and found[0].left < found[-1].left
    with pytest.raises(Refused, match="no candidate costs"):
        next_runs(made, 1e22, [(1e9, 1e12)], 1e18)


def test_parabolas_state_their_bias_and_what_is_off_centre():
    law, rows = LAWS["hoffmann"], {"parameters": [], "tokens": []}
    true = fit(surface("hoffmann"))
    for budget in (1e20, 1e21, 1e22):
        for times in (0.25, 0.5, 1.0, 2.0, 4.0):
            rows["parameters"].append(closed_split(true, budget)[0] * times * 3)
            rows["tokens"].append(budget / 6 / rows["parameters"][-1])
    columns = {name: np.array(one) for name, one in rows.items()}
    known = points({**columns, "loss": law.value(true.inner, columns)[0]}, law)
    found = isoflop(known)
    assert len(found.parabolas) == 3 and abs(found.size_exponent - 0.28 / 0.62) < 0.02
    assert "biased" in found.warnings[0] and "off the centre" in found.warnings[1]
    with pytest.raises(Refused, match="two budgets"):
        isoflop(known.at(slice(0, 5)))


def test_laws_are_ranked_by_what_they_say_of_the_largest():
    known = surface("hoffmann", 0.001)
    worths = [worth(fit(known, name), 2) for name in ("parameters", "kaplan", "hoffmann")]
    assert ranked(worths)[0][0] == "hoffmann"


def test_six_n_d_beside_the_exact_count():
    shape = Shape(layers=12, width=768, vocabulary=50257, window=1024)
    assert shape.body == 84_934_656 and shape.all == shape.body + 50257 * 768
    assert exact(shape, 1e9) == pytest.approx(1e9 * (6 * shape.all + 12 * 12 * 768 * 1024))
    share = rule_over_exact(shape)
    assert share["body"] < share["all"] < 1 and by_rule(2, 3) == 36


def test_scaling_needs_no_torch_and_nothing_else_of_the_trainer():
    code = (
        "import sys, train_probe.scaling, train_probe.scaling.plans, train_probe.scaling.mixtures\n"
        "print([m for m in sys.modules if m in ('torch', 'scipy', 'lightgbm', 'pyarrow') or"
        " m.startswith('train_probe.') and not m.startswith('train_probe.scaling')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert Path(sys.modules["train_probe.scaling"].__file__).name == "__init__.py"
