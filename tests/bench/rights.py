"""Documents a second of `rights`, and its share of a chain with `extract`, on a crawl.

usage: rights.py FILE.warc.gz ... [--robots HOSTS]

Seconds are those of the processor, on one core. `--robots` gives each of so many of the crawl's hosts a robots.txt of
thirty groups; without it headers and tags alone are asked. Prints one JSON line: documents, docs_per_s,
extract_docs_per_s (resiliparse, the fastest engine, so that the share is the largest), share, refused, with_licence.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curate.document import Document, Drop  # noqa: E402
from curate.extract.extract import Extract  # noqa: E402
from curate.rights import Rights  # noqa: E402
from curate.rights.robots import host_and_port  # noqa: E402
from curate.sources import Input, find_inputs, read_partition  # noqa: E402

GROUPS = "".join(f"User-agent: Bot-{'x' * n}\nDisallow: /private/{n}/\nAllow: /private/{n}/open\n\n" for n in range(30))
OURS = "User-agent: *\nDisallow: /*.pdf$\nDisallow: /search\nDisallow: /cart\n\nUser-agent: GPTBot\nDisallow: /blog/\n"


def main(files: list[str], hosts: int) -> dict[str, float]:
    partitions = find_inputs([Input(f"crawl{n}", one) for n, one in enumerate(files)])
    pages = [one for part in partitions for one in read_partition(part) if isinstance(one, Document)]
    extract = Extract(engine="resiliparse")
    extract.open()
    begun = time.process_time()
    texts = [one for one in extract.apply(pages) if isinstance(one, Document)]
    extraction = time.process_time() - begun
    with tempfile.TemporaryDirectory() as folder:
        names = sorted({host_and_port(one.url or "") for one in texts} - {""})[:hosts]
        for name in names:
            Path(folder, f"{name.replace(':', '_')}.txt").write_text(GROUPS + OURS)
        rights = Rights(robots=folder if names else None)
        rights.open()
        copies = [replace(one, metadata=dict(one.metadata)) for one in texts]
        begun = time.process_time()
        ended = list(rights.apply(copies))
        seconds = time.process_time() - begun
    return {
        "documents": len(texts),
        "docs_per_s": round(len(texts) / seconds),
        "extract_docs_per_s": round(len(pages) / extraction, 1),
        "share": round(seconds / (seconds + extraction), 5),
        "refused": sum(isinstance(one, Drop) for one in ended),
        "with_licence": sum("license" in one.metadata for one in copies),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--robots", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(main(given.files, given.robots)))
