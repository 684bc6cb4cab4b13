"""What any model holds, whoever trained it: a folder or hub id of transformers, or a checkpoint of a run.

    python -m train_probe.asked MODEL --texts FILE --prompt 32 --continuation 32      # memorisation
    python -m train_probe.asked FIRST SECOND LAST --texts ONE --texts TWO             # each model on each file
    python -m train_probe.asked MODEL --facts OUT/facts                               # calibration

Texts are tokens: a folder of token shards, or lines of JSON with a list `token_ids` each, as LLM360 publishes its
chunks. Facts are written with the model's own tokenizer (`train_probe/export.py` says how).
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from curate.errors import answered
from curate.shards.tokens import ShardError, TokenShards
from train_probe.calibration import Pools, answers, questions_about
from train_probe.draws import permutation, stream_key
from train_probe.export import HubModel, beginning, load_hf
from train_probe.foreign import ExportError, outcome_of, refuse_missing
from train_probe.inputs import Facts, read_facts, read_held_out
from train_probe.memorize import LENGTH, course, distribution, memorised
from train_probe.model import Transformer
from train_probe.records import read_checkpoint

SEQUENCES = 1000
FIGURES = ("full_match", "token_match", "forced_match", "loss_bits")


def load_model(path_or_id: str, context: int = 4096) -> Transformer | HubModel:
    """A checkpoint of a run, or a model of transformers. Raises PlanError or ExportError."""
    if (Path(path_or_id) / "model.json").is_file():
        return read_checkpoint(Path(path_or_id), context)
    return load_hf(path_or_id)


def _opened(path_or_id: str, as_saved: bool) -> nn.Module:
    model = load_model(path_or_id).to("cuda" if torch.cuda.is_available() else "cpu")
    return model if as_saved else model.double()


def rows_of(model: nn.Module) -> int:
    """How many tokens a model knows."""
    return model.rows if isinstance(model, HubModel) else int(model.vocabulary)  # type: ignore[arg-type]


def _context(model: nn.Module) -> int | None:
    """How many tokens a model reads, where it says so."""
    if not isinstance(model, HubModel):
        return None
    for name in ("max_position_embeddings", "n_positions"):
        if isinstance(getattr(model.config, name, None), int):
            return int(getattr(model.config, name))
    return None


def read_sequences(path: Path) -> list[NDArray[np.int64]]:
    """The texts of a folder of token shards, or of lines of JSON with `token_ids`. Raises ExportError."""
    try:
        if path.is_dir():
            shards = TokenShards.open(path)
            shards.verify()
            found = []
            for shard in shards.shards:
                found += [one.astype(np.int64) for one in np.split(shard.tokens, shard.ends[:-1].astype(np.int64))]
            return found
        with path.open(encoding="utf-8") as file:
            return [_tokens(path, number, line) for number, line in enumerate(file, 1) if line.strip()]
    except (ShardError, OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path} does not hold tokenised text: {error}") from error


def _tokens(path: Path, number: int, line: str) -> NDArray[np.int64]:
    try:
        ids = json.loads(line)["token_ids"]
        if isinstance(ids, list) and all(isinstance(one, int) and 0 <= one < 1 << 31 for one in ids):
            return np.array(ids, np.int64)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ExportError(f"{path}, line {number}: it must be JSON with a list `token_ids` of token numbers")


def memorisation(
    model: nn.Module,
    texts: list[NDArray[np.int64]],
    prompt: int = LENGTH,
    continuation: int = LENGTH,
    most: int = SEQUENCES,
) -> dict[str, Any]:
    """LLM360's score of a model on the beginnings of texts, of at most so many that are drawn; `each` has every one.

    Raises ExportError where no text is long enough, or the model cannot read them.
    """
    length = prompt + continuation
    if prompt < 1 or continuation < 1 or most < 1:
        raise ExportError("memorisation needs a prompt, a continuation and at least one sequence")
    long = [number for number, text in enumerate(texts) if len(text) >= length]
    if not long:
        longest = max(map(len, texts), default=0)
        raise ExportError(
            f"a prompt of {prompt} tokens and a continuation of {continuation} are {length}, and the longest of"
            f" {len(texts)} texts has {longest}: ask for less"
        )
    context = _context(model)
    if context is not None and length > context:
        raise ExportError(f"prompt and continuation are {length} tokens, and the model reads {context}: ask for less")
    if len(long) > most:
        long = [long[place] for place in sorted(permutation(stream_key(0, "asked"), len(long))[:most].tolist())]
    sequences = np.stack([texts[number][:length] for number in long])
    if int(sequences.max()) >= rows_of(model):
        raise ExportError(
            f"the texts hold token {int(sequences.max())}, the model knows {rows_of(model)}: they were written with"
            " another tokenizer; tokenise them with the model's own"
        )
    with outcome_of("the model does not read the texts"):
        scores = memorised(model, sequences, prompt)
    each = {"text": long, "full": scores.full.astype(int).tolist(), "match": np.round(scores.match, 6).tolist()}
    return {
        "prompt": prompt,
        "continuation": continuation,
        "sequences": len(long),
        "too_short": sum(len(text) < length for text in texts),
        **scores.figures(),
        "distribution": distribution(scores.match),
        "each": each,
    }


def by_checkpoint(
    models: dict[str, Callable[[], nn.Module]], texts: dict[str, list[NDArray[np.int64]]], *asked: int
) -> dict[str, Any]:
    """LLM360's score of several checkpoints, in their order, on several chunks of text, with the arguments of
    `memorisation`: a table [checkpoints][chunks] of each figure, how many scores of a checkpoint are in each tenth,
    the correlation of any two checkpoints' scores, and what each tells beforehand of the last.

    Checkpoints are made one after another. Raises ExportError as `memorisation` does.
    """
    found: dict[str, Any] = {"checkpoints": list(models), "texts": list(texts)}
    tables: dict[str, list[list[float]]] = {name: [] for name in FIGURES}
    kept: dict[int, dict[str, Any]] = {}
    for number, (name, make) in enumerate(models.items()):
        model, told = make(), []
        for chunk, sequences in texts.items():
            try:
                told.append(memorisation(model, sequences, *asked))
            except ExportError as error:
                raise ExportError(f"{name} on {chunk}: {error}") from error
        for figure, rows in tables.items():
            rows.append([one[figure] for one in told])
        kept[number] = {key: [one for chunk in told for one in chunk["each"][key]] for key in ("match", "full")}
        found |= {key: [one[key] for one in told] for key in ("sequences", "too_short")}
    both = course(kept)
    return {
        **found,
        **tables,
        "distribution": [distribution(np.array(one["match"])) for one in kept.values()],
        "correlation": both["correlation"],
        "foretold": [
            {"checkpoint": name, **{key: value for key, value in one.items() if key != "exposures"}}
            for name, one in zip(models, both["foretold"], strict=False)
        ],
    }


def calibration(model: nn.Module, facts: Facts, tagged: bool = False, begin: int | None = None) -> dict[str, Any]:
    """Calibration of a model on facts, and on the people held out of them, whose values it cannot know.

    Rows are read after the facts' end of text, after their domain's token (`tagged`), or after `begin`. Raises
    ExportError where the model cannot read the facts' tokens, PlanError where the facts have no bundle.
    """
    rows = rows_of(model)
    pools = Pools(facts)
    groups = {"seen": facts, "unseen": read_held_out(facts, "entities")}
    found: dict[str, Any] = {}
    for name, one in groups.items():
        if one is None:
            continue
        largest = max(int(row.max()) for row in one.rows)
        if largest >= rows:
            raise ExportError(
                f"the rows in {facts.folder} hold token {largest}, the model has {rows}: they were written with another"
                f" tokenizer ('{facts.tokenizer}'); write the facts again with the model's own tokenizer.json"
            )
        front = begin
        if front is None:
            front = one.end_of_text if one.end_of_text < rows or not isinstance(model, HubModel) else beginning(model)
        seen = dataclasses.replace(one, end_of_text=front, vocabulary=rows)
        asked, left_out = questions_about(seen, pools)
        with outcome_of(f"the model does not answer what is asked of the facts in {facts.folder}"):
            found[name] = answers(model, seen, asked, seen.begins(tagged)).figures()
        found["left_out"] = left_out
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print what a model holds, as JSON: memorisation of texts, or calibration on facts.

    Exit code 2 when model, texts or facts are invalid, 1 for a fault of the program."""
    parser = argparse.ArgumentParser(prog="python -m train_probe.asked", description=main.__doc__)
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="a folder or hub id of transformers, or a run's checkpoint; several, in their order, are compared",
    )
    parser.add_argument(
        "--texts",
        type=Path,
        action="append",
        help="tokenised text: token shards, or lines of JSON with `token_ids`; given again, another chunk",
    )
    parser.add_argument("--facts", type=Path, help="a facts folder, written with the model's tokenizer")
    parser.add_argument("--prompt", type=int, default=LENGTH, help="tokens of the prompt")
    parser.add_argument("--continuation", type=int, default=LENGTH, help="tokens to go on for")
    parser.add_argument("--sequences", type=int, default=SEQUENCES, help="texts at most")
    parser.add_argument("--tagged", action="store_true", help="read facts after their domain's token")
    parser.add_argument("--begin", type=int, help="the id of the token in front of each fact's row")
    parser.add_argument("--as-saved", action="store_true", help="float32; by default float64, so that ties are exact")
    chosen = parser.parse_args(arguments)
    try:
        if (chosen.texts is None) == (chosen.facts is None):
            raise ExportError("name either --texts, for memorisation, or --facts, for calibration")
        for name in chosen.models:
            refuse_missing(name)
        asked = chosen.prompt, chosen.continuation, chosen.sequences
        texts = {str(path): read_sequences(path) for path in chosen.texts or ()}
        models: dict[str, Callable[[], nn.Module]] = {
            name: functools.partial(_opened, name, chosen.as_saved) for name in chosen.models
        }
        if chosen.facts is not None and len(models) > 1:
            raise ExportError("calibration is told of one model: name one")
        if len(models) > 1 or len(texts) > 1:
            found = by_checkpoint(models, texts, *asked)
        elif chosen.facts is None:
            found = memorisation(models[chosen.models[0]](), next(iter(texts.values())), *asked)
        else:
            model = models[chosen.models[0]]()
            found = calibration(model, read_facts(chosen.facts), chosen.tagged, chosen.begin)
        print(json.dumps(found, indent=1))
    except Exception as error:
        return answered(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
