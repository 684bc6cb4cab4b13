"""The characters of a page: by its declared encoding, and by its bytes."""

from __future__ import annotations

import codecs
import re

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
# WHATWG's encoding standard: pages with these labels are written in another encoding than the label's.
_LABELS = {
    "iso-8859-1": "windows-1252",
    "latin1": "windows-1252",
    "latin-1": "windows-1252",
    "us-ascii": "windows-1252",
    "ascii": "windows-1252",
    "iso-8859-9": "windows-1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "big5": "big5hkscs",
}


def decode_html(html: bytes, content_type: str = "") -> str:
    """A page's characters. Its encoding is that of its byte-order mark, of the HTTP header, of its XML declaration, of
    its first `meta`, or else detected from the bytes, in this order; bytes that it cannot decode become U+FFFD.

    A UTF-8 page under another label is read as UTF-8 when all its bytes are sound UTF-8 and some are not ASCII: wrong
    labels are common, and text in another encoding is almost never sound UTF-8 by chance.
    """
    for mark, name in _BOMS:
        if html.startswith(mark):
            return html[len(mark) :].decode(name, "replace")
    try:
        return html.decode("utf-8")
    except UnicodeDecodeError:
        pass
    label = _CHARSET.search(content_type.encode("ascii", "replace")) or _XML.match(html)
    if label is None:
        for meta in _META.finditer(html[:_META_SCANNED]):
            if label := _CHARSET.search(meta.group()):
                break
    if label is not None:
        name = label.group(1).decode("ascii").lower()
        try:
            return html.decode(_codec(name), "replace")
        except LookupError:
            pass
    from resiliparse.parse.encoding import detect_encoding

    try:
        return html.decode(_codec(str(detect_encoding(html) or "windows-1252").lower()), "replace")
    except LookupError:
        return html.decode("windows-1252", "replace")


def _codec(label: str) -> str:
    """The codec behind a label. Raises LookupError for an unknown label, and for codecs that are not for text."""
    info = codecs.lookup(_LABELS.get(label, label))
    if not getattr(info, "_is_text_encoding", True) or info.name in ("utf-7", "idna", "punycode", "unicode_escape"):
        raise LookupError(label)
    if info.name in ("raw-unicode-escape", "raw_unicode_escape", "unicode-escape", "mbcs", "undefined"):
        raise LookupError(label)
    return info.name
