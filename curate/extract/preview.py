"""The cheap text of a page, which a cascade shows to the rules that follow before the slow, good extraction."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from curate.document import Document
from curate.extract.page_metadata import NOT_TEXT

PLAIN: dict[str, Any] = {"preserve_formatting": True, "alt_texts": False, "links": False}
"""Options of resiliparse for plain text."""


class CheapText:
    """A page as resiliparse sees it, for `Rule.foretell`. Each text is made when it is first asked for."""

    def __init__(self, document: Document, html: str) -> None:
        self.address = document
        self.metadata: dict[str, Any] = {}
        self._html = html

    @cached_property
    def content(self) -> Document:
        return self._of(main_content=True)

    @cached_property
    def whole(self) -> Document:
        return self._of(main_content=False)

    @property
    def seen(self) -> str:
        """The longest text that was made."""
        return next((self.__dict__[name].text for name in ("whole", "content") if name in self.__dict__), "")

    def _of(self, main_content: bool) -> Document:
        from resiliparse.extract.html2text import extract_plain_text

        text = extract_plain_text(self._html, main_content=main_content, noscript=True, **PLAIN)
        text, of = NOT_TEXT.sub("", text).strip(), self.address
        return Document(of.key, text, of.url, of.domain, of.source)
