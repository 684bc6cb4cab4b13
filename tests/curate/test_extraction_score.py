"""The scorer says what the benchmarks' own scripts said of the same texts (made by make_extraction_scores.py)."""

import json
from pathlib import Path

import pytest
from extraction_score import shingle_scores, snippet_share, word_scores

TESTS = Path(__file__).parents[1]

PUBLISHED = json.loads((TESTS / "parity" / "extraction_scores.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(len(PUBLISHED["pairs"])))
def test_words_and_snippets_are_scored_as_wcxb_does(number):
    text, gold = PUBLISHED["pairs"][number]
    assert word_scores(text, gold) == pytest.approx(PUBLISHED["words"][number], abs=1e-12)
    assert snippet_share(text, gold.splitlines()[:5]) == pytest.approx(PUBLISHED["snippets"][number], abs=1e-12)


def test_shingles_are_scored_as_scrapinghub_does():
    assert shingle_scores(map(tuple, PUBLISHED["pairs"])) == pytest.approx(PUBLISHED["shingles"], abs=1e-12)
