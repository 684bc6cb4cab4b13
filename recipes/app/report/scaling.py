"""The page of a scaling law: points and fit, residuals, intervals, the budget's line, loss beside accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from curate.places.store import write_atomically
from recipes.app.measure.scaling import Answer, axis
from recipes.app.report.pictures import Layer, picture
from recipes.app.report.rendering import rendered
from train_probe.scaling.fitting import COUNTS
from train_probe.scaling.intervals import RULE
from train_probe.scaling.laws import Array
from train_probe.scaling.plans import DISAGREEMENT, TENFOLD


def write_page(answer: Answer, name: str, folder: Path) -> Path:
    """Write the page of an answer; returns where it is."""
    path = folder / "report.html"
    write_atomically(path, scaling_page(answer, name).encode())
    return path


def scaling_page(answer: Answer, name: str) -> str:
    """The HTML of an answer of `goldsand fit`."""
    from markupsafe import Markup

    made, best = answer.fit, answer.worth
    intervals = [one for one in (best.runs, best.sizes) if one is not None]
    rows = [
        (key, f"{value:.5g}", [f"{low:.4g} to {high:.4g}" for low, high in (one.interval(key) for one in intervals)])
        for key, value in made.parameters.items()
    ]
    return rendered(
        "scaling.html",
        {},
        name=name,
        law=made.law,
        fit=made,
        counted=COUNTS[made.counted],
        rows=rows,
        by=[one.by for one in intervals],
        notes=answer.notes,
        points=Markup(points_and_fit(answer)),
        residuals=Markup(_residuals(answer)),
        correlated=best.runs.correlations(),
        left_out=[(one.what, len(one.errors), f"{one.worst:+.2%}") for one in best.left_out],
        lack=str(answer.lack),
        ranking=answer.ranking,
        rule=RULE,
        plan=answer.plan,
        budget=Markup(_budget(answer)) if answer.plan else "",
        tenfold=answer.tenfold,
        published=TENFOLD,
        disagreement=DISAGREEMENT,
        isoflop=answer.isoflop,
        enough=answer.enough,
        next=answer.next,
        emergence=answer.emergence,
        emergence_picture=Markup(_emergence(answer)) if answer.emergence else "",
    )


def points_and_fit(answer: Answer) -> str:
    """Predicted and measured by the law's first column; a law of one column is drawn with its interval."""
    made = answer.fit
    law, known = made.law, made.points
    across = known.columns[axis(known, law)]
    layers = [Layer("dots", across.tolist(), known.target.tolist(), title="measured")]
    if len(law.columns) == 1:
        line = np.geomspace(across.min(), across.max() * 3, 40)
        said = [answer.worth.predict(**{law.columns[0]: float(one)}) for one in line]
        band = Layer("band", line.tolist(), [one.low for one in said], [one.high for one in said], "interval")
        layers = [band, Layer("curve1", line.tolist(), [one.value for one in said], title="fit"), *layers]
    else:
        for others in _others(answer):
            line = np.geomspace(across.min(), across.max(), 40)
            data = {law.columns[0]: line, **{name: np.full(40, value) for name, value in others.items()}}
            words = ", ".join(f"{name} {value:.3g}" for name, value in others.items())
            layers.insert(0, Layer("curve1", line.tolist(), law.value(made.inner, data)[0].tolist(), title=words))
    return picture(layers, f"points and fit of {law.formula}", axis(known, law), known.name)


def _others(answer: Answer) -> list[dict[str, float]]:
    """Values of the other columns for which a curve is drawn: low, middle and high ones."""
    known, law = answer.fit.points, answer.fit.law
    order = np.argsort(known.columns[law.columns[1]])
    places = [order[int(share * (len(order) - 1))] for share in (0.1, 0.5, 0.9)]
    return [{name: float(known.columns[name][one]) for name in law.columns[1:]} for one in places]


def _residuals(answer: Answer) -> str:
    made = answer.fit
    across = made.points.columns[axis(made.points, made.law)]
    zero = Layer("curve2", [float(across.min()), float(across.max())], [0.0, 0.0], title="no error")
    layers = [zero, Layer("dots", across.tolist(), made.residuals().tolist(), title="predicted less measured")]
    scale = "of the logarithm" if made.objective.log else "of the value"
    return picture(layers, "residuals", axis(made.points, made.law), f"predicted less measured, {scale}")


def _budget(answer: Answer) -> str:
    """The loss along the budget's line, with the best size marked."""
    made, best = answer.fit, answer.plan
    assert best is not None
    sizes: Array = np.geomspace(best.parameters / 30, best.parameters * 30, 60)
    tokens = (best.budget - 2 * sizes * best.served) / (6 * sizes)
    sizes, tokens = sizes[tokens > 0], tokens[tokens > 0]
    data = {"parameters": sizes, "tokens": tokens, "unique_tokens": np.minimum(tokens, best.unique or np.inf)}
    line = Layer(
        "curve1", sizes.tolist(), made.law.value(made.inner, data)[0].tolist(), title="loss of the whole budget"
    )
    title = f"loss by size for a budget of {best.budget:.3g} operations"
    return picture([line], title, "parameters", "loss", at=best.parameters)


def _emergence(answer: Answer) -> str:
    """Accuracy, what a power of the per-token probability says of it, and the loss as a share of its largest."""
    told = answer.emergence
    assert told is not None
    loss, accuracy = (np.asarray(one) for one in answer.accuracy)
    order = np.argsort(-loss)
    progress = -loss[order]
    layers = [
        Layer("curve2", progress.tolist(), np.exp(-loss[order]).tolist(), title="probability of a token"),
        Layer("curve1", progress.tolist(), told.fitted[order].tolist(), title="its power"),
        Layer("dots", progress.tolist(), accuracy[order].tolist(), title="accuracy"),
    ]
    title = "accuracy, the probability of a token, and its power"
    return picture(layers, title, "loss, falling to the right (with its sign turned)", "share", x_log=False)
