"""The commands `goldsand synth people | table | rewrite | describe`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from recipes.app.commands.options import RecipeName, Sets, read_recipe
from recipes.app.terminal.console import friendly, out

if TYPE_CHECKING:
    from recipes.app.recipe.facts import FactsCost

synth = typer.Typer(no_args_is_help=True, help="Knowledge with a known number of bits, without a crawl.")


@synth.command("people")
def people(
    count: Annotated[int, typer.Option(min=1, help="people")],
    exposures: Annotated[int, typer.Option(min=1, help="biographies of each")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a new folder", metavar="DIR")],
    seed: Annotated[int, typer.Option(min=0, help="decides names, values and texts")] = 0,
    frozen: Annotated[bool, typer.Option("--frozen", help="one text for each person, repeated (bioS_simple)")] = False,
    held_out: Annotated[int, typer.Option(min=0, help="how many more people, who are never shown")] = 0,
    pools: Annotated[Path | None, typer.Option(help="a folder of pools; by default invented names")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="a tokenizer.json; by default a BPE of the texts")] = None,
    size: Annotated[int, typer.Option(min=257, help="tokens of that BPE")] = 1024,
) -> None:
    """Write biographies of people (bioS) as text and tokens, with what is true and what to score."""
    parameters: dict[str, Any] = {
        "kind": "people",
        "people": count,
        "exposures": exposures,
        "seed": seed,
        "frozen": frozen,
        "held_out": held_out,
    }
    if pools is not None:
        parameters["pools"] = str(pools)
    _write(output, parameters, tokenizer, size, "people", "biographies")


@synth.command("table")
def table(
    facts: Annotated[
        Path, typer.Argument(help="CSV, TSV, JSON Lines or Parquet: a row for each thing", metavar="TABLE")
    ],
    exposures: Annotated[int, typer.Option(min=1, help="texts of each row")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a new folder", metavar="DIR")],
    entity: Annotated[str | None, typer.Option(help="the column of names; by default the first")] = None,
    templates: Annotated[Path | None, typer.Option(help="a YAML file of sentences; by default one for all")] = None,
    seed: Annotated[int, typer.Option(min=0, help="decides texts and their order")] = 0,
    held_out: Annotated[int, typer.Option(min=0, help="how many of the rows are never shown")] = 0,
    tokenizer: Annotated[Path | None, typer.Option(help="a tokenizer.json; by default a BPE of the texts")] = None,
    size: Annotated[int, typer.Option(min=257, help="tokens of that BPE")] = 1024,
) -> None:
    """Write your own facts, a table, as text and tokens, with what is true and what to score."""
    given: dict[str, Any] = {"kind": "table", "facts": str(facts), "exposures": exposures, "seed": seed}
    given |= {"entity": entity, "held_out": held_out}
    if templates is not None:
        given["templates"] = str(templates)
    _write(output, given, tokenizer, size, "entities", "texts")


def _write(
    output: Path, parameters: dict[str, Any], tokenizer: Path | None, size: int, things: str, texts: str
) -> None:
    """Write facts as a corpus of their own, and say what they hold and where they lie."""
    from recipes.app.recipe.facts import write_alone

    with friendly():
        placed, lacking = write_alone(output, parameters, tokenizer, size)
    bits = placed.table.bits()
    bundle = f"{output / 'facts' / 'bundle.npz'}: the same for train_probe/render.py, which draws texts on a device"
    for line in (
        f"{placed.table.people:,} {things}, {placed.total:,} {texts}: {bits.names:,.0f} bits of names,"
        f" {bits.values:,.0f} bits of values",
        f"{output / 'text'}: the {texts}; {output / 'tokens' / 'facts'}: as tokens; {output / 'facts'}: what is"
        " true, what to score, what to ask",
        f"no bundle: {lacking}" if lacking else bundle,
    ):
        out.print(escape(line))


@synth.command("rewrite")
def rewrite(
    folder: Annotated[Path, typer.Argument(help="a finished run with facts, or people as written here", metavar="DIR")],
    model: Annotated[str, typer.Option(help="a causal model of transformers: a folder, a .gguf file or a hub id")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a folder; what it holds already is continued")],
    style: Annotated[list[str], typer.Option(help="by default all styles")] = [],  # noqa: B006  (typer only reads it)
    people: Annotated[int | None, typer.Option(min=1, help="only this many, from the first")] = None,
    tokens: Annotated[int, typer.Option(min=1, help="most tokens of a rewrite")] = 200,
    temperature: Annotated[float, typer.Option(min=0.0, help="0: the most likely tokens")] = 0.7,
) -> None:
    """Have a language model rewrite facts (bioR), and keep the texts that state every one of them."""
    from synth.rewrite.language_model import TransformersModel
    from synth.rewrite.retold import retell

    with friendly():
        runtime = TransformersModel(model, max_new_tokens=tokens, temperature=temperature)
        out.print(escape(str(retell(folder / "facts", output, runtime, style, people))))


@synth.command("describe")
def describe(
    recipe: RecipeName,
    set: Sets = [],  # noqa: B006
    layers: Annotated[int | None, typer.Option(min=1, help="layers of the model; by default the probe's")] = None,
    width: Annotated[int | None, typer.Option(min=8, help="width of the model; by default the probe's")] = None,
) -> None:
    """Say what a recipe's facts hold: bits, tokens, tokens per bit, FLOPs for a model, and whether it fits here."""
    from recipes.app.recipe.facts import facts_cost

    loaded = read_recipe(recipe, set, [])
    with friendly():
        cost = facts_cost(loaded, layers, width)
        for what, how_much in [*_of_facts(cost), *_of_training(cost)]:
            out.print(f"{escape(what):<30}{escape(how_much)}")


def _of_facts(cost: FactsCost) -> Iterator[tuple[str, str]]:
    """What the facts hold: (what, how much), line by line."""
    table, total, bits = cost.placed.table, cost.placed.total, cost.placed.table.bits()
    yield "facts", f"{cost.inject.kind}: {table.people:,} entities, {len(table) - table.people:,} more held out"
    if total:
        shown = table.exposure_counts[table.exposure_counts > 0]
        span = f"{shown.min():,}" if shown.min() == shown.max() else f"{shown.min():,} to {shown.max():,}"
        yield "exposures", f"{span}; {total:,} documents"
    else:
        yield "exposures", f"follow from the corpus: {cost.inject.exposures}"
    yield "bits of one entity", f"name {bits.name_pool:.2f}, values {bits.value_pool:.2f}"
    for one in table.attributes:
        of = f", determined by {one.determined_by}" if one.determined_by else ""
        yield f"  {one.name}", f"{one.bits:.2f} bits: {one.size:,} values{of}"
    diversity = f", diversity {bits.diversity:,.0f}" if bits.diversity else ""
    yield "bits in all", f"{bits.maximal:,.0f}: names {bits.names:,.0f}, values {bits.values:,.0f}{diversity}"
    yield "tokens of one text", f"{cost.tokens:.1f} ({_counted(cost)})"
    yield "tokens per bit", f"{cost.tokens / (bits.name_pool + bits.value_pool):.2f} at one exposure"
    yield (
        "model",
        f"{cost.model.layers} layers, width {cost.model.width}, {cost.vocabulary:,} tokens:"
        f" {cost.parameters:,} parameters; load {bits.maximal / cost.parameters:.2f} bits a parameter",
    )


def _counted(cost: FactsCost) -> str:
    from synth.codes import RECORDS

    if cost.placed.table.kind in RECORDS:
        return "a token a word, exactly"
    if cost.file is not None:
        return f"by {cost.file}, mean of {cost.counted:,}"
    return f"by a BPE of {cost.bpe:,} trained on {cost.counted:,} of them; one trained on pages needs more"


def _of_training(cost: FactsCost) -> Iterator[tuple[str, str]]:
    """What training on the facts alone takes, and whether this machine has it; empty where exposures are unknown."""
    from recipes.app.recipe.facts import WINDOW, WINDOWS, free_disk, gpu_memory, memory_here
    from recipes.app.terminal.tables import amount

    if not cost.placed.total:
        return
    yield "training on the facts alone", f"{cost.tokens_in_all:,.0f} tokens, {cost.flops:.2e} FLOPs (6 P a token)"
    free = free_disk()
    yield "disk", f"{amount(cost.disk)} as text and tokens, of {amount(free)} free here: {_fits(cost.disk, free)}"
    memory = memory_here()
    taken = f"about {amount(cost.memory)}"
    yield (
        "memory",
        f"{taken} at {WINDOWS} x {WINDOW} tokens a step, of {amount(memory)}: {_fits(cost.memory, memory)}",
    )
    if gpu := gpu_memory():
        name, memory = gpu
        yield "GPU memory", f"{taken}, of {amount(memory)} on {name}: {_fits(cost.memory, memory)}"


def _fits(taken: float, there: float) -> str:
    return "fits" if taken < there else "does not fit"
