"""What is measured of each block, a sentence for each figure: shares are in thousandths, rounded down.

Good text: ten words and more, less than two fifths of them links, and a mark of a sentence or twenty words. A container
is an element with more blocks than the one within; the first is the innermost around the block with two.
"""

from __future__ import annotations

import re

GROUPS = {
    "nav": ("nav", "menu"),
    "header": ("header",),
    "footer": ("footer",),
    "aside": ("aside",),
    "article": ("article",),
    "main": ("main",),
    "section": ("section",),
    "form": ("form", "fieldset", "label", "legend"),
    "button": ("button", "select", "option", "optgroup", "textarea"),
    "table": ("table",),
    "cell": ("td", "th"),
    "list": ("ul", "ol"),
    "item": ("li",),
    "figure": ("figure",),
    "caption": ("figcaption", "caption"),
    "quote": ("blockquote",),
    "code": ("pre", "xmp", "listing", "plaintext"),
    "terms": ("dl",),
    "noscript": ("noscript",),
    "dialog": ("dialog", "details"),
    "hidden": (),
}
"""Elements around a block that are features, by name: all but the last by tag."""

KINDS = {
    "article": re.compile(r'"(?:Article|NewsArticle|BlogPosting|TechArticle|Report)"'),
    "product": re.compile(r'"(?:Product|ProductGroup|Offer)"'),
    "forum": re.compile(r'"(?:DiscussionForumPosting|QAPage|Question)"'),
    "list": re.compile(r'"(?:ItemList|CollectionPage|OfferCatalog)"'),
}
"""What a page's JSON-LD says that it is."""

_OWN = {
    "words": "words of the block; where a script has no spaces, two letters count as one",
    "characters": "its characters",
    "links": "the share of its characters in links",
    "ends": "1 if it ends as a sentence does, 2 if with a colon",
    "inline": "tags within it",
    "level": "1 to 6 if it is a heading",
}
_AROUND = {
    "before_words": "words of the block before",
    "after_words": "words of the block behind",
    "near_good": "of the nine blocks around it, the share of good text",
    "near_words": "their words",
    "near_links": "their share of links",
}
_CONTAINER = {
    "blocks": "blocks of the container",
    "words": "its words",
    "links": "its share of links",
    "good": "its share of good text",
    "share": "its share of the good text of the page",
}
_CANDIDATE = {
    "inside": "whether it is in the deepest element with half of the good text",
    "steps": "how many elements that one has to be left to meet it",
    "side": "-1 before that element, 1 behind it",
    "inside_wide": "the same for the deepest with four fifths",
    "steps_wide": "the same",
    "wide_share": "the share of the good text in that one",
}
_BODY = {
    "body_inside": "whether it is in the first container of most good text: that of an article's paragraphs",
    "body_side": "blocks before the body (negative) or behind it",
    "body_steps": "how many elements the body has to be left to meet it",
    "body_share": "the share of the page's good text that lies in the body itself, not in containers within it",
    "body_words": "words of that",
    "body_links": "the share of links in the body",
}
_REPEATED = {
    "repeats": "siblings of the element around it with the same tag and class",
    "repeats_good": "their share of the page's good text",
    "repeats_words": "words of each, on average",
    "above_repeats": "the same of the container around it",
    "above_good": "the same",
    "above_words": "the same",
    "path_blocks": "blocks with the same tags and classes around them",
    "path_good": "their share of good text",
    "path_links": "their share of links",
    "path_share": "their share of the page's good text",
    "copies": "blocks with the same text",
    "copy": "how many of these stand before it",
}
_HEADINGS = {
    "since_heading": "blocks since the last heading",
    "heading_level": "the level of that heading",
    "until_heading": "blocks to the next one",
    "section_words": "words between the two",
    "section_good": "their share of good text",
    "since_h1": "blocks since the first h1; negative before it",
    "titled": "2 if it is the page's title, 1 if it is part of it",
}
_PLACE = {
    "place": "blocks before it, of all",
    "before": "words before it, of all",
    "good_before": "good text before it, of all",
    "good_after": "good text behind it, of all",
    "depth": "elements around it",
}
_PAGE = {
    "page_blocks": "blocks of the page",
    "page_words": "its words",
    "page_good": "its share of good text",
    "page_links": "its share of links",
    "page_article": "its elements `article`",
    "page_headings": "its headings",
    "page_items": "its elements `li`",
    **{f"page_says_{kind}": f"scripts of JSON-LD that name one: {kind}" for kind in KINDS},
    "page_rows": "siblings of the row of like siblings with the most words",
    "page_row_share": "the share of the page's words in these",
}
_SAID = {
    "said_low": "the lowest score of a word of the block, if it is short",
    "said_mean": "the mean score of its words",
    "heading_low": "the lowest score of the heading before it",
    "heading_mean": "the mean score of that",
}
_CLASSED = {
    "class_own": "of the class of the element around it, the word's score farthest from 0",
    "class_near": "the same of the innermost element that has such a word",
    "class_least": "the lowest of all elements around it",
    "class_most": "the highest of them",
    "class_sum": "their sum, each outer one counting three quarters",
    "class_parent": "that of the parent of the element around it",
    "class_all": "the sum of all scores of all elements around it",
}

MEANINGS: dict[str, str] = {
    **_OWN,
    **_AROUND,
    **{f"{name}_{level}": f"{text}, {level} up" for level in (1, 2, 3, 4) for name, text in _CONTAINER.items()},
    **_CANDIDATE,
    **_BODY,
    **_REPEATED,
    **_HEADINGS,
    **_PLACE,
    **{f"in_{name}": f"whether a {name} is around it" for name in GROUPS},
    **_PAGE,
    **_SAID,
    **_CLASSED,
}
"""A sentence for each feature; shares are in thousandths. The n-th container is the n-th element around the block of
those with more blocks than the one within."""
NAMES: tuple[str, ...] = tuple(MEANINGS)
LEARNT = len(_SAID) + len(_CLASSED)
"""The last features, which depend on tables of words; all others on the page alone."""
