"""The connection to a Ray cluster, for whatever runs on one: units of a corpus run, trainings of a probe."""

from __future__ import annotations

import socket
from typing import Any

from curate.errors import Refused

STORE = 80 << 20
"""Bytes of the object store of a cluster that is started here: paths and figures travel, never documents."""

LISTENS = 10.0
"""Seconds within which something must answer at the address of a cluster."""


def connected(address: str, workers: int | None = None) -> tuple[Any, bool]:
    """Ray, connected to the cluster at `address`, or, with "local", to one that is started here (of `workers` cores),
    and whether this call connected it. Raises Refused where Ray is not installed or the cluster cannot be reached."""
    try:
        import ray
    except ImportError:
        raise Refused("Ray is not installed: pip install 'goldsand[ray]'") from None
    if ray.is_initialized():
        return ray, False
    refuse_silent(address)
    more: dict[str, Any] = {"num_cpus": workers, "object_store_memory": STORE} if address == "local" else {}
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False, **more)
    except (ConnectionError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise Refused(f"there is no Ray cluster at {address} ({said}); 'local' starts one here") from error
    return ray, True


def refuse_silent(address: str) -> None:
    """Raises Refused for an address HOST:PORT at which nothing listens: Ray itself would ask for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "://" in address:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=LISTENS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Refused(f"there is no Ray cluster at {address} ({reason}); 'local' starts one here") from None
