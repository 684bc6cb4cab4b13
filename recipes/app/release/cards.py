"""The papers of a release: a model card as the Hub reads it, and a card of the data in training order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from curate.places.manifest import SUMMARY
from recipes.app.papers.hub_card import plain_line
from recipes.app.release.documents import GENERATED
from recipes.app.release.layout import NATIVE, SPIKES
from recipes.app.release.opened import Opened
from train_probe.spikes import CONTINUATIONS


def model_card(opened: Opened, index: dict[str, Any], results: Sequence[dict[str, Any]]) -> str:
    """The content of README.md."""
    first = next((one for one in index["runs"] if one.get("class")), None)
    head = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["goldsand", "probe"]}
    lines = [
        *_head(head if first else {"tags": ["goldsand", "probe"]}),
        "# Small models of a probe, with all that made them",
        "",
    ]
    made = index["made_with"]
    lines += [
        f"Written by goldsand {plain_line(made['goldsand'])} from a finished probe: small language models, each trained"
        " on the same facts in another mixture of text, so that the bits of knowledge that they hold can be compared."
        " They are instruments of measurement, and no assistants: they have seen nothing but the texts in `data/`.",
        "",
        "## Models",
        "",
        "| run | arm | architecture | parameters | exposures | seed | tokens | value bits/parameter | class |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    of = {one["run"]: one for one in index["runs"]}
    for row in {row["run"]: row for row in results}.values():
        if row.get("error"):
            lines.append(
                f"| `{row['run']}` | {plain_line(row['arm'])} | failed: {plain_line(row['error'])} | | | | | | |"
            )
            continue
        figure, kind = row["value_bits_per_parameter"], of[row["run"]]["class"] or "none"
        lines.append(
            f"| `{row['run']}` | {plain_line(row['arm'])} | {plain_line(row['architecture'])} | {row['parameters']:,} |"
            f" {row['exposures']} | {row['seed']} | {row['tokens']:,} | {figure:.4f} | {kind} |"
        )
    lines += ["", *_use(first), *_spikes(index), *_training(opened, index), *_proof(index), *_gaps(opened)]
    return "\n".join(lines) + "\n"


def _head(fields: dict[str, Any]) -> list[str]:
    # JSON is YAML, and no text of a run can leave its quotation marks.
    return ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()), "---", ""]


def _use(first: dict[str, Any] | None) -> list[str]:
    if first is None:
        return [f"The weights are goldsand's own (`{NATIVE}/`): no class of transformers has this arithmetic."]
    place = f"checkpoints/{first['run']}/{first['checkpoints'][-1]}"
    return [
        "## Use",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        f'model = AutoModelForCausalLM.from_pretrained("{place}")',
        f'tokenizer = AutoTokenizer.from_pretrained("{place}")',
        "```",
        "",
        f"A checkpoint is named after the exposures of each fact that it has seen. Beside the class lie, in"
        f" `{NATIVE}/`, the same weights as the trainer wrote them.",
        "",
    ]


def _spikes(index: dict[str, Any]) -> list[str]:
    kept = [f"`{SPIKES}/{one['run']}/{step}/`" for one in index["runs"] for step in one.get("spikes", ())]
    if not kept:
        return []
    return [
        f"Both continuations of a loss spike, from the last state before it, `{'` and `'.join(CONTINUATIONS)}`, are in"
        f" {', '.join(kept)}: the folder `STEP` of each holds the weights after so many steps, in the same two forms.",
        "",
    ]


def _training(opened: Opened, index: dict[str, Any]) -> list[str]:
    machines = {json.dumps(one["machine"], sort_keys=True): one["machine"] for one in index["runs"]}
    lines = ["## Training", ""]
    training = opened.plan.training_of(opened.plan.runs[0])
    lines.append(
        f"AdamW, {training.batch} useful rows a step, learning rate {training.learning_rate:g} after a warm-up over"
        f" {training.warmup:.0%} of the steps. `config/` has every setting of every run, `metrics.jsonl` what was"
        " seen on the way."
    )
    for one in machines.values():
        said = ", ".join(f"{key} {plain_line(value)}" for key, value in one.items() if value)
        lines.append(f"Trained on: {said}.")
    return [*lines, ""]


def _proof(index: dict[str, Any]) -> list[str]:
    first: dict[str, Any] = next(iter(index["streams"].values()), {"chunks": {}})
    step = min(120, max(first["chunks"].values(), default=1))
    return [
        "## Proof",
        "",
        "`goldsand release --check .` holds every file against `SHA256SUMS`, trains every run again, and says which"
        " figures, weights and batches are the same: to the last bit on a processor and a build of torch like those"
        " above, else within stated bounds. `sh retrain.sh` trains alone."
        f" `goldsand release show . --step {step}` shows what step {step} read.",
        "",
    ]


def _gaps(opened: Opened) -> list[str]:
    lines = ["## What is not known", ""]
    if opened.corpus is None:
        lines.append("- The documents of pages, where no finished run was named that they are of.")
    return [
        *lines,
        "- A licence of these weights: whoever publishes them chooses one. Licences of texts are in `data/`, as their"
        " pages state them; nobody has checked them.",
        "- How these models compare with others: bits of made-up facts, of which no other model has read any, are what"
        " was measured.",
        "- Written by a program from the probe's own records; what a probe cannot know is not here.",
    ]


def data_card(opened: Opened, index: dict[str, Any], mix: dict[str, list[dict[str, Any]]]) -> str:
    """The content of data/README.md."""
    configs = [
        {"config_name": stream, "data_files": [f"{stream}/{chunk}.jsonl.zst" for chunk in one["chunks"]]}
        for stream, one in index["streams"].items()
    ]
    lines = [
        *_head({"tags": ["goldsand", "training-order"], "license": "other", "configs": configs}),
        "# What the models read, in the order in which they read it",
        "",
        "A folder is a stream: what runs with the same arm, exposures and seed read. A file holds what was read after"
        " the checkpoint before and up to the one of its name. A row is a text, or the part of one that a window"
        " holds:",
        "",
        "| column | meaning |",
        "|---|---|",
        "| `step`, `row` | the step, from 1, and the window of its batch, from 0 |",
        "| `kind` | `fact`, `page`, or `junk` that was drawn |",
        "| `document` | the text's own key: `inject/ENTITY@EXPOSURE`, a document of the corpus, or a number of what was"
        " drawn |",
        "| `source`, `domain`, `url` | where it is from; empty: it has none |",
        f"| `licence` | as the page states it; `{GENERATED}`: a program drew it; empty: not stated |",
        "| `tokens`, `ids`, `text` | its tokens in this window, and the same as text (a character that a window cuts is"
        " U+FFFD) |",
        "",
        "## Mix",
        "",
        "Tokens at the start (each page once, each entity's facts once), how often they were read, and the total.",
        "",
    ]
    arms = _arms(index["runs"])
    for stream, rows in mix.items():
        lines += [
            f"### `{stream}`: {plain_line('; '.join(arms.get(stream, [])))}", "",
            "| kind | source | start | multiplier | total | share |", "|---|---|---|---|---|---|",
        ]  # fmt: skip
        lines += [
            f"| {row['kind']} | {plain_line(row['source'])} | {row['start']:,} | {row['multiplier']:g} |"
            f" {row['total']:,} | {row['share']:.2%} |"
            for row in rows
        ]
        lines.append("")
    lines += ["## Where the pages are from", ""]
    if opened.corpus is None:
        lines.append("No finished run was named: pages are named by their place in their token set.")
    elif not (opened.corpus / SUMMARY).is_file():
        lines.append("Text shards without the account of a run: what was dropped, and why, is not known.")
    else:
        from curate.places.store import place_of
        from recipes.app.papers.about import About

        counted = About.of(place_of(str(opened.corpus))).counted
        licences = ", ".join(
            f"{plain_line(name) or 'not stated'} {count:,}" for name, count in counted.licences.most_common(20)
        )
        lines.append(
            f"A run of goldsand (`config/corpus.json`): {counted.documents - counted.injected:,} pages and"
            f" {counted.injected:,} injected texts. Licences that pages state: {licences or 'none'}."
        )
        if counted.first:
            lines.append(f"The records were fetched from {counted.first} to {counted.last}.")
    return "\n".join(lines) + "\n"


def _arms(runs: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    arms: dict[str, list[str]] = {}
    for one in runs:
        if (stream := one.get("stream")) is not None and one["arm"] not in arms.setdefault(stream, []):
            arms[stream].append(one["arm"])
    return arms
