"""Scripts written without spaces between words, for the code that cuts texts into words.

Two forms, which are not the same set. `SCRIPTS`: their letters, in whatever block, for splitters that work by letters.
`BLOCKS`: whole blocks, with marks and unassigned code points, for hashes and word boundaries that must not change with
a newer Unicode.
"""

from __future__ import annotations

SCRIPTS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""The inside of a character class for the library `regex`."""

BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK unified ideographs
    (0x20000, 0x3FFFF),  # CJK extensions B and later
)
"""First and last code point of each block."""

HEXAGRAMS = (0x4DC0, 0x4DFF)
"""Symbols between two blocks of ideographs. Deduplication's signatures count each as a word."""

COMPATIBILITY_IDEOGRAPHS = (0xF900, 0xFAFF)
"""Ideographs of which normalisation (NFC) leaves a dozen; word boundaries treat them as unspaced, signatures do not."""
