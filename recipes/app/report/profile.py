"""The page of a profile: what each rule drops, and what other thresholds would keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from curate.places.store import Place, write_atomically
from recipes.app.recipe.profile import KEPT, callouts
from recipes.app.report.pictures import curves, histogram, lost_side
from recipes.app.report.rendering import rendered


def write_page(profile: dict[str, Any], folder: Place) -> Place:
    """Write the page of what `recipes.app.recipe.profile.write_profile` returns; returns where it is."""
    path: Place = folder / "report.html"
    write_atomically(path, profile_page(profile).encode())
    return path


def profile_page(profile: dict[str, Any]) -> str:
    """The HTML. Values that came from pages are escaped."""
    from markupsafe import Markup

    filters: dict[str, Callable[..., Any]] = {"percent": lambda part: f"{part:.1%}"}
    words = ("documents", profile["counted_in"])
    walls: dict[str, list[tuple[dict[str, Any], str]]] = {}
    for row in profile["curves"]:
        name = f"{row['step']}.{row['limit']}"
        pictures = curves(row["points"], f"share kept by {name}, by threshold", row["threshold"], words)
        if made := row.get("histogram"):
            values = made["edges"], made["counts"]
            pictures = (
                histogram(*values, f"values that {name} saw", row["threshold"], lost_side(row["side"])) + pictures
            )
        picture = Markup(pictures)
        walls.setdefault(row["step"], []).append((row, picture))
    return rendered(
        "profile.html",
        filters,
        profile=profile,
        walls=walls,
        callouts=callouts(profile),
        shares=KEPT,
        keeping={(row["step"], row["rule"], row["limit"]): row["keeping"] for row in profile["curves"]},
    )
