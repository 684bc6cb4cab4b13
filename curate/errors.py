"""The one place that distinguishes what a person can put right from a fault of the program; and the hint for a mistyped
name."""

from __future__ import annotations

import difflib
import importlib.util
import sys
import traceback
from collections.abc import Iterable

EXTRAS = {
    "torch": "probe",
    "safetensors": "probe",
    "scipy": "fit",
    "lightgbm": "mixtures",
    "matplotlib": "probe",
    "datasketch": "datasketch",
    "numba": "fast",
    "pycld2": "cld2",
    "nltk": "dclm",
    "s3fs": "s3",
    "ray": "ray",
    "tensorboard": "tensorboard",
    "pandas": "notebook",
    "polars": "adapters",
    "datasets": "hub",
    "pyarrow": "hub",
    "ipywidgets": "notebook",
    "huggingface_hub": "hub",
    "playwright": "look",
    "transformers": "hub",
    "protego": "robots",
    "catboost": "train-extractor",
    "rapidfuzz": "train-extractor",
}
"""Module -> the extra of goldsand that brings it."""

BASE = {
    "trafilatura": "trafilatura>=2.3.1,<2.4",
    "lxml": "lxml>=6.1.3,<7",
    "lxml_html_clean": "lxml_html_clean>=0.4",
    "resiliparse": "resiliparse>=2.0",
    "selectolax": "selectolax>=1.0.2,<1.1",
    "brotli": "brotli>=1.2",
    "rensa": "rensa>=0.5",
    "fasttext": "fasttext-community>=0.11.9,<0.12",
    "py3langid": "py3langid>=0.4,<0.5",
    "zstandard": "zstandard>=0.23",
    "xxhash": "xxhash>=3.5",
    "orjson": "orjson>=3.10",
    "regex": "regex>=2024.9.11",
    "numpy": "numpy>=2.1",
    "pydantic": "pydantic>=2.10",
    "ruamel.yaml": "ruamel.yaml>=0.18",
    "typer": "typer>=0.19",
    "rich": "rich>=13.9",
    "tokenizers": "tokenizers>=0.22",
    "jinja2": "jinja2>=3.1",
    "fsspec": "fsspec>=2024.10",
    "upath": "universal_pathlib>=0.3",
    "tldextract": "tldextract>=5.3",
    "idna": "idna>=3.4",
    "phonenumbers": "phonenumberslite>=9.0",
    "chardet": "chardet>=7.4,<8",
    "webencodings": "webencodings>=0.5.1",
}
"""Module -> what of pyproject.toml's dependencies brings it."""


class Refused(ValueError):
    """Something a person can put right: the message says what is wrong, where, and what would be right.

    A command prints the message and ends with exit code 2. Any other exception is a fault of the program: a traceback
    and exit code 1.
    """


class Unchecked(Refused, UserWarning):
    """The warning that a file of goldsand's is read of which nobody wrote down what it was, so that nobody can check
    it. Where a program makes errors of warnings, a refusal."""


def printable(text: str) -> str:
    """A text from a file or the web for a terminal or a log, with its control characters escaped."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def refusal(error: BaseException) -> str | None:
    """The message for a person who can put this error right; None for a fault of the program.

    A person can put right what is `Refused`, what the operating system denies (OSError), and a dependency that is not
    installed.
    """
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if isinstance(error, ModuleNotFoundError):
        module = (error.name or "").partition(".")[0]
        if module in EXTRAS:
            return f"{module} is not installed; `pip install 'goldsand[{EXTRAS[module]}]'` brings it"
        return next((_absent([one]) for one in BASE if one.partition(".")[0] == module), None)
    return None


def require_base() -> None:
    """Raises Refused where a base dependency is not installed, with what brings all that are missing.

    Nothing is imported, so that a command can ask before it begins: a step imports what it needs with a document in
    hand, and then each document would count as unreadable.
    """
    if absent := [module for module in BASE if not _is_installed(module)]:
        raise Refused(_absent(absent))


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package that the module is part of
        return False


def _absent(modules: list[str]) -> str:
    are, them = ("is", "it") if len(modules) == 1 else ("are", "them")
    asked = " ".join(f"'{BASE[module]}'" for module in modules)
    return f"{', '.join(modules)} {are} not installed, and goldsand needs {them}: pip install {asked}"


def answered(error: Exception) -> int:
    """Say on stderr what ended a program, as `python -m` of a package does: a refusal in one line, a fault with its
    traceback and where to report it. Returns the exit code, 2 or 1."""
    message = refusal(error)
    if message is not None:
        print(f"error: {printable(message)}", file=sys.stderr)
        return 2
    traceback.print_exception(error)
    print(report_line(), file=sys.stderr)
    return 1


def report_line() -> str:
    """The line after the traceback of a fault: whose fault it is, what to send, and where."""
    where = "the issue tracker of the place this copy came from"
    for label, _, url in (one.partition(",") for one in _metadata("Project-URL")):
        if label.strip().lower() == "issues":
            where = url.strip()
    return (
        "goldsand: this is a fault of goldsand, not yours. Please send the lines above, what `goldsand --version` says"
        f" and the recipe to {where}"
    )


def version() -> str:
    """The version of the installed package; `unknown` where the code was not installed."""
    return next(iter(_metadata("Version")), "unknown")


def _metadata(field: str) -> list[str]:
    """All values of a field in the metadata of the installed package."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        return metadata("goldsand").get_all(field) or []
    except PackageNotFoundError:
        return []


def nearest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean 'name'?)` for the known name most like `word`, or an empty string where none is close.

    `cutoff` is difflib's: the smallest similarity, 0 to 1, that counts; short codes need a lower one.
    """
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=cutoff)
    return f" (did you mean '{near[0]}'?)" if near else ""
