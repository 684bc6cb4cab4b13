"""Where a user's files are: paths of this machine, or addresses in a store that fsspec knows."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import Refused

if TYPE_CHECKING:
    from upath import UPath

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:://|::)")
_SECRETS = (
    # A name and a password before the host; `host:port/` has no password.
    re.compile(r"://[^/@:?#]*:[^/@]*@"),
    re.compile(r"://[^/@:?#]*:(?!\d{1,5}(?:/|\Z))[^@]*@"),
    # Stores whose hosts have no port: a secret key may hold slashes.
    re.compile(r"\A(?:s3a?|gs|gcs|az|abfss?|adl|hf|oss)://[^/?]*:[^?]*@", re.IGNORECASE),
    re.compile(r"[?&#;][\w.%-]*(?:token|secret|passw|pwd|sig|signature|key|credential|auth)[\w.%-]*=", re.IGNORECASE),
)
_EXTRAS = {"s3": ("s3fs", "goldsand[s3]"), "s3a": ("s3fs", "goldsand[s3]")}
_KEPT_OUT = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "s3a": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "abfs": "AZURE_STORAGE_CONNECTION_STRING",
    "az": "AZURE_STORAGE_CONNECTION_STRING",
    "hf": "HF_TOKEN",
}


def exists(path: str | Path) -> bool:
    """Whether there is a file or folder; False too for a name that none can have (too long, with a NUL)."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


class InputError(Refused):
    """An input that is missing, or of an unknown kind; the message says what to give instead."""


def is_remote(address: str | Path | UPath) -> bool:
    """Whether an address names a store (`scheme://...`) and not a path of this machine."""
    scheme = _SCHEME.match(str(address)) if not isinstance(address, Path) else None
    return scheme is not None and scheme.group(1).lower() not in ("file", "local")


def path_of(address: str | Path | UPath) -> Path | UPath:
    """The path behind an address: local (with `~` expanded) unless it begins with `scheme://`.

    No store is contacted yet. Raises InputError for an address that carries credentials (recipes are copied beside
    their output), for a protocol that fsspec does not know, and for one whose package is not installed.
    """
    if not isinstance(address, str):
        return address
    refuse_credentials(address)
    if not is_remote(address):
        return Path(re.sub(r"\A(?:file|local)://", "", address, flags=re.IGNORECASE)).expanduser()
    from upath import UPath

    scheme = scheme_of(address)
    try:
        path = UPath(address)
        # Loads the store's package now: the path alone would do so at the first read.
        _ = type(path.fs)
    except ImportError as reason:
        package, remedy = _EXTRAS.get(scheme, ("", ""))
        if package:
            raise InputError(f"'{address}': {package} is not installed: pip install '{remedy}'") from None
        raise InputError(f"'{address}': {reason}") from None
    except ValueError:
        raise InputError(
            f"'{address}': there is no protocol '{scheme}'; fsspec knows s3, gs, abfs, hf, http, memory and others"
        ) from None
    except Exception as reason:
        raise InputError(f"'{address}': the store cannot be used: {reason_of(reason)}") from None
    return path


def scheme_of(address: str | Path | UPath) -> str:
    """`s3` of `s3://...`; empty for a path of this machine."""
    scheme = _SCHEME.match(str(address)) if is_remote(address) else None
    return scheme.group(1).lower() if scheme else ""


def refuse_credentials(address: str) -> None:
    """Raise InputError, without repeating them, when an address carries a password, a key or a token."""
    if "://" not in address or not any(pattern.search(address) for pattern in _SECRETS):
        return
    scheme = scheme_of(address)
    where = _KEPT_OUT.get(scheme, "the environment variables or the configuration file of the store's fsspec package")
    raise InputError(
        f"an address '{scheme}://...' carries credentials, and a recipe is copied beside its output: "
        f"take them out of the address and give them through {where}"
    )


def need(package: str, what: str) -> None:
    """Raise InputError, naming the extra, when a package that reads a kind of input is not installed."""
    # None in sys.modules bars an import, and find_spec raises for it.
    if sys.modules.get(package, ...) is None or importlib.util.find_spec(package) is None:
        raise InputError(f"{what} needs {package}, which is not installed: pip install 'goldsand[hub]'")


def reason_of(error: BaseException) -> str:
    """One line of an error that a store's client raised; the type's name when it has no text."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    return text[:300] or type(error).__name__


def joined(folder: Path, address: str) -> str:
    """An address as a file in `folder` means it: an absolute one, `~` and `scheme://` stay as they are."""
    return address if is_remote(address) or address.startswith("~") else str(folder / address)
