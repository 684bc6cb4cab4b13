"""Documentation pages from Debian packages as JSONL of text, for benchmarks that need many pages of real prose.

usage: debian_pages.py FOLDER [--pages 10000]

Packages are fetched (`apt-get download`) and unpacked below FOLDER, never installed; what is there stays as it is.
The pages with the smallest hash of their path are taken, so many of each package that all give the same share.
FOLDER/pages.jsonl holds `id` (package and path) and `text` (resiliparse, main content; pages without any are left out).
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import xxhash

PACKAGES = (
    "rust-doc",
    "openjdk-17-doc",
    "cppreference-doc-en-html",
    "python-pandas-doc",
    "debian-handbook",
    "python3.11-doc",
    "postgresql-doc-15",
)


def unpacked(folder: Path, package: str) -> Path:
    """The unpacked package, fetched if it is not there."""
    target = folder / package
    if not target.is_dir():
        if not list(folder.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
        (archive,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)
    return target


def page_text(path: Path) -> str:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    raw = path.read_bytes()[: 4 << 20]
    return extract_plain_text(bytes_to_str(raw, detect_encoding(raw)), main_content=True, alt_texts=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=10_000)
    options = parser.parse_args()

    options.folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for package in PACKAGES:
        root = unpacked(options.folder, package)
        paths = (path for path in root.rglob("*.html") if path.is_file() and not path.is_symlink())
        found[package] = sorted(paths, key=lambda path: xxhash.xxh3_64_intdigest(str(path.relative_to(root)).encode()))
    left, written = options.pages, 0
    with (options.folder / "pages.jsonl").open("w", encoding="utf-8") as lines:
        # The smallest package first, so that what it lacks is taken from the larger ones.
        for place, package in enumerate(sorted(PACKAGES, key=lambda one: len(found[one]))):
            share, taken = left // (len(PACKAGES) - place), 0
            for path in found[package]:
                if taken == share:
                    break
                if text := page_text(path):
                    name = f"{package}/{path.relative_to(options.folder / package)}"
                    lines.write(json.dumps({"id": name, "text": text}) + "\n")
                    taken += 1
            left, written = left - taken, written + taken
            print(f"{package}: {taken} of {len(found[package])} pages", flush=True)
    print(f"{written} pages")


if __name__ == "__main__":
    main()
