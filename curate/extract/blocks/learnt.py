"""What training learns of examples: tables of words, trees, and their form as a model's arrays."""

from __future__ import annotations

import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from curate.extract.blocks.gold import Example
from curate.extract.blocks.lexicon import SHORT, Lexicon, class_words, text_words
from curate.extract.blocks.meanings import NAMES
from curate.extract.blocks.model import CERTAIN, SCHEMA

Shares = list[dict[str, float]]
Trees = tuple[dict[str, Any], Any]

LEAST_CLASS, LEAST_TEXT = 8, 12
"""Domains on which a word of a class, and of a text, must occur: fewer would be the words of one page builder."""
_SHRINKING, _FARTHEST, _UNIT = 3.0, 4.0, 30
_LEAF = 2048
"""A log-odds of 1, in a leaf."""


def word_shares(example: Example) -> tuple[dict[str, float], dict[str, float]]:
    """Of a page: the share of content in the text under each word of a class, and among the short blocks with a word
    in them."""
    page, words, share = example.page, example.words, example.share
    until = np.concatenate([[0], np.cumsum(words)])
    gold = np.concatenate([[0.0], np.cumsum(words * share)])
    all_of: dict[str, float] = defaultdict(float)
    right: dict[str, float] = defaultdict(float)
    for attributes, first, last in zip(page.attributes, page.first, page.last, strict=True):
        if attributes and until[last] > until[first]:
            for word in set(class_words(attributes)):
                all_of[word] += until[last] - until[first]
                right[word] += gold[last] - gold[first]
    classes = {word: right[word] / count for word, count in all_of.items()}
    all_of.clear()
    right.clear()
    for block in np.flatnonzero(words).tolist():
        text = " ".join(page.raw(block).split())
        if len(text) < SHORT:
            for word in set(text_words(text)):
                all_of[word] += 1
                right[word] += float(share[block] >= 0.5)
    return classes, {word: right[word] / count for word, count in all_of.items()}


def lexicon(examples: Sequence[Example], shares: Sequence[tuple[dict[str, float], dict[str, float]]]) -> Lexicon:
    """The tables of words of these pages; each domain has one voice."""
    if not examples:
        return Lexicon({}, {})
    prior = float(np.mean([_content(one) for one in examples]))
    domains = [one.domain for one in examples]
    classes = _table(domains, [one[0] for one in shares], prior, LEAST_CLASS)
    return Lexicon(classes, _table(domains, [one[1] for one in shares], prior, LEAST_TEXT))


def _content(example: Example) -> float:
    total = float(example.words.sum())
    return float((example.words * example.share).sum()) / total if total else 0.0


def _table(domains: list[str], shares: Shares, prior: float, least: int) -> dict[str, int]:
    seen: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for domain, page in zip(domains, shares, strict=True):
        for word, share in page.items():
            seen[word][domain].append(share)
    table = {}
    for word, of_domain in sorted(seen.items()):
        if len(of_domain) < least:
            continue
        right = sum(sum(voices) / len(voices) for voices in of_domain.values())
        odds = (right + _SHRINKING * prior) / (len(of_domain) - right + _SHRINKING * (1 - prior))
        score = math.log(odds * (1 - prior) / prior)
        table[word] = round(max(-_FARTHEST, min(_FARTHEST, score)) * _UNIT)
    return table


def trees(rows: Any, target: Any, weights: Any, settings: dict[str, Any]) -> Any:
    """Boosted oblivious trees (CatBoost), on the soft target `target`."""
    from catboost import CatBoostClassifier, Pool

    with tempfile.TemporaryDirectory() as folder:
        model = CatBoostClassifier(
            loss_function="CrossEntropy", train_dir=folder, allow_writing_files=False, verbose=0, **settings
        )
        model.fit(Pool(rows.T.astype(np.float32), target, weight=weights))
    return model


def chances(models: Sequence[Any], rows: Any) -> Any:
    """Of each column of features, the probability that the block is content: of the mean of the models' sums."""
    sums = [model.predict(rows.T.astype(np.float32), prediction_type="RawFormulaVal") for model in models]
    return 1 / (1 + np.exp(-np.mean(sums, axis=0)))


def packed(models: Sequence[Any]) -> dict[str, Any]:
    """The trees of all models as whole numbers: conditions `feature > threshold`, of each tree its conditions, its
    leaves. A block's sum is the mean of the models' sums."""
    contents = [_written(model) for model in models]
    grown = [(tree, content["scale_and_bias"][0]) for content in contents for tree in content["oblivious_trees"]]
    bias = sum(content["scale_and_bias"][1][0] for content in contents) / len(contents)
    depth = max(len(tree["splits"]) for tree, _ in grown)
    conditions: dict[tuple[int, int], int] = {}
    places, leaves = [], []
    for tree, scale in grown:
        # A tree may be shallower: what it lacks are conditions that are never met.
        split = [(one["float_feature_index"], math.floor(one["border"])) for one in tree["splits"]]
        split += [(0, np.iinfo(np.int32).max)] * (depth - len(split))
        places.append([conditions.setdefault(one, len(conditions)) for one in split])
        values = [round(value * scale / len(models) * _LEAF) for value in tree["leaf_values"]]
        leaves.append(values + [0] * ((1 << depth) - len(values)))
    odds = [math.log(step / (CERTAIN - step)) for step in range(1, CERTAIN)]
    return {
        "features": np.array([feature for feature, _ in conditions], dtype=np.int16),
        "thresholds": np.array([threshold for _, threshold in conditions], dtype=np.int32),
        "trees": np.array(places, dtype=np.int16),
        "leaves": np.array(leaves, dtype=np.int16),
        "base": np.array([round(bias * _LEAF)], dtype=np.int32),
        "odds": np.array([round(one * _LEAF) for one in odds], dtype=np.int32),
    }


def _written(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.json"
        model.save_model(str(file), format="json")
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content


def arrays(of_trees: dict[str, Any], words: Lexicon, points: Iterable[Sequence[int]], about: dict[str, Any]) -> Any:
    """All arrays of a model's file."""
    return {
        **of_trees,
        "names": _bytes("\n".join(NAMES)),
        "points": np.array([list(point) for point in points], dtype=np.int32),
        "classes": _bytes("\n".join(words.classes)),
        "classes_scores": np.array(list(words.classes.values()), dtype=np.int8),
        "texts": _bytes("\n".join(words.texts)),
        "texts_scores": np.array(list(words.texts.values()), dtype=np.int8),
        "about": _bytes(json.dumps({"schema": SCHEMA, **about}, indent=1)),
    }


def _bytes(text: str) -> Any:
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
