"""Language: keep texts that a language identifier takes for one of the wanted languages, with enough confidence.

FineWeb keeps English above 0.65 of fastText's lid.176 (datatrove language_filter.py). The user names that model;
without it py3langid decides, whose probabilities are scaled differently, so that the same threshold keeps other pages.
CLD2 (`identifier: pycld2`) knows fewer languages and is the fastest; its score is the language's share of the text.

A page may begin in one language and go on in another, so a longer text is asked at several places, by default its
beginning, middle and end. The language of most letters there is the text's.

Some languages no identifier tells apart with confidence (`GROUPS`): a Croatian page has .4 as Croatian, .3 as Bosnian
and .3 as Serbian. For those the threshold holds for the group: their scores are added.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from statistics import fmean
from typing import ClassVar

from curate.document import Document
from curate.errors import Refused, nearest
from curate.filters import fasttext_model
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Preview, Rule, param, under
from curate.text.languages import PY3LANGID_CODES, PYCLD2_CODES

_PLACE = 1000
"""Characters of a place: a text of fewer than such places is asked as a whole."""

_TELLING, _SURE = 200, 0.6
"""A cascade identifies texts of at least so many characters, and takes results with more than such a score."""

GROUPS = (("hr", "bs", "sr"), ("no", "nn"), ("id", "ms"), ("hi", "mr", "ne"))
"""Languages that are written nearly alike: the three in Latin letters, Bokm\u00e5l and Nynorsk, Indonesian and Malay,
Hindi, Marathi and Nepali."""
_GROUP = {"nb": GROUPS[1], "sh": GROUPS[0]} | {code: group for group in GROUPS for code in group}
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_GUESSES = 5

Identify = Callable[[str], tuple[str, float]]
"""From a text to its language, and the score of that language or its group."""

# Invalid for CLD2: controls, surrogates, and code points that are not characters.
_NOT_FOR_CLD2 = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


@dataclass(frozen=True)
class Language(Rule):
    """Drops another language as `language`, too low a score as `language_score`, a mixed text as `language_share`.

    Every document gets `language`, `language_score` and `language_share` in its metadata; a text without a letter is
    `und` with 0. The score is the mean of the places that are in that language, the share that of the letters in wanted
    languages, of those that were asked. Of languages that resemble each other (hr bs sr in Latin letters, no nn, id ms,
    hi mr ne) the scores are added, and with `alike` who keeps one keeps them all.
    """

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 4
    libraries: ClassVar[tuple[str, ...]] = ("py3langid", "fasttext-community", "pycld2")
    shaping: ClassVar[tuple[str, ...]] = ("model", "identifier", "characters", "places", "alike")
    measures: ClassVar[bool] = True

    keep: list[str] = param(["en"], "codes of the languages to keep", source="FineWeb, section 3.3")
    min_score: float = param(
        0.65, "the score must be greater", source="FineWeb, section 3.3; published for fastText's lid.176", ge=0, le=1
    )
    min_share: float = param(
        0.5,
        "the share of the text in wanted languages; of the places that are asked",
        source="ours",
        ge=0,
        le=1,
    )
    model: str | None = param(None, "a fastText language model (lid.176.ftz), which then decides", path=True)
    identifier: str = param(
        "py3langid", "what identifies the language where no model is given", choices=("py3langid", "pycld2")
    )
    characters: int = param(
        5000, "characters of the text that are read, of all its places together", source="ours", ge=1
    )
    alike: bool = param(
        False, "who keeps one language of a group keeps all: hr bs sr in Latin letters; no nn; id ms; hi mr ne"
    )
    places: int = param(
        3,
        "places of a longer text that are asked, from its beginning to its end; 1 is its beginning alone: with"
        " `characters` beyond any text the whole, as FineWeb and DCLM ask",
        source="ours",
        ge=1,
    )

    def __post_init__(self) -> None:
        if isinstance(self.keep, str) or not self.keep:
            raise Refused(f"language: keep: give a list of language codes, such as [en]; got {self.keep!r}")
        if self.model is None:
            codes = PYCLD2_CODES if self.identifier == "pycld2" else PY3LANGID_CODES
            _require_known(self.keep, codes, self.identifier)
        elif self.identifier != "py3langid":
            raise Refused(f"language: `model` and `identifier: {self.identifier}` exclude each other: leave one out")
        elif not Path(self.model).is_file():
            raise Refused(
                f"language: model: there is no file {self.model}; give a fastText model such as lid.176.ftz, "
                "or leave it out to use py3langid"
            )
        if self.identifier == "pycld2" and importlib.util.find_spec("pycld2") is None:
            raise Refused("language: identifier: pycld2 is not installed; `pip install 'goldsand[cld2]'` brings it")
        if self.model is not None:
            try:
                codes = fasttext_model.check(stamp(self.model))
            except Refused as error:
                raise Refused(f"language: model: {error}; give one such as lid.176.ftz") from error
            _require_known(self.keep, codes, str(self.model))

    def open(self) -> None:
        self._identify()

    def _identify(self) -> Identify:
        if self.model is not None:
            return _fasttext(stamp(self.model))
        return _pycld2() if self.identifier == "pycld2" else _py3langid()

    def checks(self, document: Document) -> Iterator[Check]:
        language, score, share = self._judged(document.measured(self, lambda: self._asked(document.text)))
        document.metadata |= _metadata(language, score, share)
        # One that is kept with another of its group counts as that one.
        basis = self.keep[0] if language in self.wanted and language not in self.keep else None
        yield Check("language", language, list(self.keep), language not in self.wanted, "keep", "outside", basis)
        failed = score <= self.min_score
        yield Check("language_score", score, self.min_score, failed, "min_score", "not over")
        yield under("language_share", share, self.min_share, "min_share")

    @property
    def wanted(self) -> frozenset[str]:
        """The languages that are kept."""
        return _wanted(tuple(self.keep), self.alike)

    def _asked(self, text: str) -> list[tuple[str, float, int]]:
        """Of each place of a text that has letters: its language, the score, and how many letters."""
        counted = ((place, sum(map(str.isalpha, place))) for place in self._places(text))
        return [(*self._identify()(place), count) for place, count in counted if count]

    def _judged(self, asked: Iterable[tuple[str, float, int]]) -> tuple[str, float, float]:
        """The language of most letters, its mean score, and the share of letters in wanted languages.

        Wanted languages of one group are one language, named by the one of most letters.
        """
        letters: dict[str, dict[str, int]] = {}
        scores: dict[str, list[float]] = {}
        for language, score, count in asked:
            one = _GROUP[language][0] if language in self.wanted and language in _GROUP else language
            within = letters.setdefault(one, {})
            within[language] = within.get(language, 0) + count
            scores.setdefault(one, []).append(score)
        if not letters:
            return "und", 0.0, 0.0
        sizes = {one: sum(within.values()) for one, within in letters.items()}
        most = max(sizes, key=sizes.__getitem__)
        wanted = sum(count for within in letters.values() for code, count in within.items() if code in self.wanted)
        named = max(letters[most], key=letters[most].__getitem__)
        return named, fmean(scores[most]), wanted / sum(sizes.values())

    def _places(self, text: str) -> list[str]:
        if self.places == 1:
            return [text[: self.characters]]
        if len(text) <= min(self.characters, self.places * _PLACE):
            return [text]
        each = -(-min(self.characters, len(text)) // self.places)
        starts = (place * (len(text) - each) // (self.places - 1) for place in range(self.places))
        return [text[start : start + each] for start in starts]

    def foretell(self, page: Preview) -> Check | None:
        """The rule's own verdict on the likely content, unless a much faster identifier disagrees."""
        from resiliparse.parse.lang import detect_fast

        text = page.content.text
        if len(text) < _TELLING or detect_fast("\n".join(self._places(text)))[0] in self.wanted:
            return None
        language, score, share = self._judged(self._asked(text))
        if language in self.wanted or language == "und" or score <= _SURE:
            return None
        page.metadata = _metadata(language, score, share)
        return Check("language", language, list(self.keep), True)


@lru_cache(maxsize=64)
def _wanted(keep: tuple[str, ...], alike: bool) -> frozenset[str]:
    others = (_GROUP.get(code, ()) for code in keep) if alike else ()
    return frozenset(keep).union(*others)


def _with_its_group(
    text: str, language: str, score: float, guesses: Callable[[], Iterable[tuple[str, float]]]
) -> tuple[str, float]:
    """The language with the score of its group, if it has one: not Serbian in Cyrillic letters, which nothing
    resembles."""
    group = _GROUP.get(language)
    if group is None or (group is GROUPS[0] and _CYRILLIC.search(text)):
        return language, score
    return language, min(1.0, max(score, sum(each for code, each in guesses() if _GROUP.get(code) is group)))


def _metadata(language: str, score: float, share: float) -> dict[str, str | float]:
    return {"language": language, "language_score": round(score, 4), "language_share": round(share, 4)}


def _require_known(wanted: list[str], known: tuple[str, ...], whose: str) -> None:
    for code in wanted:
        if code not in known:
            hint = nearest(str(code).lower(), known, cutoff=0.5)
            raise Refused(
                f"language: keep: {whose} knows no language {code!r}{hint}; allowed: {' '.join(sorted(known))}"
            )


@cache
def _py3langid() -> Identify:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def identify(text: str) -> tuple[str, float]:
        language, score = identifier.classify(text)
        return _with_its_group(text, str(language), float(score), lambda: identifier.rank(text))

    return identify


@cache
def _pycld2() -> Identify:
    from pycld2 import detect

    def identify(text: str) -> tuple[str, float]:
        _, _, guesses = detect(_NOT_FOR_CLD2.sub(" ", text))
        _, language, percent, _ = guesses[0]
        shares = [(code, share / 100) for _, code, share, _ in guesses]
        return ("und", 0.0) if language == "un" else _with_its_group(text, language, percent / 100, lambda: shares)

    return identify


@lru_cache(maxsize=2)
def _fasttext(file: Stamp) -> Identify:
    model = fasttext_model.load(file)

    def identify(text: str) -> tuple[str, float]:
        line = fasttext_model.one_line(text)
        guesses = model.scores(line, 1)
        if not guesses:
            return "und", 0.0
        return _with_its_group(text, *guesses[0], lambda: model.scores(line, _GUESSES))

    return identify
