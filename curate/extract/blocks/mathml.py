"""A formula of MathML as a line: its LaTeX where the page has it, else its own symbols, exponents kept apart."""

from __future__ import annotations

from collections.abc import Sequence

from curate.extract.blocks.segment import unescaped

Token = tuple[str, str, str]

_DEEP = 64
"""Elements nested in one another that are told apart; what is deeper is read as one row, so that time stays linear."""
_LONG = 4000
"""Characters of LaTeX in an attribute or annotation; a longer one is no formula."""
_UNSEEN = "\u2061\u2062\u2063\u2064"
_OPERATORS = ("mover", "munder", "munderover")
_SCRIPTS = ("msub", "msup", "msubsup", "mmultiscripts")
_FRAMED = frozenset(
    (*_OPERATORS, *_SCRIPTS, "math", "mi", "mn", "mo", "mtext", "ms", "mspace", "semantics", "mprescripts", "none")
) | frozenset(
    ("mfrac", "msqrt", "mroot", "mtable", "mtr", "mlabeledtr", "mtd", "mrow", "mstyle", "mpadded", "menclose")
)
_FRAMED |= {"mphantom", "mfenced"}
_TEX = ("application/x-tex", "application/x-latex", "text/latex", "tex", "latex")


def value(attributes: str, name: str) -> str:
    """The value of an attribute, without escapes; empty where it is missing."""
    place = attributes.find(f' {name}="')
    if place < 0:
        return ""
    begin = place + len(name) + 3
    return unescaped(attributes[begin : attributes.find('"', begin)])


def latex(source: str, block: bool = False) -> str:
    """A formula in LaTeX between its marks, without the wrapper that Wikipedia puts around each."""
    text = " ".join(source.replace("\xa0", " ").split(" ")).strip(" \t\n\r$")
    for wrapper in ("{\\displaystyle", "{\\textstyle"):
        if text.startswith(wrapper) and text.endswith("}"):
            text = text[len(wrapper) : -1].strip(" \n\t")
    if not text:
        return ""
    return f"$${text}$$" if block else f"${text}$"


def formula(tokens: Sequence[Token], begin: int, end: int) -> str:
    """What the element `math` at `begin` says, its closing tag at `end` (or the end of what is read), escapes kept."""
    attributes = tokens[begin][1]
    block = value(attributes, "display") == "block"
    for place in range(begin + 1, end):
        tag, told, text = tokens[place]
        if tag == "annotation" and value(told, "encoding") in _TEX and len(text) < _LONG:
            return latex(text, block)
    if 0 < len(stated := value(attributes, "alttext")) < _LONG:
        return latex(stated, block).replace("&", "&amp;").replace("<", "&lt;")
    return _linear(tokens, begin, end)


def _linear(tokens: Sequence[Token], begin: int, end: int) -> str:
    names = ["math"]
    parts: list[list[str]] = [[tokens[begin][2]]]
    attributes = [""]
    deeper = skipped = 0
    for place in range(begin + 1, end):
        tag, told, text = tokens[place]
        if tag in ("annotation", "annotation-xml"):
            skipped += 1
        elif tag in ("/annotation", "/annotation-xml"):
            skipped -= 1
        elif tag in _FRAMED:
            if len(names) < _DEEP:
                names.append(tag)
                parts.append([])
                attributes.append(told)
            else:
                deeper += 1
        elif tag[:1] == "/" and tag[1:] in _FRAMED:
            if deeper:
                deeper -= 1
            elif len(names) > 1:
                said = _said(names.pop(), parts.pop(), attributes.pop())
                parts[-1].append(said)
        if text and skipped <= 0:
            text = text.strip(" \t\n\r\xa0") if names[-1] != "mtext" else text
            if text:
                parts[-1].append(text)
    while len(names) > 1:
        said = _said(names.pop(), parts.pop(), attributes.pop())
        parts[-1].append(said)
    return _row(parts[0])


def _said(name: str, parts: list[str], attributes: str) -> str:
    """One element, of the texts of those in it."""
    if name in _SCRIPTS:
        base, *scripts = parts or [""]
        if name == "msub":
            marks = "_"
        elif name == "msup":
            marks = "^"
        else:
            marks = "_^" * len(scripts)
        return base + "".join(mark + grouped(script) for mark, script in zip(marks, scripts, strict=False) if script)
    if name == "mfrac" and len(parts) == 2:
        return f"{_atom(parts[0])}/{_atom(parts[1])}"
    if name == "msqrt":
        return "√" + _atom(_row(parts))
    if name == "mroot" and len(parts) == 2:
        return f"root({parts[1]}, {parts[0]})"
    if name in _OPERATORS and len(parts) > 1:
        # A sum or limit has its range below and above; an accent (a bar, a hat) is a mark behind its letter.
        base, *scripts = parts
        marks = {"munder": "_", "mover": "^"}.get(name, "_^")
        return base + "".join(mark + grouped(script) for mark, script in zip(marks, scripts, strict=False) if script)
    if name == "mtable":
        return "[" + "; ".join(parts) + "]"
    if name in ("mtr", "mlabeledtr"):
        return ", ".join(parts)
    if name == "mfenced":
        opening = value(attributes, "open") or "("
        closing = value(attributes, "close") or ")"
        return opening + ", ".join(parts) + closing
    if name == "mspace":
        return " "
    if name == "mphantom":
        return ""
    if name in ("mi", "mo") and parts:
        return "".join(parts).strip(_UNSEEN)
    if name in ("none", "mprescripts"):
        return ""
    return _row(parts)


def _row(parts: list[str]) -> str:
    """Neighbours in a row, apart where they would be read as one number or word."""
    said: list[str] = []
    before = ""
    for part in parts:
        if not part:
            continue
        if before and _word(before[-1]) and _word(part[0]):
            single = len(before) == 1 or before[-2] in "+-−=×·(,[ "
            word = len(part) > 3 and _word(part[1]) and _word(part[2])
            # `2x` and `mc` stay together, `sin x`, `2 3` and `x 2` do not.
            if part[0] in "0123456789" or word or not (single or before[-1] in "0123456789"):
                said.append(" ")
        said.append(part)
        before = part
    return "".join(said)


def _word(letter: str) -> bool:
    return "0" <= letter <= "9" or "a" <= letter <= "z" or "A" <= letter <= "Z" or "\u0370" <= letter <= "\u03ff"


def _simple(text: str) -> bool:
    body = text[1:] if text[:1] in ("-", "−", "+", "±") and len(text) > 1 else text
    return len(body) == 1 or all(one in "0123456789.,′″*" for one in body) or all(map(_plain, body))


def _plain(letter: str) -> bool:
    return "a" <= letter <= "z" or "A" <= letter <= "Z"


def grouped(text: str) -> str:
    """An exponent or index behind its mark: in brackets unless it is one number or one word."""
    text = text.strip(" \t\n\r")
    return text if _simple(text) or (text[0] == "(" and text.find(")") == len(text) - 1) else f"({text})"


def _atom(text: str) -> str:
    return text if _simple(text) and text[:1] not in "-−+±" else f"({text})"
