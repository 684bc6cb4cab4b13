"""Comparing corpora from Python: answers with their intervals and their power, never a yes or no."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from curate.errors import Refused
from recipes.app.api.arguments import at_least, folder_of, one_of
from recipes.app.api.inline import InlinePage
from recipes.app.api.recipe import Recipe, loaded_of
from recipes.app.api.runs import FinishedRun
from recipes.app.api.screen import Screen, screen_of
from recipes.app.api.tables import DataTable

if TYPE_CHECKING:
    from recipes.app.measure.asked import Comparison
    from recipes.app.recipe.load import Loaded

Compared = FinishedRun | Recipe | str | Path
"""A finished run, its folder, or a recipe, which is run first. A text is read as the command reads it:
[NAME=]FOLDER[,domain=special,...]."""
_NO_BOOL = (
    "a comparison is no yes or no: look at its `answers`, each with `answer`, the interval `low` to `high`, and"
    " `smallest`, the difference that these seeds would have found"
)


@dataclass(frozen=True)
class ArmAnswer:
    """One arm against what it is judged by, in one reading.

    `answer` is better, worse, alike or undecided. `value` with its interval `low` .. `high` (at `confidence`) is the
    difference, less is better: bits a byte for the reading of text `on` a held-out text; for the facts, how many times
    the exposures the arm needs for half of them. `smallest` is the power: the difference (or ratio) that these seeds
    would have found in four of five comparisons. Limits are None where there are too few seeds.
    """

    reading: str
    arm: str
    against: str
    on: str | None
    answer: str
    value: float
    low: float | None
    high: float | None
    confidence: float
    smallest: float | None
    p: float
    seeds: int
    unit: str

    def __bool__(self) -> NoReturn:
        raise Refused(_NO_BOOL)


@dataclass(frozen=True)
class FinishedComparison:
    """What a comparison found: `answers`, the decision in sentences, the corpora, and the figures of `compare.json`."""

    folder: Path
    figures: Mapping[str, Any] = field(repr=False)

    def __bool__(self) -> NoReturn:
        raise Refused(_NO_BOOL)

    @property
    def verdict(self) -> tuple[str, ...]:
        """The decision, a sentence for each reading and arm."""
        return tuple(self.figures["verdict"])

    @property
    def answers(self) -> tuple[ArmAnswer, ...]:
        """Every arm in every reading, text first."""
        reading = self.figures["reading"]
        found = [_of_text(one, reading["confidence"]) for one in (reading["differences"] if reading else ())]
        if "rung" in self.figures:
            found += [_of_facts(one, self.figures["confidence"]) for one in self.figures["judged"]]
        return tuple(found)

    def answers_of(self, arm: str) -> tuple[ArmAnswer, ...]:
        """The answers for one arm. Raises Refused where there are none."""
        found = tuple(one for one in self.answers if one.arm == arm)
        if not found:
            known = dict.fromkeys(one.arm for one in self.answers)
            raise Refused(f"there is no answer for '{arm}'; there are answers for: {', '.join(known) or 'no arm'}")
        return found

    @property
    def control_found(self) -> bool:
        """Whether the control, a broken corpus, was found to be worse in every reading: without it nothing is
        decided."""
        reading, control = self.figures["reading"], self.figures.get("control")
        said = [reading["control"]["worse"]] if reading else []
        said += [bool(control and control["worse"])] if "rung" in self.figures else []
        return all(said)

    @property
    def table(self) -> DataTable:
        """The answers, one a row."""
        return DataTable.of("answers", (dict(vars(one)) for one in self.answers))

    @property
    def corpora(self) -> DataTable:
        """What was compared: documents and tokens of each corpus."""
        return DataTable.of("corpora", self.figures["corpora"])

    @property
    def report(self) -> Path:
        """Where its page is."""
        return self.folder / "report.html"

    def page(self, height: int = 700) -> InlinePage:
        """The page itself, for a notebook."""
        return InlinePage(self.report, height)

    def _repr_html_(self) -> str:
        from recipes.app.api.pictures import framed, rows_html

        columns = ("reading", "arm", "against", "on", "answer", "value", "low", "high", "smallest", "seeds", "unit")
        note = f"less is better; there is no evidence above the scale of these models. Its page: {self.report}"
        return framed(rows_html(columns, self.table), title="Comparison", lines=self.verdict, note=note)


def _of_text(one: Mapping[str, Any], confidence: float) -> ArmAnswer:
    return ArmAnswer(
        "text", one["arm"], one["against"], one["part"], one["answer"], one["mean"], _finite(one["low"]),
        _finite(one["high"]), confidence, _finite(one["smallest"]), one["p"], one["seeds"], "bits a byte",
    )  # fmt: skip


def _of_facts(one: Mapping[str, Any], confidence: float) -> ArmAnswer:
    value, low, high, smallest = (_ratio(one[name]) for name in ("mean", "low", "high", "smallest"))
    return ArmAnswer(
        "facts", one["arm"], one["against"], None, one["answer"], value or math.nan, low, high, confidence, smallest,
        one["p"], one["seeds"], "times the exposures",
    )  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _ratio(value: float | None) -> float | None:
    return math.exp(min(value, 700)) if value is not None and math.isfinite(value) else None


def compare(
    corpora: Mapping[str, Compared] | Sequence[Compared],
    *,
    output: str | Path,
    protocol: str = "same-budget",
    coin: str = "pages",
    people: int = 24,
    load: float | None = None,
    exposures: Sequence[int] | None = None,
    reading: str = "both",
    held_out: str | Path | None = None,
    text_tokens: int = 600_000,
    share: float = 0.5,
    seeds: int = 6,
    more_seeds: int = 6,
    seed_from: int = 0,
    facts_seed: int | None = None,
    rates: Sequence[float] | None = None,
    corpus: FinishedRun | str | Path | None = None,
    ablate: bool = False,
    mix_back: str | Sequence[float] | None = None,
    own_facts: str | Path | None = None,
    tokenizer: str | Path | None = None,
    may_repeat: Sequence[str] = (),
    new_sentences: bool = False,
    quiet: bool = False,
) -> FinishedComparison:
    """Say whether a corpus teaches models more than a coin of its size: answers, intervals, power, from the text of
    pages that no arm read and from facts placed in each corpus. The parameters are those of `goldsand compare`.

    `corpora` are finished runs, their folders or recipes, by name: `{"as it is": run, "stricter": recipe}`. Raises
    Refused for corpora that cannot be compared, and where fewer arms, seeds or tokens are asked for than say anything.
    """
    from recipes.app.measure.asked import Comparison

    screen = screen_of(quiet)
    at_least(1, people=people, seeds=seeds)
    at_least(0, more_seeds=more_seeds, seed_from=seed_from, facts_seed=facts_seed)
    at_least(1e-6, load=load)
    at_least(10_000, text_tokens=text_tokens)
    one_of(("same-budget", "same-compute", "own-size"), protocol=protocol)
    one_of(("both", "facts", "text"), reading=reading)
    one_of(("pages", "length"), coin=coin)
    asked = Comparison(
        protocol=protocol,  # type: ignore[arg-type]
        coin=coin,  # type: ignore[arg-type]
        people=people,
        load=load,
        exposures=Comparison.exposures if exposures is None else ladder_of("exposures", exposures),
        junk_ratio=share,
        seeds=seeds,
        more=more_seeds,
        seed_from=seed_from,
        facts_seed=facts_seed,
        rates=Comparison.rates if rates is None else tuple(above_0("rates", rates)),
        frozen=not new_sentences,
        may_repeat=tuple(may_repeat),
        reading=reading,  # type: ignore[arg-type]
        text_tokens=text_tokens,
    )
    given, recipes = _named(corpora)
    folder = Path(str(folder_of(output)))
    figures = compared(
        given,
        folder,
        asked,
        screen,
        corpus=None if corpus is None else str(folder_of(corpus)),
        ablate=ablate,
        shares=mixed_back(mix_back),
        own_facts=None if own_facts is None else str(own_facts),
        tokenizer=None if tokenizer is None else Path(tokenizer),
        held_out=None if held_out is None else Path(held_out),
        recipes=recipes,
    )
    return FinishedComparison(folder, figures)


def compared(
    given: Sequence[str | tuple[str, str]],
    output: Path,
    asked: Comparison,
    screen: Screen,
    *,
    corpus: str | None,
    ablate: bool,
    shares: Sequence[float | None],
    own_facts: str | None,
    tokenizer: Path | None,
    held_out: Path | None,
    recipes: Mapping[str, Loaded] | None = None,
) -> dict[str, Any]:
    """Carry a comparison out, and write its page; returns its figures. Raises Refused."""
    from recipes.app.measure.arms import entries_of
    from recipes.app.measure.compare import run_comparison
    from recipes.app.measure.own_facts import read_table
    from recipes.app.report.comparison import write_page
    from train_probe.alone import alone_in

    asked.refuse_unread(own_facts)  # before any corpus is made
    if own_facts not in (None, "found"):
        read_table(Path(str(own_facts)))  # a mistake in it is reported before any corpus is made
    with alone_in(output):
        entries = entries_of(
            given, output, screen.progress, corpus=corpus, ablate=ablate, mix_back=shares, recipes=recipes
        )
        comparison = run_comparison(entries, output, asked, tokenizer, own_facts, held_out, screen.quiet)
        write_page(comparison, output)
    return comparison


def ladder_of(name: str, given: Sequence[int]) -> tuple[int, ...]:
    """A ladder of exposures, in order."""
    return tuple(sorted(set(above_0(name, given))))


def mixed_back(given: str | Sequence[float] | None, typed: str = "") -> list[float | None]:
    """Shares of what was dropped that are mixed back: `all` (None), or shares below 1; `typed` is what an option says.
    Raises Refused."""
    if given is None:
        return []
    if given == "all":
        return [None]
    shares = [] if isinstance(given, str) else above_0("mix_back", given)
    if not shares or max(shares) >= 1:
        name = "--mix-back" if typed else "`mix_back`"
        raise Refused(f"{name} takes `all`, or shares of the text below 1, not '{typed or given}'")
    return list(shares)


def above_0(name: str, given: Sequence[Any]) -> list[Any]:
    """Numbers above 0. Raises Refused for anything else."""
    numbers = [given] if isinstance(given, int | float) else list(given)
    if not numbers or any(isinstance(one, bool) or not isinstance(one, int | float) or one <= 0 for one in numbers):
        raise Refused(f"`{name}` takes numbers above 0, not {given!r}")
    return numbers


def _named(corpora: Mapping[str, Compared] | Sequence[Compared]) -> tuple[list[Any], dict[str, Loaded]]:
    """The corpora as `entries_of` takes them, and the recipes among them by the names that they have there."""
    if isinstance(corpora, str | Path | FinishedRun | Recipe):
        corpora = [corpora]
    pairs = list(corpora.items()) if isinstance(corpora, Mapping) else [(None, one) for one in corpora]
    given: list[Any] = []
    recipes: dict[str, Loaded] = {}
    for name, one in pairs:
        if isinstance(one, Recipe):
            where = f"recipe '{name or one.name}'"
            recipes[where] = loaded_of(one)
            given.append((name or one.name, where))
        elif isinstance(one, FinishedRun):
            given.append((name or Path(str(one.folder)).name, str(one.folder)))
        else:
            given.append(str(one) if name is None else (name, str(one)))
    return given, recipes


def opened(folder: Path) -> FinishedComparison:
    """The comparison in a folder. Raises Refused where `compare.json` is damaged or was edited."""
    from recipes.app.report.shapes import read_comparison

    return FinishedComparison(folder, read_comparison(folder))
