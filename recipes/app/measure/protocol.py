"""How a comparison is trained: exposures and mixture of every arm at every rung, learning rates by a trial, the
climb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curate.errors import Refused
from curate.run.engine import TaskError
from recipes.app.measure.asked import AGAIN, CONTROL, Comparison, Outcome, Rung
from recipes.app.measure.corpora import Tokenised
from recipes.app.measure.ladder import Grid, climbed, middle
from recipes.app.measure.statistics import CEILING, FLOOR, arms_of, stored_share

MOST_REPEATS = 4.0
"""Times that a corpus may be repeated: repetition alone lets a model store more (arXiv 2404.05405, result 11)."""
CONTROL_RATIO = 0.875


def rungs_of(asked: Comparison, corpora: Sequence[Tokenised], facts_tokens: float) -> list[Rung]:
    """Exposures and mixture of every corpus at every rung; `facts_tokens` are those of one exposure of every
    fact.

    same-budget: equal corpus tokens, share and steps. own-size: each corpus once, exposures of the rung. same-compute:
    equal steps. The first corpus shows the facts as often as the rung says; the others show them as often per pass, so
    a smaller corpus, which is passed more often, shows them more often. The steps that rendered domains take are lost
    to facts and text alike. Rungs at which a corpus would repeat too often are left out; raises Refused where that is
    the middle one, at which every arm begins.
    """
    base = corpora[0]
    rungs: list[Rung] = []
    for rung in asked.exposures:
        useful = rung * facts_tokens
        corpus_tokens = useful * asked.junk_ratio / (1 - asked.junk_ratio)
        total = rung * (facts_tokens + asked.people * base.more) + corpus_tokens
        once = rung * base.used / corpus_tokens  # exposures in one pass of the first corpus
        for one in corpora:
            if asked.protocol == "own-size":
                exposures, ratio = rung, one.used / (one.used + useful)
            elif asked.protocol == "same-budget":
                exposures, ratio = rung, asked.junk_ratio
            else:
                each = facts_tokens + asked.people * one.more
                passes = total / (one.used + once * each)
                exposures = max(1, round(once * passes))
                rest = max(0.0, total - exposures * each)
                ratio = rest / (rest + exposures * facts_tokens)
            repeats = exposures * facts_tokens * ratio / (1 - ratio) / one.used
            if repeats > MOST_REPEATS and one.name not in asked.may_repeat:
                if rung > middle(asked.exposures):
                    return [step for step in rungs if step.rung < rung]
                raise Refused(
                    f"'{one.name}' has {one.used:,} tokens and would be repeated {repeats:.1f} times at rung"
                    f" {rung}: more than {MOST_REPEATS:.0f} times lets a model store more by itself; take more text,"
                    f" fewer people or exposures, or allow it by name with --may-repeat {one.name}"
                )
            rungs.append(Rung(one.name, rung, exposures, ratio, repeats))
    return rungs


def carried_out(asked: Comparison, corpora: Sequence[Tokenised], rungs: Sequence[Rung], grid: Grid) -> Outcome:
    """Choose learning rates and a first rung by a trial; let every seed of every corpus, and of the first one in
    another shuffle, climb to half of the facts; train the control at the first rung where the first corpus stores half
    on average."""
    of = {one.name: one for one in corpora}
    first = corpora[0].name
    at = {(one.arm, one.rung): one for one in rungs}
    ladder = sorted({one.rung for one in rungs})
    start, rates = _trial(asked, corpora, at, ladder, grid)
    results: list[dict[str, Any]] = []

    def train(wanted: Sequence[tuple[tuple[str, int], int]]) -> list[float | None]:
        runs = []
        for (arm, seed), rung in wanted:
            corpus = first if arm == AGAIN else arm
            changes = {"shuffle": 1} if arm == AGAIN else {}
            runs.append(_run(at[corpus, rung], of[corpus], arm, seed, rates[corpus], **changes))
        rows = grid.trained(runs)
        results.extend(rows)
        return [None if row.get("error") else stored_share(row) for row in rows]

    keys = [(arm, seed) for seed in asked.seeds for arm in (*of, AGAIN)]
    stored = climbed(ladder, keys, start, train)
    base = arms_of(results, key="rung").get(first)
    half = base.mean_half() if base is not None else None
    if half is not None and half.sense != ">":
        rung = next(one for one in ladder if one >= half.exposures)
        train([((first, seed), rung) for seed in asked.seeds if rung not in stored[first, seed]])
        results += grid.trained([_control(asked, at[first, rung], seed, rates[first]) for seed in asked.seeds])
    used = {(row["arm"], row["rung"]) for row in results}
    return Outcome(start, rates, results, [one for one in rungs if (one.arm, one.rung) in used])


def _run(rung: Rung, one: Tokenised, arm: str, seed: int, rate: float, **changes: Any) -> dict[str, Any]:
    mixture = {"junk_kind": "shards", "junk_shards": rung.arm, "junk_ratio": rung.junk_ratio, "windows": "mixed"}
    return {
        "arm": arm, "rung": rung.rung, "exposures": rung.exposures, "seed": seed, "training": {"learning_rate": rate},
        **(mixture if rung.junk_ratio else {}), **one.rendering.run(one.front), **changes,
    }  # fmt: skip


def _control(asked: Comparison, rung: Rung, seed: int, rate: float) -> dict[str, Any]:
    """Look-alike junk in place of the first corpus, at its learning rate, without domains: it must be found to be
    worse. It follows the protocol: in the same compute, that much junk leaves room for a part of the exposures only."""
    exposures = rung.exposures
    if asked.protocol == "same-compute":
        exposures = max(1, round(exposures * min(1.0, (1 - CONTROL_RATIO) / (1 - rung.junk_ratio))))
    return {
        "arm": CONTROL, "rung": rung.rung, "exposures": exposures, "seed": seed, "training": {"learning_rate": rate},
        "junk_kind": "endless", "junk_ratio": CONTROL_RATIO, "windows": "mixed",
    }  # fmt: skip


def _trial(
    asked: Comparison,
    corpora: Sequence[Tokenised],
    at: dict[tuple[str, int], Rung],
    ladder: Sequence[int],
    grid: Grid,
) -> tuple[int, dict[str, float]]:
    """The rung to begin at, and the best learning rate of the list for each corpus, on a seed that is used for this
    alone.

    Rates can be distinguished only where some facts are stored, and not all: each corpus goes up from the middle of the
    ladder while hardly any are stored at any rate, or down while nearly all are. All begin at the highest
    of the rungs where these walks end.
    """
    if len(asked.rates) == 1:
        return middle(asked.exposures), dict.fromkeys((one.name for one in corpora), asked.rates[0])
    seed = max(asked.seeds) + 1000
    rungs = {one.name: [middle(asked.exposures)] for one in corpora}
    best: dict[str, dict[str, Any]] = {}
    looking = list(corpora)
    while looking:
        runs = [
            _run(at[one.name, rungs[one.name][-1]], one, one.name, seed, rate)
            for one in looking
            for rate in asked.rates
        ]
        rows = grid.trained(runs)
        moving = []
        for one in looking:
            own = [row for row in rows if row["arm"] == one.name]
            sound = [row for row in own if not row.get("error")]
            if not sound:
                raise failure(f"no learning rate of {asked.rates} trains '{one.name}': {own[0].get('error')}", own)
            best[one.name] = max(sound, key=lambda row: row["value_bits_per_parameter"])
            share = stored_share(best[one.name])
            place = ladder.index(rungs[one.name][-1]) + (share < FLOOR) - (share > CEILING)
            if 0 <= place < len(ladder) and ladder[place] not in rungs[one.name]:
                rungs[one.name].append(ladder[place])
                moving.append(one)
        looking = moving
    return max(tried[-1] for tried in rungs.values()), {name: row["learning_rate"] for name, row in best.items()}


def failure(message: str, rows: Sequence[dict[str, Any]]) -> Refused | TaskError:
    """The exception to raise where all runs failed: a fault with its traceback where one of them had a fault, else a
    refusal."""
    traces = [row["traceback"] for row in rows if row.get("traceback")]
    return TaskError(f"{message}\n{traces[0]}") if traces else Refused(message)
