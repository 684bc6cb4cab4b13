"""Sentences by Punkt (Kiss & Strunk 2006, Computational Linguistics 32:485): nltk's code with a model's files.

DCLM was made with nltk 3.8.1, and 3.9 ends sentences at the same places: tests/parity compares it with stored
decisions. 3.10 and later are refused: there curly quotes end sentences, and a text that takes five seconds raises an
error. This package includes no model, because the licence of nltk's is unclear.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import Refused
from curate.places.stamp import Stamp, stamp

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

FILES = ("abbrev_types.txt", "collocations.tab", "sent_starters.txt", "ortho_context.tab")
"""The files of a model's folder, which nltk calls `punkt_tab/LANGUAGE`."""
GET_NLTK = "`pip install 'goldsand[dclm]'` brings nltk 3.9"
GET_PUNKT = "`python -m nltk.downloader punkt_tab` fetches it to ~/nltk_data/tokenizers/punkt_tab/english"


def count_sentences(text: str, folder: str | Path) -> int:
    """The sentences of a text that are not blank, by the model in a folder."""
    return sum(bool(text[begin:end].strip()) for begin, end in read_punkt(folder).span_tokenize(text))


def read_punkt(folder: str | Path) -> PunktSentenceTokenizer:
    """nltk's tokenizer with the model in a folder of `punkt_tab`.

    Raises Refused if nltk is missing or too new, or if a file is missing or invalid.
    """
    missing = next((name for name in FILES if not (Path(folder) / name).is_file()), None)
    if missing:
        raise Refused(f"{folder} holds no {missing}, so it is not a folder of a Punkt model; {GET_PUNKT}")
    return _read(tuple(stamp(Path(folder) / name) for name in FILES))


def _require_nltk() -> None:
    try:
        installed = version("nltk")
    except PackageNotFoundError:
        raise Refused(f"nltk is not installed; {GET_NLTK}") from None
    if tuple(map(int, installed.split(".")[:2])) >= (3, 10):
        raise Refused(f"nltk {installed} ends sentences at other places than DCLM's nltk 3.8.1; {GET_NLTK}")


@lru_cache(maxsize=2)
def _read(files: tuple[Stamp, ...]) -> PunktSentenceTokenizer:
    _require_nltk()
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    abbreviations, collocations, starters, contexts = (_lines(file.path) for file in files)
    model = PunktParameters()
    model.abbrev_types, model.sent_starters = set(abbreviations), set(starters)
    try:
        model.collocations = {(first, second) for first, second in (line.split("\t") for line in collocations)}
        # nltk's defaultdict would store every word that is looked up.
        model.ortho_context = Counter({word: int(flags) for word, flags in (line.split("\t") for line in contexts)})
    except ValueError:
        raise Refused(
            f"{Path(files[1].path).parent} is not a folder of a Punkt model: its tables are not two columns, "
            f"word and word or word and number; {GET_PUNKT}"
        ) from None
    return PunktSentenceTokenizer(model)


def _lines(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8 text, so it is not a file of a Punkt model; {GET_PUNKT}") from None
    return [line for line in text.split("\n") if line]
