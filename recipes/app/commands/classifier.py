"""The command `goldsand train-classifier`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from curate.errors import Refused

if TYPE_CHECKING:
    from curate.filters.training import Text

_PATHS = "texts or pages of any format of an input; NAME=PATH names the set; may be given several times"


def train_classifier(
    output: Annotated[Path, typer.Option("--output", "-o", help="the model's file", metavar="MODEL")],
    positive: Annotated[list[str], typer.Option(help=_PATHS, metavar="[NAME=]PATH")],
    negative: Annotated[list[str], typer.Option(help="the same for the other kind of texts", metavar="[NAME=]PATH")],
    unseen_positive: Annotated[
        list[str] | None, typer.Option(help="sets that are only tested on, never trained on", metavar="[NAME=]PATH")
    ] = None,
    unseen_negative: Annotated[list[str] | None, typer.Option(help="the same", metavar="[NAME=]PATH")] = None,
    held_out: Annotated[float, typer.Option(min=0.0, max=0.9, help="share of the texts that is tested on")] = 0.2,
    recall: Annotated[
        list[float] | None,
        typer.Option(min=0.01, max=1.0, help="recalls of the report; by default 0.5, 0.8, 0.9, 0.95"),
    ] = None,
    dimensions: Annotated[int, typer.Option(min=1, max=1000, help="of a word's vector")] = 16,
    epochs: Annotated[int | None, typer.Option(min=1, help="passes; by default 5, more for few texts")] = None,
    rate: Annotated[float, typer.Option(min=1e-6, max=10.0, help="learning rate at the beginning")] = 0.1,
    words: Annotated[int, typer.Option(min=1, max=5, help="longest word n-gram")] = 1,
    letters: Annotated[str, typer.Option(help="shortest and longest letter n-gram; 0-0: none")] = "3-5",
    buckets: Annotated[int, typer.Option(min=1, help="rows of the table of n-grams")] = 1 << 18,
    seed: Annotated[int, typer.Option(min=0, help="another number: other texts are held out")] = 0,
) -> None:
    """Train a classifier on two kinds of texts, and say how well it distinguishes texts that it has not seen.

    Texts may be JSON Lines, Parquet, WARC, HTML or the text shards of a run. MODEL is for a step `classifier`;
    MODEL.report.json beside it holds the report.
    """
    from rich.markup import escape

    from curate.filters.training import TrainingSettings, report_file, train
    from curate.places.store import write_atomically
    from recipes.app.recipe.own_output import refuse_to_replace_others
    from recipes.app.terminal.console import err, friendly, out

    with friendly():
        shortest, longest = _range(letters)
        settings = TrainingSettings(
            dimensions=dimensions,
            epochs=epochs,
            rate=rate,
            words=words,
            letters=(shortest, longest),
            buckets=buckets,
            seed=seed,
        )
        if held_out == 0 and not (unseen_positive or unseen_negative):
            raise Refused(
                "--held-out 0 leaves no texts to test on: name sets with --unseen-positive, --unseen-negative"
            )
        refuse_to_replace_others(output, "classifier")
        report = train(
            _texts(positive, "--positive"),
            _texts(negative, "--negative"),
            output,
            unseen_positive=_texts(unseen_positive or [], "--unseen-positive"),
            unseen_negative=_texts(unseen_negative or [], "--unseen-negative"),
            held_out=held_out,
            recalls=sorted(set(recall or (0.5, 0.8, 0.9, 0.95))),
            settings=settings,
            on_progress=lambda message: err.print(escape(message)),
        )
        import orjson

        beside = report_file(output)
        write_atomically(beside, orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    print_report(out, report)
    out.print(f"wrote {escape(str(output))} and {escape(str(beside))}")


def _range(text: str) -> tuple[int, int]:
    shortest, dash, longest = text.partition("-")
    if dash and shortest.isdigit() and longest.isdigit():
        lengths = int(shortest), int(longest)
        if lengths == (0, 0) or 1 <= lengths[0] <= lengths[1] <= 10:
            return lengths
    raise Refused(f"--letters takes two lengths up to 10, such as 3-5, or 0-0 for none, not '{text}'")


def _texts(given: list[str], option: str) -> Iterator[Text]:
    """Every text of the sets that an option names."""
    from curate.filters.training import read_texts

    for one in given:
        try:
            yield from read_texts(*_named(one))
        except Refused as error:
            raise Refused(f"{option} {one}: {error}") from None


def _named(given: str) -> tuple[str, str]:
    """`NAME=PATH`, or a path, whose set is named like its file or folder up to the first dot."""
    name, equals, path = given.partition("=")
    if not equals or "/" in name or Path(given).exists():
        name, path = Path(given.rstrip("/")).name.partition(".")[0] or "texts", given
    return name, path


def print_report(out: Any, report: dict[str, Any]) -> None:
    """The figures of a report as a table: how well the kinds are distinguished, in all and within each source."""
    from rich.markup import escape
    from rich.table import Table

    for part, title in (
        ("held_out", "held-out texts: precision at recall"),
        ("unseen", "sets never trained on: precision at recall"),
    ):
        if part not in report:
            continue
        rows = {"all": report[part]["all"], **report[part]["by_source"]}
        table = Table(title=title, title_justify="left")
        for heading in ("set", "positive", "negative", "AUC"):
            table.add_column(heading, justify="left" if heading == "set" else "right")
        for row in report[part]["all"]["at_recall"]:
            table.add_column(f"at {row['recall_asked']:g}", justify="right")
        for name, figures in rows.items():
            precisions = [_shown(row["precision"]) for row in figures["at_recall"]]
            cells = [str(figures["positive"]), str(figures["negative"]), _shown(figures["auc"], 4), *precisions]
            table.add_row(escape(name), *cells)
        out.print(table)
        for row in report[part]["all"]["at_recall"]:
            out.print(
                f"  threshold {row['threshold']:.4f}: recall {_shown(row['recall'])}, false positives"
                f" {_shown(row['false_positive_rate'])}"
            )
        _print_groups(out, report[part]["by_group"])


def _print_groups(out: Any, found: dict[str, Any]) -> None:
    """A warning for each group of people whose harmless texts are taken for the positive kind more than others'."""
    from rich.markup import escape

    from curate.filters.groups import standing_out, unnamed

    for warning in standing_out(found):
        out.print(f"  [yellow]warning[/]: false alarms stand out for {escape(warning)}")
    missing = unnamed(found)
    if missing:
        which = "any" if len(missing) == len(found) else ", ".join(missing)
        out.print(
            f"  false alarms by group of people: not measured for {which}; it takes positive texts, negative ones that"
            " name the group (in English), and others"
        )


def _shown(value: float | None, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"
