"""The characters of a page: its bytes decide where they can, then what it declares."""

from __future__ import annotations

import codecs
import re
from functools import cache

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(rb"charset\s{0,8}=\s{0,8}[\"']?\s{0,8}([A-Za-z0-9_:.-]{2,40})", re.IGNORECASE)
_XML = re.compile(rb"\s{0,16}<\?xml\s[^>]{0,200}?encoding\s{0,8}=\s{0,8}[\"']([A-Za-z0-9_:.-]{2,40})")
_META = re.compile(rb"<meta\s[^>]{0,1000}>", re.IGNORECASE)
_META_SCANNED = 4096
_LOST = "\ufffd"

# Python's codec for what pages under a name of the encoding standard hold; the first that reads all of it.
_CODECS = {
    "gbk": ("gb18030",),
    "gb18030": ("gb18030",),
    "big5": ("big5hkscs", "cp950"),
    "shift_jis": ("cp932",),
    "euc-jp": ("euc_jp", "euc_jis_2004"),
    "euc-kr": ("cp949",),
    "iso-2022-jp": ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_3"),
    "iso-8859-8-i": ("iso8859_8",),
    "windows-874": ("cp874",),
    "macintosh": ("mac_roman",),
    "x-mac-cyrillic": ("mac_cyrillic",),
}
# Labels that the standard does not list, or means otherwise.
_OTHERS = {
    "uhc": "euc-kr", "cp949": "euc-kr", "ms949": "euc-kr", "big5hkscs": "big5", "cp950": "big5", "cp936": "gbk",
    "latin-1": "windows-1252", "shift-jis": "shift_jis", "cp932": "shift_jis", "euc_kr": "euc-kr",
    "cp874": "windows-874",
    "mac-cyrillic": "x-mac-cyrillic", "maccyrillic": "x-mac-cyrillic", "mac_cyrillic": "x-mac-cyrillic",
    "hz": "hz", "hz-gb-2312": "hz", "utf8": "utf-8", "iso-2022-kr": "iso2022_kr",
}  # fmt: skip
_DOUBLE = frozenset({"gbk", "gb18030", "big5", "shift_jis", "euc-jp", "euc-kr"})
_DEFAULT = "windows-1252"
"""What servers declare for pages that they know nothing of."""

TOLERATED = 0.05
"""Share of what is not ASCII that damage may make unreadable; where more is, the page has another encoding."""

FEWEST = 8
"""Bytes beyond ASCII from which their look speaks against a server's default, or, where nothing is declared, against
windows-1252, the standard's."""


def decode_html(html: bytes, content_type: str = "") -> str:
    """A page's characters. What its bytes cannot be in its encoding becomes U+FFFD.

    A byte-order mark decides; then sound UTF-8, and UTF-8 of which a little is damaged or cut, whatever is declared:
    text in another encoding is almost never sound UTF-8 by chance. Then the labels of the HTTP header and of the page
    (XML declaration, first `meta`), as the encoding standard (WHATWG) reads them: one that the bytes refute gives way
    to the other. Where two remain that read the page differently, and where a server's default (Latin-1) stands alone
    over bytes of another script, what the bytes look like (chardet) decides; so it does where none is left.
    """
    for mark, name in _BOMS:
        if html.startswith(mark):
            return html[len(mark) :].decode(name, "replace")
    labels = _labels(html, content_type)
    if b"\x1b" in html and (b"\x1b$B" in html or b"\x1b$@" in html):
        # Seven bits, so sound UTF-8 too.
        parts = [_read(part, "iso-2022-jp") for part in re.split(rb"(?=\x1b[$(])", html)]
        if sum(lost > 0 for _, lost in parts) <= max(1, TOLERATED * len(parts)):
            # A lost byte shifts all to the next escape: nothing of that is to be trusted.
            return "".join(_LOST if lost else text for text, lost in parts)
    if html[:1024].count(0) < 200:
        if (text := _utf8(html)) is not None:
            return text
    elif (wide := _detected(html)) is not None and wide.startswith("utf-"):
        return html.decode(wide, "replace")
    # By name of the encoding, in the order of the standard: what each makes of the page.
    read = {name: _read(html, name) for name in labels}
    beyond = _beyond_ascii(html)
    sound = {name: text for name, (text, lost) in read.items() if lost <= max(1, TOLERATED * beyond)}
    if len(set(sound.values())) == 1 and (next(iter(sound)) != _DEFAULT or beyond < FEWEST):
        return next(iter(sound.values()))
    looks = _detected(html) if labels or beyond >= FEWEST else None
    if looks is not None:
        text, lost = _read(html, looks)
        over_default = set(sound) == {_DEFAULT} and lost <= TOLERATED * beyond and not _is_latin(text)
        if text in sound.values() or not sound or over_default:
            return text
    # Two labels and the bytes look like neither: a server's default counts least.
    chosen = sorted(sound, key=lambda name: name == _DEFAULT)
    return sound[chosen[0]] if chosen else html.decode("cp1252", "replace")


def _labels(html: bytes, content_type: str) -> list[str]:
    """The encodings that the header and the page name, without repeats; unknown labels are left out."""
    found = [_CHARSET.search(content_type.encode("ascii", "replace")), _XML.match(html)]
    metas = (_CHARSET.search(meta.group()) for meta in _META.finditer(html[:_META_SCANNED]))
    found.append(next((label for label in metas if label), None))
    names = (_encoding(label.group(1).decode("ascii").lower()) for label in found if label)
    return [name for name in dict.fromkeys(names) if name is not None and name != "utf-8"]


@cache
def _encoding(label: str) -> str | None:
    """The standard's name of the encoding behind a label; None for what it does not know or does not decode."""
    import webencodings

    known = webencodings.lookup(_OTHERS.get(label, label))
    if known is not None and known.name not in ("replacement", "x-user-defined"):
        # A page whose `meta` could be read is not UTF-16, whatever it says.
        return "utf-8" if known.name.startswith("utf-16") else known.name
    return _OTHERS.get(label) if label in ("hz", "hz-gb-2312", "iso-2022-kr") else None


def _read(html: bytes, name: str) -> tuple[str, int]:
    """The text in an encoding, and how much of it could not be read."""
    codecs_of = _CODECS.get(name, (name,))
    for codec in codecs_of:
        try:
            return html.decode(codec), 0
        except UnicodeDecodeError:
            continue
    text = html.decode(codecs_of[0], "replace")
    return text, text.count(_LOST)


def _utf8(html: bytes) -> str | None:
    """A page's text as UTF-8, each damaged place as one U+FFFD; None where it is another encoding."""
    try:
        return html.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and not _beyond_ascii(html[: error.start]):
            return None
    # Runs, since one broken character may leave several bytes that are none.
    text = re.sub(f"{_LOST}+", _LOST, html.decode("utf-8", "replace"))
    lost = text.count(_LOST)
    whole = sum(character > "\x7f" for character in text) - lost
    return text if whole >= max(2, lost) and lost <= max(1, 2 * TOLERATED * whole) else None


def _beyond_ascii(data: bytes) -> int:
    """How many bytes are not ASCII."""
    return len(data) - len(data.translate(None, bytes(range(128, 256))))


def _detected(html: bytes) -> str | None:
    """The encoding that the bytes look like: its standard name, or UTF-16's or UTF-32's.

    A lost byte makes a page unsound in its own encoding, but not both of its halves.
    """
    # Not what the page says: that is asked elsewhere.
    html = _CHARSET.sub(b"", _XML.sub(b"", html))
    whole = _looks_like(html)
    if whole not in _DOUBLE and not html.isascii():
        middle = html.find(b">", len(html) // 2) + 1
        for half in (html[:middle], html[middle:]):
            name = _looks_like(half)
            if name in _DOUBLE and _read(html, name)[1] <= max(1, TOLERATED * _beyond_ascii(html)):
                return name
    return whole


def _looks_like(html: bytes) -> str | None:
    import chardet

    found = chardet.detect(html)["encoding"]
    if found is None:
        return None
    name = found.lower()
    if name.replace("-", "").startswith(("utf16", "utf32")):
        # Markup alone has a zero in every other byte.
        return name if html.count(0) * 5 >= len(html) else None
    known = _encoding(name.replace("_", "-")) or _encoding(name)
    if known is not None:
        return known
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


def _is_latin(text: str) -> bool:
    """Whether most letters beyond ASCII are Latin ones."""
    letters = [character for character in text if character > "\x7f" and character.isalpha()]
    return sum(character < "\u0250" or "\u1e00" <= character < "\u1f00" for character in letters) * 2 >= len(letters)
