"""What a rule made for English needs to know of another language: its stop words, and the length of words and texts.

The figures come from one text that nearly every language has, the Universal Declaration of Human Rights: the length of
its words, its words and its characters, each divided by that of the English text. A threshold in words or characters
is the English one times that ratio. Made by `tests/parity/make_languages.py`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from curate.errors import Refused, nearest

if TYPE_CHECKING:
    from curate.document import Document
    from curate.text.signals import TextSignals

LANGUAGE = "language of the text, whose words and thresholds are used; `own`: the one that the step `language` found"
"""The description of a rule's parameter `language`."""
_TABLE = Path(__file__).with_name("languages.json")
OWN = "own"
_OTHERS = """
als an arz ast av az azb ba bar bcl bpy bxr cbk ce ceb ckb co cv diq dsb dty dv eml fil frr gn gom hif hsb ia ie ilo
io jbo kv krc ku kw lez lmo lrc mai mhr min mrj mwl myv mzn nah nap nds new os pam pfl pms pnb rm rue sah sc scn sco
su tlh tyv vep vls vo war xal xmf yi
"""

_PY3LANGID = """
ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext fa fi fo fr
fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja jv ka kab kik kk km kn ko
ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru
rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue
zh zu zxx
"""
_PYCLD2 = """
aa ab af ak am ar as ay az ba be bg bh bi bn bo br bs ca ceb chr co crs cs cy da de dv dz el en eo es et eu fa fi
fj fo fr fy ga gd gl gn gu gv ha haw hi hmn hr ht hu hy ia id ie ig ik is it iu iw ja jw ka kha kk kl km kn ko ks
ku ky la lb lg lif ln lo lt lv mfe mg mi mk ml mn mr ms mt my na ne nl nn no nr nso ny oc om or pa pl ps pt qu rm
rn ro ru rw sa sco sd sg si sk sl sm sn so sq sr ss st su sv sw syr ta te tg th ti tk tl tlh tn to tr ts tt ug uk
ur uz ve vi vo war wo xh xx-Bugi xx-Goth yi yo za zh zh-Hant zu zzp
"""
PY3LANGID_CODES = tuple(_PY3LANGID.split())
"""The codes py3langid 0.4 can give (a test compares them with its model); `zxx` means no linguistic content."""
PYCLD2_CODES = tuple(_PYCLD2.split())
"""The codes pycld2 0.42 can give, old ones among them (`iw` is Hebrew, `jw` Javanese)."""


class Tongue(NamedTuple):
    """A language. `word_length`, `words`, `characters`: ratios to English. `spaced`: it writes spaces between words and
    stop words are compared with words; else they are searched anywhere. `end_marks`: sentences end in a mark."""

    stop_words: tuple[str, ...] = ()
    word_length: float = 1.0
    words: float = 1.0
    characters: float = 1.0
    spaced: bool = True
    end_marks: bool = True

    def stop_words_in(self, text: str, signals: TextSignals) -> int:
        """How many of the stop words a text holds."""
        return signals.holds(list(self.stop_words)) if self.spaced else sum(word in text for word in self.stop_words)


ENGLISH = Tongue()


def times(limit: float | None, ratio: float) -> float | None:
    """An English threshold for another language, unchanged where the ratio is 1."""
    return limit if ratio == 1 or not limit else round(limit * ratio, 3)


def words_in(document: Document, language: str) -> TextSignals:
    """The signals of a document with its words cut as English, or in the way that suits any language."""
    return document.signals if language == "en" else document.signals.in_any_language


@cache
def tongues() -> dict[str, Tongue]:
    """Every language known, by its code (ISO 639-1 where it has one, else 639-3)."""
    import orjson

    rows = orjson.loads(_TABLE.read_bytes())
    return {code: Tongue(**{**row, "stop_words": tuple(row["stop_words"])}) for code, row in rows.items()}


def language_of(document: Document, language: str) -> str:
    """The code named; for `own` the document's: as the step `language` found it, else as its source or page states it,
    else ""."""
    if language != OWN:
        return language
    return str(document.metadata.get("language") or document.metadata.get("stated_language") or "")


def tongue_of(document: Document, language: str) -> Tongue:
    """The language of a document; an unknown one is treated as `ENGLISH`, without stop words and with ratios of 1."""
    if language == "en":
        return ENGLISH
    return tongues().get(language_of(document, language)) or ENGLISH


@cache
def known_codes() -> frozenset[str]:
    """Every code that a language identifier can give (`_OTHERS`: only fastText's lid.176), or a rule or list uses."""
    return frozenset((*tongues(), *PY3LANGID_CODES, *PYCLD2_CODES, *_OTHERS.split()))


def check_language(step: str, language: str) -> None:
    """Raises Refused for a code that is not a known language."""
    if language in (OWN, "en") or language in tongues():
        return
    hint = nearest(language.lower(), [OWN, *tongues()], cutoff=0.5)
    raise Refused(
        f"{step}: language: {language!r} is not a known language{hint}; use `own` for the language of each"
        f" document, or one of: {' '.join(sorted(tongues()))}"
    )
