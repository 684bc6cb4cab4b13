"""A classifier of the user's own: fastText's linear model over n-grams (Joulin et al. 2016, 1607.01759).

`goldsand train-classifier` makes one (curate/filters/training.py); published ones work too, such as DCLM's
(2406.11794, section 4.4), which reads a page as one line. What a score means depends on what the model was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.errors import Refused, nearest
from curate.filters import fasttext_model
from curate.places.stamp import stamp
from curate.step import Check, Rule, over, param, under

POSITIVE, NEGATIVE = "positive@words", "negative@words"
"""Labels of models trained by goldsand: they read `in_words`. All others read the text unchanged, on one line."""

_MARK = re.compile(r"([^\w\s])")


def in_words(text: str) -> str:
    """A text as our own models read it, in training and in use: lower case, marks set apart, on one line."""
    return " ".join(fasttext_model.one_line(_MARK.sub(r" \1 ", text.lower())).split())


@dataclass(frozen=True)
class Classifier(Rule):
    """Drops a page with a score under `min_score` as `score_too_low`, one over `max_score` as `score_too_high`.

    Every document gets its score in the metadata, under the name `field`. A model trained on short texts (comments)
    reads a page in pieces of `window` words; the score is then the greatest of its pieces.
    """

    name: ClassVar[str] = "classifier"
    libraries: ClassVar[tuple[str, ...]] = ("fasttext-community",)
    shaping: ClassVar[tuple[str, ...]] = ("model", "label", "window", "field")
    measures: ClassVar[bool] = True

    model: str = param(..., "a fastText model, as `goldsand train-classifier` makes them", path=True)
    min_score: float | None = param(
        None,
        "the least score of a page that is kept; DCLM: 0.018112",
        source="yours: see the model's report",
        ge=0,
        le=1,
    )
    max_score: float | None = param(
        None, "the greatest score of a page that is kept", source="yours: see the model's report", ge=0, le=1
    )
    label: str | None = param(
        None, "the label whose probability is the score; not needed for a model that goldsand trained"
    )
    window: int | None = param(None, "words of a piece that is scored on its own; the whole page when not given", ge=1)
    field: str = param("score", "the name of the score in the metadata")

    def __post_init__(self) -> None:
        if not Path(self.model).is_file():
            raise Refused(
                f"classifier: model: there is no file {self.model}; give a fastText model, "
                "`goldsand train-classifier` makes one"
            )
        if self.min_score is None and self.max_score is None:
            raise Refused("classifier: give min_score, max_score or both; without them no page would be dropped")
        if self.min_score is not None and self.max_score is not None and self.min_score > self.max_score:
            raise Refused(
                f"classifier: min_score {self.min_score} is over max_score {self.max_score}: no page would be kept"
            )
        try:
            self._label(fasttext_model.check(stamp(self.model)))
        except Refused as error:
            raise Refused(f"classifier: model: {error}") from error

    def open(self) -> None:
        self._loaded()

    def checks(self, document: Document) -> Iterator[Check]:
        score = document.measured(self, lambda: self.score(document.text))
        document.metadata[self.field] = round(score, 4)
        if self.min_score is not None:
            yield under("score_too_low", score, self.min_score, "min_score")
        if self.max_score is not None:
            yield over("score_too_high", score, self.max_score, "max_score")

    def score(self, text: str) -> float:
        """The probability of the label, 0 to 1; a text without a word scores as an empty one."""
        model = self._loaded()
        label = self._label(model.labels)
        line = in_words(text) if POSITIVE in model.labels else fasttext_model.one_line(text)
        best = 0.0
        for piece in _pieces(line, self.window):
            scores = dict(model.scores(piece, -1))
            best = max(best, scores.get(label, 0.0))
        return best

    def _loaded(self) -> fasttext_model.FastTextModel:
        return fasttext_model.load(stamp(self.model))

    def _label(self, labels: tuple[str, ...]) -> str:
        label = POSITIVE if self.label is None else self.label
        if label not in labels:
            what = "was not trained by goldsand: name its `label:`" if self.label is None else f"has no label {label!r}"
            hint = nearest(label, labels) if self.label else ""
            shown = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
            raise Refused(f"{self.model} {what}{hint}; its labels: {shown}")
        return label


def _pieces(line: str, size: int | None) -> Iterator[str]:
    """Pieces of `size` words, the last one joined to the one before where it is shorter than half."""
    if size is None:
        yield line
        return
    words = line.split(" ")
    starts = list(range(0, len(words), size))
    if len(starts) > 1 and len(words) - starts[-1] < (size + 1) // 2:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(words)], strict=True):
        yield " ".join(words[start:end])
