"""How a comparison's facts are trained: exposures and mixture of every arm at every rung, the climb, the arms that are
added, and a second look at what is undecided."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from curate.errors import Refused
from curate.run.engine import TaskError
from recipes.app.measure.asked import ALONE, AS_GOOD, CONTROL, Comparison, Outcome, Rung
from recipes.app.measure.coins import MOST_REPEATS, Arm, first_of, most_repeats
from recipes.app.measure.corpora import Tokenised
from recipes.app.measure.judged import (
    Judged,
    Rule,
    Values,
    judged,
    kept_answers,
    plainly_worse,
    undecided,
    without_answers,
)
from recipes.app.measure.ladder import Grid, climbed, lower, middle
from recipes.app.measure.statistics import CEILING, FLOOR, ArmResults, arms_of, log_halves, stored_share

CONTROL_RATIO = 0.875
LEAST_SPREAD = 0.01
"""The smallest standard deviation of a pair of halves that is believed: 1 %."""


def rungs_of(asked: Comparison, arms: Sequence[Arm], corpora: Sequence[Tokenised], facts_tokens: float) -> list[Rung]:
    """Exposures and mixture of every arm at every rung; `facts_tokens` are those of one exposure of every fact.

    same-budget: equal corpus tokens, share and steps. own-size: each corpus once, exposures of the rung. same-compute:
    equal steps. The first corpus shows the facts as often as the rung says; the others show them as often per pass, so
    a smaller corpus, which is passed more often, shows them more often. The steps that rendered domains take are lost
    to facts and text alike. Rungs at which an arm would repeat its corpus too often are left out of its ladder; raises
    Refused where that is the middle one, at which every arm begins.
    """
    of = {one.name: one for one in corpora}
    base = of[first_of(arms).shards]
    rungs: list[Rung] = []
    ended: set[str] = set()
    for rung in asked.exposures:
        useful = rung * facts_tokens
        corpus_tokens = useful * asked.junk_ratio / (1 - asked.junk_ratio)
        total = rung * (facts_tokens + asked.people * base.more) + corpus_tokens
        once = rung * base.used / corpus_tokens  # exposures in one pass of the first corpus
        for arm in arms:
            if arm.name in ended:
                continue
            one, used = of[arm.shards], of[arm.shards].used * arm.kept
            if asked.protocol == "own-size":
                exposures, ratio = rung, used / (used + useful)
            elif asked.protocol == "same-budget":
                exposures, ratio = rung, asked.junk_ratio
            else:
                each = facts_tokens + asked.people * one.more
                passes = total / (used + once * each)
                exposures = max(1, round(once * passes))
                rest = max(0.0, total - exposures * each)
                ratio = rest / (rest + exposures * facts_tokens)
            repeats = exposures * facts_tokens * ratio / (1 - ratio) / used
            if repeats > most_repeats(arm, arms, asked.may_repeat):
                if rung > middle(asked.exposures):
                    ended.add(arm.name)
                    continue
                raise Refused(
                    f"'{arm.name}' has {used:,.0f} tokens and would be repeated {repeats:.1f} times at rung"
                    f" {rung}: more than {MOST_REPEATS:.0f} times lets a model store more by itself; take more text,"
                    f" fewer people or exposures, or allow it by name with --may-repeat {arm.name}"
                )
            rungs.append(Rung(arm.name, rung, exposures, ratio, repeats))
    return rungs


class Training:
    """The runs of a comparison's facts."""

    def __init__(
        self, asked: Comparison, arms: Sequence[Arm], corpora: Sequence[Tokenised], rungs: Sequence[Rung], grid: Grid
    ) -> None:
        self.asked, self.arms, self.rungs, self.grid = asked, {arm.name: arm for arm in arms}, rungs, grid
        self.of = {one.name: one for one in corpora}
        self.first = first_of(arms).name
        self.at = {(one.arm, one.rung): one for one in rungs}
        self.ladders = {arm.name: sorted(one.rung for one in rungs if one.arm == arm.name) for arm in arms}
        self.ladders[ALONE] = lower(asked.exposures)
        self.results: list[dict[str, Any]] = []
        self.rate = asked.rates[0]

    def carried_out(self) -> Outcome:
        """Let every seed of every arm climb to half of the facts, some seeds of the facts alone too, and, where the
        answer for an arm is undecided, more seeds of it and of what it is judged against; train the control at the
        first rung where the first corpus stores half on average."""
        start = middle(self.asked.exposures)
        if len(self.asked.rates) > 1:
            start, self.rate = self._trial()
        self._climb(self.arms, self.asked.first_seeds, start, alone=True)
        control, found = self._control(), self._judged()
        if control is None or not control["worse"]:
            found = without_answers(found)
        elif open_ := undecided(found):
            names = [name for name in self.arms if name in open_]
            self._climb(names, self.asked.more_seeds, start)
            found = kept_answers(found, self._judged())
        used = {(row["arm"], row["rung"]) for row in self.results}
        rungs = [one for one in self.rungs if (one.arm, one.rung) in used]
        return Outcome(start, self.rate, self.results, rungs, self.ladders, control, found)

    def _climb(self, names: Iterable[str], seeds: Sequence[int], start: int, alone: bool = False) -> None:
        """Let seeds of arms climb, and some of the facts `alone`."""
        ladders = {(name, seed): (self.ladders[name], start) for seed in seeds for name in names}
        if alone:
            low = self.ladders[ALONE]
            ladders |= {(ALONE, seed): (low, middle(low)) for seed in self.asked.control_seeds}
        climbed(ladders, self._train)

    def _train(self, wanted: Sequence[tuple[tuple[str, int], int]]) -> list[float | None]:
        rows = self.grid.trained([self._run(arm, rung, seed, self.rate) for (arm, seed), rung in wanted])
        self.results.extend(rows)
        return [None if row.get("error") else stored_share(row) for row in rows]

    def _judged(self) -> list[Judged]:
        values, rule = halves_of(self.results, self.ladders, self.asked)
        return judged(values, list(self.arms.values()), rule)

    def _run(self, name: str, rung: int, seed: int, rate: float) -> dict[str, Any]:
        run = {
            "arm": name, "rung": rung, "exposures": rung, "seed": seed, "training": {"learning_rate": rate},
            "people": list(self.asked.people_of(seed)),
        }  # fmt: skip
        if name == ALONE:
            return run
        at, arm = self.at[name, rung], self.arms[name]
        one = self.of[arm.shards]
        mixture = {"junk_kind": "shards", "junk_shards": arm.shards, "junk_ratio": at.junk_ratio, "windows": "mixed"}
        pages = {**mixture, **arm.run()} if at.junk_ratio else {}
        return run | {"exposures": at.exposures} | pages | one.rendering.run(one.front)

    def _control(self) -> dict[str, Any] | None:
        """Train the control and, at the same rung, the first corpus; what both store, and whether the control is worse.
        None where the first corpus does not come to half on its ladder."""
        base, ladder = arms_of(self.results, key="rung").get(self.first), self.ladders[self.first]
        half = base.mean_half() if base is not None else None
        if half is None or half.sense != "=":
            return None
        rung = next((one for one in ladder if one >= half.exposures), ladder[-1])
        seeds = self.asked.control_seeds
        runs = [self._run(self.first, rung, seed, self.rate) for seed in seeds]
        rows = self.grid.trained([*runs, *(self._junk(rung, seed) for seed in seeds)])
        first, control = (
            {row["seed"]: stored_share(row) for row in some if not row.get("error")}
            for some in (rows[: len(seeds)], rows[len(seeds) :])
        )
        worse = plainly_worse(
            {seed: -share for seed, share in control.items()}, {s: -x for s, x in first.items()}, LEAST_SPREAD
        )
        exposures = rows[-1]["exposures"]
        return {"rung": rung, "stored": control, "first": first, "exposures": exposures, "worse": worse}

    def _junk(self, rung: int, seed: int) -> dict[str, Any]:
        """Look-alike junk in place of the first corpus, without domains, at as many tokens: so much junk leaves room
        for a quarter of the exposures at most."""
        at = self.at[self.first, rung]
        ratio = max(CONTROL_RATIO, 1 - (1 - at.junk_ratio) / 4)
        return {
            "arm": CONTROL, "rung": rung, "exposures": max(1, round(at.exposures * (1 - ratio) / (1 - at.junk_ratio))),
            "seed": seed, "training": {"learning_rate": self.rate}, "people": list(self.asked.people_of(seed)),
            "junk_kind": "endless", "junk_ratio": ratio, "windows": "mixed",
        }  # fmt: skip

    def _trial(self) -> tuple[int, float]:
        """The rung to begin at, and the best learning rate of the list for all arms: of the first corpus, on seeds that
        are used for this alone.

        Rates can be distinguished only where some facts are stored, and not all: the trial goes up from the middle of
        the ladder while hardly any are stored at any rate, or down while nearly all are.
        """
        rung = middle(self.asked.exposures)
        tried: list[int] = []
        while True:
            tried.append(rung)
            runs = [
                self._run(self.first, rung, seed, rate) for rate in self.asked.rates for seed in self.asked.trial_seeds
            ]
            rows = self.grid.trained(runs)
            shares = {
                rate: [stored_share(row) for row in rows if row["learning_rate"] == rate and not row.get("error")]
                for rate in self.asked.rates
            }
            sound = {rate: statistics.fmean(some) for rate, some in shares.items() if some}
            if not sound:
                raise failure(
                    f"no learning rate of {self.asked.rates} trains '{self.first}': {rows[0].get('error')}", rows
                )
            rate, share = max(sound.items(), key=lambda one: one[1])
            ladder = self.ladders[self.first]
            place = ladder.index(rung) + (share < FLOOR) - (share > CEILING)
            if not 0 <= place < len(ladder) or ladder[place] in tried:
                return rung, rate
            rung = ladder[place]


def halves_of(
    results: Sequence[dict[str, Any]], ladders: Mapping[str, Sequence[int]], asked: Comparison
) -> tuple[Values, Rule]:
    """The logarithm of each arm's rung of half of the facts by seed, and how differences of it are judged."""
    arms: dict[str, ArmResults] = arms_of(results, key="rung")
    values = {name: log_halves(arm, ladders[name]) for name, arm in arms.items() if name != ALONE}
    return values, asked.rule(AS_GOOD, LEAST_SPREAD)


def failure(message: str, rows: Sequence[dict[str, Any]]) -> Refused | TaskError:
    """The exception to raise where all runs failed: a fault with its traceback where one of them had a fault, else a
    refusal."""
    traces = [row["traceback"] for row in rows if row.get("traceback")]
    return TaskError(f"{message}\n{traces[0]}") if traces else Refused(message)
