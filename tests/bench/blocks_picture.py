"""The picture in docs/extract.md: one page of the sample crawl, its blocks, their probabilities, what was kept.

usage: blocks_picture.py [--url URL] [--out FILE.svg]

It is made again when the shipped model is another one. One JSON line: blocks, kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
URL = "https://debian-handbook.info/browse/en-US/stable/sect.quotas.html"
ROW, WIDTH, BAR = 22, 960, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default=URL)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "extract.svg")
    asked = parser.parse_args()

    from curate.document import Document
    from curate.extract.blocks.shown import shown
    from curate.extract.encoding import decode_html
    from curate.sources import open_source

    files = sorted((ROOT / "recipes" / "sample").glob("crawl-*.warc.gz"))
    pages = (item for file in files for item in open_source(file, "s") if isinstance(item, Document))
    page = next(item for item in pages if item.url == asked.url)
    blocks = shown(decode_html(page.html or b"", page.metadata.get("content_type", "")))
    height = ROW * (len(blocks) + 2) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-size="12"'
        ' font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="{ROW - 5}" fill="#555555">{escape(asked.url)}: {len(blocks)} blocks; green: kept;'
        " bar and figure: probability of being content</text>",
    ]
    for number, block in enumerate(blocks):
        top = ROW * (number + 1) + 6
        bar = max(1, BAR * block.probability // 1000)
        text = block.text if len(block.text) <= 84 else block.text[:83] + "…"
        ink = "#111111" if block.kept else "#777777"
        back, dark = ("#e6f4ea", "#1a7f37") if block.kept else ("#f6f6f6", "#999999")
        parts += [
            f'<rect x="8" y="{top}" width="{WIDTH - 16}" height="{ROW - 3}" fill="{back}"/>',
            f'<rect x="12" y="{top + 4}" width="{bar}" height="{ROW - 11}" fill="{dark}"/>',
            f'<text x="{BAR + 20}" y="{top + 14}" fill="{dark}">{block.probability / 1000:.2f}</text>',
            f'<text x="{BAR + 56}" y="{top + 14}" fill="#777777" font-size="10">{escape(block.where)}</text>',
            f'<text x="{BAR + 190}" y="{top + 14}" fill="{ink}">{escape(text)}</text>',
        ]
    asked.out.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
    print(json.dumps({"bench": "blocks_picture", "blocks": len(blocks), "kept": sum(block.kept for block in blocks)}))


if __name__ == "__main__":
    main()
