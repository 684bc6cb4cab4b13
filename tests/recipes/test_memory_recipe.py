"""What checkpoints tell together: a small probe whose page says it, and figures added up by hand."""

import numpy as np
import pytest

from curate.errors import Refused
from recipes.app.measure.memory import at_accuracy, counterfactual
from recipes.app.measure.probe import run_probe
from recipes.app.recipe.load import load
from recipes.app.report.memory import memorisation
from recipes.app.report.sweep import write_page
from train_probe.memorize import correlation, course, foretold

RECIPE = """\
name: little
probe:
  facts: {kind: compact, people: 8, exposures: 4, name_parts: [8, 8], attributes: 2, values: 4, held_out: 4}
  drawn: true
  model: {layers: 1, heads: 1, width: 16}
  training: {batch: 4, evaluate_exposures: [2]}
  evaluate: [memorisation, calibration]
  memorisation: {chunks: 2}
  arms:
    - {arm: all}
    - {arm: blocks, blocks: 2}
    - {arm: half 0, halves: 2, half: 0}
    - {arm: half 1, halves: 2, half: 1}
"""


def test_a_probe_says_what_its_checkpoints_hold_and_its_page_too(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    loaded = load(str(tmp_path / "recipe.yaml"))
    results = run_probe(loaded, tmp_path / "out", processes=1)
    whole, blocks, *halves = results
    told = whole["evaluations"]["memorisation"]
    assert told["course"]["checkpoints"] == [2, 4] and len(told["course"]["foretold"]) == 1
    assert [chunk["sequences"] for chunk in blocks["evaluations"]["memorisation"]["chunks"]] == [4, 4]
    assert whole["evaluations"]["calibration"]["seen"]["answers"] == 16
    assert whole["evaluations"]["calibration"]["unseen"]["answers"] == 8
    assert [row["people"] for row in results] == [8, 8, 4, 4]
    same = [row["evaluations"]["counterfactual"] for row in halves]
    assert same[0] == same[1] and [one["exposures"] for one in same[0]] == [2, 4]
    assert same[0][1]["shown"]["people"] == 8 and same[0][1]["nobody"]["people"] == 4
    page = write_page("little", results, tmp_path).read_text()
    for words in (">Memorisation</h2>", ">Known because it was shown</h2>", ">Calibration</h2>", "<svg"):
        assert words in page
    assert "half 0, 4 exposures" not in memorisation(results)  # halves are told as one


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("evaluate: [memorisation, calibration]", "evaluate: [memorization]", "evaluate"),
        ("{chunks: 2}", "{prompt: 9}", "are 10, and the longest text of arm 'all' has 5"),
        ("blocks: 2}", "blocks: 9}", "8 people do not fill 9 blocks"),
        ("people: 8,", "people: 7,", "are of 7 people, who have no halves"),
        ("exposures: 4,", "exposures: 4, placement: {blocks: 9},", "8 people do not fill 9 blocks"),
    ],
)
def test_what_cannot_be_evaluated_is_one_message_before_anything_is_trained(tmp_path, old, new, words):
    assert old in RECIPE
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace(old, new))
    with pytest.raises(Refused, match=words):
        run_probe(load(str(tmp_path / "recipe.yaml")), tmp_path / "out", processes=1)
    assert not list(tmp_path.glob("out/runs/*/metrics.jsonl"))


def test_what_is_known_because_it_was_shown_is_the_mean_over_models_that_saw_it_less_that_of_the_others():
    def model(shown, bits):
        losses = {"person": [0, 1], "value_bits": bits, "name_bits": [1.0, 1.0]}
        return {
            "people": losses,
            "shown": shown,
            "held_out": losses | {"person": [7, 9]},
            "held_out_shown": shown_as[shown[0]],
        }

    shown_as = {0: [7], 1: [9]}
    found = counterfactual(
        [model([0], [2.0, 9.0]), model([1], [8.0, 1.0]), model([0], [4.0, 7.0]), model([1], [6.0, 3.0])]
    )
    # Person 0: -(2 + 4) / 2 + (8 + 6) / 2 = 4; person 1: -(1 + 3) / 2 + (9 + 7) / 2 = 6.
    assert found["shown"]["value_bits"] == {"mean": 5.0, "error": pytest.approx(1.0), "least": 4.0, "most": 6.0}
    assert found["shown"]["name_bits"]["mean"] == 0.0
    assert found["nobody"]["value_bits"]["mean"] == 5.0  # the same numbers of other people
    assert "nobody" not in counterfactual(
        [{"people": one["people"], "shown": one["shown"]} for one in [model([0], [1.0, 2.0]), model([1], [1.0, 2.0])]]
    )


def test_an_early_checkpoint_foretells_by_precision_and_recall():
    early, last = np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 1, 0], bool)
    assert foretold(early, last) == {"sequences": 5, "precision": 1 / 2, "recall": 1 / 3, "base_rate": 3 / 5}
    nothing = np.zeros(5, bool)
    assert foretold(nothing, nothing) == {"sequences": 5, "precision": None, "recall": None, "base_rate": 0.0}
    found = course({6: {"match": [1.0, 0.5], "full": [1, 0]}, 3: {"match": [0.0, 0.0], "full": [0, 0]}})
    assert found["checkpoints"] == [3, 6] and found["correlation"][0] == [None, None]
    assert found["correlation"][1][1] == pytest.approx(1.0)
    assert correlation(np.array([0.0, 1.0, 2.0]), np.array([2.0, 1.0, 0.0])) == pytest.approx(-1.0)


def test_sizes_are_compared_where_they_answer_equally_much():
    def at(accuracy, confidence):
        seen = {"accuracy": accuracy, "ece": accuracy / 10, "confidence": 0.5, "ece_of_calibrated": 0.0, "brier": 0.0}
        return {"calibration": {"seen": seen, "unseen": {"confidence": confidence, "kl_bits": 1.0}}}

    row = {
        "exposures": 12,
        "curve": [{"exposures": 3, "evaluations": at(0.2, 0.1)}, {"exposures": 6, "evaluations": at(0.6, 0.3)}],
        "evaluations": at(1.0, 0.9),
    }
    found = at_accuracy(row, 0.5)
    assert found["exposures"] == pytest.approx(3 + 3 * 0.75) and found["unseen_confidence"] == pytest.approx(0.25)
    assert found["ece"] == pytest.approx(0.05)
    assert at_accuracy(row, 0.1) is None and at_accuracy(row | {"evaluations": at(0.7, 0.9)}, 0.9) is None
