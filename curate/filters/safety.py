"""Safety: pages made of listed words. Thresholds and the built-in list are ours.

The density of listed words is a coarse measure: it drops pages that consist of such words, and keeps a page that
speaks about them. This rule is not a published one; compare C4's (one listed word is enough), which `c4: bad_words`
follows.

In scripts with spaces an entry is compared with whole words; in Chinese, Japanese, Thai and other scripts without
spaces it is searched for anywhere, since words have no visible beginning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from curate.document import Document
from curate.errors import Refused, nearest
from curate.places.stamp import Stamp, stamp
from curate.step import Check, Rule, param
from curate.text.languages import LANGUAGE, OWN, check_language, known_codes, language_of, tongues, words_in
from curate.text.signals import TextSignals

_FILE_NAME = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
_SAME = {"fil": "tl", "nb": "no", "nn": "no", "iw": "he", "jw": "jv"}
_BUILT_IN = Path(__file__).with_name("safety_words.txt")

Phrases = dict[str, list[tuple[str, ...]]]
"""First word -> the listed phrases that begin with it."""


@dataclass(frozen=True)
class Safety(Rule):
    """Drops a page with too many listed words as `unsafe_words`. Listed hosts: step `url`; learnt scores:
    `classifier`."""

    name: ClassVar[str] = "safety"
    version: ClassVar[int] = 2
    shaping: ClassVar[tuple[str, ...]] = ("min_distinct", "words", "language")
    measures: ClassVar[bool] = True
    zero_is_off: ClassVar[bool] = True

    max_density: float | None = param(
        0.02, "largest share of words that are listed; 0 or None is off", source="ours, not published", ge=0, le=1
    )
    min_distinct: int = param(
        3,
        "a page is dropped only if it holds at least this many different listed words",
        source="ours, not published",
        ge=1,
    )
    words: str | None = param(
        None,
        "file of words or phrases, one a line, `#` begins a comment; or a folder with such a file for each language, "
        "named by its code, as LDNOOBW publishes them; a short English list when not given",
        path=True,
    )
    language: str = param("en", LANGUAGE, source="ours: curate/text/languages.py")

    def __post_init__(self) -> None:
        check_language(self.name, self.language)
        if self.words is None and self.language not in ("en", OWN):
            raise Refused(
                f"safety: words: the built-in list is English; name a list for language {self.language!r}, or a folder"
            )
        if self.words is not None and not Path(self.words).exists():
            raise Refused(
                f"safety: words: there is no file or folder {self.words}; give a text file with one entry a line, or a"
                " folder with one for each language, named en, de, zh"
            )
        self.open()
        lists = self._lists()
        if lists is not None and _plain(self.language) not in (OWN, *lists):
            raise Refused(
                f"safety: words: {self.words} has no list for language {self.language!r};"
                f" it has: {' '.join(sorted(lists))}"
            )

    def open(self) -> None:
        # During a run its lists stay as they were when it began.
        _lists_in.cache_clear()
        lists = self._lists()
        for code in lists or ("en" if self.language == OWN else _plain(self.language),):
            self._listed(code)

    def _lists(self) -> dict[str, tuple[Stamp, ...]] | None:
        """The files by language, None where one list is for all."""
        return _lists_in(self.words) if self.words is not None and Path(self.words).is_dir() else None

    def _listed(self, language: str) -> Phrases | re.Pattern[str] | None:
        """The entries for a language; None where there is no list. The built-in list is for English alone."""
        lists = self._lists()
        if lists is not None:
            files = lists.get(language)
        elif self.words is not None:
            files = (stamp(self.words),)
        else:
            files = (stamp(_BUILT_IN),) if language == "en" else None
        return files and _read_list(files, language)  # type: ignore[return-value]

    def checks(self, document: Document) -> Iterator[Check]:
        if not self.max_density:
            return
        language = _plain(language_of(document, self.language))
        listed = self._listed(language)
        if listed is not None:
            density, distinct = document.measured(self, lambda: self._density(document, language, listed), language)
            counted = density if distinct >= self.min_distinct else 0.0
            failed = counted > self.max_density
            yield Check("unsafe_words", density, self.max_density, failed, "max_density", "over", counted)

    def _density(self, document: Document, language: str, listed: Phrases | re.Pattern[str]) -> tuple[float, int]:
        signals = words_in(document, language)
        hits, distinct = self._count(signals, listed)
        return hits / len(signals.word_ids) if hits else 0.0, distinct

    @staticmethod
    def _count(signals: TextSignals, listed: Phrases | re.Pattern[str]) -> tuple[int, int]:
        """Listed words and phrases in the text, in words, and how many different ones."""
        if isinstance(listed, re.Pattern):
            matches = listed.findall(signals.text.lower())
            return sum(len(TextSignals(entry).in_any_language.word_ids) for entry in matches), len(set(matches))
        if not any(word.lower() in listed for word in signals.vocabulary):
            return 0, 0
        words = [word.lower() for word in signals.words]
        hits = 0
        distinct = set()
        for place, word in enumerate(words):
            for phrase in listed.get(word, ()):
                if len(phrase) == 1 or tuple(words[place : place + len(phrase)]) == phrase:
                    hits += len(phrase)
                    distinct.add(phrase)
        return hits, len(distinct)


def _plain(language: str) -> str:
    """A language's code without script and region, one of those that mean the same."""
    code = language.partition("-")[0]
    return _SAME.get(code, code)


@lru_cache(maxsize=4)
def _lists_in(folder: str) -> dict[str, tuple[Stamp, ...]]:
    """The files of a folder by the language that their names begin with (`fr` and `fr-CA` are both French).

    Names with a dot, and those in capitals, are not lists: README.md, LICENSE. Raises Refused for a
    name that is not a language, and where there is no list.
    """
    lists: dict[str, tuple[Stamp, ...]] = {}
    for path in sorted(Path(folder).iterdir()):
        if not path.is_file() or "." in path.name or path.name.isupper():
            continue
        code = _plain(path.name)
        if not _FILE_NAME.fullmatch(path.name) or code not in known_codes():
            hint = nearest(code.lower(), known_codes(), cutoff=0.5)
            raise Refused(
                f"safety: words: {path} is not named by a language code{hint}; a list must be named as en, de or zh,"
                " and any other file in the folder must have a dot in its name"
            )
        lists[code] = (*lists.get(code, ()), stamp(path))
    if not lists:
        raise Refused(
            f"safety: words: {folder} holds no list; give a folder of text files named by language: en, de, zh"
        )
    return lists


@lru_cache(maxsize=256)
def _read_list(files: tuple[Stamp, ...], language: str) -> Phrases | re.Pattern[str]:
    """The entries of a language's files: by first word, or, in a script without spaces, as one pattern.

    Raises Refused when a file is not a text or holds no word.
    """
    entries = [entry for file in files for entry in _entries(file.path)]
    if language in tongues() and not tongues()[language].spaced:
        # Such texts hold Latin words too, which are compared as whole words.
        whole = [
            f"{r'(?<![a-z0-9])' if re.match('[a-z0-9]', entry) else ''}{re.escape(entry)}"
            f"{r'(?![a-z0-9])' if re.search('[a-z0-9]$', entry) else ''}"
            for entry in sorted(set(entries), key=lambda entry: (-len(entry), entry))
        ]
        return re.compile("|".join(whole))
    phrases: Phrases = {}
    for entry in entries:
        phrase = tuple(words_in(Document("", entry), language).words)
        if phrase not in phrases.setdefault(phrase[0], []):
            phrases[phrase[0]].append(phrase)
    return phrases


def _entries(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Refused(f"safety: words: {path} is not a text in UTF-8; give one word or phrase a line") from None
    entries = [entry for line in text.splitlines() if (entry := line.partition("#")[0].strip().lower())]
    if not entries:
        raise Refused(f"safety: words: {path} holds no word; give a text file with one word or phrase a line")
    return entries
