"""What is told of every checkpoint beside its bits (a plan's `evaluate`): each evaluation by its name.

An evaluation is opened for a run before it trains, and refuses then what it cannot do; it is a function of a model in
float64. What it returns is JSON: what stands under `each` is told item by item, and kept in the run's folder alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from train_probe.calibration import AskedValues
from train_probe.data import Data
from train_probe.memorize import AskedSequences
from train_probe.plan import EVALUATIONS, RunPlan
from train_probe.questions import AskedQuestions
from train_probe.retrieval import RetrievedFacts
from train_probe.stream import PageStream, Stream

Evaluation = Callable[[nn.Module], dict[str, Any]]

EVALUATION: dict[str, Callable[[Data, RunPlan, Stream | PageStream], Evaluation]] = {
    "memorisation": AskedSequences.of_run,
    "calibration": AskedValues.of_run,
    "retrieval": RetrievedFacts.of_run,
    "questions": AskedQuestions.of_run,
}

assert set(EVALUATION) == set(EVALUATIONS), "train_probe/plan.py names other evaluations"


def opened(data: Data, run: RunPlan, stream: Stream | PageStream) -> dict[str, Evaluation]:
    """The evaluations that the plan asks for, for one of its runs. Raises PlanError where one cannot be done."""
    return {name: EVALUATION[name](data, run, stream) for name in data.plan.evaluate}


def summaries(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What was found without what is told of each item."""
    return {name: {key: value for key, value in one.items() if key != "each"} for name, one in found.items()}
