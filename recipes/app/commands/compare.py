"""The command `goldsand compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from curate.errors import Refused
from recipes.app.commands.options import screen_of_a_command
from recipes.app.terminal.console import friendly, out


def compare(
    corpora: Annotated[
        list[str],
        typer.Argument(
            help="folders of finished runs, or recipes: [NAME=]FOLDER[,domain=special,bare=0.1,...]; or a recipe with a"
            " `compare:` part",
            metavar="A B ...",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="the folder of the comparison", metavar="DIR")],
    protocol: Annotated[
        Literal["same-budget", "same-compute", "own-size"],
        typer.Option(
            help="what is held equal: corpus tokens, where more pages can be fetched; training steps, where these pages"
            " are all there is; or one pass of each"
        ),
    ] = "same-budget",
    coin: Annotated[
        Literal["pages", "length"],
        typer.Option(
            help="what the coin that an arm is judged by drops: any pages; or as many of each length as the arm, which"
            " tells a filter that keeps long pages from one that keeps good ones"
        ),
    ] = "pages",
    people: Annotated[int, typer.Option(min=1, help="people whose facts are placed in each corpus")] = 24,
    load: Annotated[
        float | None,
        typer.Option(min=1e-6, help="instead of people: bits of their values for each parameter of the models"),
    ] = None,
    exposures: Annotated[
        str | None,
        typer.Option(
            help="the ladder: how often the first corpus may show each fact; every seed climbs from its middle until it"
            " has bracketed one half of the facts",
            metavar="N,N,...",
        ),
    ] = None,
    reading: Annotated[
        Literal["both", "facts", "text"],
        typer.Option(help="what models are asked: facts placed in each corpus, the text of pages that no arm read"),
    ] = "both",
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="the text that you want modelled, which decides: a file, a folder, or a finished run; else pages held"
            " out of the first corpus",
            metavar="FILE|FOLDER|OUT",
        ),
    ] = None,
    text_tokens: Annotated[
        int,
        typer.Option(min=10_000, help="tokens that each model of the text reading reads; at most the first corpus's"),
    ] = 600_000,
    share: Annotated[float, typer.Option(min=0.01, max=0.99, help="the corpus's share of the tokens")] = 0.5,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="seeds of each arm, twice as many for text: each has other people, orders and coins"),
    ] = 6,
    more_seeds: Annotated[int, typer.Option(min=0, help="seeds that are added where an arm is undecided")] = 6,
    seed_from: Annotated[int, typer.Option(min=0, help="the first seed: 100 repeats an answer on fresh draws")] = 0,
    facts_seed: Annotated[
        int | None, typer.Option(min=0, help="what people are drawn from; by default the first seed")
    ] = None,
    rates: Annotated[
        str | None,
        typer.Option(
            help="learning rates, of which seeds of their own choose the best one for all arms; by default the one that"
            " was found for these models",
            metavar="X,X,...",
        ),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="for arms that name no corpus: a finished run, or a recipe", metavar="OUT")
    ] = None,
    ablate: Annotated[bool, typer.Option("--ablate", help="a recipe against itself without each of its steps")] = False,
    mix_back: Annotated[
        str | None,
        typer.Option(
            help="a corpus against itself with the documents that each rule dropped mixed back: all, or these shares",
            metavar="all|X,X,...",
        ),
    ] = None,
    own_facts: Annotated[
        str | None,
        typer.Option(
            help="also the bits stored of facts that the corpora state: `found` by pattern, or a table with value and"
            " sentence; does not see damaged pages (docs/results/reading.md)",
            metavar="found|TABLE",
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="a tokenizer.json for all; else one is trained on the first corpus")
    ] = None,
    may_repeat: Annotated[list[str] | None, typer.Option(help="a corpus that may be repeated over 4 times")] = None,
    new_sentences: Annotated[
        bool, typer.Option("--new-sentences", help="facts in new words at each exposure: needs many more exposures")
    ] = False,
) -> None:
    """Say whether a corpus teaches models more than a coin of its size: text and facts, intervals, a decision."""
    from recipes.app.api.comparisons import compared, ladder_of, mixed_back
    from recipes.app.measure.asked import Comparison
    from recipes.app.terminal.tables import print_comparison

    with friendly():
        asked = Comparison(
            protocol=protocol,
            coin=coin,
            people=people,
            load=load,
            exposures=Comparison.exposures
            if exposures is None
            else ladder_of("exposures", _numbers("--exposures", exposures, int)),
            junk_ratio=share,
            seeds=seeds,
            more=more_seeds,
            seed_from=seed_from,
            facts_seed=facts_seed,
            rates=Comparison.rates if rates is None else tuple(_numbers("--rates", rates, float)),
            frozen=not new_sentences,
            may_repeat=tuple(may_repeat or ()),
            reading=reading,
            text_tokens=text_tokens,
        )
        back = mix_back if mix_back in (None, "all") else _numbers("--mix-back", str(mix_back), float)
        comparison = compared(
            corpora, output, asked, screen_of_a_command(), corpus=corpus, ablate=ablate,
            shares=mixed_back(back, str(mix_back)), own_facts=own_facts, tokenizer=tokenizer, held_out=held_out,
        )  # fmt: skip
    print_comparison(out, comparison)
    out.print(f"open {escape(str(output / 'report.html'))}")


def _numbers(option: str, text: str, kind: type) -> list[Any]:
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) <= 0:
        raise Refused(f"{option} takes numbers above 0 with commas between them, not '{text}'")
    return numbers
