"""Bytes to characters: legacy encodings labelled right, wrong, twice and not at all; damaged pages; every label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from curate.extract.encoding import decode_html

TEXTS = json.loads(Path(__file__).with_name("ferry.json").read_text("utf-8"))
"""One short text in thirteen languages."""

ENCODINGS = {
    "windows-1252": "de", "iso-8859-15": "de", "windows-1250": "pl", "iso-8859-2": "pl", "windows-1251": "ru",
    "koi8-r": "ru", "koi8-u": "uk", "iso-8859-5": "ru", "ibm866": "ru", "x-mac-cyrillic": "ru", "windows-1253": "el",
    "iso-8859-7": "el", "windows-1254": "tr", "windows-1255": "he", "windows-1256": "ar", "iso-8859-6": "ar",
    "windows-874": "th", "shift_jis": "ja", "euc-jp": "ja", "iso-2022-jp": "ja", "euc-kr": "ko", "uhc": "ko",
    "ks_c_5601-1987": "ko", "windows-949": "ko", "gb2312": "zh", "gbk": "zh", "gb18030": "zh", "big5": "tw",
    "big5-hkscs": "tw", "utf-8": "zh",
}  # fmt: skip
PYTHON = {
    "ibm866": "cp866", "x-mac-cyrillic": "mac_cyrillic", "windows-874": "cp874", "uhc": "cp949",
    "ks_c_5601-1987": "cp949", "windows-949": "cp949", "big5-hkscs": "big5hkscs",
}  # fmt: skip


def page(label: str, meta: str = "") -> tuple[list[str], bytes]:
    """The paragraphs of a page, and its bytes in an encoding."""
    text, codec = TEXTS[ENCODINGS[label]], PYTHON.get(label, label)
    text = text.encode(codec, "ignore").decode(codec)
    body = "".join(f"<p>{number}. {text}</p>\n" for number in range(4))
    head = f'<meta charset="{meta}">' if meta else ""
    html = f"<!DOCTYPE html><html><head>{head}<title>A page</title></head><body>{body}</body></html>"
    return [f"<p>{number}. {text}</p>" for number in range(4)], html.encode(codec)


def whole(read: str, paragraphs: list[str]) -> int:
    return sum(one in read for one in paragraphs)


@pytest.mark.parametrize("label", ENCODINGS)
def test_a_right_label_is_enough_wherever_it_stands(label):
    other = "koi8-r" if ENCODINGS[label] in ("zh", "tw", "ja", "ko") else "shift_jis"
    for header, meta in ((label, ""), ("", label), (label, other), (other, label), ("utf-8", label), ("", "")):
        paragraphs, html = page(label, meta)
        read = decode_html(html, f"text/html; charset={header}" if header else "text/html")
        assert whole(read, paragraphs) == 4, (header, meta)
        assert "\ufffd" not in read


@pytest.mark.parametrize("label", ENCODINGS)
def test_one_lost_byte_costs_a_paragraph_at_most(label):
    paragraphs, html = page(label)
    places = [place for place, byte in enumerate(html) if byte > 127] or [html.rindex(b"\x1b$B") + 9]
    place = places[3 * len(places) // 4] if len(places) > 1 else places[0]
    damaged = html[:place] + html[place + 1 :]
    for header in (label, ""):
        read = decode_html(damaged, f"text/html; charset={header}" if header else "text/html")
        assert whole(read, paragraphs) >= 3, header


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-1],
        lambda text: text.replace("Ü".encode(), b"\xc3", 1),
        lambda text: text.replace("Ü".encode(), b"\xff", 1),
        lambda text: text.replace("😀".encode(), "😀".encode()[:2], 1),
        lambda text: text.replace("😀".encode(), b"\xed\xa0\xbd", 1),
    ],
)
@pytest.mark.parametrize("header", ["", "utf-8", "iso-8859-1", "windows-1251"])
def test_utf8_with_one_damaged_place_stays_utf8(damage, header):
    text = f"Überfahrt 😀 {TEXTS['de']} – „genug“ für heute, überall"
    read = decode_html(damage(text.encode() + "é".encode()), f"text/html; charset={header}" if header else "")
    assert read.count("\ufffd") == 1
    assert TEXTS["de"] in read and "„genug“ für heute, überall" in read


@pytest.mark.parametrize(
    "label", ["shift_jis", "euc-kr", "gb18030", "big5", "koi8-r", "windows-1253", "windows-1255", "utf-8"]
)
def test_a_servers_default_over_another_script_gives_way(label):
    for default in ("iso-8859-1", "ISO-8859-1", "windows-1252", "us-ascii", "latin1"):
        paragraphs, html = page(label)
        assert whole(decode_html(html, f"text/html; charset={default}"), paragraphs) == 4


def test_latin_under_a_servers_default_stays_what_it_says():
    for text in ("caffè, città", "naïve café", "Straße", "señor"):
        html = f"<html><body><p>{text}</p>".encode("cp1252")
        assert text in decode_html(html, "text/html; charset=ISO-8859-1")
        assert text in decode_html(html)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_wide_characters_without_a_mark_are_seen(codec):
    paragraphs, _ = page("windows-1252")
    assert whole(decode_html("".join(paragraphs).encode(codec), "text/html; charset=utf-8"), paragraphs) == 4


def test_the_labels_of_the_standard_are_known():
    labels = [
        "csksc56011987",
        "korean",
        "x-sjis",
        "ms_kanji",
        "cp1251",
        "x-cp1251",
        "csiso88596e",
        "logical",
        "koi",
        "dos-874",
    ]
    for label in labels:
        from curate.extract.encoding import _encoding

        assert _encoding(label) is not None
    for label in ("unicode_escape", "rot13", "utf-7", "idna", "zlib", "nonsense", "x-user-defined", "replacement"):
        assert _encoding(label) is None
    russian = f"<p>{TEXTS['ru']}</p>".encode("cp1251")
    assert TEXTS["ru"] in decode_html(russian, "text/html;;charset = 'X-CP1251' ")
