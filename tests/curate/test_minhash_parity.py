"""The dialects `fineweb` and `datatrove` against what datatrove 0.10.1 found on the same texts (tests/parity)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from make_minhash import TARGET, minhash_texts, signature_digest

from curate.dedup import MinHashDedup


@pytest.mark.parametrize("dialect", ["fineweb", "datatrove"])
def test_signatures_and_pairs_are_the_peers(dialect):
    expected = json.loads(TARGET.read_text())[dialect]
    sketcher = MinHashDedup(dialect=dialect, numbers="ignore").sketcher
    found, signatures, numbers = [], [], []
    for number, text in enumerate(minhash_texts()):
        sketch = sketcher.sketch(text)
        if sketch is None:
            found.append(None)
            continue
        signatures.append(sketcher.signatures([sketch[0]])[0])
        numbers.append(number)
        found.append(signature_digest(signatures[-1]))
    assert found == expected["signatures"] and None in found
    keys = sketcher.band_keys(np.array(signatures), np.zeros(len(signatures), np.uint64))
    pairs = set()
    for band in range(keys.shape[1]):
        # The peer sorts signatures, then files and documents; neighbours that are equal are its pairs.
        last: dict[int, int] = {}
        for number, key in zip(numbers, keys[:, band].tolist(), strict=True):
            if key in last:
                pairs.add((last[key], number))
            last[key] = number
    assert sorted(pairs) == [tuple(pair) for pair in expected["pairs"]]
    assert len(pairs) > 50
