"""Which corpus lets a model store more? The same facts in each, the same models, one table, and whether it is decided.

What is measured is how much a corpus interferes with storing facts that are seen a given number of times, at the scale
of the models that were trained; not how much knowledge the corpus itself holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from curate.errors import Refused
from recipes.app.measure.arms import AGAIN, CONTROL
from recipes.app.measure.corpora import Entry, Tokenised, shared_vocabulary, tokenised
from recipes.app.measure.evidence import arms_of, stored_share
from recipes.app.measure.ladder import LADDER, Grid, climbed, middle

Protocol = Literal["same-compute", "same-budget", "own-size"]
MOST_REPEATS = 4.0
"""Times that a corpus may be gone through: more is the known way to look good (arXiv 2404.05405, result 11)."""
CONTROL_RATIO = 0.875
TEXTS = 2000  # of the facts, that the tokenizer is trained on
FLOOR, CEILING = 0.05, 0.95
"""Shares of the facts stored, below and above which nothing is told apart."""

Train = Callable[[dict[str, Any], Path], list[dict[str, Any]]]
"""Trains a plan into a folder and returns its results."""


@dataclass(frozen=True)
class Comparison:
    """What is asked. `exposures` is a ladder, for the first corpus, which every seed of every arm climbs until it has
    bracketed one half of the facts; `junk_ratio` the corpus's share of tokens there.
    `window` grows to what the longest text of a fact needs: cut texts are met whole for the first time when scored, at
    positions that no training had, and nothing would seem to be stored. Raises Refused for another protocol."""

    protocol: Protocol = "same-compute"
    people: int = 24
    exposures: tuple[int, ...] = LADDER
    junk_ratio: float = 0.5
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (4e-3, 8e-3, 1.6e-2)
    frozen: bool = True
    layers: int = 2
    heads: int = 2
    width: int = 48
    batch: int = 1
    window: int = 256
    size: int = 1024
    may_repeat: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.protocol not in get_args(Protocol):
            raise Refused(f"a comparison is of {', '.join(get_args(Protocol))}, not of {self.protocol!r}")


@dataclass(frozen=True)
class Rung:
    """One arm at one step of the ladder: what it trains on."""

    arm: str
    rung: int
    exposures: int
    junk_ratio: float
    repeats: float


def rungs_of(asked: Comparison, corpora: Sequence[Tokenised], facts_tokens: float) -> list[Rung]:
    """Exposures and mixture of every corpus at every rung; `facts_tokens` is one exposure of everybody.

    same-budget: equal corpus tokens, share and steps. own-size: each corpus once, facts fixed. same-compute: equal
    steps; the facts stand in the first corpus as often as the rung says, in the others as often in one pass, so that a
    smaller corpus is passed more often and shows them more often, and what rendered domains take of the steps is lost
    to both. Rungs at which a corpus would repeat too often are left out; raises ValueError where that is the middle
    one, at which every arm begins.
    """
    base = corpora[0]
    found: list[Rung] = []
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
                    return [step for step in found if step.rung < rung]
                raise ValueError(
                    f"'{one.name}' has {one.used:,} tokens and would be gone through {repeats:.1f} times at rung"
                    f" {rung}: more than {MOST_REPEATS:.0f} times is the known way to look good; take more text, fewer"
                    f" people or exposures, or allow it by name with --may-repeat {one.name}"
                )
            found.append(Rung(one.name, rung, exposures, ratio, repeats))
    return found


def compare(
    entries: Sequence[Entry],
    out: Path,
    asked: Comparison,
    tokenizer: Path | None = None,
    own: str | None = None,
    train: Train | None = None,
) -> dict[str, Any]:
    """Tokenise, place the facts, train, decide; returns what `compare.json` holds.

    `own` asks for facts of the corpora themselves: "found", or a table of them (`own_facts.py`). `train`
    trains a plan into a folder (the probe, unless said). Raises ValueError where the comparison would be unfit.
    """
    from recipes.app.measure.own_facts import OwnFacts
    from recipes.app.measure.verdict import report
    from synth.corpus import facts_corpus
    from synth.inject import Inject

    if len({entry.name for entry in entries}) < len(entries) or len(entries) < 2:
        raise ValueError("a comparison is of at least two corpora of different names; name them NAME=FOLDER")
    inject = Inject(kind="people", people=asked.people, exposures=1, frozen=asked.frozen, seed=0)
    placed = inject.placed()
    texts = [document.text for document in placed.documents(0, placed.total)]
    vocabulary = shared_vocabulary(entries, iter(texts[:TEXTS]), inject.domain, tokenizer, asked.size)
    folder = out / "corpora"
    found = tokenised(entries, vocabulary, folder / "tokens", asked.protocol == "same-budget", inject.domain)
    lengths = [len(ids) + 1 for ids in vocabulary.encode(texts)]
    longest = max(lengths) + max(len(one.front) for one in found)
    asked = dataclasses.replace(asked, window=max(asked.window, -(-longest * 5 // 4 // 32) * 32))
    rungs = rungs_of(asked, found, float(sum(lengths)))
    most = max(max(one.exposures for one in rungs), max(asked.exposures))
    facts_corpus(
        folder, dataclasses.replace(inject, exposures=most), name=None, vocabulary=vocabulary, used=vocabulary.size
    )
    own_facts = None if own is None else OwnFacts.of(own, entries, vocabulary, folder)
    plan = _plan(asked, entries, found, folder)
    grid = Grid(
        plan if own_facts is None else own_facts.planned(plan), lambda plan: (train or _train)(plan, out / "probe")
    )
    outcome = carried_out(asked, found, rungs, grid)
    found_own = None
    if own_facts is not None:
        begun = [run for run in grid.runs if run["rung"] == outcome.start and run["seed"] in asked.seeds]
        found_own = own_facts.stored(grid.trained(own_facts.runs(begun)))
    return report(asked, found, outcome, vocabulary.hash, found_own)


@dataclass(frozen=True)
class Outcome:
    """What was trained: the rung at which every arm began, the learning rate of each arm, the results of all runs that
    count, and the rungs that these stand on."""

    start: int
    rates: dict[str, float]
    results: list[dict[str, Any]]
    rungs: list[Rung]


def carried_out(asked: Comparison, corpora: Sequence[Tokenised], rungs: Sequence[Rung], grid: Grid) -> Outcome:
    """Choose rates and a rung by a trial; let every seed of every corpus, and of the first one in another shuffle,
    climb to half of the facts; train the control at the first rung where the first corpus stores half on average."""
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


def _plan(asked: Comparison, entries: Sequence[Entry], found: Sequence[Tokenised], folder: Path) -> dict[str, Any]:
    held_out = {entry.corpus.name: one.held_out for entry, one in zip(entries, found, strict=True)}
    return {
        "facts": str((folder / "facts").resolve()),
        "useful": None,
        "junk_shards": {one.name: str(one.folder.resolve()) for one in found},
        "held_out_text": {name: str(path.resolve()) for name, path in held_out.items()},
        "model": {"layers": asked.layers, "heads": asked.heads, "width": asked.width},
        "training": {"batch": asked.batch, "window": asked.window},
    }


def _run(rung: Rung, one: Tokenised, arm: str, seed: int, rate: float, **changes: Any) -> dict[str, Any]:
    mixture = {"junk_kind": "shards", "junk_shards": rung.arm, "junk_ratio": rung.junk_ratio, "windows": "mixed"}
    return {
        "arm": arm, "rung": rung.rung, "exposures": rung.exposures, "seed": seed, "training": {"learning_rate": rate},
        **(mixture if rung.junk_ratio else {}), **one.rendering.run(one.front), **changes,
    }  # fmt: skip


def _control(asked: Comparison, rung: Rung, seed: int, rate: float) -> dict[str, Any]:
    """Look-alike junk in place of the first corpus, at its rate, no domain anywhere: it must be found to be worse. It
    keeps to the protocol: in the same compute so much junk leaves room for a part of the exposures only."""
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
    """The rung to begin at, and the best of one list of learning rates for each corpus, on a seed that decides nothing.

    Rates are told apart where something is stored, and not all: each corpus goes from the middle of the ladder up while
    next to nothing is stored at any rate, or down while nearly everything is. All begin where the last of them ended.
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
            found = [row for row in rows if row["arm"] == one.name]
            sound = [row for row in found if not row.get("error")]
            if not sound:
                raise ValueError(f"no learning rate of {asked.rates} trains '{one.name}': {found[0].get('error')}")
            best[one.name] = max(sound, key=lambda row: row["value_bits_per_parameter"])
            share = stored_share(best[one.name])
            place = ladder.index(rungs[one.name][-1]) + (share < FLOOR) - (share > CEILING)
            if 0 <= place < len(ladder) and ladder[place] not in rungs[one.name]:
                rungs[one.name].append(ladder[place])
                moving.append(one)
        looking = moving
    return max(tried[-1] for tried in rungs.values()), {name: row["learning_rate"] for name, row in best.items()}


def _train(plan: dict[str, Any], out: Path) -> list[dict[str, Any]]:
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    return run_plan(plan_of(plan), out, Printer())
