"""Models that somebody sent: what a folder's configuration asks for is held against the weights in it before a library
builds anything, and whatever the library raises is what is wrong with the folder."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from curate.errors import Refused

REPEATED = ("num_hidden_layers", "n_layer", "num_layers", "num_local_experts", "num_experts")
"""Numbers in a configuration of parts that have weights of their own, in the words of several classes."""
PACKED = 4
"""Weights that a byte holds at most: quantized ones of two bits."""


class ExportError(Refused):
    """A model that cannot be exported, loaded or scored; the message says why, and what can be."""


@contextlib.contextmanager
def outcome_of(what: str) -> Iterator[None]:
    """Refuse a model with whatever a library raises over it: its exceptions are of any class."""
    try:
        yield
    except (ExportError, ImportError):
        raise
    except (Exception, MemoryError) as error:
        said = " ".join(str(error).split())[:500] or "no reason given"
        raise ExportError(f"{what}: {type(error).__name__}: {said}") from error


def refuse_impossible(folder: Path) -> None:
    """Raises ExportError where `config.json` asks for a model that the folder's weights cannot be: a damaged number
    would have the library build layers for hours, or take all memory."""
    from transformers import AutoConfig, AutoModelForCausalLM

    tensors, size = 0, 0
    for path in folder.glob("*.safetensors"):
        tensors, size = tensors + len(_header(path)), size + path.stat().st_size
    if not size:
        return  # the library says which files it wants
    with outcome_of(f"{folder / 'config.json'} does not describe a model"):
        config = json.loads((folder / "config.json").read_bytes())
        for name in REPEATED:
            if isinstance(config.get(name), int | float) and not 0 <= config[name] <= tensors:
                raise ExportError(
                    f"{folder / 'config.json'}: `{name}` is {config[name]}, and the folder holds {tensors} tensors"
                )
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            built: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(folder)))
    weights = sum(one.numel() for one in nn.Module.parameters(built))
    if weights > PACKED * size:
        raise ExportError(
            f"{folder / 'config.json'} describes a model of {weights:,} weights, and the folder holds {size:,} bytes"
        )


def _header(path: Path) -> dict[str, Any]:
    with outcome_of(f"{path} is not a safetensors file"), path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= path.stat().st_size - 8:
            raise ExportError(f"{path} is not a safetensors file: it ends before its header does")
        header: dict[str, Any] = json.loads(file.read(length))
        return dict(header)


def refuse_missing(path_or_id: Path | str) -> None:
    """Raises ExportError for the path of a folder that is not there, which a hub would be asked for by that name."""
    path = Path(path_or_id)
    # (A hub's ids are a name, or an owner and a name.)
    a_path = path.is_absolute() or str(path_or_id).startswith(".") or len(path.parts) > 2
    if not path.is_dir() and (a_path or path.exists() or (len(path.parts) > 1 and path.parent.is_dir())):
        raise ExportError(
            f"there is no model in {path_or_id}: name a run's checkpoint, a folder that transformers wrote, or an id of"
            " the hub"
        )
