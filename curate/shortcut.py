"""trafilatura without the second opinion that cannot change its answer.

Behind its own extraction trafilatura runs another algorithm (readability) on the whole page, and takes that one's
text where its own is empty, or less than half as long, or without a paragraph. All the page's text together is often
not twice as long as what was extracted: then the answer stands before the question. That is so on more than half of
the pages of a crawl, mostly the smaller ones, and saves 4 to 8 % of all time. The rule is trafilatura's own
(`external.py`, `_prefer_readability` and `compare_extraction`); where any of its other questions is open, or its code
has another shape than the one this was written for, trafilatura does all it ever did.
"""

from __future__ import annotations

import inspect
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lxml.etree import _Element

_SHAPE = ["cleaned_tree", "raw_tree", "body", "text", "options"]
_OPEN_QUESTIONS = ("SANITIZED_XPATH", "_prefer_readability", "try_readability", "justext_rescue")


@cache
def install() -> bool:
    """Put the shortcut in its place in this process; False where trafilatura is not as it is expected to be."""
    from lxml.etree import XPath
    from trafilatura import core, external

    if not hasattr(external, "compare_extraction"):
        return False
    original = external.compare_extraction
    if (
        getattr(core, "compare_extraction", None) is not original
        or list(inspect.signature(original).parameters) != _SHAPE
        or not all(hasattr(external, name) for name in _OPEN_QUESTIONS)
    ):
        return False
    texts = XPath("descendant-or-self::text()[not(parent::script) and not(parent::style)]", smart_strings=False)
    paragraphs, tables = XPath("boolean(.//p//text())"), XPath("count(.//table) > count(.//p)")
    unclean = XPath(external.SANITIZED_XPATH)

    def settled(page: _Element, body: _Element, text: str, options: Any) -> bool:
        size = len(text)
        return (
            size >= options.min_extracted_size > 0
            and options.focus != "recall"
            and bool(paragraphs(body))
            and not tables(body)
            # Each piece with a space more: never less than what any algorithm can take out of the page.
            and sum(len(piece.strip()) + 1 for piece in texts(page)) <= 2 * size
            and not unclean(body)
        )

    @wraps(original)
    def compare(cleaned_tree: Any, raw_tree: Any, body: Any, text: str, options: Any) -> Any:
        if settled(raw_tree, body, text, options):
            return body, text
        return original(cleaned_tree, raw_tree, body, text, options)

    core.compare_extraction = compare
    return True
