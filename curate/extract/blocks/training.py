"""Training of the extractor `blocks` on a folder of pages with gold: examples in, a model and its figures out.

The figures are of nested cross-validation: pages of a domain are in one fold, and whatever is fitted (tables of words,
trees, the bounds of the choice) is fitted without the fold that it is scored on.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from curate.errors import Refused
from curate.extract.blocks.features import measured
from curate.extract.blocks.gold import Example, read_gold, snippet_share, word_scores
from curate.extract.blocks.learnt import arrays, chances, lexicon, packed, trees, word_shares
from curate.extract.blocks.lexicon import Lexicon
from curate.extract.blocks.meanings import LEARNT
from curate.extract.blocks.model import CERTAIN, POINTS, choice

FEWEST = 20
"""Least domains with gold: with fewer, there are no folds worth the name."""
_BOUNDS: dict[str, list[tuple[int, ...]]] = {
    "balanced": [(low, 512, firm) for low in (102, 205) for firm in (0, 614, 717)],
    "precision": [(205, 512, 819)],
}
"""Bounds of the choice that are tried for each operating point; `precision` is what is surer, at some cost."""


@dataclass(frozen=True)
class ExtractorSettings:
    """How a model is trained. `rows`: blocks that the trees see, drawn by their share of a page's text; `models`: sets
    of trees on other draws, whose sums are averaged."""

    trees: int = 250
    models: int = 2
    depth: int = 6
    rate: float = 0.08
    rows: int = 110_000
    folds: int = 5
    seed: int = 0
    threads: int = 2


class _Table:
    """All blocks of all examples, one after the other."""

    def __init__(self, examples: Sequence[Example], settings: ExtractorSettings) -> None:
        self.examples = examples
        self.settings = settings
        self.shares = [word_shares(one) for one in examples]
        self.ends = np.cumsum([len(one.words) for one in examples])
        self.page = np.repeat(np.arange(len(examples)), [len(one.words) for one in examples])
        self.words = np.concatenate([one.words for one in examples])
        self.target = np.clip((np.concatenate([one.share for one in examples]) - 0.2) / 0.6, 0, 1)
        self.weights = np.concatenate(
            [one.words / ((one.words * one.share).sum() + 0.15 * one.words.sum() + 1e-9) for one in examples]
        )
        plain = Lexicon({}, {})
        self.rows = np.concatenate([measured(one.page, plain).rows for one in examples], axis=1)
        domains = sorted({one.domain for one in examples})
        random.Random(settings.seed).shuffle(domains)
        place = {domain: number % settings.folds for number, domain in enumerate(domains)}
        self.fold = np.array([place[one.domain] for one in examples])

    def of(self, number: int) -> slice:
        return slice(int(self.ends[number]) - len(self.examples[number].words), int(self.ends[number]))

    def words_of(self, pages: Sequence[int]) -> Lexicon:
        return lexicon([self.examples[one] for one in pages], [self.shares[one] for one in pages])

    def fitted(self, pages: Sequence[int], others: Sequence[int]) -> tuple[list[Any], Lexicon]:
        """Sets of trees and words of `pages`. Of each fold among them the words are scored by the words of the other
        folds, as pages are that no word was counted on. The rows of `others` are scored by the words of all `pages`."""
        whole = self.words_of(pages)
        for fold in range(self.settings.folds):
            inside = [one for one in pages if self.fold[one] == fold]
            if inside:
                words = self.words_of([one for one in pages if self.fold[one] != fold])
                for one in inside:
                    self._score(one, words)
        for one in others:
            self._score(one, whole)
        among = np.zeros(len(self.examples), dtype=bool)
        among[list(pages)] = True
        rows = np.flatnonzero(among[self.page] & (self.words > 0))
        options = self.settings
        chosen = {"iterations": options.trees, "depth": options.depth, "learning_rate": options.rate}
        chosen |= {"l2_leaf_reg": 5, "border_count": 128, "thread_count": options.threads}
        models = []
        for seed in range(options.seed, options.seed + options.models):
            taken, weights = self._drawn(rows, seed)
            models.append(trees(self.rows[:, taken], self.target[taken], weights, chosen | {"random_seed": seed}))
        return models, whole

    def _score(self, number: int, words: Lexicon) -> None:
        self.rows[-LEARNT:, self.of(number)] = measured(self.examples[number].page, words).rows[-LEARNT:]

    def _drawn(self, rows: Any, seed: int) -> tuple[Any, Any]:
        """Rows drawn by their weights, and the weights that are left."""
        weights = self.weights[rows]
        wanted = weights + 0.15 * np.median(weights)
        chance = np.minimum(1.0, wanted * (self.settings.rows / wanted.sum()))
        for _ in range(3):
            chance = np.minimum(1.0, chance * (self.settings.rows / chance.sum()))
        drawn = np.random.default_rng(seed).random(len(rows)) < chance
        left = weights[drawn] / chance[drawn]
        return rows[drawn], left / left.mean()


def train(
    folder: Path, output: Path, settings: ExtractorSettings, on_progress: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Train on `folder`, write the model to `output`, and return what it says of itself.

    Raises Refused where the folder has no gold, or too little.
    """
    examples = list(read_gold(folder))
    domains = len({one.domain for one in examples})
    if domains < FEWEST:
        raise Refused(f"{folder} has pages with gold of {domains} domains; training needs {FEWEST}")
    on_progress(f"{len(examples)} pages of {domains} domains")
    table = _Table(examples, settings)
    everything = range(len(examples))
    probabilities = np.zeros(len(table.words), dtype=np.int64)
    for fold in range(settings.folds):
        held = [one for one in everything if table.fold[one] == fold]
        models, _ = table.fitted([one for one in everything if table.fold[one] != fold], held)
        for one in held:
            rows = table.rows[:, table.of(one)]
            if rows.shape[1]:
                probabilities[table.of(one)] = np.minimum(CERTAIN - 1, chances(models, rows) * CERTAIN).astype(np.int64)
        on_progress(f"fold {fold + 1} of {settings.folds}")
    scored, points = {}, {}
    for name in POINTS:
        scored[name], points[name] = _cross_validated(table, probabilities, name)
    models, words = table.fitted(everything, [])
    about = {
        "pages": len(examples),
        "domains": domains,
        "data": hashlib.sha256("".join(sorted(one.url + "\n" + one.text for one in examples)).encode()).hexdigest(),
        "settings": {
            name: getattr(settings, name) for name in ("trees", "models", "depth", "rate", "rows", "folds", "seed")
        },
        "libraries": _versions("catboost", "selectolax", "rapidfuzz", "numpy"),
        "scores": scored,
    }
    content = io.BytesIO()
    np.savez_compressed(content, **arrays(packed(models), words, [points[name] for name in POINTS], about))
    from curate.places.store import write_atomically

    write_atomically(output, content.getvalue())
    return about


def _versions(*names: str) -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in names}


def _cross_validated(table: _Table, probabilities: Any, name: str) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Figures of an operating point, its bounds chosen for each fold on the others; and the bounds chosen on all."""
    figures = {
        bound: [_scored(table, probabilities, one, bound) for one in range(len(table.examples))]
        for bound in _BOUNDS[name]
    }

    def best(pages: Sequence[int]) -> tuple[int, ...]:
        return max(figures, key=lambda bound: sum(figures[bound][one]["f1"] for one in pages))

    everything = range(len(table.examples))
    rows: list[dict[str, float]] = []
    for fold in range(table.settings.folds):
        bound = best([one for one in everything if table.fold[one] != fold])
        rows += [{**figures[bound][one], "page": one} for one in everything if table.fold[one] == fold]
    kinds: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        kinds[table.examples[int(row["page"])].kind].append(row["f1"])
    with_gold = [row["f1"] for row in rows if table.examples[int(row["page"])].text.strip()]
    f1 = [row["f1"] for row in rows]
    return {
        **{key: round(fmean(row[key] for row in rows), 4) for key in ("f1", "precision", "recall", "with", "without")},
        "standard_error": round(pstdev(f1) / len(f1) ** 0.5, 4),
        "f1_with_gold": round(fmean(with_gold), 4),
        "pages_without_gold": len(f1) - len(with_gold),
        "f1_of_types": {kind: round(fmean(values), 4) for kind, values in sorted(kinds.items())},
    }, best(everything)


def _scored(table: _Table, probabilities: Any, number: int, bound: tuple[int, ...]) -> dict[str, float]:
    example = table.examples[number]
    words = example.words.astype(np.int64)
    low, high, firm = bound
    chosen = choice(probabilities[table.of(number)], words, low, high, firm) if len(words) else []
    text = "\n".join(" ".join(example.page.raw(block).split()) for block in chosen)
    precision, recall, f1 = word_scores(text, example.text)
    must_not = snippet_share(text, example.must_not) if example.must_not else 0.0
    snippets = {"with": snippet_share(text, example.must), "without": must_not}
    return {"f1": f1, "precision": precision, "recall": recall, **snippets}
