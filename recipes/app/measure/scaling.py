"""From points to what `goldsand fit` says: laws fitted and ranked, intervals, the budget's answer, the next run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import Refused
from train_probe.scaling.emergence import Emergence, emergence
from train_probe.scaling.fitting import COUNTS, Fit, Objective, fit
from train_probe.scaling.intervals import RULE, LackOfFit, Worth, lack_of_fit, worth
from train_probe.scaling.laws import Law, law_of
from train_probe.scaling.plans import (
    IsoFlop,
    NextRun,
    Plan,
    affordable,
    enough_tokens,
    isoflop,
    next_runs,
    plan,
    ranked,
    seed_noise,
    tenfold,
)
from train_probe.scaling.points import Points, points

FIT = "fit.json"


@dataclass(frozen=True)
class Asked:
    """What is asked of the points. `most` is what the next run may cost, by default a tenth of the budget."""

    laws: Sequence[str]
    budget: float | None = None
    served: float = 0.0
    unique: float | None = None
    most: float | None = None
    drop: int = 0
    counted: str = "unsaid"
    objective: Objective | None = None
    draws: int = 200
    seed: int = 0
    chance: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What the points say: the first law in full, all laws ranked by what they say of what was left out."""

    worth: Worth
    ranking: Sequence[tuple[str, float]]
    lack: LackOfFit
    plan: Plan | None = None
    tenfold: tuple[float, float] | None = None
    enough: tuple[float, float] | None = None
    next: Sequence[NextRun] = ()
    isoflop: IsoFlop | None = None
    emergence: Emergence | None = None
    accuracy: tuple[Sequence[float], Sequence[float]] = ((), ())
    notes: Sequence[str] = field(default=())

    @property
    def fit(self) -> Fit:
        return self.worth.fit


def suited(law: str, columns: Mapping[str, Sequence[float]]) -> Law:
    """The law of a name; `capacity` of points with one exposure count is the form without a plateau."""
    if law == "capacity" and len(set(columns.get("exposures", ()))) < 2:
        return law_of("capacity-at-one")
    return law_of(law)


def answered(
    columns: Mapping[str, Sequence[float]],
    rows: Sequence[int],
    asked: Asked,
    accuracy: Sequence[float] | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> Answer:
    """Fit the laws, and answer what is asked by the best of them (`asked.laws` of one law: by that).

    Raises Refused for points that carry none of the laws, or a budget that the law cannot split.
    """
    worths, reasons = [], []
    for name in asked.laws:
        try:
            law = suited(name, columns)
            known = points(columns, law, rows).without_highest(asked.drop)
            made = fit(known, law, objective=asked.objective, counted=asked.counted)
            worths.append(worth(made, asked.draws, asked.seed))
        except Refused as error:
            if len(asked.laws) == 1:
                raise
            reasons.append(f"'{name}' is left out: {error}")
    if not worths:
        raise Refused("; ".join(reasons))
    ranking = ranked(worths)
    if asked.budget is not None and len(worths) > 1:
        splits = [one for one in worths if set(one.fit.law.columns) >= {"parameters", "tokens"}]
        worths = splits or worths
    order = [name for name, _ in ranking]
    best = min(worths, key=lambda one: order.index(one.fit.law.name))
    notes = [*reasons, *best.fit.notes]
    if best.fit.status != "converged":
        notes.append(f"{best.fit.status}: {best.fit.why}")
    notes += [f"the objective is flat in {name}: the points do not say what it is" for name in best.flat]
    for one in notes:
        warn(one)
    more: dict[str, Any] = {}
    if asked.budget is not None:
        more = _of_a_budget(best, asked, asked.budget)
    if accuracy is not None:
        if len(accuracy) != len(columns[best.fit.law.target]):
            raise Refused("accuracies and losses are not of the same rows")
        losses = [float(one) for one in columns[best.fit.law.target]]
        more["emergence"] = emergence(np.array(losses), np.array(accuracy), asked.chance)
        more["accuracy"] = (losses, list(accuracy))
    return Answer(best, ranking, lack_of_fit(best.fit), notes=notes, **more)


def _of_a_budget(best: Worth, asked: Asked, budget: float) -> dict[str, Any]:
    made = best.fit
    draws = [one for one in (best.runs, best.sizes) if one is not None]
    most = asked.most or budget / 10
    answer = plan(made, budget, draws, asked.served, asked.unique)
    found: dict[str, Any] = {"plan": answer, "tenfold": tenfold(made, budget, answer.unique)}
    if answer.unique is not None:
        return found  # the next run, and how many tokens are enough, are of laws without repetition
    if candidates := affordable(made.points, most):
        found["next"] = next_runs(made, budget, candidates, most)[:5]
    # Without repeats nothing is said of what seeds alone do; without budgets of several sizes there are no parabolas.
    with contextlib.suppress(Refused):
        noise = seed_noise(made.points, made.law.columns)
        found["enough"] = (noise, enough_tokens(made, answer.parameters, noise))
    with contextlib.suppress(Refused):
        found["isoflop"] = isoflop(made.points)
    return found


def as_json(answer: Answer) -> dict[str, Any]:
    """What `fit.json` holds."""
    made, best = answer.fit, answer.worth
    return {
        "law": made.law.name,
        "formula": made.law.formula,
        "points": len(made.points),
        "parameters_counted": COUNTS[made.counted],
        "objective": made.objective.words,
        "sum": made.sum,
        "rmse": made.rmse,
        "status": made.status,
        "parameters": made.parameters,
        "intervals": {
            by.by: {name: by.interval(name) for name in made.law.parameters}
            for by in (best.runs, best.sizes)
            if by is not None
        },
        "bootstrap": {
            by.by: {"draws": len(by.draws), "checked": by.checked, "improved": by.improved, "redrawn": by.redrawn}
            for by in (best.runs, best.sizes)
            if by is not None
        },
        "rule": RULE,
        "correlated": best.runs.correlations(),
        "flat": best.flat,
        "left_out": [{"what": one.what, "errors": one.errors.tolist()} for one in best.left_out],
        "lack_of_fit": str(answer.lack),
        "laws_by_held_out_error": [(name, one if np.isfinite(one) else None) for name, one in answer.ranking],
        "plan": asdict(answer.plan) if answer.plan else None,
        "ten_times_the_budget": answer.tenfold,
        "next_runs": [asdict(one) for one in answer.next],
        "isoflop": asdict(answer.isoflop) if answer.isoflop else None,
        "enough_tokens": answer.enough,
        "emergence": str(answer.emergence) if answer.emergence else None,
        "notes": list(answer.notes),
    }


def write_answer(answer: Answer, folder: Path) -> Path:
    """Write `fit.json`; returns where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FIT
    path.write_text(json.dumps(as_json(answer), indent=1) + "\n", encoding="utf-8")
    return path


def axis(known: Points, law: Law) -> str:
    """The column that a picture of points goes by."""
    return "compute" if "compute" in law.columns else law.columns[0]
