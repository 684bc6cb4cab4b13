"""The end of a run that somebody asks for: Ctrl-C, or a polite signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that workers are stopped and the lock is released."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may handle signals; a run started from another one ends with its process.
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
