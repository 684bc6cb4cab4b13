"""Tables of results for a terminal."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from curate.errors import Refused
from curate.outside import declared, in_full, load
from curate.registry import GROUP, OWN, step_class
from curate.run.engine import all_cores
from recipes.app.report.rendering import junk_share
from recipes.app.terminal.console import harmless

if TYPE_CHECKING:
    from curate.places.store import Place
    from curate.run.corpus import CorpusRun
    from curate.step import Step
    from recipes.app.recipe.plan_by_rehearsal import Estimate
    from recipes.app.recipe.planned_units import PlannedGroup


REASONS = 20
"""Reasons that are named; the others are counted."""


def print_results(console: Console, results: Sequence[dict[str, Any]]) -> None:
    """One row for each run: arm, junk, tag and the value bits that each parameter holds."""
    several = {key for key in ("exposures", "seed", "learning_rate") if len({row.get(key) for row in results}) > 1}
    table = Table(box=None, pad_edge=False)
    for column in ("arm", "junk", "tag", *sorted(several), "value bits / parameter"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for row in results:
        bits = row.get("value_bits_per_parameter")
        table.add_row(
            escape(row["arm"]),
            junk_share(row["junk_ratio"]),
            row["tag"],
            *(str(row.get(key)) for key in sorted(several)),
            f"failed: {escape(row['error'])}" if row.get("error") else f"{bits:.4f}",
        )
    console.print(table)


def print_summary(console: Console, summary: dict[str, Any], folder: Place) -> None:
    """The result of a run: its steps, the balance of documents and characters, its tokens, and the page to open."""
    table = Table(box=None, pad_edge=False)
    for column in ("step", "documents", "dropped", "characters", "seconds"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in summary["steps"]:
        table.add_row(
            step["step"],
            f"{step['documents_out']:,}",
            f"{step['documents_dropped']:,}",
            f"{step['characters_out']:,}",
            f"{step['seconds']:.1f}",
        )
    console.print(table)
    for unit in ("documents", "characters"):
        account = summary[unit]
        console.print(
            f"{unit}: {account['input']:,} in = {account['kept']:,} kept + {account['dropped']:,} dropped"
            f" + {account['unreadable']:,} unreadable"
            + (f"; {account['injected']:,} injected" if account["injected"] else "")
            + (f"; {account['copied']:,} copies of kept ones" if account["copied"] else "")
        )
    for name, tokens in summary["tokens"].items():
        console.print(f"tokens/{escape(name)}: {tokens:,} tokens")
    for line in [*mix_lines(folder), *purity_lines(folder)]:
        console.print(escape(line))
    reused = summary["units"]["found_done"]
    console.print(cost_line(summary) + (f" in {summary['calls']} calls" if summary["calls"] > 1 else ""))
    if reused and summary["last_call"]["seconds"] != summary["seconds"]:  # else there was but one
        console.print(f"the last call: {cost_line(summary['last_call'])}, {reused} units were already done")
    console.print(f"open {escape(str(folder / 'report.html'))}")


def cost_line(cost: dict[str, Any]) -> str:
    """Seconds, rate, workers and memory, of a run or of one of its calls."""
    return (
        f"{cost['seconds']:.1f} s, {cost['pages_per_second']:.1f} documents/s, {cost['workers']} workers,"
        f" at most {cost['worker_memory_mb']:,} MB a worker"
    )


def mix_lines(folder: Place) -> list[str]:
    """For each `mix` of a recipe: the shares it made and those asked for, the largest first."""
    lines = []
    for path in sorted((folder / "mix").glob("*.json")) if (folder / "mix").is_dir() else []:
        mix = orjson.loads(path.read_bytes())
        groups = [
            f"{row['group'] or 'none'} {row['share_realised']:.2%} (asked {row['share_asked']:.2%})"
            for row in mix["groups"][:5]
        ]
        more = f" and {len(mix['groups']) - 5} more" if len(mix["groups"]) > 5 else ""
        lines.append(f"{path.stem}: {mix['realised']:,} {mix['unit']} by {mix['by']}: {', '.join(groups)}{more}")
    return lines


def print_ladder(console: Console, results: Sequence[dict[str, Any]]) -> None:
    """The exposures at which each arm stores half of the facts; no table without a ladder of exposures."""
    from recipes.app.measure.statistics import arms_of, multiplier, multiplier_words

    arms = list(arms_of(results).values())
    if len(arms) < 2 or min(len(arm.stored) for arm in arms) < 2:
        return
    table = Table(box=None, pad_edge=False)
    for column in ("arm", "half of the facts at", f"times {escape(arms[0].name)}"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for arm in arms:
        table.add_row(escape(arm.name), f"{arm.mean_half()} exposures", multiplier_words(multiplier(arm, arms[0])))
    console.print(table)


def print_comparison(console: Console, comparison: dict[str, Any]) -> None:
    """The decision, a row for each text of the text reading, and one for each corpus that facts were placed in."""
    if comparison["reading"] is not None:
        _print_reading(console, comparison["reading"])
    if "rung" in comparison:
        _print_facts(console, comparison)
    for line in comparison["verdict"]:
        console.print(escape(line))
    own = comparison["own_facts"]
    for name, one in own["arms"].items() if own else ():
        interval = f"{one['low']:.1f} to {one['high']:.1f}" if one["seeds"] > 1 else "one seed"
        console.print(
            f"{escape(name)}: {one['bits']:.1f} bits ({interval}) of {own['counts']['scored']} facts of the corpora"
            " themselves"
        )
    measured = []
    if comparison["reading"] is not None:
        read = comparison["reading"]
        measured.append(
            f"text on models of {read['parameters']:,} parameters, up to {len(read['seeds'])} seeds of"
            f" {read['tokens']:,} tokens"
        )
    if "rung" in comparison:
        measured.append(
            f"facts on models of {comparison['parameters']:,} parameters, {comparison['load']:.2g} bits a parameter,"
            f" protocol {comparison['protocol']}"
        )
    console.print(f"measured: {'; '.join(measured)}. There is no evidence above this scale")


def _print_reading(console: Console, reading: dict[str, Any]) -> None:
    """Bits a byte of each arm on each held-out text."""
    from recipes.app.measure.judged import ANSWERS

    table = Table(box=None, pad_edge=False)
    interval = f"difference ({reading['confidence']:.0%})"
    for column in ("arm", "against", "held-out text", "bits a byte", interval, "p", "answer"):
        table.add_column(column, justify="right" if column in ("bits a byte", interval, "p") else "left")
    for one in reading["differences"]:
        wide = f"{one['low']:+.3f} to {one['high']:+.3f}" if math.isfinite(one["low"]) else "too few seeds"
        words = [escape(one["arm"]), escape(one["against"]), escape(one["part"])]
        figures = [f"{one['bits_a_byte']:.3f}", f"{one['mean']:+.3f} ({wide})", f"{one['p']:.2g}"]
        table.add_row(*words, *figures, ANSWERS[one["answer"]])
    console.print(table)


def _print_facts(console: Console, comparison: dict[str, Any]) -> None:
    from recipes.app.measure.judged import ANSWERS
    from recipes.app.measure.verdict import times

    first = comparison["first"]
    table = Table(box=None, pad_edge=False)
    sure = f"({comparison['confidence']:.0%})"
    columns = ("arm", "unique tokens", "half of the facts at", f"times {first} {sure}", "against", f"times that {sure}")
    for column in (*columns, "answer"):
        table.add_column(escape(column), justify="left" if column in ("arm", "against", "answer") else "right")
    judged = {one["arm"]: one for one in comparison["judged"]}
    size = {one["name"]: one["tokens"] for one in comparison["corpora"]}
    for arm in comparison["arms"]:
        one = judged.get(arm["name"])
        row = [escape(arm["name"]), f"{size[arm['shards']] * arm['kept']:,.0f}", f"rung {arm['half']}"]
        row.append("" if arm["beside"] is None else times(arm["beside"]))
        if one is not None:
            row += [escape(one["against"]), times(one), ANSWERS[one["answer"]]]
        table.add_row(*row)
    if comparison["alone"] is not None:
        alone = comparison["alone"]
        ratio = "" if alone["times"] is None else f"{alone['times']:.2f}"
        table.add_row("no pages", "0", f"rung {alone['half']}", ratio)
    console.print(table)


def purity_lines(folder: Place) -> list[str]:
    """For each token set with facts: the purity of the domains that carry them."""
    path = folder / "facts" / "purity.json"
    if not path.is_file():
        return []
    lines = []
    for name, domains in orjson.loads(path.read_bytes()).items():
        shown = ", ".join(f"{one['domain'] or 'no domain'} {one['purity']:.1%}" for one in domains[:3])
        more = f" and {len(domains) - 3} more" if len(domains) > 3 else ""
        oracle = "; a domain of facts alone is an oracle" if any(one["purity"] == 1 for one in domains) else ""
        if domains:
            lines.append(f"tokens/{name}: share of facts in their domains: {shown}{more}{oracle}")
    return lines


def print_plan(console: Console, job: CorpusRun, groups: Sequence[PlannedGroup], cost: Estimate | None) -> None:
    """What a run would do, group by group, and what the units that are not done will cost."""
    files = len(job.partitions)
    console.print(f"{job.name}: {files:,} input file{'s' * (files != 1)}, {len(job.stages)} stages")
    table = Table(box=None, pad_edge=False)
    for column in ("units of", "units", "done", "steps"):
        table.add_column(column, justify="right" if column in ("units", "done") else "left")
    steps = {stage.folder[3:]: " -> ".join(stage.labels) or "read" for stage in job.stages}
    for group in groups:
        table.add_row(group.label, f"{group.units:,}", f"{group.done:,}", escape(steps.get(group.label, "")))
    console.print(table)
    for line in why_lines((group.label, group.why) for group in groups):
        console.print(harmless(line))
    if cost is None:
        return
    workers = job.workers or all_cores()
    about = "" if cost.counted else "about "
    console.print(
        f"documents: {about}{cost.documents:,} in the input"
        + (f", of which the first {job.limit:,}" if job.limit is not None else "")
    )
    console.print(f"time left: about {duration(cost.seconds)} on {workers} worker{'s' * (workers != 1)}")
    console.print(
        f"memory: about {cost.worker_memory >> 20:,} MB a worker; a worker that takes more than"
        f" {job.memory:,} MB is stopped"
    )
    console.print(f"disk: about {amount(cost.disk)} for the whole folder")
    console.print(f"(extrapolated from {cost.rehearsed:,} documents in proportion: a rough guide)")


def print_status(console: Console, folder: str, status: dict[str, Any]) -> None:
    """How far a run has come."""
    who = f"process {status['process']} on {status['host']}"
    ago = duration(max(0.0, time.time() - status["written"]))
    if status["alive"]:
        console.print(f"{escape(folder)}: running ({escape(who)}), last sign of life {ago} ago")
    elif status["state"] == "finished":
        console.print(f"{escape(folder)}: finished {ago} ago")
    elif status["state"] == "mixed":
        console.print(f"{escape(folder)}: its recipe.yaml is not that of its run; the same command mends it")
    else:
        word = {"stopped": "interrupted", "failed": "ended with an error"}.get(status["state"], "died")
        console.print(f"{escape(folder)}: {word} {ago} ago; the same command goes on from there")
    if status["aside"]:
        console.print(escape(status["aside"].removeprefix("; ")))
    table = Table(box=None, pad_edge=False)
    for column in ("units of", "finished", "units", "documents", "kept", "documents/s", "left"):
        table.add_column(column, justify="left" if column == "units of" else "right")
    for label in status["groups"]:
        row = status["progress"].get(label)
        if row is None:
            table.add_row(label, "", "", "", "", "", "waiting")
            continue
        working = status["alive"] and label == status["at"] and row["finished"] < row["units"]
        left = "" if row["finished"] == row["units"] else "not finished"
        if working:
            left = f"about {duration(row['left'])}" if row["left"] is not None else "working"
        shown = (f"{row['documents']:,}", f"{row['kept']:,}") if row["documents"] else ("", "")
        rate = f"{row['rate']:,.0f}" if row["documents"] and row["rate"] else ""
        table.add_row(label, f"{row['finished']:,}", f"{row['units']:,}", *shown, rate, left)
    console.print(table)
    if status["alive"] and status.get("left") is not None:
        console.print(f"time left of the whole run: about {duration(status['left'])}")
    # Earlier versions wrote down no reasons.
    for line in why_lines((label, row.get("again", {})) for label, row in status["progress"].items()):
        console.print(f"made again: {harmless(line)}")
    for line in status["changed"]:
        console.print(f"since then: {harmless(line)}; `goldsand status {escape(folder)} --why` says what that undoes")


def why_lines(groups: Iterable[tuple[str, Mapping[str, int]]]) -> list[str]:
    """Why units are not done, or were made again: a line for each reason, that of the most units first."""
    units: Counter[str] = Counter()
    where: dict[str, list[str]] = {}
    for label, reasons in groups:
        for reason, count in reasons.items():
            units[reason] += count
            where.setdefault(reason, []).append(label)
    lines = []
    for reason, count in units.most_common(REASONS):
        labels = where[reason]
        of = ", ".join(labels) if len(labels) <= 3 else f"{len(labels)} groups"
        lines.append(f"{count:,} unit{'s' * (count != 1)} of {of}: {reason}")
    if len(units) > REASONS:
        lines.append(f"and {len(units) - REASONS:,} more reasons")
    return lines


def duration(seconds: float) -> str:
    """Seconds in words: 40 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def amount(size: float) -> str:
    """Bytes in words: 640 kB, 12 MB, 3.1 GB."""
    for unit, limit in (("kB", 1e6), ("MB", 1e9), ("GB", 1e12)):
        if size < limit:
            figure = size / (limit / 1e3)
            return f"{figure:.1f} {unit}" if figure < 10 and unit != "kB" else f"{figure:.0f} {unit}"
    return f"{size / 1e12:.1f} TB"


def print_steps(console: Console, name: str | None) -> None:
    """Every step, or one, with its parameters, their defaults and sources; a step that cannot be imported with its
    error.

    Raises Refused for a name, `MODULE:CLASS` or `FILE.py:CLASS` that is not a step.
    """
    if name is not None:
        _print_step(console, name, step_class(in_full(name, Path.cwd())), in_detail=True)
        return
    for one in OWN:
        _print_step(console, one, load(OWN[one]))
    for one, claims in declared(GROUP).items():
        by = ", ".join(claim.distribution for claim in claims)
        try:
            _print_step(console, one, step_class(one), by)
        except Refused as error:
            console.print(
                f"[bold]{escape(one)}[/]  {escape(f'({by})')} [bold red]cannot be used:[/] {harmless(str(error))}"
            )


def _print_step(console: Console, name: str, kind: type[Step], by: str = "", in_detail: bool = False) -> None:
    first, _, rest = (kind.__doc__ or "").strip().partition("\n")
    console.print(f"[bold]{escape(name)}[/]  {harmless(first)}" + (f" {escape(f'({by})')}" if by else ""))
    if in_detail and rest.strip():
        console.print(harmless("\n".join(line.strip() for line in rest.strip().splitlines())))
    for item in (one for one in dataclasses.fields(kind) if "doc" in one.metadata):  # type: ignore[arg-type]
        default = "required"
        if item.default is not dataclasses.MISSING:
            default = repr(item.default)
        elif item.default_factory is not dataclasses.MISSING:
            default = repr(item.default_factory())
        source = f"  [{item.metadata['source']}]" if item.metadata.get("source") else ""
        console.print(f"    {item.name} = {harmless(default)}  {harmless(item.metadata.get('doc', '') + source)}")
