"""When accuracy on exceptions makes a U, and when it does not."""

import pytest

from recipes.app.measure.u_shape import u_sizes
from recipes.app.report.asked import exceptions, questioned, retrieved


def row(accuracies, *, parameters=5000, seed=0, arm="facts", **changes):
    points = [
        {
            "exposures": 2**place,
            "value_bits": 100.0 * accuracy,
            "told": {
                "chance": 0.25,
                "majority": {"values": 850, "accuracy": 1.0, "probability": 0.9},
                "exceptions": {"values": 225, "accuracy": accuracy, "probability": accuracy, "as_told": 1 - accuracy},
            },
        }
        for place, accuracy in enumerate(accuracies)
    ]
    one = {
        "arm": arm,
        "parameters": parameters,
        "seed": seed,
        "people": 100,
        "max_value_bits_per_parameter": 100 / 5000,
    }
    return one | points[-1] | {"curve": points[:-1]} | changes


def test_a_u_falls_below_chance_by_two_errors_and_is_right_in_the_end():
    (one,) = u_sizes([row([0.25, 0.05, 0.6, 0.95]), row([0.25, 0.07, 0.8, 0.97], seed=1)])
    assert one.seeds == 2 and one.error == pytest.approx((0.25 * 0.75 / 225) ** 0.5)
    assert one.falls and one.rises() and one.half == 4
    assert one.lowest.exceptions == pytest.approx(0.06) and one.lowest.exposures == 2
    assert str(one) == "a U: 0.06 at 2 exposures, 0.96 at the end"
    assert [point.annealed for point in one.points] == [False, False, False, True]


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ([0.25, 0.20, 0.6, 0.95], "no U"),  # within two errors of chance
        ([0.95, 0.25, 0.05, 0.6], "a fall without a rise"),  # what was right before does not count
        ([0.25, 0.3, 0.6, 0.95], "no U"),
    ],
)
def test_what_is_no_u(accuracies, said):
    (one,) = u_sizes([row(accuracies)])
    assert str(one).startswith(said)


def test_sizes_are_apart_failed_runs_and_other_facts_left_out_and_a_run_of_its_own_counts():
    longer = row([0.2, 0.1, 0.2, 0.95])
    alone = row([0.3])  # annealed at 1 exposure
    rows = [longer, alone, row([0.1, 0.9], parameters=900), row([0.1, 0.9]) | {"error": "gone"}]
    small, large = u_sizes([*rows, {"arm": "b", "parameters": 1, "seed": 0, "told": None}])
    assert (small.parameters, large.parameters) == (900, 5000)
    assert large.points[0].exceptions == 0.3 and large.points[0].annealed
    assert large.steepest == pytest.approx((0.75 / 0.85, 0.75 / 0.85))


def test_the_page_shows_a_u_and_nothing_of_it_for_other_facts():
    html = str(exceptions([row([0.25, 0.05, 0.6, 0.95])]))
    assert "a U: 0.05 at 2 exposures" in html and "<svg" in html and "5,000 parameters" in html
    assert exceptions([{"arm": "b", "parameters": 1, "seed": 0}]) == "" == retrieved([{"arm": "b"}])


def test_the_page_shows_retrieval_by_exposures():
    group = {"model": {"bits": 1.0}, "others": {"bits": 1.5}}
    near = {"bits": 3.0, "gain": [2.0, 0.1], "chosen": ["k 8, T 1, lambda 0.5", "k 8, T 1, lambda 0.4"]}
    found = {"groups": [{"exposures": count, **group, "near": near} for count in (1, 10)]}
    html = str(retrieved([{"arm": "a <b>", "parameters": 9, "evaluations": {"retrieval": found}}]))
    assert "2.00 ± 0.10" in html and "lambda 0.5" in html and "a &lt;b&gt;" in html


def test_the_page_shows_what_can_be_asked_for_by_seed_and_after_tuning():
    one = {
        "chance": 1 / 32,
        "stored": 1.0,
        "shown": 0.9,
        "asked": 0.3,
        "tuned": {"lora": {"shown": 1.0, "asked": 0.04}},
    }
    rows = [
        {"arm": "new", "exposures": 9, "evaluations": {"questions": found}} for found in (one, one | {"asked": 0.1})
    ]
    html = str(questioned(rows))
    assert "0.200 (0.300, 0.100)" in html and "asked after tuning (lora)" in html and "0.031" in html
    assert questioned([{"arm": "new", "exposures": 9}]) == ""
