"""Where a user's files are: paths of this machine, or addresses in a store that fsspec knows."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from curate.errors import Refused

if TYPE_CHECKING:
    from upath import UPath

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:://|::)")
_HOST = re.compile(r"(?:[\w.~*-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_BUCKET = re.compile(r"[^@:%]*")
"""What stands there in a store without ports, or within an archive."""
_CONTAINER = re.compile(r"[a-z0-9$][a-z0-9-]{2,62}")
_USER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
_BEFORE_AT = {
    **dict.fromkeys(("abfs", "abfss", "wasb", "wasbs", "az", "oci"), _CONTAINER),
    **dict.fromkeys(("sftp", "ssh", "hdfs"), _USER),
}
"""What may stand before `@` and the host: a container of a store, or a user's name where no key is ever put."""
_PORTS = ("http", "https", "ftp", "ftps", "sftp", "ssh", "hdfs", "webhdfs", "smb", "webdav", "webdavs")
_WEB = ("http", "https", "webhdfs")
_ASKED = {
    *("alt", "branch", "dl", "download", "format", "generation", "lang", "language", "limit", "offset", "page", "raw"),
    *("ref", "rev", "revision", "start", "version", "versionid", "year"),
}
"""Names of a query's parameters that say which data are meant, and by which no key was ever passed."""
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9._/-]{0,40}")
_FILE = re.compile(r"[^?&;#=]*\.(?:gz|zst|bz2|xz|w?arc|w[ae]t|jsonl?|ndjson|parquet|arrow|html?|txt|csv)")
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
    """Raise InputError, without repeating it, when an address holds what may be a password, a key or a token.

    It is told by what an address *may* hold: a host, a port, a path, and of a query the names in `_ASKED`. A list of
    how keys are spelled would always lack one. A path is taken as it is: it names the data.
    """
    # Protocols may be chained: `simplecache::s3://bucket/a`.
    for link in re.split(r"::(?![^\[\]]*\])", address):
        scheme, found, rest = link.partition("://")
        if found and (what := _not_allowed(scheme.lower(), rest)):
            where = _KEPT_OUT.get(
                scheme.lower(), "the environment variables or the configuration file of the store's fsspec package"
            )
            raise InputError(
                f"an address '{scheme_of(address)}://...' may carry credentials ({what}), and a recipe is copied beside"
                f" its output: take them out of the address and give them through {where}"
            )


def _not_allowed(scheme: str, rest: str) -> str:
    """What of an address, behind its scheme, is not on the list of what it may hold; empty where all is."""
    if scheme in ("file", "local"):
        return "a name and a password stand before `@`" if re.match(r"[^/@]*:[^@]*@", rest) else ""
    host, slash, path = re.match(r"([^/?#;]*)(/?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    user, at, name = host.rpartition("@")
    if at and not (scheme in _BEFORE_AT and _BEFORE_AT[scheme].fullmatch(user)):
        return "something stands before `@` and the host"
    if not (_HOST if scheme in _PORTS else _BUCKET).fullmatch(name):
        return "what stands where the host belongs is none"
    web = scheme in _WEB
    path, mark, query = (path if slash else rest[len(host) :]).partition("?")
    if (";" in path and web) or ("#" in path + query and web):
        return "`;` or `#` stands in its path"
    # In a store a `?` is a glob's, and `;` and `#` are characters of a name, unless a name and `=` follow.
    marked = re.findall(r"[;#]([^;#?&/]*=[^;#?&/]*)", path)
    if mark:
        marked += [
            one for one in re.split(r"[?&;#]", query) if web or ("=" in one and "/" not in one.partition("=")[0])
        ]
    for one in marked:
        key, equals, value = one.partition("=")
        key = unquote(unquote(key)).lower()
        if key not in _ASKED and not (not equals and _FILE.fullmatch(one)):
            return "its query has a parameter that is none of " + ", ".join(sorted(_ASKED))
        if not _PLAIN_VALUE.fullmatch(value):
            return "a value of its query is longer, or holds other characters, than the name of a version"
    return ""


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
