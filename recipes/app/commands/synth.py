"""`goldsand synth`: facts alone as a corpus, and what a recipe's facts hold and cost."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.errors import Refused
from recipes.app.recipe.load import Loaded
from recipes.app.recipe.schema import build_step
from recipes.app.terminal.tables import amount
from train_probe.architecture import Architecture


def write_people(out: Path, parameters: dict[str, Any], tokenizer: Path | None, size: int) -> list[str]:
    """Write a corpus of people alone; returns lines that say what is there.

    Raises Refused when `out` holds something.
    """
    from curate.shards.vocabulary import build_vocabulary
    from synth.corpus import new_corpus, own_vocabulary
    from synth.inject import Inject

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Refused(f"{out} holds something already: name a new folder")
    inject = build_step("inject", {"kind": "people", **parameters})
    assert isinstance(inject, Inject)
    placed = inject.placed()
    vocabulary = (
        own_vocabulary(placed, size)
        if tokenizer is None
        else build_vocabulary(kind="file", file=tokenizer, domains=[inject.domain])
    )
    lacking = new_corpus(out, inject, vocabulary)
    bits = placed.table.bits()
    return [
        f"{placed.table.people:,} people, {placed.total:,} biographies: {bits.names:,.0f} bits of names,"
        f" {bits.values:,.0f} bits of values",
        f"{out / 'text'}: the biographies; {out / 'tokens' / 'facts'}: as tokens; {out / 'facts'}: what is true,"
        " what to score, what to ask",
        f"no bundle: {lacking}"
        if lacking
        else f"{out / 'facts' / 'bundle.npz'}: the same for train_probe/render.py, which draws texts on a device",
    ]


def rewrite_facts(
    folder: Path, model: str, out: Path, styles: list[str], most: int | None, tokens: int, temperature: float
) -> str:
    """Rewrite the facts of a run, or of `goldsand synth people`, into `out`; returns the report."""
    from synth.rewrite.language_model import TransformersModel
    from synth.rewrite.retold import retell

    runtime = TransformersModel(model, max_new_tokens=tokens, temperature=temperature)
    return str(retell(folder / "facts", out, runtime, styles, most))


def describe(loaded: Loaded, model: Architecture) -> Iterator[tuple[str, str]]:
    """What a recipe's facts hold, and what storing them costs a model: (what, how much), line by line.

    Raises Refused when the recipe has no facts.
    """
    from synth.codes import RECORDS
    from synth.corpus import text_tokens
    from synth.inject import Inject

    recipe = loaded.recipe
    inject = next((step for step in loaded.steps if isinstance(step, Inject)), None)
    if inject is None and recipe.probe is not None and recipe.probe.facts is not None:
        built = build_step("inject", recipe.probe.facts)
        assert isinstance(built, Inject)
        inject = built
    if inject is None:
        raise Refused(f"recipe '{recipe.name}' has no facts: neither an `inject` step nor `probe.facts`")
    placed = inject.placed()
    table, total = placed.table, placed.total
    bits = table.bits()
    tokenizer = recipe.output.tokenizer
    file = loaded.folder / str(tokenizer.file) if tokenizer.kind == "file" else None
    tokens, vocabulary, counted = text_tokens(table, tokenizer.kind, tokenizer.size, file)
    if table.kind in RECORDS:
        how = "a token a word, exactly"
    elif file is not None:
        how = f"by {tokenizer.file}, mean of {counted:,}"
    else:
        how = f"by a BPE of {tokenizer.size:,} trained on {counted:,} of them; one trained on pages needs more"
    yield "facts", f"{inject.kind}: {table.people:,} entities, {len(table) - table.people:,} more held out"
    if total:
        shown = table.exposure_counts[table.exposure_counts > 0]
        span = f"{shown.min():,}" if shown.min() == shown.max() else f"{shown.min():,} to {shown.max():,}"
        yield "exposures", f"{span}; {total:,} documents"
    else:
        yield "exposures", f"follow from the corpus: {inject.exposures}"
    yield "bits of one entity", f"name {bits.name_pool:.2f}, values {bits.value_pool:.2f}"
    for one in table.attributes:
        of = f", determined by {one.determined_by}" if one.determined_by else ""
        yield f"  {one.name}", f"{one.bits:.2f} bits: {one.size:,} values{of}"
    diversity = f", diversity {bits.diversity:,.0f}" if bits.diversity else ""
    yield "bits in all", f"{bits.maximal:,.0f}: names {bits.names:,.0f}, values {bits.values:,.0f}{diversity}"
    yield "tokens of one text", f"{tokens:.1f} ({how})"
    yield "tokens per bit", f"{tokens / (bits.name_pool + bits.value_pool):.2f} at one exposure"
    parameters = model.parameters(vocabulary)
    yield (
        "model",
        f"{model.layers} layers, width {model.width}, {vocabulary:,} tokens: {parameters:,} parameters; load"
        f" {bits.maximal / parameters:.2f} bits a parameter",
    )
    if total:
        flops = 6 * parameters * tokens * total
        yield (
            "training on the facts alone",
            f"{tokens * total:,.0f} tokens, {flops:.2e} FLOPs (6 P a token)",
        )
        yield from _fits(tokens * total, parameters, model, vocabulary)


def _fits(tokens: float, parameters: int, model: Architecture, vocabulary: int) -> Iterator[tuple[str, str]]:
    """Disk for the shards, memory for training, and whether this machine has both."""
    disk = int(tokens * (2 if vocabulary <= 1 << 16 else 4) + tokens * 4.5)
    free = shutil.disk_usage(Path.cwd()).free
    yield "disk", f"{amount(disk)} as text and tokens, of {amount(free)} free here: {_yes(disk < free)}"
    # Weights, gradients and two moments in float32; activations of a step of 8 windows of 512 tokens.
    taken = 16 * parameters + 8 * 512 * 4 * (34 * model.layers * model.width + 3 * vocabulary)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield (
        "memory",
        f"about {amount(taken)} at 8 x 512 tokens a step, of {amount(memory)}: {_yes(taken < memory)}",
    )
    if importlib.util.find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
            yield "GPU memory", f"about {amount(taken)}, of {amount(memory)} on {name}: {_yes(taken < memory)}"


def _yes(fits: bool) -> str:
    return "fits" if fits else "does not fit"
