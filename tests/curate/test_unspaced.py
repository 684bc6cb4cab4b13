"""Scripts without spaces: two lists of them in one place, and in what they differ."""

import sys

import pytest
import regex

from curate.dedup.shingles import word_hashes
from curate.text.cutters import in_any_language
from curate.text.folding import fold
from curate.text.unspaced import BLOCKS, COMPATIBILITY_IDEOGRAPHS, HEXAGRAMS, SCRIPTS
from synth.rewrite.gate import _tokenizer

LETTERS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isalpha()]


def inside(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in BLOCKS)


def test_every_letter_of_the_blocks_is_of_one_of_the_scripts_but_a_mark_that_kana_share():
    of_scripts = regex.compile(f"[{SCRIPTS}]")
    found = [letter for letter in LETTERS if inside(letter)]
    assert len(found) > 60_000
    assert [letter for letter in found if not of_scripts.match(letter)] == ["\u30fc"]


def test_letters_of_the_scripts_outside_the_blocks_are_of_their_extensions():
    names = {letter for letter in LETTERS if regex.match(f"[{SCRIPTS}]", letter) and not inside(letter)}
    compatible = {one for one in names if COMPATIBILITY_IDEOGRAPHS[0] <= ord(one) <= COMPATIBILITY_IDEOGRAPHS[1]}
    assert len(compatible) > 400 and {"\u3005", "\uff76", "\uaa60"} <= names - compatible


@pytest.mark.parametrize("text", ["東京都庁", "ภาษาไทย", "ភាសាខ្មែរ", "ひらがなカタカナ", "\U00020000\U00020001"])
def test_a_character_of_such_a_script_is_a_word_for_signatures_and_for_the_gate(text):
    assert len(word_hashes(fold(text))) == len(_tokenizer().findall(text)) == len(text)
    assert len(in_any_language()(text)[0]) >= 2


def test_a_hexagram_is_a_word_of_a_signature_and_a_compatibility_ideograph_one_of_the_gate():
    hexagram, ideograph = chr(HEXAGRAMS[0]), "\ufa0e"
    assert len(word_hashes(fold(2 * hexagram))) == 2
    assert len(word_hashes(fold(2 * ideograph))) == 1 and len(_tokenizer().findall(2 * ideograph)) == 2
