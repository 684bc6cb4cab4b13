"""The picture of the README: the top of the demo's page. `python tests/look/demo_picture.py DEMO PICTURE`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from look_pages import chromium, run

SIZE = {"width": 1100, "height": 1250}


def main(demo: Path, picture: Path) -> None:
    """Write the page of a finished demo elsewhere, and a picture of its top."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        page = Path(folder) / "report.html"
        run("report", demo / "corpus", "--probe", demo / "probe", "-o", page)
        browser = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        shown = browser.new_page(viewport=SIZE)
        shown.goto(page.as_uri())
        shown.screenshot(path=str(picture), timeout=240_000)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
