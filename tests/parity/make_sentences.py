"""Where nltk ends sentences, in our edge texts and in texts full of what is hard to end: run with nltk 3.8.1.

usage: NLTK_DATA=FOLDER make_sentences.py

Writes tests/parity/sentences.tsv: a text's hash, and a hash of its sentences by the model in tests/parity/punkt
(written for the tests, by hand) and by nltk's English one, which FOLDER holds as `tokenizers/punkt/PY3/english.pickle`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_texts import edge_texts
from make_decisions import digest

OWN = Path(__file__).with_name("punkt")
TARGET = Path(__file__).with_name("sentences.tsv")
_PIECES_TEXT = """
The the He he I It stone Stone river House iPhone USA NATO 5 5. 1,000.50 -3. 12:30 1.5.2020 . ? ! .. ... .... . . .
… , ; : " ' ) ( ] [ } { -- - --- e.g. i.e. U.S. Dr. Mr. St. J. A. Ph.D. etc. p. no. vol. Inc. co. well-known
inc.-co. vs. cf. a.m. Louis Bach Army edition London said. said." said.) said.' said.] (said. "said. said? said!
said?! said... said.. !!! ?? .) ." won't. it's. o'clock. naïve. straße. Éire. éire. слово. Слово 日本語。 日本 ½. ² ² .
_. x_y. @ # & * ` www.x.org. a.b.c. U.K. N.
"""
_PIECES = _PIECES_TEXT.split()
_GAPS = [" ", " ", " ", " ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\xa0", "\u2028", "", "", ""]


def hard_texts() -> Iterator[str]:
    draw = random.Random(11)
    for _ in range(500):
        yield "".join(draw.choice(_PIECES) + draw.choice(_GAPS) for _ in range(draw.choice([3, 10, 60, 200])))


def sentence_texts() -> list[str]:
    return [*edge_texts(), *hard_texts()]


def hashed(text: str, spans: Iterator[tuple[int, int]]) -> str:
    """A hash of where the sentences of a text that are not blank begin and end, and how many they are."""
    found = [span for span in spans if text[span[0] : span[1]].strip()]
    return f"{len(found)} {digest(str(found))}"


def own_punkt() -> Any:
    """nltk's tokenizer with the model of the tests."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    words = {name: (OWN / f"{name}.txt").read_text().split() for name in ("abbrev_types", "sent_starters")}
    model = PunktParameters()
    model.abbrev_types, model.sent_starters = set(words["abbrev_types"]), set(words["sent_starters"])
    model.collocations = {tuple(line.split("\t")) for line in (OWN / "collocations.tab").read_text().splitlines()}
    for line in (OWN / "ortho_context.tab").read_text().splitlines():
        word, flags = line.split("\t")
        model.ortho_context[word] = int(flags)
    return PunktSentenceTokenizer(model)


def main() -> None:
    import nltk

    models = [own_punkt(), nltk.data.load("nltk:tokenizers/punkt/english.pickle")]
    rows = {digest(text): [hashed(text, model.span_tokenize(text)) for model in models] for text in sentence_texts()}
    lines = ["\t".join([key, *row]) for key, row in sorted(rows.items())]
    TARGET.write_text("\n".join(["text\town\tenglish", *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
