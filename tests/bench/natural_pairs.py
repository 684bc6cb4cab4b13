"""Natural near-duplicates: LibreOffice's help in American and in British English, from Debian's packages.

    python tests/bench/natural_pairs.py FOLDER

fetches both packages into FOLDER with apt-get, unpacks them, and writes `pairs.jsonl.zst` there: one line a page with
`name`, `us`, `gb`. Needs a Debian machine whose `apt-get update` has been run; licence of the pages: MPL-2.0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import zstandard

PACKAGES = {"us": "libreoffice-help-en-us", "gb": "libreoffice-help-en-gb"}
FOLDERS = {"us": "en-US", "gb": "en-GB"}
LEAST_WORDS = 20
_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "tr", "td", "th", "br", "table", "ul", "ol", "pre"}


class _Page(HTMLParser):
    """The text of a help page: what stands between its DisplayArea and its SearchFrame."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        name = dict(attributes).get("id")
        if name in ("DisplayArea", "SearchFrame"):
            self.inside = name == "DisplayArea"
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.pieces.append(data)


def text_of(page: Path) -> str:
    parser = _Page()
    parser.feed(page.read_text(encoding="utf-8"))
    lines = (" ".join(line.split()) for line in "".join(parser.pieces).splitlines())
    return "\n".join(line for line in lines if line)


def fetch(folder: Path) -> None:
    """Both packages, unpacked below `folder`."""
    for side, package in PACKAGES.items():
        target = folder / side
        if target.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=sys.stderr)
        (archive,) = folder.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive.name, side], cwd=folder, check=True)


def pairs(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name, American and British text of every page that both have, of at least 20 words."""
    roots = {side: folder / side / "usr/share/libreoffice/help" / FOLDERS[side] / "text" for side in PACKAGES}
    for page in sorted(roots["us"].rglob("*.html")):
        name = page.relative_to(roots["us"]).as_posix()
        if (roots["gb"] / name).exists():
            texts = [text_of(root / name) for root in roots.values()]
            if min(len(text.split()) for text in texts) >= LEAST_WORDS:
                yield name, texts[0], texts[1]


def prepared(folder: Path) -> Path:
    """The file of pairs, made when it is not there."""
    path = folder / "pairs.jsonl.zst"
    if not path.exists():
        fetch(folder)
        lines = (json.dumps({"name": name, "us": us, "gb": gb}) + "\n" for name, us, gb in pairs(folder))
        path.write_bytes(zstandard.ZstdCompressor().compress("".join(lines).encode()))
    return path


def read(path: Path) -> list[dict[str, str]]:
    text = zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=1 << 30)
    return [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    found = read(prepared(Path(sys.argv[1])))
    same = sum(pair["us"] == pair["gb"] for pair in found)
    print(json.dumps({"pairs": len(found), "equal": same}))
