"""How weights are drawn and how fast each kind of them learns, by the width of the model."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from train_probe.architecture import Architecture

GPT2_DEVIATION = 0.02
EMB = float(os.environ.get("EMB", "0.1"))
RES = float(os.environ.get("RES", "0"))
HID = float(os.environ.get("HID", "1"))
OUT = float(os.environ.get("OUT", "1"))
BASE = float(os.environ.get("BASE", "64"))
EMBEXP = float(os.environ.get("EMBEXP", "0"))
EMBRATE = float(os.environ.get("EMBRATE", "1"))
VEC = float(os.environ.get("VEC", "1"))
HEAD = float(os.environ.get("HEAD", "1"))


def deviation(one: Architecture, name: str, shape: tuple[int, ...]) -> float:
    by_width = one.initialisation == "fan-in"
    if name == "embedding.weight":
        default = EMB if by_width else GPT2_DEVIATION
        return default if one.embedding_deviation is None else one.embedding_deviation
    usual = shape[-1] ** -0.5 if by_width else GPT2_DEVIATION
    if name == "head.weight" and by_width:
        return usual * HEAD
    if name.endswith((".project.weight", ".narrow.weight")):
        share = (RES if by_width else 1.0) if one.residual_outputs is None else one.residual_outputs
        return usual * share
    return usual


def drawn(one: Architecture, name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    if len(shape) == 1:
        a = (BASE / one.width) ** OUT if name == "norm.weight" and one.initialisation == "fan-in" and one.tied else 1.0
        return torch.full(shape, a)
    return torch.empty(shape).normal_(0.0, 1.0, generator=generator) * deviation(one, name, shape)


def rate_share(one: Architecture, name: str) -> float:
    if name in ("embedding.weight",):
        return EMBRATE * (BASE / one.width) ** EMBEXP
    if name in ("norm.weight", "norm.bias") and one.tied:
        return (BASE / one.width) ** OUT
    if name.endswith("bias") or "norm" in name:
        return VEC
    if name == "head.weight":
        return (BASE / one.width) ** OUT
    return (BASE / one.width) ** HID
