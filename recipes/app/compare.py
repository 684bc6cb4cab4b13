"""Which corpus lets a model store more? The same facts in each, the same models, one table, and whether it is decided.

What is measured is how much a corpus interferes with storing facts that are seen a given number of times, at the scale
of the models that were trained; not how much knowledge the corpus itself holds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recipes.app.arms import AGAIN, CONTROL
from recipes.app.corpora import Entry, Tokenised, shared_vocabulary, tokenised

Protocol = Literal["same-compute", "same-budget", "own-size"]
MOST_REPEATS = 4.0
"""Times that a corpus may be gone through: more is the known way to look good (arXiv 2404.05405, result 11)."""
CONTROL_RATIO = 0.875
TEXTS = 2000  # of the facts, that the tokenizer is trained on


@dataclass(frozen=True)
class Comparison:
    """What is asked. `exposures` is a ladder, for the first corpus; `junk_ratio` the corpus's share of tokens there.
    `window` grows to what the longest text of a fact needs: cut texts are met whole for the first time when scored, at
    positions that no training had, and nothing would seem to be stored."""

    protocol: Protocol = "same-compute"
    people: int = 48
    exposures: tuple[int, ...] = (60, 90, 135)
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
    to both. Raises ValueError where a corpus would repeat too often.
    """
    base = corpora[0]
    found = []
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
            found.append(Rung(one.name, rung, exposures, ratio, repeats))
    for step in found:
        if step.repeats > MOST_REPEATS and step.arm not in asked.may_repeat:
            used = next(corpus.used for corpus in corpora if corpus.name == step.arm)
            raise ValueError(
                f"'{step.arm}' has {used:,} tokens and would be gone through {step.repeats:.1f} times at rung"
                f" {step.rung}: more than {MOST_REPEATS:.0f} times is the known way to look good; take more text, fewer"
                f" people or exposures, or allow it by name with --may-repeat {step.arm}"
            )
    return found


def compare(
    entries: Sequence[Entry],
    out: Path,
    asked: Comparison,
    tokenizer: Path | None = None,
    own: str | None = None,
    train: Callable[[dict[str, Any], Path], list[dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Tokenise, place the facts, train, decide; returns what `compare.json` holds.

    `own` asks for facts of the corpora themselves: "found", or a table of them (`recipes.app.own_facts`). `train`
    trains a plan into a folder (the probe, unless said). Raises ValueError where the comparison would be unfit.
    """
    from recipes.app.own_facts import OwnFacts
    from recipes.app.verdict import report
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
    plan = _plan(asked, entries, found, folder)
    train = train or _train
    rates = _best_rates(asked, found, rungs, plan, out, train)
    runs = _runs(asked, found, rungs, rates)
    own_facts = None
    if own is not None:
        own_facts = OwnFacts.of(own, entries, vocabulary, folder)
        plan = own_facts.planned(plan)
        runs += own_facts.runs([run for run in runs if run["rung"] == _middle(asked)])
    results = _rows(runs, train, plan, out / "probe")
    found_own = None if own_facts is None else own_facts.stored(results)
    return report(asked, found, rungs, rates, results, vocabulary.hash, found_own)


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


def _control(rung: Rung, seed: int, rate: float) -> dict[str, Any]:
    """Look-alike junk in place of the corpus, no domain anywhere: it must be found to be worse."""
    return {
        "arm": CONTROL, "rung": rung.rung, "exposures": rung.exposures, "seed": seed,
        "training": {"learning_rate": rate}, "junk_kind": "endless", "junk_ratio": CONTROL_RATIO, "windows": "mixed",
    }  # fmt: skip


def _middle(asked: Comparison) -> int:
    return sorted(asked.exposures)[len(asked.exposures) // 2]


def _runs(
    asked: Comparison, corpora: Sequence[Tokenised], rungs: Sequence[Rung], rates: dict[str, float]
) -> list[dict[str, Any]]:
    """Every corpus at every rung and seed; the first one again in another shuffle; the control at the middle rung."""
    of = {one.name: one for one in corpora}
    first = corpora[0].name
    runs = []
    for seed in asked.seeds:
        for one in rungs:
            runs.append(_run(one, of[one.arm], one.arm, seed, rates[one.arm]))
            if one.arm == first:
                runs.append(_run(one, of[first], AGAIN, seed, rates[first], shuffle=1))
            if one.arm == first and one.rung == _middle(asked):
                runs.append(_control(one, seed, rates[CONTROL]))
    return runs


def _best_rates(
    asked: Comparison,
    corpora: Sequence[Tokenised],
    rungs: Sequence[Rung],
    plan: dict[str, Any],
    out: Path,
    train: Callable[[dict[str, Any], Path], list[dict[str, Any]]],
) -> dict[str, float]:
    """The best of one list for each corpus, at the middle rung, on a seed that decides nothing."""
    if len(asked.rates) == 1:
        return dict.fromkeys([*(one.arm for one in rungs), CONTROL], asked.rates[0])
    trial = dataclasses.replace(asked, seeds=(max(asked.seeds) + 1000,))
    runs = []
    for rate in asked.rates:
        everywhere = dict.fromkeys([*(one.arm for one in rungs), CONTROL], rate)
        middle = [one for one in rungs if one.rung == _middle(asked)]
        runs += [run for run in _runs(trial, corpora, middle, everywhere) if run["arm"] not in (AGAIN, CONTROL)]
    rows = _rows(runs, train, plan, out / "probe")
    best: dict[str, float] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        sound = [row for row in rows if row["arm"] == arm and not row.get("error")]
        if not sound:
            raise ValueError(f"no learning rate of {asked.rates} trains '{arm}': {rows[0].get('error')}")
        best[arm] = max(sound, key=lambda row: row["value_bits_per_parameter"])["learning_rate"]
    # The control is eight times as long as the others: it takes what is best for the first corpus.
    return best | {CONTROL: best[corpora[0].name]}


def _rows(
    runs: list[dict[str, Any]],
    train: Callable[[dict[str, Any], Path], list[dict[str, Any]]],
    plan: dict[str, Any],
    out: Path,
) -> list[dict[str, Any]]:
    """Results with the rung of each run."""
    plain = [{key: value for key, value in run.items() if key != "rung"} for run in runs]
    results = train(plan | {"runs": plain}, out)
    return [row | {"rung": run["rung"]} for run, row in zip(runs, results, strict=True)]


def _train(plan: dict[str, Any], out: Path) -> list[dict[str, Any]]:
    from train_probe.plan import plan_of
    from train_probe.progress import Printer
    from train_probe.train import run_plan

    return run_plan(plan_of(plan), out, Printer())
