"""Fixed prompts, and what each checkpoint says next: greedy, ties to the lower token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recipes.app.release.opened import Opened
from train_probe.model import Transformer
from train_probe.plan import RunPlan

ENTITIES, PAGES = 6, 3
"""How many prompts a gallery has: about entities of the facts, and from pages where a run reads any."""
_BEGUN, _SAID = 16, 24  # tokens of a page's prompt, and most tokens that are asked for


@dataclass(frozen=True)
class Prompt:
    """Tokens to begin with, and those that are right."""

    kind: str
    ids: list[int]
    right: list[int]


def prompts(opened: Opened, run: RunPlan) -> list[Prompt]:
    """The prompts of a run, the same for all that read the same facts and pages: an entity's name and what stands
    before its first value; the beginning of a page."""
    return [*_entities(opened, run), *_pages(opened, run)]


def _entities(opened: Opened, run: RunPlan) -> Iterator[Prompt]:
    if not run.exposures:
        return
    facts = opened.data.facts_of(run)
    values = facts.spans[facts.spans[:, 1] >= 0]
    begins = facts.begins(run.scored_tagged, run.front)
    seen: set[int] = set()
    for row, body in enumerate(facts.rows):
        entity = int(facts.row_entity[row])
        starts = values[values[:, 0] == row][:, 2]
        if entity in seen or not len(starts):
            continue
        seen.add(entity)
        first = int(starts.min())
        yield Prompt("fact", [*begins[row].tolist(), *body[:first].tolist()], body[first:][:_SAID].tolist())
        if len(seen) == ENTITIES:
            return


def _pages(opened: Opened, run: RunPlan) -> Iterator[Prompt]:
    if run.junk_kind != "shards":
        return
    pages = opened.data.inputs.pages[str(run.junk_shards)]
    starts = np.concatenate([[0], pages.ends[:-1]])
    for page in np.flatnonzero(pages.ends - starts > _BEGUN)[:PAGES].tolist():
        end = min(pages.ends[page], starts[page] + _BEGUN + _SAID)
        ids = np.asarray(pages.tokens[starts[page] : end]).tolist()
        yield Prompt("page", ids[:_BEGUN], ids[_BEGUN:])


@torch.no_grad()
def continued(model: Transformer, ids: list[int], count: int) -> list[int]:
    """The `count` tokens that a model finds most probable one after another; of equal ones the lower."""
    tokens = torch.tensor([ids])
    model.eval()
    for _ in range(count):
        logits = model(tokens[:, -model.context :])[0, -1]
        tokens = torch.cat([tokens, torch.argmax((logits == logits.max()).int())[None, None]], 1)
    return tokens[0, len(ids) :].tolist()


def shown(opened: Opened, asked: list[Prompt], models: dict[str, Transformer]) -> list[dict[str, Any]]:
    """The gallery of a run: each prompt as text, what is right, and what each checkpoint says."""
    rows = []
    for prompt in asked:
        said = {name: continued(model, prompt.ids, len(prompt.right)) for name, model in models.items()}
        texts = opened.vocabulary.decode([prompt.ids, prompt.right, *said.values()])
        rows.append(
            {
                "kind": prompt.kind, "prompt": texts[0], "right": texts[1], "prompt_ids": prompt.ids,
                "right_ids": prompt.right,
                "checkpoints": {
                    name: {"text": text, "ids": ids, "matches": ids == prompt.right}
                    for (name, ids), text in zip(said.items(), texts[2:], strict=True)
                },
            }
        )  # fmt: skip
    return rows
