"""Build corpora, and measure what they do to the knowledge a model stores: what the command `goldsand` does, in Python.

    import goldsand

    run = goldsand.run("quickstart", output="corpus")
    run.documents.kept

Everything public is in `__all__` (docs/stability.md), and imported when it is first asked for.
"""

from __future__ import annotations

from typing import Any

from recipes.app.api.names import PUBLIC, found

__all__ = sorted(PUBLIC)


def __getattr__(name: str) -> Any:
    return found(name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
