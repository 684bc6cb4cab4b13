"""What dolma and DCLM decide on our edge texts and on given pages: run with an interpreter that holds the peer.

usage: make_dialect_decisions.py texts.jsonl dolma            (pip install "dolma==1.2.1")
       make_dialect_decisions.py texts.jsonl dclm CHECKOUT    (pip install uniseg nltk==3.8.1 fasttext-wheel)
       make_dialect_decisions.py texts.jsonl dclm-text CHECKOUT    (pip install retrie)

Writes tests/parity/decisions-dolma.tsv or decisions-dclm.tsv, one text a line, keyed by a hash of the text: keep, the
reason, or `error` where the peer raises. Where a text is edited a hash of what is left follows. dolma's taggers measure
and its mixer decides: the thresholds below are those of configs/dolma-v1_6/mixing/cc-head.yaml, with the attributes'
names as the tagger writes them (three are misspelt there, so that these rules never fired). DCLM's code is on no
registry: CHECKOUT is a clone of its repository, and NLTK_DATA a folder with `tokenizers/punkt/PY3/english.pickle`, the
model of its C4 rules, which column `c4_english` is about. Column `c4` is about the model in tests/parity/punkt.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_texts import edge_texts
from make_decisions import digest
from make_sentences import own_punkt

TARGETS = {name: Path(__file__).with_name(f"decisions-{name}.tsv") for name in ("dolma", "dclm", "dclm-text")}
COLUMNS = {
    "dolma": ("text", "quality", "repetition", "edit"),
    "dclm": ("text", "quality", "repetition", "edit", "c4", "c4_english"),
    "dclm-text": ("text", "left"),
}
BAD_WORDS = ("winter signal", "o'clock", "casino", "x+y")
Row = tuple[str, ...]


def guarded(call: Callable[[], str]) -> str:
    try:
        return call()
    except Exception:
        return "error"


def dolma_rows() -> Callable[[str], Row]:
    from dolma.taggers.c4 import get_attributes as c4_attributes
    from dolma.taggers.gopher import get_attributes

    below, above = (lambda value, limit: value < limit), (lambda value, limit: value > limit)
    quality = [
        ("word_count", below, 50),
        ("word_count", above, 100_000),
        ("median_word_length", below, 3),
        ("median_word_length", above, 10),
        ("symbol_to_word_ratio", above, 0.1),
        ("fraction_of_words_with_alpha_character", below, 0.8),
        ("required_word_count", below, 2),
        ("fraction_of_lines_starting_with_bullet_point", above, 0.9),
        ("fraction_of_lines_ending_with_ellipsis", above, 0.3),
    ]
    repetition = [
        ("fraction_of_duplicate_lines", above, 0.3),
        ("fraction_of_characters_in_duplicate_lines", above, 0.3),
        *((f"fraction_of_characters_in_most_common_{n}grams", above, x) for n, x in [(2, 0.2), (3, 0.18), (4, 0.16)]),
        *((f"fraction_of_characters_in_duplicate_{n}grams", above, (20 - n) / 100) for n in range(5, 11)),
    ]

    def first(spans: dict[str, float], rules: list) -> str:
        return next((name for name, fails, limit in rules if name in spans and fails(spans[name], limit)), "keep")

    def left(text: str) -> str:
        marks = c4_attributes(text)
        for name in ("has_javascript", "has_lorem_ipsum", "has_curly_brace"):
            if getattr(marks, name):
                return name
        gone = {
            span.start: span.end for span in marks.lines_with_no_ending_punctuation + marks.lines_with_too_few_words
        }
        kept, place = "", 0
        for start in sorted(gone):
            kept, place = kept + text[place:start], gone[start]
        return f"keep {digest(kept + text[place:])}"

    def row(text: str) -> Row:
        spans = {span.type: span.score for span in get_attributes(text).as_spans()}
        return first(spans, quality), first(spans, repetition), left(text)

    return row


def dclm_rows(checkout: str) -> Callable[[str], Row]:
    sys.path.insert(0, checkout)
    from baselines.mappers import core_utils, modifiers
    from baselines.mappers.core_utils import split_words
    from baselines.mappers.filters import content_filters as filters

    key = getattr(filters, "CONTENT")  # noqa: B009
    quality = [
        (
            filters.page_length_filter,
            {"length_type": "word", "min_length": 50, "max_length": 100_000, "ignore_punctuation": True},
        ),
        (filters.word_length_filter, {"min_length": 3, "max_length": 10}),
        (filters.symbol_ratio_filter, {"max_symbol_to_word_ratio": 0.1}),
        (filters.bullet_count_filter, {"max_bullet_start_ratio": 0.9}),
        (filters.ellipsis_count_filter, {"max_ellipsis_end_ratio": 0.3}),
        (filters.alphabetic_word_ratio_filter, {"max_ratio": 0.2}),
        (filters.stop_word_filter, {"count_unique": False, "min_stop_word": 2}),
    ]
    repetition = [
        ("dup_line_frac", "line", 0.3, False),
        ("dup_para_frac", "paragraph", 0.3, False),
        ("dup_line_char_frac", "line", 0.2, True),
        ("dup_para_char_frac", "paragraph", 0.2, True),
        *((f"top_{n}_gram", n, x, True) for n, x in [(2, 0.2), (3, 0.18), (4, 0.16)]),
        *((f"duplicated_{n}_grams", n, (20 - n) / 100, True) for n in range(5, 11)),
    ]
    short = {"max_length": 10, "remove_substring_only": True}
    edits = [
        lambda page: modifiers.uppercase_ratio_line_modifier(page, max_ratio=0.5),
        lambda page: modifiers.numeric_ratio_line_modifier(page, max_ratio=0.999999),
        modifiers.counter_line_modifier(),
        lambda page: modifiers.line_length_modifier(page, min_length=2),
        modifiers.substring_line_modifier("items in cart", **short),
        modifiers.substring_line_modifier("Read more...", location="suffix", **short),
        modifiers.substring_line_modifier("Sign-in", location="prefix", **short),
    ]

    policies = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]
    sentences = {"length_type": "sentence", "min_length": 3, "tokenizer": "nltk", "tokenizer_lang": "english"}
    c4: list[tuple[str, Callable]] = [
        ("page_length", lambda page: filters.page_length_filter(page, length_type="char", max_length=190_000)),
        ("empty", lambda page: modifiers.word_length_modifier(page, max_length=1000, model="split")),
        ("empty", modifiers.citation_removal_modifier()),
        ("empty", modifiers.punctuation_line_modifier(remove_ellipses=True)),
        ("empty", lambda page: modifiers.line_length_modifier(page, min_length=5)),
        ("lorem_ipsum", filters.substring_filter(["lorem ipsum"])),
        ("empty", modifiers.substring_line_modifier(["javascript"])),
        ("curly_bracket", filters.substring_filter(["{"])),
        ("empty", modifiers.substring_line_modifier(policies)),
        ("too_few_sentences", lambda page: filters.page_length_filter(page, **sentences)),
        ("empty", lambda page: modifiers.split_lines_modifier(page)),
        ("empty", lambda page: modifiers.join_lines_modifier(page)),
        ("empty", lambda page: modifiers.within_page_dedup(page, granularity="line", normalize=True)),
        ("too_few_sentences", lambda page: filters.page_length_filter(page, **sentences)),
        (
            "document_removed_with_badwords",
            filters.substring_filter([*map(re.escape, BAD_WORDS)], exact_word=True),
        ),
    ]
    core_utils._prep_nltk_tokenizer("english")
    models = {"own": own_punkt(), "english": core_utils.sent_tokenizer}
    assert None not in models.values()

    def cleaned(text: str, model: str) -> str:
        core_utils.sent_tokenizer = models[model]
        page = {key: text}
        if not text:
            return "empty" if not c4[0][1](page) else "keep"
        for name, step in c4:
            if not step(page):
                return name
        return f"keep {digest(page[key])}"

    def judge(text: str) -> str:
        return next((step.__name__ for step, options in quality if not step({key: text}, **options)), "keep")

    def repeats(text: str) -> str:
        if not text.strip():
            assert not filters.massive_web_repetition_filters({key: text})
            return "empty"
        cache: dict = {}
        for name, unit, limit, characters in repetition:
            if not filters.repetition_filter({key: text}, unit, limit, count_characters=characters, cache=cache):
                return name
        return "keep"

    def left(text: str) -> str:
        page = {key: text, "before": len(split_words(text, ignore_punctuation=True))}
        if not all(edit(page) for edit in edits):
            return "empty"
        if not filters.word_removal_ratio_filter(page, "before", max_removed_ratio=0.05):
            return "word_removal_ratio_filter"
        return f"keep {digest(page[key])}"

    return lambda text: (
        guarded(lambda: judge(text)),
        guarded(lambda: repeats(text)),
        guarded(lambda: left(text)),
        guarded(lambda: cleaned(text, "own")),
        guarded(lambda: cleaned(text, "english")),
    )


def dclm_text_rows(checkout: str) -> Callable[[str], Row]:
    sys.path.insert(0, checkout)
    from baselines.mappers import modifiers
    from core.constants import CONTENT as key

    edits = [
        modifiers.url_removal_modifier(f"{checkout}/baselines/mappers/iana_tlds.txt"),
        modifiers.newline_removal_modifier(max_consecutive=2),
    ]

    def left(text: str) -> str:
        page = {key: text}
        return f"keep {digest(page[key])}" if all(edit(page) for edit in edits) else "empty"

    return lambda text: (guarded(lambda: left(text)),)


def rows(texts: list[str], peer: str, arguments: list[str]) -> Iterator[tuple[str, ...]]:
    made = {"dolma": dolma_rows, "dclm": dclm_rows, "dclm-text": dclm_text_rows}
    decide = made[peer](*arguments)
    done = {digest(text): decide(text) for text in texts}
    for key in sorted(done):
        yield (key, *done[key])


def main(path: Path, peer: str, *arguments: str) -> None:
    with path.open(encoding="utf-8") as lines:
        pages = [json.loads(line)["text"] for line in lines]
    found = rows([*edge_texts(), *pages], peer, list(arguments))
    TARGETS[peer].write_text("".join("\t".join(row) + "\n" for row in [COLUMNS[peer], *found]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
