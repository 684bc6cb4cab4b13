"""Makes the sample crawl: four small WARC files, counts of what they hold, and the list of licences.

    python recipes/sample/make_sample.py [--packages FOLDER]

Needs `apt-get` and `dpkg-deb` (Debian 12), and network to a Debian mirror unless the .deb files named in PACKAGES
lie in FOLDER. Writes crawl-0000{0..3}.warc.gz, questions.jsonl, composition.json and LICENSES.md beside itself; the
same packages give the same bytes with the same zlib. Pages are published documentation, as their authors wrote it;
the other kinds of pages that a crawl has come from generated.py.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import hashlib
import json
import random
import re
import subprocess
import tarfile
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import generated

HERE = Path(__file__).parent
FILES = 4
LIMIT = 3_000_000
START = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC)
TAG = re.compile(rb"<(script|style|head)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
SENTENCE = re.compile(rb"\w\w[.!?](?:\s|\Z)|\xe3\x80\x82")


@dataclass(frozen=True)
class Package:
    """A Debian package: `pages` are (kind, folder in the package, the address that replaces it, how many)."""

    name: str
    version: str
    title: str
    licence: str
    pages: tuple[tuple[str, str, str, int], ...]


HELP = "usr/share/libreoffice/help"
HANDBOOK = "usr/share/doc/debian-handbook/html"
GUIDE = "usr/share/doc/gnucash-docs"
PACKAGES = (
    Package(
        "postgresql-doc-15", "15.18-0+deb12u1", "PostgreSQL 15 documentation", "PostgreSQL Licence",
        (("prose", "usr/share/doc/postgresql-doc-15/html", "https://www.postgresql.org/docs/15", 270),),
    ),
    Package(
        "gnucash-docs", "4.13-1", "GnuCash tutorial and concepts guide", "GFDL 1.1 or later, no invariant sections",
        (
            ("prose", f"{GUIDE}/gnucash-guide-en", "https://www.gnucash.org/docs/v4/C/gnucash-guide", 50),
            ("prose", f"{GUIDE}/gnucash-help-en", "https://www.gnucash.org/docs/v4/C/gnucash-help", 40),
            ("language", f"{GUIDE}/gnucash-guide-de", "https://www.gnucash.org/docs/v4/de/gnucash-guide", 8),
            ("language", f"{GUIDE}/gnucash-guide-it", "https://www.gnucash.org/docs/v4/it/gnucash-guide", 6),
            ("language", f"{GUIDE}/gnucash-guide-pt", "https://www.gnucash.org/docs/v4/pt/gnucash-guide", 6),
        ),
    ),
    Package(
        "debian-handbook", "11.20220922", "The Debian Administrator's Handbook", "CC-BY-SA 3.0 (or GPL 2 or later)",
        (
            ("prose", f"{HANDBOOK}/en-US", "https://debian-handbook.info/browse/en-US/stable", 70),
            ("language", f"{HANDBOOK}/fr-FR", "https://debian-handbook.info/browse/fr-FR/stable", 3),
            ("language", f"{HANDBOOK}/ja-JP", "https://debian-handbook.info/browse/ja-JP/stable", 1),
            ("language", f"{HANDBOOK}/zh-CN", "https://debian-handbook.info/browse/zh-CN/stable", 3),
            ("language", f"{HANDBOOK}/es-ES", "https://debian-handbook.info/browse/es-ES/stable", 6),
        ),
    ),
    Package(
        "python3.11-doc", "3.11.2-6+deb12u8", "Python 3.11 documentation", "Python Software Foundation Licence",
        (
            ("prose", "usr/share/doc/python3.11/html/howto", "https://docs.python.org/3.11/howto", 2),
            ("prose", "usr/share/doc/python3.11/html/tutorial", "https://docs.python.org/3.11/tutorial", 9),
            ("prose", "usr/share/doc/python3.11/html/faq", "https://docs.python.org/3.11/faq", 4),
        ),
    ),
    Package(
        "libreoffice-help-en-us", "4:7.4.7-1+deb12u14", "LibreOffice 7.4 help, American English", "MPL 2.0",
        (("near_first", f"{HELP}/en-US/text", "https://help.libreoffice.org/7.4/en-US/text", 40),),
    ),
    Package(
        "libreoffice-help-en-gb", "4:7.4.7-1+deb12u14", "LibreOffice 7.4 help, British English", "MPL 2.0",
        (("near_second", f"{HELP}/en-GB/text", "https://help.libreoffice.org/7.4/en-GB/text", 40),),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    kind: str
    url: str
    html: bytes


def fetch(package: Package, folder: Path) -> Path:
    """The package's file; downloaded when it is not in the folder. Raises SystemExit when the mirror no longer has
    it."""
    files = sorted(folder.glob(f"{package.name}_*.deb"))
    if not files:
        wanted = f"{package.name}={package.version}"
        done = subprocess.run(["apt-get", "download", wanted], cwd=folder, capture_output=True, text=True)
        files = sorted(folder.glob(f"{package.name}_*.deb"))
        if done.returncode or not files:
            raise SystemExit(f"the mirror does not have {wanted}: {done.stderr.strip()}\nsnapshot.debian.org keeps it")
    version = subprocess.run(["dpkg-deb", "-f", files[0], "Version"], capture_output=True, text=True, check=True).stdout
    if version.strip() != package.version:
        raise SystemExit(f"{files[0]} is version {version.strip()}, the sample is made of {package.version}")
    return files[0]


def unpacked(path: Path, folders: list[str]) -> dict[str, bytes]:
    """The HTML files of a package below the folders given, by their path in it."""
    pages = {}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            name = member.name.removeprefix("./")
            if member.isfile() and name.endswith(".html") and any(name.startswith(f"{one}/") for one in folders):
                content = archive.extractfile(member)
                assert content is not None
                pages[name] = content.read()
    return pages


def is_prose(html: bytes) -> bool:
    """Whether a page has between 2 000 and 30 000 bytes of text, much of it in sentences, in at most 60 kB of HTML."""
    text = TAG.sub(b" ", html)
    size = len(b" ".join(text.split()))
    return len(html) <= 60_000 and 2_000 <= size <= 30_000 and len(SENTENCE.findall(text)) * 250 >= size


def english_share(html: bytes) -> float:
    """Occurrences of "the" per byte of text: one in about 110 in English. Some pages of translations are in English."""
    words = TAG.sub(b" ", html).lower().split()
    return words.count(b"the") / (1 + sum(map(len, words)))


def order(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def published(folder: Path) -> Iterator[Page]:
    """Pages out of the packages. The British twin of an American page is the file of the same name."""
    twins: list[str] = []
    for package in PACKAGES:
        pages = unpacked(fetch(package, folder), [one[1] for one in package.pages])
        for kind, place, address, count in package.pages:
            names = {name.removeprefix(f"{place}/"): name for name in pages if name.startswith(f"{place}/")}
            if kind == "near_second":
                chosen = twins
            else:
                fit = [name for name in names if is_prose(pages[names[name]])]
                shares = {name: english_share(pages[names[name]]) for name in fit}
                if kind == "language":
                    fit = [name for name in fit if shares[name] < 1 / 2000]
                else:
                    fit = [name for name in fit if shares[name] > 1 / 200]
                chosen = sorted(fit, key=order)[:count]
            if len(chosen) < count:
                raise SystemExit(f"{package.name}: {len(chosen)} pages of prose below {place}, {count} are wanted")
            twins = chosen if kind == "near_first" else twins
            for name in chosen:
                yield Page(kind, f"{address}/{name}", pages[names[name]])


def all_pages(folder: Path) -> list[Page]:
    pages = list(published(folder))
    prose = sorted((page for page in pages if page.kind == "prose"), key=lambda page: order(page.url))
    for number, page in enumerate(prose[:20]):
        path = page.url.split("/", 3)[3]
        pages.append(Page("exact_duplicate", f"http://mirror{number % 3}.docs-mirror.example/{path}", page.html))
    draw = random.Random(20240301)
    made = {
        "boilerplate": generated.boilerplate(),
        "spam": generated.spam(draw),
        "unsafe": generated.unsafe(draw),
        "leaked": generated.leaked(),
    }
    pages += [Page(kind, url, html) for kind, some in made.items() for url, html in some]
    return sorted(pages, key=lambda page: order(page.url))


def record(kind: str, url: str | None, number: int, content_type: str, block: bytes) -> bytes:
    """One WARC record as one gzip member. Dates count seconds from START, identifiers come from kind and number."""
    date = (START + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = ["WARC/1.1", f"WARC-Type: {kind}", f"WARC-Date: {date}"]
    lines.append(f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {number} {url}')}>")
    if url is not None:
        lines.append(f"WARC-Target-URI: {url}")
    lines += [f"Content-Type: {content_type}", f"Content-Length: {len(block)}", "", ""]
    return gzip.compress("\r\n".join(lines).encode() + block + b"\r\n\r\n", 9, mtime=0)


def response(body: bytes, number: int, status: str = "200 OK", content_type: str | None = None) -> bytes:
    """A response as one of five kinds of servers sends it: with all headers, hardly any, or an encoded body."""
    quality = number % 5
    headers = [f"HTTP/1.1 {status}"]
    if content_type is not None:
        headers.append(f"Content-Type: {content_type}")
    elif quality != 1:
        headers.append("Content-Type: text/html; charset=utf-8" if quality == 0 else "content-type: text/html")
    if quality == 0:
        headers += ["Server: Apache/2.4", "Date: Fri, 01 Mar 2024 00:00:00 GMT", "Vary: Accept-Encoding"]
    if quality == 2 and content_type is None:
        body = gzip.compress(body, 9, mtime=0)
        headers.append("Content-Encoding: gzip")
    if quality == 3:
        headers.append("Transfer-Encoding: chunked")
        cut = len(body) // 2
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:cut], body[cut:]) if part) + b"0\r\n\r\n"
    if quality == 4:
        headers.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*headers, "", ""]).encode() + body


def write(pages: list[Page], truth: Counter[str]) -> list[bytes]:
    """The four files as bytes: a warcinfo, pages with some requests, other responses, and broken records."""
    http = "application/http; msgtype=response"
    asked = "application/http; msgtype=request"
    info = b"software: goldsand sample\r\nformat: WARC File Format 1.1\r\n"
    files = [[record("warcinfo", None, number, "application/warc-fields", info)] for number in range(FILES)]
    truth["warcinfo"] = FILES
    for number, page in enumerate(pages):
        out = files[number % FILES]
        if number % 16 == 0:
            get = f"GET / HTTP/1.1\r\nHost: {page.url.split('/')[2]}\r\n\r\n".encode()
            out.append(record("request", page.url, number, asked, get))
            truth["request"] += 1
        out.append(record("response", page.url, number, http, response(page.html, number)))
        truth[page.kind] += 1
    pixel = response(b"GIF89a" + bytes(30), 5, content_type="image/gif")
    robots = response(b"User-agent: *\nDisallow: /cart\n", 5, content_type="text/plain")
    gone = response(generated.page("Not found", ["Gone."]), 5, "404 Not Found")
    others = [
        ("not_html", "https://www.shop-1.example/pixel.gif", pixel),
        ("not_html", "https://www.shop-2.example/robots.txt", robots),
        ("http_404", "https://www.shop-3.example/gone", gone),
        ("http_301", "http://shop-4.example/", response(b"", 5, "301 Moved Permanently")),
    ]
    for number, (kind, url, block) in enumerate(others):
        files[number % FILES].append(record("response", url, len(pages) + number, http, block))
        truth[kind] += 1
    homeless = generated.page("No address", ["This record says nowhere where it was found."])
    files[1].append(record("response", None, len(pages) + 9, http, response(homeless, 0)))
    truth["no_address"] = 1
    wrong = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n<html>too short"
    files[2].append(record("response", "https://broken.example/chunks", len(pages) + 10, http, wrong))
    cut = record("response", "https://broken.example/cut", len(pages) + 11, http, response(pages[0].html, 0))
    files[3].append(cut[: len(cut) // 2])
    truth["broken"] = 2
    return [b"".join(members) for members in files]


LICENCES = """# The sample crawl: what it is made of

`crawl-0000*.warc.gz` holds {pages} pages of published documentation, unchanged, each at the address of its project, and
pages made for this sample at addresses below `.example`. It was written by `make_sample.py`; `composition.json` counts
what is in it. The pages keep the licences of their authors:

| Debian package | version | what | licence | pages |
|---|---|---|---|---|
{rows}

Pages at `docs-mirror.example` are copies of pages of these packages under the same licences. All other pages below
`.example` ({made} of them, from `generated.py`), and `questions.jsonl`, were written for this project: Apache-2.0.
The full licence texts are in each package's `copyright` file, and at the projects themselves.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="folder of the .deb files; missing ones are downloaded into it")
    folder = parser.parse_args().packages
    with tempfile.TemporaryDirectory() as temporary:
        pages = all_pages(folder or Path(temporary))
    truth: Counter[str] = Counter()
    files = write(pages, truth)
    size = sum(map(len, files))
    if size > LIMIT:
        raise SystemExit(f"the sample would have {size} bytes, more than {LIMIT}")
    for number, content in enumerate(files):
        (HERE / f"crawl-{number:05d}.warc.gz").write_bytes(content)
    lines = [json.dumps(question, ensure_ascii=False) for question in generated.QUESTIONS]
    (HERE / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (HERE / "composition.json").write_text(json.dumps(dict(sorted(truth.items())), indent=1) + "\n", encoding="utf-8")
    counts = {package.name: sum(one[3] for one in package.pages) for package in PACKAGES}
    rows = [f"| {p.name} | {p.version} | {p.title} | {p.licence} | {counts[p.name]} |" for p in PACKAGES]
    made = sum(truth[kind] for kind in ("boilerplate", "spam", "unsafe", "leaked", "no_address"))
    text = LICENCES.format(pages=sum(counts.values()), rows="\n".join(rows), made=made)
    (HERE / "LICENSES.md").write_text(text, encoding="utf-8")
    print(json.dumps({"bytes": size, **truth}))


if __name__ == "__main__":
    main()
