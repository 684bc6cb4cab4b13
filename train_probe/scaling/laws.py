"""The laws, each a formula with its parameters, its derivative and where a fit of it begins.

A law is fitted in parameters that may be anything between two bounds: logarithms of what is positive, exponents as they
are. `Law.named` gives them back as the formula writes them. But: no law here knows what a run cost or how it was made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import Refused, nearest

Array = NDArray[np.float64]
Columns = Mapping[str, Array]
Value = Callable[[Array, Columns], tuple[Array, Array]]
"""Parameters and columns to predictions and their derivatives, a row a point."""
Starts = Callable[[Columns, Array], list[Array]]
"""Columns and what was measured to the places where a fit begins, the best first where it is known."""

EXPONENT = (0.005, 3.0)
COEFFICIENT = (-60.0, 160.0)


@dataclass(frozen=True)
class Law:
    """A formula of `target` in `columns`. `logs` says which parameters are fitted as logarithms."""

    name: str
    formula: str
    source: str
    columns: tuple[str, ...]
    target: str
    parameters: tuple[str, ...]
    logs: tuple[bool, ...]
    bounds: tuple[tuple[float, float], ...]
    value: Value
    starts: Starts

    def named(self, inner: Array) -> dict[str, float]:
        """The parameters as the formula writes them."""
        return {
            name: float(np.exp(one)) if log else float(one)
            for name, log, one in zip(self.parameters, self.logs, inner, strict=True)
        }

    def inner(self, named: Mapping[str, float]) -> Array:
        """The parameters as they are fitted, from those of the formula."""
        pairs = zip(self.parameters, self.logs, strict=True)
        return np.array([np.log(named[name]) if log else named[name] for name, log in pairs])

    @property
    def exponents(self) -> tuple[str, ...]:
        """The parameters that are exponents of the formula."""
        return tuple(name for name in self.parameters if name.startswith(("alpha", "beta")))


def law_of(name: str) -> Law:
    """The law of a name. Raises Refused for one that is not known."""
    if name not in LAWS:
        raise Refused(f"there is no law '{name}'{nearest(name, LAWS)}: {', '.join(LAWS)}")
    return LAWS[name]


def non_negative(features: Array, target: Array) -> tuple[Array, float]:
    """Non-negative least squares of relative errors: coefficients, and the root of the squared sum."""
    from scipy.optimize import nnls

    scaled = features / target[:, None]
    size = np.linalg.norm(scaled, axis=0)
    size[size == 0] = 1.0
    coefficients, rest = nnls(scaled / size, np.ones(len(target)))
    return coefficients / size, float(rest)


def _scan(
    target: Array, grid: Sequence[tuple[float, ...]], features: Callable[..., Array], inner: Callable[..., Array]
) -> list[Array]:
    """Variable projection on a grid: exponents are tried, coefficients are non-negative least squares."""
    found: list[tuple[float, int, Array]] = []
    for number, exponents in enumerate(grid):
        coefficients, rest = non_negative(features(*exponents), target)
        floor = 1e-4 * max(float(coefficients.max()), 1e-30)
        found.append((rest, number, inner(np.maximum(coefficients, floor), *exponents)))
    return [one[2] for one in sorted(found, key=lambda one: one[:2])]


def _sums(columns: tuple[str, ...]) -> tuple[Value, Starts]:
    """E + A / x^alpha, or E + A / x^alpha + B / y^beta."""
    many = len(columns)

    def value(inner: Array, data: Columns) -> tuple[Array, Array]:
        floor = np.exp(inner[0])
        slopes = [floor * np.ones_like(data[columns[0]])]
        steep = []
        for place, column in enumerate(columns):
            logarithm = np.log(data[column])
            term = np.exp(np.minimum(inner[1 + place] - inner[1 + many + place] * logarithm, 300.0))
            slopes.append(term)
            steep.append(-term * logarithm)
        return np.sum(slopes, axis=0), np.stack([*slopes, *steep], axis=1)

    def starts(data: Columns, target: Array) -> list[Array]:
        logarithms = [np.log(data[column]) for column in columns]
        middles = [float(one.mean()) for one in logarithms]

        def features(*exponents: float) -> Array:
            powers = [
                np.exp(-power * (one - middle))
                for power, one, middle in zip(exponents, logarithms, middles, strict=True)
            ]
            return np.stack([np.ones(len(target)), *powers], axis=1)

        def inner(coefficients: Array, *exponents: float) -> Array:
            shift = [0.0, *(power * middle for power, middle in zip(exponents, middles, strict=True))]
            return np.array([*(np.log(coefficients) + shift), *exponents])

        ladder = [float(one) for one in np.geomspace(0.03, 1.5, 16 if many > 1 else 40)]
        return _scan(target, list(itertools.product(ladder, repeat=many)), features, inner)

    return value, starts


def _pure(column: str) -> tuple[Value, Starts]:
    """(Xc / x)^alpha, a line in logarithms."""

    def value(inner: Array, data: Columns) -> tuple[Array, Array]:
        apart = inner[0] - np.log(data[column])
        result = np.exp(np.clip(inner[1] * apart, -300, 300))
        return result, np.stack([result * inner[1], result * apart], axis=1)

    def starts(data: Columns, target: Array) -> list[Array]:
        slope, height = np.polyfit(np.log(data[column]), np.log(target), 1)
        power = min(max(-slope, 0.01), 2.0)
        return [np.array([height / power, power])]

    return value, starts


def _kaplan(inner: Array, data: Columns) -> tuple[Array, Array]:
    size, tokens, of_size, of_tokens = inner
    apart = size - np.log(data["parameters"])
    ratio = of_size / of_tokens
    first = np.exp(np.clip(ratio * apart, -300, 300))
    second = np.exp(np.clip(tokens - np.log(data["tokens"]), -300, 300))
    both = first + second
    result = both**of_tokens
    share = of_tokens * result / both
    return result, np.stack(
        [
            share * first * ratio,
            share * second,
            share * first * apart / of_tokens,
            result * np.log(both) - share * first * apart * of_size / of_tokens**2,
        ],
        axis=1,
    )


def _kaplan_starts(data: Columns, target: Array) -> list[Array]:
    """With its last exponent undone, the joint form is a sum of two powers: a scan of both exponents again."""
    size, tokens = np.log(data["parameters"]), np.log(data["tokens"])
    found: list[tuple[float, int, Array]] = []
    for of_size, of_tokens in itertools.product(np.geomspace(0.02, 0.8, 16), repeat=2):
        ratio = of_size / of_tokens
        features = np.stack([np.exp(-ratio * (size - size.mean())), np.exp(-(tokens - tokens.mean()))], axis=1)
        with np.errstate(over="ignore"):
            undone = np.exp(np.log(target) / of_tokens)
        if not np.isfinite(undone).all():
            continue
        coefficients, rest = non_negative(features, undone)
        first, second = np.log(np.maximum(coefficients, 1e-6 * max(float(coefficients.max()), 1e-200)))
        start = np.array([first / ratio + size.mean(), second + tokens.mean(), of_size, of_tokens])
        found.append((rest * of_tokens, len(found), start))
    return [one[2] for one in sorted(found, key=lambda one: one[:2])]


def worth(tokens: Array, unique: Array, half_life: float) -> tuple[Array, Array]:
    """What tokens shown again are worth in unique ones, U + U R (1 - exp(-(D / U - 1) / R)), and its derivative by
    log R."""
    again = np.maximum(tokens / unique - 1, 0.0) / half_life
    left = np.exp(-again)
    return unique + unique * half_life * (1 - left), unique * half_life * (1 - left - again * left)


def _repeated(inner: Array, data: Columns) -> tuple[Array, Array]:
    tokens, by_life = worth(data["tokens"], data["unique_tokens"], float(np.exp(inner[5])))
    result, slopes = SUM_OF_BOTH(inner[:5], {"parameters": data["parameters"], "tokens": tokens})
    return result, np.column_stack([slopes, -inner[4] * slopes[:, 2] / tokens * by_life])


def _repeated_starts(data: Columns, target: Array) -> list[Array]:
    found: list[tuple[float, int, Array]] = []
    for half_life in (1.5, 4.0, 15.0, 50.0):
        tokens, _ = worth(data["tokens"], data["unique_tokens"], half_life)
        columns = {"parameters": data["parameters"], "tokens": tokens}
        for start in STARTS_OF_BOTH(columns, target)[:6]:
            rest = float(np.sum((SUM_OF_BOTH(start, columns)[0] / target - 1) ** 2))
            found.append((rest, len(found), np.append(start, np.log(half_life))))
    return [one[2] for one in sorted(found, key=lambda one: one[:2])]


def _repeated_both(inner: Array, data: Columns) -> tuple[Array, Array]:
    """Muennighoff's whole form: parameters beyond those that the unique tokens call for, N_opt(U), are worth less, too,
    by the same decay with a half-life of its own."""
    first, second, alpha, beta = inner[1:5]
    shown, unique = data["parameters"], data["unique_tokens"]
    # Where A N^-alpha and B U^-beta fall at one rate: the optimum of the law without repetition.
    called = (np.log(alpha) + first - np.log(beta) - second + beta * np.log(unique)) / alpha
    beyond = np.log(shown) > called
    own = np.where(beyond, np.exp(np.minimum(called, np.log(shown))), shown)
    life = float(np.exp(inner[6]))
    size, by_life = worth(shown, own, life)
    left = np.exp(-(shown / own - 1) / life)
    # How log n' grows with log N_opt: d n'/d u = 1 + R (1 - e) - (N / u) e.
    by_called = np.where(beyond, own * (1 + life * (1 - left) - shown / own * left) / size, 0.0)
    changed = {"parameters": size, "tokens": data["tokens"], "unique_tokens": unique}
    result, slopes = _repeated(inner[:6], changed)
    by_size = -alpha * slopes[:, 1]
    of_called = np.stack(
        [
            1 / alpha * np.ones_like(called),
            -1 / alpha * np.ones_like(called),
            (1 / alpha - called) / alpha,
            (np.log(unique) - 1 / beta) / alpha,
        ],
        axis=1,
    )
    slopes[:, 1:5] += (by_size * by_called)[:, None] * of_called
    return result, np.column_stack([slopes, by_size / size * by_life])


def _repeated_both_starts(data: Columns, target: Array) -> list[Array]:
    starts = _repeated_starts(data, target)[:8]
    return [np.append(start, np.log(life)) for start in starts for life in (2.0, 5.0, 20.0)]


def _capacity(inner: Array, data: Columns) -> tuple[Array, Array]:
    """The smooth minimum of what is shown and what fits: (shown^-s + held^-s)^(-1/s)."""
    sharp = np.exp(inner[1])
    shown, held = np.log(data["shown"]), inner[0] + np.log(data["parameters"])
    of_held = [np.ones_like(held)]
    if len(inner) > 2:
        steep = np.exp(inner[3])
        wait = steep * (inner[2] - np.log(data["exposures"]))
        held = held - np.logaddexp(0.0, wait)
        late = 1 / (1 + np.exp(-np.clip(wait, -500, 500)))
        of_held += [-late * steep, -late * wait]
    both = np.logaddexp(-sharp * shown, -sharp * held)
    result = np.exp(-both / sharp)
    weight = np.exp(-sharp * held - both)
    by_sharp = both / sharp + weight * held + (1 - weight) * shown
    slopes = [weight * of_held[0], by_sharp, *(weight * one for one in of_held[1:])]
    return result, result[:, None] * np.stack(slopes, axis=1)


def _capacity_at_one_starts(data: Columns, target: Array) -> list[Array]:
    most = max(float(np.quantile(target / data["parameters"], 0.9)), 1e-6)
    pairs = itertools.product(np.log(most * np.array([0.7, 1.0, 1.6, 3.0])), np.log([1.0, 3.0, 10.0]))
    return [np.array(one) for one in pairs]


def _capacity_starts(data: Columns, target: Array) -> list[Array]:
    first = _capacity_at_one_starts(data, target)
    halves = np.log(np.quantile(data["exposures"], [0.1, 0.3, 0.6, 0.9]))
    return [np.array([*one, half, steep]) for one in first for half in halves for steep in np.log([1.0, 3.0])]


def _learning(inner: Array, data: Columns) -> tuple[Array, Array]:
    steep = np.exp(inner[2])
    wait = steep * (inner[1] - np.log(data["exposures"]))
    late = 1 / (1 + np.exp(-np.clip(wait, -500, 500)))
    result = np.exp(inner[0]) * (1 - late)
    return result, result[:, None] * np.stack([np.ones_like(wait), -late * steep, -late * wait], axis=1)


def _learning_starts(data: Columns, target: Array) -> list[Array]:
    top = np.log(min(max(float(target.max()), 1e-3), 0.999))
    halves = np.log(np.quantile(data["exposures"], [0.1, 0.3, 0.5, 0.7, 0.9]))
    return [np.array([top, half, steep]) for half in halves for steep in np.log([0.7, 1.5, 3.0, 6.0])]


SUM_OF_BOTH, STARTS_OF_BOTH = _sums(("parameters", "tokens"))


def _law(
    name: str, formula: str, source: str, columns: tuple[str, ...], parameters: str, forms: Any, target: str = "loss"
) -> Law:
    names = tuple(parameters.split())
    logs = tuple(not one.startswith(("alpha", "beta")) for one in names)
    limits = {"sharpness": (-0.5, 4.0), "steepness": (-1.6, 3.5), "top": (-7.0, 0.0), "half_life": (-3.0, 9.0)}
    limits["half_life_of_size"] = limits["half_life"]
    bounds = tuple(
        limits.get(one, COEFFICIENT if log else EXPONENT) for one, log in zip(names, logs, strict=True)
    )  # fmt: skip
    return Law(name, formula, source, columns, target, names, logs, bounds, *forms)


N, D, C = "parameters", "tokens", "compute"
BOTH = "Kaplan 2020", (N, D), "Nc Dc alpha_N alpha_D"
LAWS = {
    law.name: law
    for law in (
        _law("parameters", "E + A / N^alpha", "Henighan 2020", (N,), "E A alpha", _sums((N,))),
        _law("tokens", "E + B / D^beta", "Henighan 2020", (D,), "E B beta", _sums((D,))),
        _law("compute", "E + K / C^alpha", "Henighan 2020", (C,), "E K alpha", _sums((C,))),
        _law("kaplan-parameters", "(Nc / N)^alpha", "Kaplan 2020", (N,), "Nc alpha", _pure(N)),
        _law("kaplan-tokens", "(Dc / D)^alpha", "Kaplan 2020", (D,), "Dc alpha", _pure(D)),
        _law("kaplan-compute", "(Cc / C)^alpha", "Kaplan 2020", (C,), "Cc alpha", _pure(C)),
        _law("kaplan", "((Nc / N)^(alpha_N / alpha_D) + Dc / D)^alpha_D", *BOTH, (_kaplan, _kaplan_starts)),
        _law(
            name="hoffmann",
            formula="E + A / N^alpha + B / D^beta",
            source="Hoffmann 2022",
            columns=(N, D),
            parameters="E A B alpha beta",
            forms=(SUM_OF_BOTH, STARTS_OF_BOTH),
        ),
        _law(
            name="repeated",
            formula="E + A / N^alpha + B / (U + U R (1 - exp(-(D / U - 1) / R)))^beta",
            source="Muennighoff 2023",
            columns=(N, D, "unique_tokens"),
            parameters="E A B alpha beta half_life",
            forms=(_repeated, _repeated_starts),
        ),
        _law(
            name="repeated-both",
            formula="E + A / N'^alpha + B / D'^beta, both worn out by repetition",
            source="Muennighoff 2023",
            columns=(N, D, "unique_tokens"),
            parameters="E A B alpha beta half_life half_life_of_size",
            forms=(_repeated_both, _repeated_both_starts),
        ),
        _law(
            name="capacity",
            formula="smooth min of shown and c P / (1 + (half / exposures)^k)",
            source="Allen-Zhu 2024",
            columns=(N, "exposures", "shown"),
            parameters="c sharpness half steepness",
            forms=(_capacity, _capacity_starts),
            target="bits",
        ),
        _law(
            name="capacity-at-one",
            formula="smooth min of shown and c P",
            source="Allen-Zhu 2024",
            columns=(N, "shown"),
            parameters="c sharpness",
            forms=(_capacity, _capacity_at_one_starts),
            target="bits",
        ),
        _law(
            name="learning",
            formula="top / (1 + (half / exposures)^k)",
            source="Hill curve",
            columns=("exposures",),
            parameters="top half steepness",
            forms=(_learning, _learning_starts),
            target="share",
        ),
    )
}
"""The laws by name."""
