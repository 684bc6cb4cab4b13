"""What is made of a finished run afterwards (its page, the figures of a profile), where a kill came before it."""

from __future__ import annotations

import orjson

from curate.places.manifest import SUMMARY
from curate.places.store import Place
from curate.run.profile import Profile


def not_made(out: Place) -> list[str]:
    """What is made of a finished run afterwards and is not there, each with the command that makes it."""
    try:
        steps = orjson.loads((out / SUMMARY).read_bytes())["steps"]
        profile = any(step["step"] == Profile.name for step in steps)
    except (OSError, orjson.JSONDecodeError, LookupError, TypeError):
        return []
    if profile:
        missing = [name for name in ("profile.json", "report.html") if not (out / name).is_file()]
        return [f"there is no {name}: the same `goldsand profile` makes it" for name in missing]
    return [] if (out / "report.html").is_file() else [f"there is no page: `goldsand report {out}` makes it"]
