"""Documents a second of `rights`, and its share of a chain with `extract`, on a crawl.

usage: rights.py FILE.warc.gz ... [--robots HOSTS] [--labels crawl|wcxb]

Seconds are those of the processor, on one core. `--robots` gives each of so many of the crawl's hosts a robots.txt of
thirty groups; without it headers and tags alone are asked. Prints one JSON line: documents, docs_per_s,
extract_docs_per_s (resiliparse, the fastest engine, so that the share is the largest), share, refused, with_licence.
With `--labels`, licences against what a person read on those pages (`licences.csv`: SPDX names, one of which is right;
`unnamed` where a licence is stated without its name or version): in all and by the source of a finding of at least
medium confidence, [pages, precision, recall], and what is wrong or missed.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from curate.document import Document, Drop  # noqa: E402
from curate.extract.extract import Extract  # noqa: E402
from curate.rights import Rights  # noqa: E402
from curate.rights.licences import findings, licence_of  # noqa: E402
from curate.rights.robots import host_and_port  # noqa: E402
from curate.sources import Input, find_inputs, read_partition  # noqa: E402

GROUPS = "".join(f"User-agent: Bot-{'x' * n}\nDisallow: /private/{n}/\nAllow: /private/{n}/open\n\n" for n in range(30))
OURS = "User-agent: *\nDisallow: /*.pdf$\nDisallow: /search\nDisallow: /cart\n\nUser-agent: GPTBot\nDisallow: /blog/\n"


LABELS = Path(__file__).with_name("licences.csv")
_OTHER = ("none", "unnamed")


def labelled(texts: list[Document], which: str) -> dict[str, Any]:
    """Precision and recall of licences on the pages that were read."""
    with LABELS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == which]
    known = {row["record"]: row["licence"] for row in rows}
    said, right, wrong, missed = Counter[str](), Counter[str](), [], []
    for page in texts:
        if (truth := known.get(page.key.split("/", 1)[1])) is None:
            continue
        found = list(findings(page.metadata))
        licence = licence_of(found, "medium")
        if licence and licence not in truth.split():
            wrong.append((page.url, licence, truth))
        elif not licence and truth not in _OTHER:
            missed.append((page.url, truth))
        for source in {_source(one.source) for one in found if one.licence and one.confidence != "low"} | {"all"}:
            if licence or source != "all":
                said[source] += 1
                own = [one.licence for one in found if _source(one.source) == source and one.confidence != "low"]
                right[source] += any(one in truth.split() for one in (own if source != "all" else [licence]))
    stated = sum(truth not in _OTHER for truth in known.values())
    return {
        "pages": len(known),
        "mention_one": sum(row["mentions_a_licence"] == "yes" for row in rows),
        "state_one": stated,
        "by_source": {
            one: [said[one], round(right[one] / said[one], 3), round(right[one] / stated, 3)] for one in sorted(said)
        },
        "wrong": wrong,
        "missed": missed,
    }


def _source(how: str) -> str:
    """The kind of a statement."""
    if how.startswith(("meta", "JSON-LD", "text", "header")):
        return how.split()[0]
    return how.split()[1] if "=" in how or "license-name" in how else "link"


def main(files: list[str], hosts: int, labels: str | None) -> dict[str, Any]:
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
        **({"labels": labelled(texts, labels)} if labels else {}),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--robots", type=int, default=0)
    parser.add_argument("--labels", choices=("crawl", "wcxb"))
    given = parser.parse_args()
    print(json.dumps(main(given.files, given.robots, given.labels)))
