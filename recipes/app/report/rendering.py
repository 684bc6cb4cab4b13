"""Pages from templates: whatever is put in is escaped, and a name that a template misspells is an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def rendered(template: str, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """The HTML of a template of this folder, which has the filters and `count`, and the style of all pages."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"count": lambda number: f"{number:,}", **filters}
    return environment.get_template(template).render(style=Markup((HERE / "page.css").read_text()), **values)
