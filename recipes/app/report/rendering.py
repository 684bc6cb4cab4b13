"""Pages from templates, and the form of figures on pages and in a terminal.

All values in a template are escaped, and an unknown name in a template is an error. A page allows no script but its own
(`page.js`, by its hash), so that even a value that was not escaped could run nothing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

HERE = Path(__file__).parent

LIMIT = 10_000_000
"""Bytes of a page at most."""

_HEADING = re.compile(r"<h2>(.*?)</h2>", re.DOTALL)


def rendered(template: str, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """The HTML of a template of this folder that extends `base.html`, with these filters and those of every page."""
    from markupsafe import Markup

    script = (HERE / "page.js").read_text()
    page = _environment(filters).get_template(template)
    return page.render(
        style=Markup((HERE / "page.css").read_text()), script=Markup(script), script_hash=_hash(script), **values
    )


def part(template: str, filters: dict[str, Callable[..., Any]] | None = None, **values: Any) -> Markup:
    """The HTML of a part of a page: its template begins with an `<h2>`, which the page lists by itself."""
    from markupsafe import Markup

    return Markup(_environment(filters or {}).get_template(template).render(**values))


def _environment(filters: dict[str, Callable[..., Any]]) -> Environment:
    environment = _loaded().overlay()
    environment.filters = {**_loaded().filters, **filters}
    return environment


@functools.cache
def _loaded() -> Environment:
    """One environment for all pages: templates are compiled once a process."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "visible": visible,
        "share": share,
        "short": lambda value: visible(short(value), 60),
        "with_headings": with_headings,
        "breakable": breakable,
    }
    return environment


def _hash(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def with_headings(content: str) -> tuple[Markup, list[tuple[str, Markup]]]:
    """The content with an id at each `<h2>`, and (id, words) of each. Text of a crawl holds none: it is escaped."""
    from markupsafe import Markup

    found: list[tuple[str, Markup]] = []

    def named(match: re.Match[str]) -> str:
        found.append((f"part-{len(found) + 1}", Markup(match[1])))
        return f'<h2 id="{found[-1][0]}">{match[1]}</h2>'

    return Markup(_HEADING.sub(named, content)), found


def visible(text: Any, limit: int = 500) -> str:
    """Text of unknown origin for a reader: cut to `limit`, with control and direction marks shown by their code."""
    shown = [
        f"\u27e8U+{ord(char):04X}\u27e9"
        if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t"
        else char
        for char in str(text)[:limit]
    ]
    return "".join(shown) + ("\u2026" if len(str(text)) > limit else "")


def breakable(name: str) -> Markup:
    """A name that may break into lines behind its dots and underscores, escaped."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([._])(?=\w)", r"\1<wbr>", str(escape(name))))


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "\u2013"


def short(value: Any) -> str:
    """A value or threshold in few characters: 0.153, 1,204, en."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def junk_share(ratio: float) -> str:
    """A junk ratio as a fraction: 0, 7/8."""
    return str(Fraction(ratio).limit_denominator(64))
