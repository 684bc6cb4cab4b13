"""One paper of a finished run, written into a folder."""

from __future__ import annotations

from pathlib import Path

import orjson

from curate.places.store import Place, make_folder, write_atomically
from recipes.app.papers.about import About
from recipes.app.papers.croissant import croissant
from recipes.app.papers.eu_summary import eu_summary
from recipes.app.papers.hub_card import card
from recipes.app.papers.layout import of_run

NAMES = {"hf": "README.md", "croissant": "croissant.json", "eu": "eu-summary.md"}


def write_paper(folder: Place, form: str, into: Path) -> Path:
    """Write README.md, croissant.json or eu-summary.md; returns where it is. The addresses in them are those of the
    files in the output folder of the run."""
    about = About.of(folder)
    if form == "eu":
        content = eu_summary(about).encode()
    elif form == "hf":
        content = card(about, of_run(about)).encode()
    else:
        content = orjson.dumps(croissant(about, of_run(about), folder), option=orjson.OPT_INDENT_2)
    make_folder(into)
    write_atomically(into / NAMES[form], content)
    return into / NAMES[form]
