"""The texts of real pages in a folder of WARC files, taken out by resiliparse: `page_texts.py FOLDER > texts.jsonl`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def page_texts(folder: Path) -> Iterator[str]:
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                if "html" not in (record.http_content_type or ""):
                    continue
                raw = record.reader.read()
                text = extract_plain_text(bytes_to_str(raw, detect_encoding(raw)), main_content=True, alt_texts=False)
                if text:
                    yield text


@cache
def real_pages(folder: Path) -> tuple[str, ...]:
    """Those texts, taken out once a process."""
    return tuple(page_texts(folder))


if __name__ == "__main__":
    for page in page_texts(Path(sys.argv[1])):
        print(json.dumps({"text": page}))
