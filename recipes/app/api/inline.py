"""The page of a result, whole, within a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from curate.errors import Refused
from curate.places.store import Place


@dataclass(frozen=True)
class InlinePage:
    """A page that a notebook shows in a frame of `height` pixels. It stands in the notebook itself, whoever opens it,
    and its script sees nothing outside the frame."""

    path: Place
    height: int = 700

    def _repr_html_(self) -> str:
        try:
            page = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise Refused(f"there is no page {self.path}: `goldsand report` makes one of a run") from None
        frame = f'sandbox="allow-scripts" style="width: 100%; height: {int(self.height)}px; border: 0"'
        return f'<iframe {frame} srcdoc="{escape(page, quote=True)}"></iframe>'
