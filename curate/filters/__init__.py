"""Published rule sets, one file each, and our own for language and safety. A class is imported when first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.filters.c4 import C4
    from curate.filters.classifier import Classifier
    from curate.filters.dclm import DclmC4, DclmQuality, DclmRepetition, RefinedWebLines
    from curate.filters.density import KnowledgeDensity
    from curate.filters.dolma import DolmaC4, DolmaQuality, DolmaRepetition
    from curate.filters.fineweb import FineWeb
    from curate.filters.gopher import GopherQuality, GopherRepetition
    from curate.filters.language import Language
    from curate.filters.safety import Safety
    from curate.filters.url import Url

__all__ = [
    "C4",
    "Classifier",
    "DclmC4",
    "DclmQuality",
    "DclmRepetition",
    "DolmaC4",
    "DolmaQuality",
    "DolmaRepetition",
    "FineWeb",
    "GopherQuality",
    "GopherRepetition",
    "KnowledgeDensity",
    "Language",
    "RefinedWebLines",
    "Safety",
    "Url",
]

_MODULES = {
    "C4": "c4",
    "Classifier": "classifier",
    "DclmC4": "dclm",
    "DclmQuality": "dclm",
    "DclmRepetition": "dclm",
    "DolmaC4": "dolma",
    "DolmaQuality": "dolma",
    "DolmaRepetition": "dolma",
    "FineWeb": "fineweb",
    "GopherQuality": "gopher",
    "GopherRepetition": "gopher",
    "KnowledgeDensity": "density",
    "Language": "language",
    "RefinedWebLines": "dclm",
    "Safety": "safety",
    "Url": "url",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
