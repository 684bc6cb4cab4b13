"""Three fixed mixes of pages, of which a recipe drops 10, 50 and 90 %, as WARC files for `extraction.py`.

usage: extraction_mix.py CRAWL DEBIAN TARGET [--pages 300]

CRAWL is a folder of WARC files (data/crawl), DEBIAN one in which `debian_pages.py` unpacks packages. What the recipe
(language, safety, Gopher, C4 and FineWeb rules on trafilatura's text) says of a page is found out first. Pages that it
keeps are drawn from both in equal parts; of those it drops two thirds are in another language (RefinedWeb, figure 2:
of 77 % dropped before deduplication 52 are dropped by language), the rest from both in equal parts. Drawn are the pages
with the smallest hash of their name. TARGET gets mix-10.warc.gz, mix-50.warc.gz, mix-90.warc.gz.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

import xxhash  # noqa: E402
from debian_pages import unpacked  # noqa: E402
from extraction import documents, steps, through  # noqa: E402

from curate.document import Document  # noqa: E402

PACKAGES = {
    "debian-handbook": 700,
    "rust-doc": 60,
    "openjdk-17-doc": 60,
    "cppreference-doc-en-html": 60,
    "python-pandas-doc": 60,
    "python3.11-doc": 60,
    "postgresql-doc-15": 160,
}
"""Packages, and how many pages of each are looked at."""


def debian(folder: Path) -> Iterator[Document]:
    for package, number in PACKAGES.items():
        root = unpacked(folder, package)
        names = (
            str(path.relative_to(root)) for path in root.rglob("*.html") if path.is_file() and not path.is_symlink()
        )
        for name in sorted(names, key=_number)[:number]:
            yield Document(
                key=f"{package}/{name}", url=f"https://{package}.example/{name}", html=(root / name).read_bytes()
            )


def _number(name: str) -> int:
    return xxhash.xxh3_64_intdigest(name.encode())


def kinds(pages: list[tuple[str, Document]]) -> dict[str, list[tuple[str, bytes]]]:
    """What the recipe says of each page -> its address and bytes: `kept`, `dropped` (by source) and `language`."""
    raw = {document.key: (document.url or document.key, document.html or b"") for _, document in pages}
    source = {document.key: name for name, document in pages}
    reasons: dict[str, str] = {}
    kept = [
        document.key
        for document in through(steps("trafilatura", precise=True), (document for _, document in pages), reasons)
    ]
    found: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    for key in sorted(kept, key=_number):
        found[f"kept {source[key]}"].append(raw[key])
    for key in sorted(reasons, key=_number):
        if reasons[key] == "language: language":
            found["language"].append(raw[key])
        else:
            found[f"dropped {source[key]}"].append(raw[key])
    return found


def write(path: Path, pages: list[tuple[str, bytes]]) -> None:
    from warcio.statusandheaders import StatusAndHeaders
    from warcio.warcwriter import WARCWriter

    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for url, html in sorted(pages, key=lambda page: _number(page[0])):
            headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
            date = {"WARC-Date": "2026-01-01T00:00:00Z"}
            writer.write_record(
                writer.create_warc_record(url, "response", BytesIO(html), http_headers=headers, warc_headers_dict=date)
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crawl", type=Path)
    parser.add_argument("debian", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--pages", type=int, default=300)
    options = parser.parse_args()

    options.debian.mkdir(parents=True, exist_ok=True)
    options.target.mkdir(parents=True, exist_ok=True)
    pages = [("crawl", page) for page in documents([options.crawl])] + [
        ("debian", page) for page in debian(options.debian)
    ]
    found = kinds(pages)
    for percent in (10, 50, 90):
        dropped = options.pages * percent // 100
        language = dropped * 2 // 3
        wanted = {
            "kept crawl": (options.pages - dropped) // 2,
            "kept debian": (options.pages - dropped + 1) // 2,
            "language": language,
            "dropped crawl": (dropped - language) // 2,
            "dropped debian": (dropped - language + 1) // 2,
        }
        if short := {kind: len(found[kind]) for kind, number in wanted.items() if len(found[kind]) < number}:
            sys.exit(f"there are too few pages for {wanted}: {short}; ask for fewer with --pages")
        mix = [page for kind, number in wanted.items() for page in islice(found[kind], number)]
        write(options.target / f"mix-{percent}.warc.gz", mix)
        print(f"mix-{percent}: {wanted}")


if __name__ == "__main__":
    main()
