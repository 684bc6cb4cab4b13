"""Published digits: Chinchilla's points, the OLMo ladder, RegMix; skipped where the data are not there."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from scaling_fit import LOSS, SEEN, chinchilla, chosen, ladder, large, of_the_small

from train_probe.scaling import fit
from train_probe.scaling.emergence import emergence
from train_probe.scaling.mixtures import rank_correlation, regression
from train_probe.scaling.two_step import two_step

DATA = Path(__file__).parents[3] / "shared" / "data" / "scaling"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/scaling")


@pytest.fixture(scope="module")
def small():
    return of_the_small(DATA, 40)


def test_chinchillas_points_give_the_published_digits():
    made = fit(chinchilla(DATA))
    assert len(made.points) == 240 and made.status == "converged"
    assert made.sum == pytest.approx(0.00101827, abs=5e-9)
    assert {name: round(one, 4) for name, one in made.parameters.items() if name not in "AB"} == {
        "E": 1.8172, "alpha": 0.3473, "beta": 0.3672,
    }  # fmt: skip
    assert made.parameters["A"] == pytest.approx(477.8, abs=0.05) and made.parameters["B"] == pytest.approx(2143, abs=1)
    assert made.sum <= fit(made.points, method="lbfgs", starts=8).sum * (1 + 1e-9)


def test_the_averaged_error_stops_early_and_the_summed_one_does_not():
    known, start = chinchilla(DATA), [np.array([0.5, 10.0, 10.0, 0.5, 0.5])]
    stopped = fit(known, method="lbfgs", average=True, starts=start)
    assert stopped.parameters["alpha"] > 0.5 and stopped.sum > 1.1 * 0.00101827
    assert fit(known, method="lbfgs", starts=start).sum < 1.05 * 0.00101827
    assert fit(known, starts=start).sum == pytest.approx(0.00101827, rel=1e-5)


def test_the_ladder_predicts_3b_within_a_hundredth(small):
    assert small.fit.parameters["E"] == pytest.approx(1.536, abs=0.005) and small.fit.rmse < 0.0098
    assert set(small.flat) == {"alpha", "beta"}
    for times in (1, 2, 5, 10):
        size, tokens, loss = large(DATA)[f"3B-{times}xC"]
        said = small.predict(parameters=size, tokens=tokens)
        assert abs(said.value / loss - 1) < 0.01 and not said.outside


def test_seven_and_thirteen_billion_are_outside_what_sixteen_points_carry(small):
    for name in ("peteish7_eval_anneal", "peteish13_eval_final"):
        size, tokens, _ = large(DATA)[name]
        assert "times the largest" in small.predict(parameters=size, tokens=tokens).outside


def task(names, name):
    runs = ladder(DATA)
    loss = [float(runs[one][f"eval/downstream_bpb/{name}_rc_5shot_bpb"]) for one in names]
    return np.array(loss), np.array([float(runs[one][f"eval/downstream/{name}_rc_5shot_len_norm"]) for one in names])


def test_two_steps_predict_a_tasks_accuracy():
    runs = ladder(DATA)
    loss, accuracy = task(SEEN, "piqa_val")
    made = two_step(chosen([runs[one] for one in SEEN], "eval/downstream_bpb/piqa_val_rc_5shot_bpb"), accuracy, 0.5)
    assert made.first.points.target == pytest.approx(loss) and made.second.rmse < 0.006
    for name in ("3B-10xC", "peteish13_eval_final"):
        size, tokens, _ = large(DATA)[name]
        said, low, high = made.predict(size, tokens)
        assert abs(said - task([name], "piqa_val")[1][0]) < 0.01 and low < said < high


def test_multiple_choice_neither_jumps_nor_is_a_power_of_the_probability():
    loss, accuracy = task(list(ladder(DATA)), "hellaswag_val")
    told = emergence(loss * np.log(2), accuracy, 0.25)
    assert not told.jumps and not told.explained and "does not explain" in str(told)


def table(name):
    lines = (DATA / f"regmix_{name}.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    return lines[0].split(","), {row[0]: [float(one) for one in row[1:]] for row in rows}


def mixtures(kind, size):
    _, shares = table(f"{kind}_mixture_{size}")
    header, losses = table(f"{kind}_pile_loss_{size}")
    place = header.index("metric/the_pile_pile_cc_val_loss") - 1
    return np.array([shares[one] for one in losses]), np.array([losses[one][place] for one in losses])


@pytest.mark.parametrize(
    ("form", "wanted"), [("linear", (0.90, 0.89, 0.88)), ("exponential", (0.966, 0.960, 0.988))]
)  # fmt: skip
def test_regmix_is_ranked_as_published(form, wanted):
    made = regression(*mixtures("train", "1m"), form)
    for size, rank in zip(("1m", "60m", "1B"), wanted, strict=True):
        shares, losses = mixtures("test", size)
        assert rank_correlation(made(shares), losses) == pytest.approx(rank, abs=0.006)


def test_the_column_of_the_ladder_is_the_one_that_is_named():
    assert LOSS in next(iter(ladder(DATA).values()))
