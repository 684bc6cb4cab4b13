"""Which corpus lets a model store more? The same facts in each, the same models, one table, and whether it is decided.

What is measured is how much a corpus interferes with storing facts that are seen a given number of times, at the scale
of the models that were trained; not how much knowledge the corpus itself holds.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from recipes.app.corpora import Corpus, Tokenised, shared_vocabulary, tokenised
from recipes.app.evidence import (
    Arm,
    Interval,
    Multiplier,
    arms_of,
    holm,
    interval,
    multiplier,
    p_value,
    seeds_needed,
    smallest_effect,
)

Protocol = Literal["same-compute", "same-budget", "own-size"]
AGAIN, CONTROL = "A/A", "control"
FLOOR, CEILING = 0.05, 0.95
"""Shares of the facts stored, below and above which a ratio says nothing."""
MOST_REPEATS = 4.0
"""Times that a corpus may be gone through: more is the known way to look good (arXiv 2404.05405, result 11)."""
CONTROL_RATIO = 0.875
TEXTS = 2000  # of the facts, that the tokenizer is trained on


@dataclass(frozen=True)
class Comparison:
    """What is asked. `exposures` is a ladder, for the first corpus; `junk_ratio` the corpus's share of tokens there."""

    protocol: Protocol = "same-compute"
    people: int = 48
    exposures: tuple[int, ...] = (60, 120, 240)
    junk_ratio: float = 0.5
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (2e-3, 4e-3, 8e-3)
    frozen: bool = True
    layers: int = 2
    heads: int = 2
    width: int = 48
    batch: int = 4
    window: int = 96
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
    smaller corpus is passed more often and shows them more often. Raises ValueError where a corpus would repeat too
    often.
    """
    base = corpora[0]
    found = []
    for rung in asked.exposures:
        useful = rung * facts_tokens
        corpus_tokens = useful * asked.junk_ratio / (1 - asked.junk_ratio)
        total = useful + corpus_tokens
        once = useful * base.used / corpus_tokens  # tokens of facts in one pass of the first corpus
        for one in corpora:
            if asked.protocol == "own-size":
                exposures, ratio = rung, one.used / (one.used + useful)
            elif asked.protocol == "same-budget":
                exposures, ratio = rung, asked.junk_ratio
            else:
                passes = total / (one.used + once)
                exposures = max(1, round(once * passes / facts_tokens))
                ratio = max(0.0, 1 - exposures * facts_tokens / total)
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
    corpora: Sequence[Corpus],
    out: Path,
    asked: Comparison,
    tokenizer: Path | None = None,
    train: Callable[[dict[str, Any], Path], list[dict[str, Any]]] | None = None,
) -> dict[str, Any]:
    """Tokenise, place the facts, train, decide; returns what `compare.json` holds.

    `train` trains a plan into a folder (the probe, unless said). Raises ValueError where the comparison would be unfit.
    """
    from synth.corpus import facts_corpus
    from synth.inject import Inject

    if len({corpus.name for corpus in corpora}) < len(corpora) or len(corpora) < 2:
        raise ValueError("a comparison is of at least two corpora of different names; name them NAME=FOLDER")
    # Twice the ladder: a corpus of half the size shows the facts about twice as often in the same compute.
    inject = Inject(kind="people", people=asked.people, exposures=1, frozen=asked.frozen, seed=0)
    placed = inject.placed()
    texts = (document.text for document in placed.documents(0, min(TEXTS, placed.total)))
    vocabulary = shared_vocabulary(corpora, texts, inject.domain, tokenizer, asked.size)
    folder = out / "corpora"
    found = tokenised(corpora, vocabulary, folder / "tokens", equal=asked.protocol == "same-budget")
    lengths = [
        len(ids) + 1 for ids in vocabulary.encode([document.text for document in placed.documents(0, placed.total)])
    ]
    rungs = rungs_of(asked, found, float(sum(lengths)))
    most = max(max(one.exposures for one in rungs), max(asked.exposures))
    facts_corpus(
        folder, dataclasses.replace(inject, exposures=most), name=None, vocabulary=vocabulary, used=vocabulary.size
    )
    plan = _plan(asked, found, folder)
    train = train or _train
    rates = _best_rates(asked, rungs, plan, out, train)
    results = _rows(_runs(asked, rungs, rates), train, plan, out / "probe")
    return report(asked, found, rungs, rates, results, vocabulary.hash)


def _plan(asked: Comparison, corpora: Sequence[Tokenised], folder: Path) -> dict[str, Any]:
    return {
        "facts": str((folder / "facts").resolve()),
        "useful": None,
        "junk_shards": {one.name: str(one.folder.resolve()) for one in corpora},
        "held_out_text": {one.name: str(one.held_out.resolve()) for one in corpora},
        "model": {"layers": asked.layers, "heads": asked.heads, "width": asked.width},
        "training": {"batch": asked.batch, "window": asked.window},
    }


def _run(rung: Rung, arm: str, seed: int, rate: float, **changes: Any) -> dict[str, Any]:
    mixture = {"junk_kind": "shards", "junk_shards": rung.arm, "junk_ratio": rung.junk_ratio, "windows": "mixed"}
    if rung.junk_ratio == 0:
        mixture = {}
    return {
        "arm": arm, "rung": rung.rung, "exposures": rung.exposures, "seed": seed, "training": {"learning_rate": rate},
        **mixture, **changes,
    }  # fmt: skip


def _middle(asked: Comparison) -> int:
    return sorted(asked.exposures)[len(asked.exposures) // 2]


def _runs(asked: Comparison, rungs: Sequence[Rung], rates: dict[str, float]) -> list[dict[str, Any]]:
    """Every corpus at every rung and seed; the first one again in another shuffle; the control at the middle rung."""
    first = rungs[0].arm
    runs = []
    for seed in asked.seeds:
        for one in rungs:
            runs.append(_run(one, one.arm, seed, rates[one.arm]))
            if one.arm == first:
                runs.append(_run(one, AGAIN, seed, rates[first], shuffle=1))
            if one.arm == first and one.rung == _middle(asked):
                junk = {"junk_kind": "endless", "junk_shards": None, "junk_ratio": CONTROL_RATIO, "windows": "mixed"}
                runs.append(_run(one, CONTROL, seed, rates[CONTROL], **junk))
    return runs


def _best_rates(
    asked: Comparison,
    rungs: Sequence[Rung],
    plan: dict[str, Any],
    out: Path,
    train: Callable[[dict[str, Any], Path], list[dict[str, Any]]],
) -> dict[str, float]:
    """The best of one list for each arm, at the middle rung, on a seed that decides nothing."""
    if len(asked.rates) == 1:
        return dict.fromkeys([*(one.arm for one in rungs), CONTROL], asked.rates[0])
    trial = dataclasses.replace(asked, seeds=(max(asked.seeds) + 1000,))
    runs = []
    for rate in asked.rates:
        everywhere = dict.fromkeys([*(one.arm for one in rungs), CONTROL], rate)
        middle = [one for one in rungs if one.rung == _middle(asked)]
        runs += [run for run in _runs(trial, middle, everywhere) if run["arm"] != AGAIN]
    rows = _rows(runs, train, plan, out / "probe")
    best: dict[str, float] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        sound = [row for row in rows if row["arm"] == arm and not row.get("error")]
        if not sound:
            raise ValueError(f"no learning rate of {asked.rates} trains '{arm}': {rows[0].get('error')}")
        best[arm] = max(sound, key=lambda row: row["value_bits_per_parameter"])["learning_rate"]
    return best


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


@dataclass(frozen=True)
class Difference:
    """An arm against the first: paired over seeds at one rung. `kind` is a ratio (of logarithms) or a difference of
    shares; `p` is two-sided, corrected by Holm where there are several arms."""

    arm: str
    kind: str
    effect: Interval
    p: float
    needed: int | None
    smallest: float


def difference(one: Arm, base: Arm, rung: int) -> Difference:
    """What an arm stores against `base` at a rung."""
    seeds = sorted(set(one.stored[rung]) & set(base.stored[rung]))
    pairs = [(one.stored[rung][seed], base.stored[rung][seed]) for seed in seeds]
    ratio = all(value > FLOOR for pair in pairs for value in pair)
    values = [math.log(a / b) if ratio else a - b for a, b in pairs]
    found = interval(values)
    return Difference(
        one.name,
        "ratio" if ratio else "difference",
        found,
        p_value(values),
        seeds_needed(values),
        smallest_effect(values),
    )


def report(
    asked: Comparison,
    corpora: Sequence[Tokenised],
    rungs: Sequence[Rung],
    rates: dict[str, float],
    results: list[dict[str, Any]],
    tokenizer: str,
) -> dict[str, Any]:
    """The comparison's figures and its decision."""
    arms = arms_of(results, key="rung")
    first = corpora[0].name
    lost = [one.name for one in corpora if one.name not in arms]
    if lost or AGAIN not in arms or CONTROL not in arms:
        raise ValueError(
            f"all runs of {', '.join(lost) or 'a control'} failed: {[r.get('error') for r in results][-1]}"
        )
    base = arms[first]
    # Where the facts are half known there is most to see.
    rung = min(asked.exposures, key=lambda count: abs(_mean([arms[one.name] for one in corpora], count) - 0.5))
    others = [arms[one.name] for one in corpora[1:]]
    differences = [difference(arm, base, rung) for arm in others]
    corrected = holm([one.p for one in differences])
    differences = [dataclasses.replace(one, p=p) for one, p in zip(differences, corrected, strict=True)]
    again, control = difference(arms[AGAIN], base, rung), difference(arms[CONTROL], base, _middle(asked))
    verdict = _verdict(asked, base, others, differences, again, control, rung)
    return {
        "protocol": asked.protocol,
        "asked": dataclasses.asdict(asked),
        "tokenizer": tokenizer,
        "rung": rung,
        "verdict": verdict,
        "corpora": [
            dataclasses.asdict(one) | {"rate": rates[one.name], "half": str(arms[one.name].mean_half()),
                                       "multiplier": dataclasses.asdict(multiplier(arms[one.name], base))}
            for one in corpora
        ],
        "rungs": [dataclasses.asdict(one) for one in rungs],
        "stored": {name: arm.stored for name, arm in arms.items()},
        "text": {name: _text(arm, rung) for name, arm in arms.items() if rung in arm.stored},
        "differences": [_plain(one) for one in differences],
        "again": _plain(again),
        "control": _plain(control),
        "parameters": results[0]["parameters"],
        "tokens": sum(row["tokens"] or 0 for row in results),
        "seconds": sum(row["seconds"] or 0.0 for row in results),
        "results": results,
    }  # fmt: skip


def _verdict(
    asked: Comparison,
    base: Arm,
    others: Sequence[Arm],
    differences: Sequence[Difference],
    again: Difference,
    control: Difference,
    rung: int,
) -> list[str]:
    """The decision in words, a sentence for each arm; why there is none, where there is none."""
    everything = [base, *others]
    if all(_mean(everything, count) > CEILING for count in asked.exposures):
        return ["undecided: nearly all facts are stored in every corpus; ask for fewer exposures or more people"]
    if all(_mean(everything, count) < FLOOR for count in asked.exposures):
        most = max(asked.exposures)
        return [
            f"undecided: nothing is stored at {most} exposures of {asked.people} people; the probe is too small or too"
            f" seldom shown: ask for at least {4 * most} exposures, or for half of the people"
        ]
    if again.effect.decided:
        return [
            "undecided: the first corpus differs from itself in another shuffle, so differences are not to be trusted"
        ]
    if not (control.effect.decided and control.effect.high < 0):
        return ["undecided: the control (7/8 endless junk) was not found to be worse, so nothing finer can be seen"]
    said = []
    for one in differences:
        better = "more" if one.effect.mean > 0 else "less"
        size = (
            f"{math.exp(one.effect.mean):.2f} times as much"
            if one.kind == "ratio"
            else f"{one.effect.mean:+.2f} of all"
        )
        if one.p < 0.05:
            said.append(f"'{one.arm}' stores {better} than '{base.name}': {size} at rung {rung} (p = {one.p:.2g})")
        else:
            seeds = f"about {one.needed - len(asked.seeds)} more seeds" if one.needed else "many more seeds"
            said.append(
                f"cannot tell '{one.arm}' from '{base.name}' at rung {rung}: {seeds} would decide a difference of this"
                f" size; so many seeds see {_size(one)}"
            )
    return said


def _size(one: Difference) -> str:
    if not math.isfinite(one.smallest):
        return "none with one seed"
    return f"{math.exp(one.smallest):.2f} times and more" if one.kind == "ratio" else f"{one.smallest:.2f} and more"


def _mean(arms: Sequence[Arm], rung: int) -> float:
    return statistics.fmean(value for arm in arms for value in arm.stored[rung].values())


def _text(arm: Arm, rung: int) -> dict[str, float]:
    """Mean loss on each held-out text of an arm's models at a rung, in nats a token."""
    rows = [row for row in arm.runs if row["rung"] == rung]
    return {name: statistics.fmean(row["text"][name]["nats_per_token"] for row in rows) for name in rows[0]["text"]}


def _plain(one: Difference) -> dict[str, Any]:
    return dataclasses.asdict(one) | {"low": one.effect.low, "high": one.effect.high, "decided": one.p < 0.05}


def multiplier_words(found: Multiplier | dict[str, Any]) -> str:
    """A multiplier as a person reads it."""
    one = Multiplier(**found) if isinstance(found, dict) else found
    if one.value is None or (one.bound and one.low is None and not one.bound.startswith("some")):
        return one.bound
    if one.low is None or one.high is None or not math.isfinite(one.high):
        return f"{one.value:.2f} ({one.bound or 'one seed'})"
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
