"""What pyproject.toml cannot say: URLs and links made of one address, which the owner fills in there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent


def urls(home: str) -> dict[str, str]:
    """The project's URLs, by their labels; none without an address."""
    return {"Homepage": home, "Issues": f"{home}/issues", "Changelog": f"{home}/blob/main/CHANGELOG.md"} if home else {}


def absolute(page: str, home: str) -> str:
    """A page of the repository with its relative links made absolute, as a package index needs them: unchanged without
    an address."""
    if not home:
        return page

    def link(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match.group()
        return f"{mark}[{text}]({home}/{'raw' if mark else 'blob'}/main/{target})"

    return re.sub(r"(!?)\[([^]]*)\]\(([^)\s]+)\)", link, page)


if __name__ == "__main__":
    # Here, so that a test may import the rest wherever distutils has been imported before.
    from setuptools import setup

    home = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["goldsand"]["home"].rstrip("/")
    setup(
        long_description=absolute((ROOT / "README.md").read_text(encoding="utf-8"), home),
        long_description_content_type="text/markdown",
        project_urls=urls(home),
    )
