"""Facts that a recipe names: written as a corpus of their own, and what they hold and cost."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import Refused
from recipes.app.recipe.load import Loaded
from recipes.app.recipe.schema import ProbeModel, build_step

if TYPE_CHECKING:
    from synth.inject import Inject
    from synth.placed import Placed
    from train_probe.architecture import Architecture

WINDOWS, WINDOW = 8, 512
"""The training step for which memory is estimated: so many windows of so many tokens."""


def write_alone(
    folder: Path, parameters: dict[str, Any], tokenizer: Path | None, size: int
) -> tuple[Placed, str | None]:
    """Write facts, by the parameters of `inject`, as a corpus without pages; returns them, and the reason where no
    bundle is written.

    The vocabulary is that of `tokenizer`, or a BPE of `size` tokens trained on the texts. Raises Refused where `folder`
    is not empty.
    """
    from curate.shards.vocabulary import build_vocabulary
    from synth.corpus import new_corpus, own_vocabulary

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} holds something already: name a new folder")
    inject = _inject(parameters)
    placed = inject.placed()
    vocabulary = (
        own_vocabulary(placed, size)
        if tokenizer is None
        else build_vocabulary(kind="file", file=tokenizer, domains=[inject.domain])
    )
    return placed, new_corpus(folder, inject, vocabulary)


@dataclass(frozen=True)
class FactsCost:
    """The facts of a recipe, and what it takes a model to store them."""

    inject: Inject
    placed: Placed
    model: Architecture
    tokens: float
    """Tokens of one text on average, the end of text included."""
    vocabulary: int
    """Tokens of the vocabulary: those that occur, where it comes from a file."""
    counted: int
    """Texts on which the tokens were counted."""
    file: str | None
    """The tokenizer.json that the recipe names."""
    bpe: int
    """Tokens of the BPE that the recipe trains otherwise."""

    @property
    def parameters(self) -> int:
        return self.model.parameters(self.vocabulary)

    @property
    def tokens_in_all(self) -> float:
        return self.tokens * self.placed.total

    @property
    def flops(self) -> float:
        """Of training on the facts alone: 6 a parameter and token (Kaplan et al. 2020)."""
        return 6 * self.parameters * self.tokens_in_all

    @property
    def disk(self) -> int:
        """Bytes of the token shards and the text shards."""
        return int(self.tokens_in_all * (2 if self.vocabulary <= 1 << 16 else 4) + self.tokens_in_all * 4.5)

    @property
    def memory(self) -> int:
        """Bytes in training: weights, gradients and two moments in float32, and the activations of a step."""
        activations = 34 * self.model.layers * self.model.width + 3 * self.vocabulary
        return 16 * self.parameters + WINDOWS * WINDOW * 4 * activations


def facts_cost(loaded: Loaded, layers: int | None = None, width: int | None = None) -> FactsCost:
    """The cost of a recipe's facts for the model of its probe, with these `layers` and `width` if given.

    Raises Refused when the recipe has no facts.
    """
    from synth.corpus import text_tokens

    recipe = loaded.recipe
    planned = recipe.probe.model if recipe.probe else ProbeModel()
    model = planned.built(layers=layers or planned.layers, width=width or planned.width)
    inject = _inject_of(loaded)
    placed = inject.placed()
    tokenizer = recipe.output.tokenizer
    file = str(tokenizer.file) if tokenizer.kind == "file" else None
    path = loaded.folder / file if file is not None else None
    tokens, vocabulary, counted = text_tokens(placed.table, tokenizer.kind, tokenizer.size, path)
    return FactsCost(inject, placed, model, tokens, vocabulary, counted, file, tokenizer.size)


def free_disk() -> int:
    """Free bytes where the current folder lies."""
    return shutil.disk_usage(Path.cwd()).free


def memory_here() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpu_memory() -> tuple[str, int] | None:
    """The name and the bytes of the GPU, where there is one and torch is installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory


def _inject_of(loaded: Loaded) -> Inject:
    from synth.inject import Inject

    recipe = loaded.recipe
    inject = next((step for step in loaded.steps if isinstance(step, Inject)), None)
    if inject is None and recipe.probe is not None and recipe.probe.facts is not None:
        inject = _inject(recipe.probe.facts)
    if inject is None:
        raise Refused(f"recipe '{recipe.name}' has no facts: neither an `inject` step nor `probe.facts`")
    return inject


def _inject(parameters: dict[str, Any]) -> Inject:
    from synth.inject import Inject

    inject = build_step("inject", parameters)
    assert isinstance(inject, Inject)
    return inject
