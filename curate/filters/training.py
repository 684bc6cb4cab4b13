"""Training of classifiers: texts of two kinds become a fastText model and a report on texts it has not seen.

Which texts are held out depends on their content alone, so that copies of one text are never on both sides, and the
same texts, in any order and files, give the same model to the byte.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from curate.errors import Refused
from curate.filters.classifier import NEGATIVE, POSITIVE, Classifier, in_words
from curate.filters.fasttext_model import PREFIX
from curate.filters.groups import by_group

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_SHOWN, _FEWEST_PASSES, _MOST_PASSES = 120_000, 5, 200
FEWEST = 20
"""Least texts of each kind, copies counted once: with fewer, neither a model nor its figures mean anything."""


class Text(NamedTuple):
    """`source` is the set it comes from: the report says how well the model separates the kinds within each."""

    text: str
    source: str


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained. `letters` are the shortest and longest letter n-grams, (0, 0) is off.

    Without `epochs`, there are 5 to 200 passes, until 120 000 texts were shown: 5 passes over 800 texts are too few.
    """

    dimensions: int = 16
    epochs: int | None = None
    rate: float = 0.1
    words: int = 1
    letters: tuple[int, int] = (3, 5)
    buckets: int = 1 << 18
    least: int = 1
    seed: int = 0


class _Line(NamedTuple):
    order: int
    line: str
    source: str
    positive: bool


def read_texts(name: str, path: str) -> Iterator[Text]:
    """Every text of the set `name`, which is a file, folder or glob of any format of an input; pages are extracted.

    Raises Refused at the end of a set that holds no text, or records that cannot be read.
    """
    from curate.document import Document, Unreadable
    from curate.extract import Extract
    from curate.sources import open_source

    extract = Extract()
    count, faults = 0, []
    for item in open_source(path, name):
        if isinstance(item, Unreadable):
            faults.append(item)
        if not isinstance(item, Document):
            continue
        if item.html is not None:
            extract.open()
        for page in extract.apply([item]):
            if isinstance(page, Document):
                count += 1
                yield Text(page.text, name)
    if faults:
        raise Refused(f"{len(faults)} records cannot be read; {faults[0].key}: {faults[0].error}")
    if not count:
        raise Refused("it holds no text")


def train(
    positive: Iterable[Text],
    negative: Iterable[Text],
    model: Path,
    *,
    unseen_positive: Iterable[Text] = (),
    unseen_negative: Iterable[Text] = (),
    held_out: float = 0.2,
    recalls: Sequence[float] = (0.5, 0.8, 0.9, 0.95),
    settings: TrainingSettings = TrainingSettings(),
    on_progress: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Write a fastText model; report how well it separates the kinds on held-out texts and on unseen sets.

    The rarer kind is shown as often as the other, so that a score of 0.5 favours neither. `held_out` is a share of the
    texts; 0 is allowed where unseen sets are given. Both parts of the report say how often negative texts are taken for
    positive ones, also by group of people (groups.py). Raises Refused where there are too few texts of a kind.
    """
    unseen = _lines(unseen_positive, True, settings.seed) + _lines(unseen_negative, False, settings.seed)
    known, repeated, both = _distinct(
        _lines(positive, True, settings.seed) + _lines(negative, False, settings.seed), {line.line for line in unseen}
    )
    border = int(held_out * 2**64)
    # The order decides which texts are held out, and in which order the rest is shown: both depend on the text alone.
    kept = [line for line in known if line.order < border]
    shown = [line for line in known if line.order >= border]
    counts = [sum(line.positive is kind for line in shown) for kind in (True, False)]
    for kind, count in zip(("positive", "negative"), counts, strict=True):
        if count < FEWEST:
            raise Refused(
                f"train-classifier: {count} different {kind} texts are left to train on, at least {FEWEST} are needed; "
                f"give more, or hold out less"
            )
    on_progress(f"training on {counts[0]} positive and {counts[1]} negative texts")
    epochs = _fit(shown, counts, model, settings)
    rule = Classifier(model=str(model), min_score=0.0)
    on_progress(f"scoring {len(kept) + len(unseen)} texts it has not seen")
    report: dict[str, Any] = {
        "model": model.name,
        "settings": {**vars(settings), "epochs": epochs, "letters": list(settings.letters), "held_out": held_out},
        "texts": {
            "positive": counts[0],
            "negative": counts[1],
            "copies_left_out": repeated,
            "of_both_kinds_left_out": both,
            "sources": _count(shown),
        },
    }
    for name, lines in (("held_out", kept), ("unseen", unseen)):
        if lines:
            report[name] = _judge(rule, lines, recalls)
    return report


def report_file(model: Path) -> Path:
    """Where the report of a model lies: beside it."""
    return model.with_name(f"{model.name}.report.json")


def _lines(texts: Iterable[Text], positive: bool, seed: int) -> list[_Line]:
    import xxhash

    lines = []
    for text, source in texts:
        line = in_words(text)
        if line:
            lines.append(_Line(xxhash.xxh3_64_intdigest(line.encode(), seed), line, source, positive))
    return lines


def _distinct(lines: Iterable[_Line], unseen: set[str]) -> tuple[list[_Line], int, int]:
    """Each text once, in the order of its hash, without those of unseen sets and those that occur in both kinds."""
    first_of: dict[str, _Line] = {}
    both: set[str] = set()
    repeated = 0
    for line in sorted(lines, key=lambda one: (one.order, one.line, one.source)):
        first = first_of.setdefault(line.line, line)
        if first is not line:
            repeated += 1
            if first.positive is not line.positive:
                both.add(line.line)
    left = [line for line in first_of.values() if line.line not in both and line.line not in unseen]
    return left, repeated + len(first_of) - len(left) - len(both), len(both)


def _fit(shown: Sequence[_Line], counts: Sequence[int], model: Path, settings: TrainingSettings) -> int:
    """Train and write the model; the number of passes."""
    import fasttext

    times = [max(1, round(max(counts) / count)) for count in counts]
    texts = sum(count * often for count, often in zip(counts, times, strict=True))
    epochs = settings.epochs or min(_MOST_PASSES, max(_FEWEST_PASSES, -(-_SHOWN // texts)))
    model.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=model.parent, prefix=".train-") as folder:
        path = Path(folder) / "lines.txt"
        with path.open("w", encoding="utf-8", newline="\n") as file:
            rounds = max(times)
            # One pass for each repetition, so that copies of a text are not next to each other.
            for turn in range(rounds):
                for line in shown:
                    if turn < times[0 if line.positive else 1]:
                        file.write(f"{PREFIX}{POSITIVE if line.positive else NEGATIVE} {_escaped(line.line)}\n")
        made = fasttext.train_supervised(
            str(path),
            dim=settings.dimensions,
            epoch=epochs,
            lr=settings.rate,
            wordNgrams=settings.words,
            minn=settings.letters[0],
            maxn=settings.letters[1],
            bucket=settings.buckets,
            minCount=settings.least,
            seed=settings.seed,
            thread=1,
            verbose=0,
        )
        made.save_model(str(Path(folder) / "model"))
        # The figures of an earlier model must not stand beside this one.
        report_file(model).unlink(missing_ok=True)
        (Path(folder) / "model").replace(model)
    return epochs


def _escaped(line: str) -> str:
    """Escape words that look like a label: no text may name its own kind."""
    return line.replace(PREFIX, PREFIX[1:])


def _count(lines: Iterable[_Line]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for line in lines:
        of = counts.setdefault(line.source, {"positive": 0, "negative": 0})
        of["positive" if line.positive else "negative"] += 1
    return dict(sorted(counts.items()))


def _judge(rule: Classifier, lines: Sequence[_Line], recalls: Sequence[float]) -> dict[str, Any]:
    import numpy as np

    scores = np.array([rule.score(line.line) for line in lines])
    kinds = np.array([line.positive for line in lines])
    sources = np.array([line.source for line in lines])
    report = {"all": measure(scores[kinds], scores[~kinds], recalls), "by_source": {}}
    at = {row["recall_asked"]: row["threshold"] for row in report["all"]["at_recall"]}
    for source in sorted(set(sources.tolist())):
        of = sources == source
        figures = measure(scores[of & kinds], scores[of & ~kinds], recalls)
        # The effect on this source of a threshold that was chosen on all sources.
        figures["at_common_threshold"] = [
            {
                "recall_asked": recall,
                "threshold": threshold,
                "recall": _share(scores[of & kinds] >= threshold),
                "false_positive_rate": _share(scores[of & ~kinds] >= threshold),
            }
            for recall, threshold in at.items()
        ]
        report["by_source"][source] = figures
    harmless = [line.line for line in lines if not line.positive]
    report["by_group"] = by_group(harmless, scores[~kinds], list(at.items()))
    return report


def measure(
    positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64], recalls: Sequence[float]
) -> dict[str, Any]:
    """How well scores separate two kinds.

    `auc`: the chance that a positive text has the greater score, ties count one half (Hanley and McNeil 1982).
    `at_recall`: for each recall asked for, the greatest threshold that reaches it, taking scores at or above it as
    positive, with recall, precision and false positive rate there. Precision holds for this share of positives only.
    """
    figures: dict[str, Any] = {"positive": len(positive), "negative": len(negative), "auc": None, "at_recall": []}
    if len(positive) and len(negative):
        figures["auc"] = round(auc(positive, negative), 4)
    if not len(positive):
        return figures
    for recall in recalls:
        threshold = threshold_at(positive, recall)
        hits = int((positive >= threshold).sum())
        false = int((negative >= threshold).sum())
        figures["at_recall"].append(
            {
                "recall_asked": recall,
                "threshold": threshold,
                "recall": round(hits / len(positive), 4),
                "precision": round(hits / (hits + false), 4) if len(negative) else None,
                "false_positive_rate": round(false / len(negative), 4) if len(negative) else None,
            }
        )
    return figures


def auc(positive: npt.NDArray[np.float64], negative: npt.NDArray[np.float64]) -> float:
    """Area under the ROC curve: the share of pairs whose positive text has the greater score, ties count half."""
    import numpy as np

    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    up_to = np.searchsorted(ordered, positive, side="right")
    return float((below + up_to).sum() / 2 / len(positive) / len(negative))


def threshold_at(positive: npt.NDArray[np.float64], recall: float) -> float:
    """The greatest score that at least `recall` of the positive texts reach."""
    import math

    import numpy as np

    # A recall that is a whole number of texts must not miss it by a rounding error.
    needed = min(len(positive), max(1, math.ceil(recall * len(positive) - 1e-9)))
    return float(np.sort(positive)[len(positive) - needed])


def _share(hits: npt.NDArray[np.bool_]) -> float | None:
    return round(float(hits.mean()), 4) if len(hits) else None
