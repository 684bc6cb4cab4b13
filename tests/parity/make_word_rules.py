"""Write curate/text/english_words.json: the tables of spaCy's English tokenizer, which `curate.text.words` follows.

Run with an interpreter that has spaCy: `python tests/parity/make_word_rules.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import spacy
from spacy.lang.punctuation import TOKENIZER_PREFIXES, TOKENIZER_SUFFIXES
from spacy.pipeline import Sentencizer
from spacy.symbols import ORTH

TARGET = Path(__file__).parents[2] / "curate" / "english_words.json"


def main() -> None:
    tokenizer = spacy.blank("en").tokenizer
    tables = {
        "source": f"spaCy {spacy.__version__}: tables of its English tokenizer and sentencizer",
        "licence": "MIT, Copyright (C) 2016-2026 ExplosionAI GmbH, 2016 spaCy GmbH, 2015 Matthew Honnibal",
        "made_by": "tests/parity/make_word_rules.py",
        "prefix": "|".join(piece for piece in TOKENIZER_PREFIXES if piece.strip()),
        "suffix": "(?:" + "|".join(piece for piece in TOKENIZER_SUFFIXES if piece.strip()) + ")$",
        "infix": tokenizer.infix_finditer.__self__.pattern,
        "url": tokenizer.url_match.__self__.pattern,
        "sentence_ends": "".join(sorted(set(Sentencizer.default_punct_chars))),
        "specials": {
            chunk: " ".join(piece[ORTH] for piece in pieces)
            for chunk, pieces in sorted(tokenizer.rules.items())
            if not any(character.isspace() for character in chunk)
        },
    }
    TARGET.write_text(json.dumps(tables, indent=0, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
