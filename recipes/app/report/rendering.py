"""Pages from templates, and the form of figures on pages and in a terminal.

All values in a template are escaped, and an unknown name in a template is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def rendered(template: str, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """The HTML of a template of this folder, with these filters, `count`, and the style that all pages share."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"count": lambda number: f"{number:,}", **filters}
    return environment.get_template(template).render(style=Markup((HERE / "page.css").read_text()), **values)


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
