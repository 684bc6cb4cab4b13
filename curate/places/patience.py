"""Failures that may pass (a file away for a moment, a store that is busy): tried again after pauses, then an error."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

PAUSES = (0.2, 0.6, 1.8, 5.4)
"""Seconds before each further try to open or read an input: five tries within 8 s."""

_CLIENTS = ("aiohttp", "botocore", "fsspec", "http", "httpcore", "httpx", "huggingface_hub", "requests", "urllib3")
"""Packages whose exceptions tell of a network or a store, and never of what a file holds."""

_PASSING = {
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EIO, errno.ENXIO, errno.ENODEV),
    *(errno.EBUSY, errno.EAGAIN, errno.EINTR, errno.ENFILE, errno.EMFILE, errno.ESTALE, errno.ETIMEDOUT, errno.EPIPE),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN),
    *(errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EREMOTEIO, errno.ESHUTDOWN),
}
_NAMED = (ConnectionError, TimeoutError, InterruptedError)

P = ParamSpec("P")
T = TypeVar("T")


def passes(error: BaseException | None) -> bool:
    """Whether an exception of another library tells of a file or a store that cannot be read *now*. A library that
    finds bad content may raise OSError too, but without the system's number."""
    while error is not None:
        if isinstance(error, _NAMED) or (isinstance(error, OSError) and error.errno in _PASSING):
            return True
        if type(error).__module__.partition(".")[0] in _CLIENTS:
            return True
        error = error.__cause__
    return False


def patiently(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What the call returns. One that opens or reads a file and fails is tried again after each of `PAUSES`; then its
    OSError is raised."""
    for pause in PAUSES:
        try:
            return call(*arguments, **named)
        except OSError:
            time.sleep(pause)
    return call(*arguments, **named)
