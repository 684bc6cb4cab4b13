"""The program that started this process (`__main__`), kept from processes that begin from it.

A new process imports it first, so that classes of its own are found there. Without `if __name__ == '__main__':` it
starts all of its work again, in each process.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def no_program() -> Iterator[None]:
    """Processes that start meanwhile import no program: for work in which nothing of it can be named."""
    program = sys.modules["__main__"]
    file, spec = getattr(program, "__file__", None), getattr(program, "__spec__", None)
    program.__spec__ = None
    if file is not None:
        del program.__file__
    try:
        yield
    finally:
        program.__spec__ = spec
        if file is not None:
            program.__file__ = file
