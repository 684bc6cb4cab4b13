"""Language: keep what a language identifier calls one of the wanted languages, with enough confidence.

FineWeb keeps English above 0.65 of fastText's lid.176 (datatrove language_filter.py). That model is the user's to point
at; without one py3langid decides, whose probabilities are scaled otherwise, so the same threshold keeps other pages.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.filters.stamp import Stamp, stamp
from curate.step import Check, Rule, param

_TELLING, _PIECE, _SURE = 200, 500, 0.9
"""A cascade asks of pages of so many characters, pieces of so many, and takes answers with more than such a score."""

Identify = Callable[[str], tuple[str, float]]

_PY3LANGID = """
ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr
fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn ko
ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru
rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue
zh zu zxx
"""
PY3LANGID_CODES = tuple(_PY3LANGID.split())
"""The codes py3langid 0.4 can answer (a test compares them with its model); `zxx` is no language at all."""


@dataclass(frozen=True)
class Language(Rule):
    """Another language ends as `language`, too low a score as `language_score`.

    Every document gets `language` and `language_score` in its metadata; a text without a letter is `und` with 0.
    """

    name: ClassVar[str] = "language"
    libraries: ClassVar[tuple[str, ...]] = ("py3langid", "fasttext-community")

    keep: list[str] = param(["en"], "codes of the languages to keep", source="FineWeb, section 3.3")
    min_score: float = param(
        0.65, "the score must be greater", source="FineWeb, section 3.3; published for fastText's lid.176", ge=0, le=1
    )
    model: str | None = param(None, "a fastText language model (lid.176.ftz); py3langid when not given", path=True)
    characters: int = param(5000, "how much of the text is looked at, from its beginning", source="ours", ge=1)

    def __post_init__(self) -> None:
        if isinstance(self.keep, str) or not self.keep:
            raise ValueError(f"language: keep: give a list of language codes, such as [en]; got {self.keep!r}")
        if self.model is None:
            _require_known(self.keep, PY3LANGID_CODES, "py3langid")
        elif not Path(self.model).is_file():
            raise ValueError(
                f"language: model: there is no file {self.model}; give a fastText model such as lid.176.ftz, "
                "or leave it out to use py3langid"
            )

    def open(self) -> None:
        if self.model is None:
            _py3langid()
        else:
            _, codes = _fasttext(stamp(self.model))
            _require_known(self.keep, codes, str(self.model))

    def checks(self, document: Document) -> Iterator[Check]:
        language, score = self._identified(document.text[: self.characters])
        document.metadata["language"] = language
        document.metadata["language_score"] = round(score, 4)
        yield Check("language", language, list(self.keep), language not in self.keep)
        yield Check("language_score", score, self.min_score, score <= self.min_score)

    def _identified(self, text: str) -> tuple[str, float]:
        identify = _py3langid() if self.model is None else _fasttext(stamp(self.model))[0]
        return identify(text) if any(map(str.isalpha, text)) else ("und", 0.0)

    def foretell(self, page: Document) -> Check | None:
        """Where two at least of the page's beginning, middle and end are surely in other languages."""
        text = page.text
        if len(text) < _TELLING:
            return None
        others: list[tuple[str, float]] = []
        for asked, start in enumerate((0, max(0, (len(text) - _PIECE) // 2), max(0, len(text) - _PIECE))):
            language, score = self._identified(text[start : start + _PIECE])
            if language not in self.keep and language != "und" and score > _SURE:
                others.append((language, score))
            if len(others) == 2:
                page.metadata["language"], page.metadata["language_score"] = others[0][0], round(others[0][1], 4)
                return Check("language", others[0][0], list(self.keep), True)
            if asked - len(others) == 1:
                return None
        return None


def _require_known(wanted: list[str], known: tuple[str, ...], whose: str) -> None:
    for code in wanted:
        if code not in known:
            near = difflib.get_close_matches(str(code).lower(), known, n=1, cutoff=0.5)
            hint = f"; did you mean '{near[0]}'" if near else ""
            raise ValueError(
                f"language: keep: {whose} knows no language {code!r}{hint}; allowed: {' '.join(sorted(known))}"
            )


@cache
def _py3langid() -> Identify:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    classify = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).classify

    def identify(text: str) -> tuple[str, float]:
        language, score = classify(text)
        return str(language), float(score)

    return identify


@lru_cache(maxsize=2)
def _fasttext(file: Stamp) -> tuple[Identify, tuple[str, ...]]:
    import fasttext

    try:
        model = fasttext.load_model(file.path)
    except ValueError as error:
        raise ValueError(
            f"language: model: {file.path} is no fastText model ({error}); give one such as lid.176.ftz"
        ) from error
    codes = tuple(label.removeprefix("__label__") for label in model.labels)

    def identify(text: str) -> tuple[str, float]:
        line = " ".join(text.splitlines()).replace("\n", " ").encode("utf-8", "replace").decode("utf-8")
        labels, scores = model.predict(line, k=1)
        if not labels:
            return "und", 0.0
        return labels[0].removeprefix("__label__"), min(float(scores[0]), 1.0)

    return identify, codes
