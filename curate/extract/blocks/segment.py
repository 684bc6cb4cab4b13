"""A page as blocks: the runs of text between tags that begin a new line, in one pass over the page's tags.

lexbor parses the page as a browser does and writes it again: well nested, every `<` and `>` of texts and attributes
escaped. So one regular expression finds all tags, and one loop over them knows what is open. Nothing here depends on
the version of Unicode that Python has, or on a clock.
"""

from __future__ import annotations

import re
from itertools import islice

BLANK = " \t\n\r\f\v\xa0\u200b\ufeff"
"""What a text may consist of and still say nothing."""

GONE = re.findall(
    r"[a-z]+",
    "script style svg template iframe object embed canvas noframes noembed datalist audio video",
)
"""Elements that are no text of the page, with all in them; JSON-LD is kept aside."""

INLINE = frozenset(
    re.findall(
        r"[a-z1-6-]+",
        "a abbr acronym annotation annotation-xml area b base basefont bdi bdo big cite code data del dfn em"
        " font i img input ins kbd label link maction map mark math menclose merror meta meter mfenced mfrac"
        " mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt mstyle msub"
        " msubsup msup mtable mtd mtext mtr munder munderover nobr none output param picture progress q rb rp"
        " rt rtc ruby s samp semantics small source span strike strong sub sup time track tt u var wbr",
    )
)
"""Elements within a line. Every other one, and every one that is not known, begins and ends a block."""

# What a tag does: 1 nothing, 2 breaks the line, 3 opens a link, 4 closes one, 5 parts two blocks, 6 closes an element.
_DOES = {name: 1 for tag in INLINE for name in (tag, "/" + tag)}
_DOES |= {"br": 2, "a": 3, "/a": 4, "hr": 5, "": 1, **dict.fromkeys(("col", "frame", "bgsound", "keygen"), 1)}

# A parser takes both types in any case.
_SCRIPTS = 'script[type="application/ld+json"], script[type^="math/tex"]'
_LATEX = re.compile("math/tex", re.IGNORECASE | re.ASCII)

# The text between two tags, with the tag before it. A comment counts as a tag without a name.
_TAGS = re.compile(r"<(?:!--.*?--|(/?[a-zA-Z][^\s>]*)([^>]*))>([^<]*)", re.DOTALL | re.ASCII)


class Page:
    """A page, cut. All lists are parallel, blocks in reading order; an element is known by its place in `tags`.

    tokens: (tag, attributes, text) of every tag, head included, in the page's order. The tag of a closing one begins
        with `/`, that of a comment is empty; attributes are as lexbor wrote them (` class="a b"`; values in double
        quotes, escaped); the text is what stands between this tag and the next, escaped (`&amp;`, `&lt;`, `&gt;`;
        `&nbsp;` is a character already), with all its white space.

    Of each block:
    begins, ends: its tokens are `tokens[begins:ends]`. Of the first only the text belongs to it: its tag is the border
        (an opening tag, a closing one, `hr`, or the second of two `br`). The others are tags within the line, with the
        text behind them. There is some text in every block that is not blank.
    element: the innermost element around it that is not within a line (`p`, `li`, `td`, ...).
    inlinks: characters of its texts within `<a>`, stripped.
    length: characters of its texts, stripped.

    Of each element that is not within a line, from `body` on, in the order in which they open:
    tags, attributes: its name, and its attributes as above.
    parents: the element around it, -1 for the first.
    opened: its place in `tokens`.
    first, last: its blocks are [first, last); the blocks of an element are always neighbours.
    depth: elements around it.

    scripts: texts of JSON-LD (`script type="application/ld+json"`).
    body: the place of `body` in `tokens`: before it stand title, meta and link.
    """

    __slots__ = (
        *("tokens", "begins", "ends", "element", "inlinks", "length"),
        *("tags", "attributes", "parents", "opened", "first", "last", "depth", "scripts", "body"),
    )

    tokens: list[tuple[str, str, str]]
    begins: list[int]
    ends: list[int]
    element: list[int]
    inlinks: list[int]
    length: list[int]
    tags: list[str]
    attributes: list[str]
    parents: list[int]
    opened: list[int]
    first: list[int]
    last: list[int]
    depth: list[int]
    scripts: list[str]
    body: int

    def elements(self) -> int:
        """Elements of the page, those within lines too."""
        return sum(1 for tag, _, _ in self.tokens if tag and tag[0] != "/")

    def stated(self) -> int:
        """Attributes of the page with a value; lexbor writes all with one."""
        return sum(attributes.count('="') for _, attributes, _ in self.tokens if attributes)

    def raw(self, block: int) -> str:
        """The text of a block, entities resolved, white space and all, a line for each `br`."""
        tokens = self.tokens[self.begins[block] : self.ends[block]]
        text = tokens[0][2] + "".join(["\n" + t[2] if t[0] == "br" else t[2] for t in tokens[1:]])
        return unescaped(text) if "&" in text else text


def unescaped(text: str) -> str:
    """A text or the value of an attribute, as lexbor writes it, without its escapes."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")


def tokens_of(html: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """All tags of a page, each with the text behind it; and its JSON-LD."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html)
    scripts = []
    for node in tree.css(_SCRIPTS):
        if _LATEX.match(node.attributes["type"] or ""):  # as MathJax 2 takes it
            node.replace_with("\\(" + node.text() + "\\)")
        else:
            scripts.append(node.text())
    tree.strip_tags(GONE)
    return _TAGS.findall((tree.html or "").replace("&nbsp;", "\xa0")), scripts


def segment(html: str) -> Page:
    """The blocks of a page."""
    page = Page()
    page.tokens, page.scripts = tokens_of(html)
    tokens = page.tokens
    page.body = next((place for place, token in enumerate(tokens) if token[0] == "body"), len(tokens))
    begins = page.begins = []
    ends = page.ends = []
    element = page.element = []
    inlinks = page.inlinks = []
    length = page.length = []
    tags = page.tags = []
    attributes = page.attributes = []
    parents = page.parents = []
    opened = page.opened = []
    first = page.first = []
    last = page.last = []
    depth = page.depth = []
    does = _DOES.get
    begin = page.body
    characters = linked = links = 0
    broken = False  # a `br` was the last thing said
    around = -1
    for place, (tag, attribute, text) in enumerate(islice(tokens, begin, None), begin):
        do = does(tag)
        if do is None or do > 4 or (do == 2 and broken):
            if characters:
                begins.append(begin)
                ends.append(place)
                element.append(around)
                inlinks.append(linked)
                length.append(characters)
                characters = linked = 0
            begin = place
            if do is None:
                if tag[0] == "/":
                    last[around] = len(begins)
                    around = parents[around]
                    if around < 0:
                        break
                else:
                    tags.append(tag)
                    attributes.append(attribute)
                    parents.append(around)
                    opened.append(place)
                    first.append(len(begins))
                    last.append(0)
                    depth.append(depth[around] + 1 if around >= 0 else 0)
                    around = len(tags) - 1
            broken = False
        elif do == 2:
            broken = True
        elif do == 3:
            links += 1
        elif do == 4:
            links -= 1
        if text:
            said = len(text.strip(BLANK))
            if said:
                broken = False
                characters += said
                if links:
                    linked += said
    return page
