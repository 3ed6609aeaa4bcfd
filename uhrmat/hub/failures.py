"""What can go wrong between here and the Hub, each in one sentence with its cure.

The HTTP client of huggingface_hub changed its name once (httpx, httpx2), so its errors are matched by class name.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from uhrmat.core.errors import WeightsError
from uhrmat.hub.consent import HTTP_TOKEN, may_carry_token

_ENDPOINT = "https://huggingface.co"


@contextmanager
def translate_errors(repo: str, revision: str = "main", path: str = "") -> Iterator[None]:
    """Turns what huggingface_hub raises about a file into WeightsError; other errors pass."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        translated = explain(error, repo, revision, path)
        if translated is None:
            raise
        raise translated from error


def explain(error: BaseException, repo: str, revision: str = "main", path: str = "") -> WeightsError | None:
    """The WeightsError for an error of huggingface_hub, of its HTTP client or of the disk; None for other errors."""
    from huggingface_hub import errors as hub

    if isinstance(error, (hub.LocalEntryNotFoundError, RuntimeError)) and error.__cause__ is not None:
        return explain(error.__cause__, repo, revision, path)
    if isinstance(error, hub.HFValidationError):
        return WeightsError(f"{repo!r} is no name of a repository.", "Names look like owner/name.")
    if isinstance(error, hub.GatedRepoError):
        return WeightsError(
            f"{repo} is gated: its owner asks every user to accept conditions.",
            f"Accept them at {_ENDPOINT}/{repo}, then set HF_TOKEN to a token of that account.{_withheld()}",
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return WeightsError(f"{repo} has no revision {revision}.", "Give a branch, a tag or a full commit hash.")
    if isinstance(error, hub.RemoteEntryNotFoundError):
        return WeightsError(f"{repo} has no file {path} at {revision[:12]}.", "Look at its files on the Hub.")
    if isinstance(error, hub.HfHubHTTPError):
        return _by_status(error.response.status_code, repo)
    if isinstance(error, hub.FileMetadataError):
        return WeightsError(f"{_where()} does not answer like a Hub.", "Look at HF_ENDPOINT, proxy and firewall.")
    if isinstance(error, ValueError):
        return WeightsError(f"{_where()} did not serve {repo}: {error}".rstrip(".") + ".", "Look at its name.")
    return _by_kind(error) or _by_disk(error)


def _by_status(status: int, repo: str) -> WeightsError:
    if status == 401:
        return WeightsError(
            f"{_where()} does not show {repo} to this user (401): it is private, gated or does not exist.",
            f"Look at the name, or set HF_TOKEN to a token that may read it.{_withheld()}",
        )
    if status == 403:
        return WeightsError(
            f"{_where()} forbids this with {repo} (403).",
            f"Give HF_TOKEN the right to it: tokens have scopes, in the settings of the account.{_withheld()}",
        )
    if status == 404:
        return WeightsError(f"There is no repository {repo} on {_where()} (404).", "Look at its name.")
    if status == 429:
        return WeightsError(f"{_where()} has had too many requests (429).", "Wait a few minutes, or set HF_TOKEN.")
    if status >= 500:
        return WeightsError(
            f"{_where()} is out of order ({status}).", "Try again in a few minutes, or set HF_ENDPOINT to a mirror."
        )
    return WeightsError(f"{_where()} refuses {repo} ({status}).", "Look at the name of repository and file.")


def _by_kind(error: BaseException) -> WeightsError | None:
    kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.split(".")[0].startswith("httpx")}
    if "TimeoutException" in kinds:
        return WeightsError(
            f"{_where()} did not answer in time.",
            "Try again; on slow lines set HF_HUB_ETAG_TIMEOUT and HF_HUB_DOWNLOAD_TIMEOUT to more seconds.",
        )
    if kinds & {"ConnectError", "ProxyError"}:
        return WeightsError(
            f"{_where()} cannot be reached from here.",
            "Look at network and proxy, set HF_ENDPOINT to a mirror, or bring the file and give its path.",
        )
    if "TransportError" in kinds:
        return WeightsError(f"The connection to {_where()} broke, again and again.", "Try again on a better line.")
    if kinds & {"InvalidURL", "UnsupportedProtocol"}:
        return WeightsError(f"{_where()} is no address.", "Set HF_ENDPOINT to one like https://huggingface.co.")
    return None


def _by_disk(error: BaseException) -> WeightsError | None:
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ENOSPC:
        return WeightsError("The disk is full.", "Free some, or set HF_HUB_CACHE to a folder on another disk.")
    if error.errno is not None:
        reason = error.strerror or str(error)
        where = f" ({error.filename})" if error.filename else ""
        return WeightsError(
            f"The cache cannot be written: {reason}{where}.", "Set HF_HUB_CACHE to a folder that you may write to."
        )
    return WeightsError(f"The file did not arrive whole: {' '.join(str(error).split())[:160]}", "Try again.")


def _withheld() -> str:
    """That a token is set and was not sent, where that is so."""
    if may_carry_token(_where()) or not os.environ.get("HF_TOKEN"):
        return ""
    return f" It was not sent, because {_where()} is not encrypted; {HTTP_TOKEN}=1 sends it."


def _where() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or _ENDPOINT
