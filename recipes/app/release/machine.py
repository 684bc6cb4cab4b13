"""What the last bit of a figure depends on: device, processor, builds of libraries."""

from __future__ import annotations

from typing import Any

from curate.errors import version

ASKED = ("device", "processor", "capability", "torch", "torch_build", "numpy")
"""What must be the same for figures to be the same to the last bit; each is named where it differs."""


def here(versions: dict[str, Any], device: str) -> dict[str, Any]:
    """What a run says of where it was trained, from its `config.json`; what an earlier version did not say is None."""
    return {key: device.partition(":")[0] if key == "device" else versions.get(key) for key in ASKED}


def apart(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Why figures need not be the same to the last bit, in words: where two machines differ, what one of them does not
    say, and a device whose sums have no order."""
    unordered = [f"device {one['device']}: its sums have no fixed order"] if one.get("device") != "cpu" else []
    return unordered + [
        f"{key} {one.get(key) or 'unknown'} -> {other.get(key) or 'unknown'}"
        for key in ASKED
        if one.get(key) is None or one.get(key) != other.get(key)
    ]


def made_with() -> dict[str, Any]:
    """The versions that made a release."""
    import platform

    import numpy
    import torch

    return {
        "goldsand": version(), "python": platform.python_version(), "torch": torch.__version__,
        "numpy": numpy.__version__,
    }  # fmt: skip
