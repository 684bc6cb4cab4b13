"""A publication to the Hugging Face Hub: one commit, made when every file is there.

What was uploaded before a connection broke is not sent again: the Hub knows files by their content, and so does the
next call.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from curate.errors import Refused
from curate.places.store import Place, is_local
from recipes.app.papers.about import About
from recipes.app.papers.publish import made_of, publish_to

SCHEME = "hf://"
_NAME = re.compile(r"(?:datasets/)?([\w.-]+/[\w.-]+)/?")
TRIES = 4
PAUSE = 2.0
"""Seconds before the second try; twice as many before each further one."""
_OURS = ["data/*", "ledger/*", "facts/*"]
"""What an earlier publication may have had, and this one has not."""


def repository_of(address: str) -> str:
    """`ORG/NAME` of `hf://ORG/NAME` or `hf://datasets/ORG/NAME`. Raises Refused for any other address."""
    found = _NAME.fullmatch(address.removeprefix(SCHEME))
    if not address.startswith(SCHEME) or found is None:
        raise Refused(f"{address} is no data set of the Hub: write hf://ORG/NAME, or the path of a folder")
    return found.group(1)


def publish_to_hub(folder: Place, address: str, size: int, *, private: bool) -> dict[str, int]:
    """Write a publication beside a run's folder, and commit it to the Hub as one change; returns `files` and `bytes`.

    The folder beside it is removed when the Hub has everything, and used again by the same command where it broke off.
    Raises Refused, with nothing changed at the Hub, where the token may not write or the Hub does not answer.
    """
    repository = repository_of(address)
    beside = folder.with_name(f"{folder.name}.publication") if is_local(folder) else Path(f"{folder.name}.publication")
    with _said(address):
        # Whoever may not write learns it before the work.
        _begin(repository, private)
    if made_of(beside) != made_of(About.of(folder)):
        publish_to(folder, beside, size)
    files = [one for one in beside.rglob("*") if one.is_file()]
    made = {"files": len(files), "bytes": sum(one.stat().st_size for one in files)}
    with _said(address):
        _commit(repository, beside)
    shutil.rmtree(beside)
    return made


def _begin(repository: str, private: bool) -> None:
    from huggingface_hub import HfApi

    HfApi().create_repo(repository, repo_type="dataset", private=private, exist_ok=True)


def _commit(repository: str, folder: Path) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    for turn in range(1, TRIES + 1):
        try:
            HfApi().upload_folder(
                repo_id=repository,
                folder_path=folder,
                repo_type="dataset",
                commit_message="goldsand publish",
                delete_patterns=_OURS,
            )
            return
        except Exception as error:
            # What happened within the upload of a file is wrapped by the client.
            cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
            refused = isinstance(cause, HfHubHTTPError) and cause.response.status_code < 500
            if turn == TRIES or refused or not _may_pass(cause):
                raise cause from None
        time.sleep(PAUSE * 2 ** (turn - 1))


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0].startswith("http")


@contextlib.contextmanager
def _said(address: str) -> Iterator[None]:
    """The Hub's errors, as what a person can do about them."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    token = f"`hf auth login` with a token that may write {address}, or set HF_TOKEN"
    again = "nothing was published, and the same command goes on"
    try:
        yield
    except Refused:
        raise
    except HFValidationError as error:
        raise Refused(f"{address}: {' '.join(str(error).split())}") from None
    except LocalTokenNotFoundError:
        raise Refused(f"there is no token for the Hub: {token}") from None
    except OfflineModeIsEnabled:
        raise Refused(
            f"HF_HUB_OFFLINE is set, so {address} cannot be reached: unset it, or publish to a folder"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403, 404):
            raise Refused(f"the Hub refuses the token for {address} ({status}): {token}; {again}") from None
        raise Refused(f"the Hub could not take {address} (status {status}): {again}") from None
    except Exception as error:
        if not _may_pass(error):
            raise
        raise Refused(f"the Hub does not answer for {address} ({type(error).__name__}): {again}") from None
