"""Precision and recall of `redact` on texts whose identifiers are known, and its speed, beside datatrove and dolma.

usage: pii.py [--seed N] [--out SET.jsonl] [--peer-python PYTHON_WITH_DATATROVE] [--dolma-python PYTHON_WITH_DOLMA]
              [--input TEXTS.jsonl]

The labelled set is made here: sentences with an identifier in one of the ways people write it, and sentences with what
only looks like one. Telephone numbers are libphonenumber's examples of 40 countries, in the forms that its own
formatter knows; checksums of IBANs and cards are computed here, apart from the code that is measured. The traps are 300
lines of `pii_traps.py`, scored apart. An identifier
is found when a span of its kind overlaps it; what overlaps none is a false alarm. `--input` adds the speed on real
pages. Peers know fewer kinds: they are measured on those. One JSON line.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import random
import string
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Behind PYTHONPATH, so that another version of the package can be measured with these lines.
sys.path.append(str(ROOT))
sys.path.insert(0, str(Path(__file__).parent))

from pii_traps import trap_set  # noqa: E402

COUNTRIES = """US GB DE FR IT ES NL BE CH AT SE NO DK FI PL CZ HU RO GR PT IE RU UA TR IL IN JP KR CN SG AU NZ CA
MX BR AR ZA EG NG KE""".split()  # noqa: SIM905
DOMAINS = """acme.com mail.north-hill.org uni-x.edu shop.de atelier.fr kwik.nl studio.io vita.ai corp.co.uk gov.au
team.jp azienda.it firma.pl empresa.com.br casa.es news.info my.name west.dev""".split()  # noqa: SIM905
PEER_KINDS = {"datatrove": ("email", "ipv4"), "dolma": ("email", "phone", "ipv4")}

PEER = {
    "datatrove": """
import json, sys, time
from datatrove.pipeline.formatters.pii import PIIFormatter
peer = PIIFormatter()
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
found, started = [], time.process_time()
for row in rows:
    peer.format(row["text"])
seconds = time.process_time() - started
for row in rows:
    spans = [(m.start(), m.end(), "email") for m in peer.emails_replacer.regex.finditer(row["text"])]
    spans += [(m.start(), m.end(), "ipv4") for m in peer.ip_replacer.regex.finditer(row["text"])
              if peer.ip_replacer.validator(m.group(0))]
    found.append(spans)
print(json.dumps({"seconds": seconds, "found": found}))
""",
    "dolma": """
import json, sys, time
from dolma.core.data_types import Document
from dolma.taggers.pii import PiiRegexV2
peer = PiiRegexV2()
names = {"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "IP_ADDRESS": "ipv4"}
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
found, started = [], time.process_time()
for row in rows:
    result = peer.predict(Document(source="", id="", text=row["text"]))
    found.append([(span.start, span.end, names[span.type]) for span in result.spans if span.type in names])
print(json.dumps({"seconds": time.process_time() - started, "found": found}))
""",
}

Drawn = tuple[str, str | None]
"""What stands in a text, and of which kind it is; None is what only looks like one."""


def email(draw: random.Random) -> str:
    names = (ROOT / "synth" / "pools" / "first_name.txt").read_text().split()
    first, last = draw.choice(names).lower(), draw.choice(names).lower()
    local = draw.choice([f"{first}.{last}", f"{first[0]}{last}", f"{first}_{last}{draw.randrange(99)}", "info", "sales",
                         f"{first}+news", f"{last}-{first}", f"o'{last}"])  # fmt: skip
    domain = draw.choice(DOMAINS)
    return draw.choice([
        f"{local}@{domain}", f"{local}@{domain}", f"{local}@{domain}", f"{local}@{domain}".upper(),
        f"{local} [at] {domain}", f"{local}(at){domain}", f"{local} [at] {domain.replace('.', ' [dot] ')}",
    ])  # fmt: skip


def phone(draw: random.Random) -> tuple[str, str]:
    """A number and its country."""
    import phonenumbers

    country = draw.choice(COUNTRIES)
    kind = draw.choice([phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE])
    number = phonenumbers.example_number_for_type(country, kind)
    form = draw.choice(["INTERNATIONAL", "E164", "INTERNATIONAL", "NATIONAL"])
    return phonenumbers.format_number(number, getattr(phonenumbers.PhoneNumberFormat, form)), country


def american(draw: random.Random) -> str:
    area = draw.choice(["212", "415", "303", "512", "617", "206", "773", "404", "713", "800", "888"])
    exchange, line = f"{draw.randrange(200, 999)}", f"{draw.randrange(10_000):04d}"
    if exchange.endswith("11"):
        exchange = "555"
    return draw.choice([
        f"({area}) {exchange}-{line}", f"{area}-{exchange}-{line}", f"{area}.{exchange}.{line}",
        f"1-{area}-{exchange}-{line}", f"+1 {area} {exchange} {line}", f"({area}){exchange}-{line}",
        f"{area} {exchange} {line}", f"+1 ({area}) {exchange}-{line}",
    ])  # fmt: skip


def ipv4(draw: random.Random) -> str:
    while not (address := ipaddress.IPv4Address(draw.getrandbits(32))).is_global or address.is_multicast:
        pass
    return str(address)


def ipv6(draw: random.Random) -> str:
    network = draw.choice([0x2A001450, 0x26064700, 0x20010DB9, 0x240E0000])
    tail = draw.choice([draw.getrandbits(96), draw.getrandbits(16), draw.getrandbits(64) << 32])
    address = ipaddress.IPv6Address((network << 96) + tail)
    return draw.choice([str(address), str(address).upper(), address.exploded])


def iban(draw: random.Random) -> str:
    country, form = draw.choice([
        ("DE", "d18"), ("FR", "d10a11d2"), ("GB", "l4d14"), ("NL", "l4d10"), ("ES", "d20"), ("IT", "l1d10a12"),
        ("CH", "d5a12"), ("BE", "d12"), ("PL", "d24"), ("SE", "d20"), ("NO", "d11"), ("MT", "l4d5a18"), ("AE", "d19"),
    ])  # fmt: skip
    pools = {"d": string.digits, "l": string.ascii_uppercase, "a": string.digits + string.ascii_uppercase}
    account, place = "", 0
    while place < len(form):
        end = place + 1
        while end < len(form) and form[end].isdigit():
            end += 1
        account += "".join(draw.choices(pools[form[place]], k=int(form[place + 1 : end])))
        place = end
    rest = 0
    for character in account + country + "00":
        value = string.digits.find(character)
        if value < 0:
            value = 10 + string.ascii_uppercase.index(character)
        rest = (rest * (10 if value < 10 else 100) + value) % 97
    code = f"{country}{98 - rest:02d}{account}"
    return draw.choice([code, " ".join(code[at : at + 4] for at in range(0, len(code), 4))])


def card(draw: random.Random, sound: bool = True) -> str:
    begin, size = draw.choice([("4", 16), ("51", 16), ("55", 16), ("37", 15), ("6011", 16), ("2300", 16)])
    digits = begin + "".join(draw.choices(string.digits, k=size - 1 - len(begin)))
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(digits)))
    last = (10 - total % 10) % 10
    digits += str(last if sound else (last + draw.randrange(1, 9)) % 10)
    mark = draw.choice(["", " ", "-"])
    if size == 15:
        return mark.join([digits[:4], digits[4:10], digits[10:]])
    return mark.join(digits[at : at + 4] for at in range(0, 16, 4))


def look_alike(draw: random.Random) -> str:
    """What is no identifier, in its usual surroundings."""
    n = draw.randrange
    return draw.choice([
        f"version {n(1, 20)}.{n(20)}.{n(20)}.{n(200)}",
        f"Chrome/{n(90, 140)}.0.{n(9999)}.{n(200)}",
        f"{n(2000, 2026)}-{n(1, 13):02d}-{n(1, 29):02d} {n(24):02d}:{n(60):02d}:{n(60):02d}",
        f"{n(1, 29)}/{n(1, 13)}/{n(1990, 2026)}",
        f"{n(1900, 1999)}-{n(2000, 2026)}",
        f"${n(1, 999)},{n(1000):03d},{n(1000):03d}",
        f"ISBN 978-{n(10)}-{n(10, 99)}-{n(100000, 999999)}-{n(10)}",
        f"order number {n(10**9, 10**10)}",
        f"#{n(10**9, 10**10)}",
        f"10.{n(256)}.{n(256)}.{n(256)}",
        f"192.168.{n(256)}.{n(256)}",
        f"fe80::{n(65536):x}:{n(65536):x}",
        f"{n(60)}:{n(60):02d}:{n(60):02d}",
        f"icon@{n(2, 4)}x.png",
        f"react-dom@{n(9, 20)}.{n(9)}.{n(9)}",
        "@jo_writes",
        "someone@example.com",
        "git@github.com:acme/site.git",
        f"doi 10.{n(1000, 9999)}/{n(10**7, 10**8)}.{n(2026)}.{n(10**6)}",
        f"commit {draw.getrandbits(160):040x}",
        f"{uuid.UUID(int=draw.getrandbits(128), version=4)}",
        f"{n(1, 180)}.{n(10**6):06d}, {n(1, 90)}.{n(10**6):06d}",
        f"pages {n(100, 400)}-{n(400, 900)} ({n(1950, 2026)})",
        f"card {card(draw, sound=False)}",
        f"{n(100, 999)} {n(100, 999)} {n(1000, 9999)} {n(100, 999)} {n(100, 999)}",
        f"SKU {draw.choice('ABCDE')}{n(10**7, 10**8)}-{n(100)}",
        f"RFC {n(100, 9999)}",
        f"{n(10**5):05d}-{n(10**4):04d}",
        f"arXiv:{n(10, 26)}{n(1, 13):02d}.{n(10**5):05d}",
        f"aa:{n(256):02x}:{n(256):02x}:dd:ee:ff",
        f"{n(1, 9)} x {n(100, 999)} x {n(1000, 9999)} mm",
        f"UTC+{n(1, 12)}",
        f"{n(1, 99)}%-{n(1, 99)}%",
        f"DE{n(100):02d} {' '.join(f'{n(10**4):04d}' for _ in range(4))} {n(100):02d}",
    ])  # fmt: skip


FRAMES = (
    "Please write to {} for details.",
    "{}",
    "Contact: {}",
    "You can reach us under {}, Monday to Friday.",
    "- {}\n- next",
    "We found {} in the notes; nobody knew why.",
    "({})",
    "The value was {}.",
    "see <{}>",
    "| name | {} | none |",
    "“{}”",
)  # fmt: skip


def labelled_set(seed: int, each: int = 400) -> list[dict[str, Any]]:
    """Rows of `text` and `labels` [(start, end, kind)], with `country` of a page with a telephone number."""
    draw = random.Random(seed)
    makers: list[tuple[str | None, Callable[[random.Random], str]]] = [
        ("email", email), ("phone", american), ("ipv4", ipv4), ("ipv6", ipv6), ("iban", iban), ("card", card),
        (None, look_alike), (None, look_alike), (None, look_alike), (None, look_alike),
    ]  # fmt: skip
    rows = []
    for kind, make in makers:
        for _ in range(each):
            value = make(draw)
            # An address and its words are parted by more than a letter.
            before, _, after = draw.choice(FRAMES).partition("{}")
            labels = [(len(before), len(before) + len(value), kind)] if kind else []
            rows.append({"text": before + value + after, "labels": labels, "country": "US"})
    for _ in range(each):
        value, country = phone(draw)
        before = draw.choice(["Tel. ", "Phone: ", "call ", "Mobile ", "WhatsApp: "])
        rows.append(
            {
                "text": f"{before}{value}.",
                "labels": [(len(before), len(before) + len(value), "phone")],
                "country": country,
            }
        )
    draw.shuffle(rows)
    return rows


def ours(rows: list[dict[str, Any]]) -> tuple[list[list[tuple[int, int, str]]], float]:
    from curate.redact.identifiers import find

    find("someone@site.org (212) 555-0100")
    started = time.process_time()
    found = [
        [
            (one.start, one.end, one.kind)
            for one in find(row["text"], regions=dict.fromkeys((row.get("country", "US"), "US")))
        ]
        for row in rows
    ]
    return found, time.process_time() - started


def peer(name: str, python: str, path: Path) -> tuple[list[list[tuple[int, int, str]]], float]:
    done = subprocess.run([python, "-c", PEER[name], str(path)], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return [[tuple(span) for span in spans] for spans in result["found"]], result["seconds"]


def score(
    rows: list[dict[str, Any]], found: list[list[tuple[int, int, str]]], kinds: tuple[str, ...]
) -> dict[str, Any]:
    """Precision and recall of each kind; `exact` is the share of hits with the very borders of the label."""
    result = {}
    for kind in kinds:
        labels = hits = exact = alarms = 0
        for row, spans in zip(rows, found, strict=True):
            wanted = [label for label in row["labels"] if label[2] == kind]
            given = [span for span in spans if span[2] == kind]
            labels += len(wanted)
            for start, end, _ in wanted:
                hits += any(span[0] < end and span[1] > start for span in given)
                exact += any((span[0], span[1]) == (start, end) for span in given)
            alarms += sum(all(span[0] >= end or span[1] <= start for start, end, _ in wanted) for span in given)
        result[kind] = {
            "labels": labels,
            "recall": round(hits / max(labels, 1), 4),
            "precision": round(hits / max(hits + alarms, 1), 4),
            "exact": round(exact / max(hits, 1), 4),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the labelled set is written; a temporary file unless said")
    parser.add_argument("--peer-python")
    parser.add_argument("--dolma-python")
    parser.add_argument("--input", type=Path, help="JSON Lines with `text`: real pages, for the speed")
    options = parser.parse_args()

    import tempfile

    from curate.redact.identifiers import KINDS

    with tempfile.TemporaryDirectory() as folder:
        path = options.out or Path(folder) / "set.jsonl"
        rows = labelled_set(options.seed)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        line: dict[str, Any] = {"benchmark": "pii", "texts": len(rows), "ours": score(rows, ours(rows)[0], KINDS)}
        traps = trap_set(options.seed)
        kinds = ("email", "phone", "ipv4", "ipv6")
        line |= {"traps": len(traps), "ours_on_traps": score(traps, ours(traps)[0], kinds)}
        peers = {"datatrove": options.peer_python, "dolma": options.dolma_python}
        for name, python in peers.items():
            if python:
                line[name] = score(rows, peer(name, python, path)[0], PEER_KINDS[name])
        if options.input:
            with options.input.open(encoding="utf-8") as lines:
                pages = [json.loads(row) for row in lines]
            line["pages"], line["characters"] = len(pages), sum(len(page["text"]) for page in pages)
            line["docs_per_s"] = round(len(pages) / ours(pages)[1], 1)
            for name, python in peers.items():
                if python:
                    line[f"{name}_docs_per_s"] = round(len(pages) / peer(name, python, options.input)[1], 1)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
