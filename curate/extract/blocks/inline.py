"""What one block says: its texts and the tags within the line, as one text.

No word is glued or torn at a tag within the line: `<b>a</b>b` is `ab`, as a browser shows it. What a tag alone says is
said: the exponent of `10<sup>23</sup>` is kept apart, `<q>` has its quotation marks, `<math>` is a formula. Time is
linear in the block: what is nested more than `_DEEP` times is read as if it were not nested.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from curate.extract.blocks.mathml import Token, formula, grouped, latex, value
from curate.extract.blocks.segment import unescaped

_DEEP = 8
_APART = "\x00"
"""Between two texts that a picture, or a struck price, keeps apart. No parsed page has it in a text."""
_LINE = "\x0b"
"""A line end that the page wants, while all others are blanks."""
_BLANKS = " \t\n\r\f\xa0\u200b\ufeff" + _LINE
_ENDS = " \u200b\ufeff" + _LINE

_HIDDEN = re.compile(
    r' hidden="| style="[^"]*?(?:display\s*:\s*none|visibility\s*:\s*hidden)'
    r"|[\" ](?:mw-editsection|katex-html|lineno|linenos|line-numbers?|blob-num|gutter|ln-num"
    r"|sr-only|visually-?hidden|screen-reader-(?:text|only))[\" ]",
    re.ASCII | re.IGNORECASE,
)
"""Attributes of what is not seen, and of what is no text of the page: links to its editor, a formula drawn a second
time, the numbers of lines of code, what is only read aloud ("opens in a new tab")."""
_FORMULA_SEEN = "mwe-math"
"""Wikipedia hides the formula and shows its picture."""

_SKIPPED = ("rt", "rp", "rtc", "audio", "video")
_MANY = re.compile("  +")
_BETWEEN = re.compile(
    "(?<=[^ \x0b!-/:-@\\[-`{-~\u3000-\u30ff\u3400-\u9fff])\x00+(?=[^ \x0b!-/:-@\\[-`{-~\u3000-\u30ff\u3400-\u9fff])"
)
_MARKS = "¶§#∞¤⚓🔗🔖⁋↩↑^†\ufe0e\ufe0f\u200b\ufeff \xa0\t\n\r"
_PERMALINK = re.compile(
    r"[\" ](?:header-?link|heading-?(?:anchor|link)|header-?anchor|anchor(?:js)?(?:-?link)?|permalink|hash-?link"
    r"|doc-anchor|direct-link|self-?link|toc-anchor|headeranchor-link|section-?link|elementor-anchor)[\" ]",
    re.ASCII | re.IGNORECASE,
)
_INVITES = ("permalink", "permanent link", "link to ", "direct link to", "anchor link", "anchor for", "copy link")
_ORDINALS = " st nd rd th er re e ère ers ème èmes eme ième ieme o os a as º ª r lle me mes lles ste bis ter tm sm "
_ELEMENTS = (
    " H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb"
    " Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au"
    " Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf "
)
_CHEMICAL = re.compile(r"(?:[A-Z][a-z]?[0-9]{0,3}|[()\[\]][0-9]{0,3}|[·.])+\Z")
_LONG_WORD = re.compile(r"[^\s!-@\[-`{-~\u2212]{3,}", re.ASCII)
_SYMBOL = re.compile(r"[A-Z][a-z]?")
_LOWER = {code: code + 32 for code in range(65, 91)}
_FORMULA_IMAGE = re.compile(
    r' class="(?:[^"]* )?(?:tex|latex|mwe-math-fallback-image-(?:inline|display)|mathtex|math)[ "]'
)


@dataclass(slots=True)
class Open:
    """A tag within the line that is open: where its text begins, and what it is."""

    tag: str
    begin: int
    attributes: str
    linked: bool = False


def said(
    tokens: Sequence[Token],
    begin: int,
    end: int,
    *,
    heading: bool = False,
    pre: bool = False,
    markdown: bool = False,
    links: bool = False,
) -> str:
    """The text of the tokens [begin, end), of the first what is behind its tag; `pre`: with all its blanks."""
    parts = [tokens[begin][2]]
    if end - begin > 1:
        _walk(tokens, begin, end, parts, heading, markdown and not pre, links)
    text = "".join(parts)
    return _kept_lines(text) if pre else _one_line(text)


def _walk(
    tokens: Sequence[Token], begin: int, end: int, parts: list[str], heading: bool, markdown: bool, links: bool
) -> None:
    opened: list[Open] = []
    place = begin
    quotes = 0
    while (place := place + 1) < end:
        tag, attributes, text = tokens[place]
        if attributes and tag not in ("img", "input") and _HIDDEN.search(attributes):
            if _FORMULA_SEEN not in attributes:
                place = _closing(tokens, place, end)
                text = tokens[place][2] if place < end else ""
        elif tag == "br":
            parts.append(_LINE)
        elif tag in ("sup", "sub", "time") or (
            (tag == "a" and ("#" in attributes or links or _PERMALINK.search(attributes)))
            or (tag == "code" and markdown)
        ):
            if len(opened) < _DEEP:
                opened.append(Open(tag, len(parts), attributes))
        elif tag in ("/sup", "/sub", "/time", "/a", "/code"):
            if opened and any(one.tag == tag[1:] for one in opened):
                while opened:
                    one = opened.pop()
                    _close(one, parts, opened, heading, markdown, links)
                    if one.tag == tag[1:]:
                        break
        elif tag == "q":
            parts.append("'" if quotes % 2 else '"')
            quotes += 1
        elif tag == "/q":
            quotes -= quotes > 0
            parts.append("'" if quotes % 2 else '"')
        elif tag == "math":
            close = _closing(tokens, place, end)
            parts.append(formula(tokens, place, close))
            place = close
            text = tokens[place][2] if place < end else ""
        elif tag in _SKIPPED:
            place = _closing(tokens, place, end)
            text = tokens[place][2] if place < end else ""
        elif tag in ("img", "input"):
            parts.append(_picture(attributes) if tag == "img" else _APART)
        elif tag in ("/del", "/s", "/strike", "ins"):
            parts.append(_APART)
        if text:
            parts.append(text)
    while opened:
        _close(opened.pop(), parts, opened, heading, markdown, links)


def _closing(tokens: Sequence[Token], place: int, end: int) -> int:
    """Where the element that opens at `place` closes; `end` where it does not."""
    tag = tokens[place][0]
    close, depth = "/" + tag, 1
    while (place := place + 1) < end:
        name = tokens[place][0]
        if name == close:
            depth -= 1
            if not depth:
                return place
        elif name == tag:
            depth += 1
    return end


def _close(one: Open, parts: list[str], around: list[Open], heading: bool, markdown: bool, links: bool) -> None:
    """Put what an element says in the place of the texts in it."""
    content = "".join(parts[one.begin :])
    if one.tag == "a":
        if _permalink(content, one.attributes, heading):
            del parts[one.begin :]
            return
        if around and around[-1].tag == "sup" and "#" in one.attributes:
            around[-1].linked = True
        target = value(one.attributes, "href")
        if links and target and not target.startswith(("#", "javascript:")) and content.strip(_ENDS):
            target = target.replace(" ", "%20").replace("(", "%28").replace(")", "%29")
            target = target.replace("&", "&amp;").replace("<", "&lt;")
            parts[one.begin :] = [f"[{content}]({target})" if markdown else f"{content} ({target})"]
    elif one.tag == "code":
        inner = content.strip(" \t\n\r")
        if inner and "`" not in inner:
            parts[one.begin :] = [content.replace(inner, f"`{inner}`", 1)]
    elif one.tag == "time":
        if not content.strip(" \t\n\r\xa0") and (when := value(one.attributes, "datetime")):
            parts[one.begin :] = [when.replace("&", "&amp;").replace("<", "&lt;")[:40]]
    elif content.strip(" \t\n\r\xa0"):
        base = "".join(parts[max(0, one.begin - 8) : one.begin])[-48:]
        inner = content.strip(" \t\n\r\xa0")
        after = " " if content[-1] in " \t\n\r\xa0" else ""
        linked = one.linked or any(link.tag == "a" and "#" in link.attributes for link in around)
        said = _raised(inner, base, linked) if one.tag == "sup" else _lowered(inner, base)
        if said != inner:
            parts[one.begin :] = [said + after]


def _raised(content: str, base: str, linked: bool) -> str:
    """A superscript: a mark of a note as it is, an ordinal as part of its word, an exponent kept apart."""
    if content[0] in "[*†‡§®™©℠^" or _stands_alone(content, base):
        return content
    if linked:
        return content if content[0] == "(" else f"[{content}]"
    low = content.translate(_LOWER).strip(".")
    if f" {low} " in _ORDINALS and base[-1] not in ")]}":
        digit = base[-1] in "0123456789"
        # `x` to the power of `a` is no ordinal: one letter is one behind a figure, a Roman one too, or `n`, `M`, `D`.
        if digit or len(low) > 1 or content in "ºª" or base[-1] in "nNDIVXLCM":
            return content
    if "," in content and all(one in "0123456789,;–- \t\n" for one in content):
        return f"[{content}]"
    return "^" + grouped(content)


def _stands_alone(content: str, base: str) -> bool:
    """Whether it hangs on nothing: small print, or what begins a line. A number behind a blank is an exponent yet."""
    if not base.strip(_BLANKS) or base[-1] == _LINE or len(_LONG_WORD.findall(content)) > 1:
        return True
    return base[-1] in _BLANKS and not all(one in "0123456789-−–+" for one in content)


def _lowered(content: str, base: str) -> str:
    """A subscript: as part of a chemical formula (`H2O`), else kept apart (`x_1`, `100_2`)."""
    if _stands_alone(content, base):
        return content
    if all(one in "0123456789" for one in content) and _is_chemical(base):
        return content
    return "_" + grouped(content)


def _is_chemical(base: str) -> bool:
    begin = len(base)
    while begin and (base[begin - 1] in "()[]·." or "0" <= base[begin - 1] <= "9" or _letter(base[begin - 1])):
        begin -= 1
    word = base[begin:]
    if word[:1] in ("(", "[") and word.count("(") != word.count(")"):
        word = word[1:]  # a bracket of the sentence
    if not word or word[-1] in "0123456789.·([" or not _CHEMICAL.match(word):
        return False
    return all(f" {one} " in _ELEMENTS for one in _SYMBOL.findall(word))


def _letter(one: str) -> bool:
    return "A" <= one <= "Z" or "a" <= one <= "z"


def _permalink(content: str, attributes: str, heading: bool) -> bool:
    """Whether a link says nothing but that it leads to the place where it stands."""
    bare = content.strip(_MARKS)
    if not bare:
        marks = content.strip(" \t\n\r\xa0\u200b\ufeff\ufe0e\ufe0f")
        if not marks:
            return False
        return heading or marks[0] in "¶🔗" or bool(_PERMALINK.search(attributes))
    if not _PERMALINK.search(attributes):
        return False
    low = bare.translate(_LOWER)
    return low == "link" or low.startswith(_INVITES)


def _picture(attributes: str) -> str:
    """What a picture within the line says: an emoji, or a formula; else it only keeps apart what stands around it."""
    if ' alt="' in attributes:
        if "emoji" in attributes or "smiley" in attributes:
            alternative = value(attributes, "alt")
            if 0 < len(alternative) <= 12 and not alternative.isascii():
                return alternative
        elif _FORMULA_IMAGE.search(attributes) and "mwe-math" not in attributes:
            alternative = value(attributes, "alt")
            if 0 < len(alternative) < 2000:
                return latex(alternative).replace("&", "&amp;").replace("<", "&lt;")
    return _APART


def _cleaned(text: str) -> str:
    if not text.isascii():
        # The soft hyphen says where a word may be broken; a byte-order mark says nothing. Joiners and marks of
        # direction are part of the spelling.
        text = text.replace("\xa0", " ").replace("\xad", "").replace("\ufeff", "")
    if "&" in text:
        text = unescaped(text)
    return text


def _one_line(text: str) -> str:
    if "\n" in text:
        text = text.replace("\n", " ")
    if "\t" in text:
        text = text.replace("\t", " ")
    if "\r" in text or "\f" in text:
        text = text.replace("\r", " ").replace("\f", " ")
    text = _cleaned(text)
    if "  " in text:
        text = _MANY.sub(" ", text)
    if _APART in text:
        text = _BETWEEN.sub(" ", text).replace(_APART, "")
        text = _MANY.sub(" ", text)
    if _LINE in text:
        text = text.replace(" " + _LINE, _LINE).replace(_LINE + " ", _LINE).strip(_ENDS).replace(_LINE, "\n")
    return text.strip(_ENDS)


def _kept_lines(text: str) -> str:
    lines = _cleaned(text.replace(_LINE, "\n").replace(_APART, "").replace("\r", "")).split("\n")
    while lines and not lines[0].strip(" \t"):
        del lines[0]
    return "\n".join([line.rstrip(" \t") for line in lines]).rstrip("\n")
