"""Files from the Hugging Face Hub into its cache, by huggingface_hub: progress, resuming, mirrors, offline mode.

Read at every call, not at import: HF_ENDPOINT (a mirror), HF_TOKEN, HF_HUB_OFFLINE, HF_HUB_CACHE. Before a byte is
fetched, one HEAD request tells whether there is such a file and whether it is the one that the catalogue means. What
arrives beyond the size that was announced, or allowed, ends the transfer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from logging import ERROR
from pathlib import Path
from typing import Any

from uhrmat.core.errors import WeightsError
from uhrmat.core.units import format_bytes
from uhrmat.hub.consent import LARGEST, max_unlisted_bytes, may_carry_token
from uhrmat.hub.entry import WeightsFile
from uhrmat.hub.failures import translate_errors
from uhrmat.hub.verify import verify_file

_TRIES = 3
Progress = Callable[[str, int, int], None]
"""progress(file, bytes done, bytes in all), called while a file arrives."""


def offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def endpoint() -> str:
    """The Hub's address, or that of the mirror in HF_ENDPOINT."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def cache_dir() -> Path:
    """Where fetched files lie: HF_HUB_CACHE, else below HF_HOME."""
    from huggingface_hub import constants

    return Path(os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE).expanduser()


def cached_file(repo: str, revision: str, path: str) -> Path | None:
    """The file if it was fetched before. Needs no network, writes nothing."""
    from huggingface_hub import try_to_load_from_cache

    with translate_errors(repo, revision, path):
        cached = try_to_load_from_cache(repo, path, cache_dir=cache_dir(), revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def fetch(
    repo: str, revision: str, path: str, expected: WeightsFile | None = None, progress: Progress | None = None
) -> Path:
    """`path` of a repository at a revision, from the Hub into the cache; connections that break are resumed.

    expected: what the catalogue says; another size or hash on the Hub is refused before anything is fetched. Without it
    the file is compared with the SHA-256 that the Hub announces for it, where it does (LFS), and may have at most
    `consent.max_unlisted_bytes` bytes. Raises WeightsError saying in one sentence what was in the way and what helps.
    """
    if offline():
        raise WeightsError(
            f"{repo}:{path} is not on this machine, and HF_HUB_OFFLINE forbids fetching it.",
            "Unset HF_HUB_OFFLINE once, or copy the cache of a machine that has it.",
        )
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    token = hub_token()
    with translate_errors(repo, revision, path):
        url = hf_hub_url(repo, path, revision=revision, endpoint=endpoint())
        announced = get_hf_file_metadata(url, token=token, endpoint=endpoint(), timeout=constants.HF_HUB_ETAG_TIMEOUT)
        if expected is not None:
            _compare(repo, expected, announced.size, announced.etag)
        most = _most(path, expected, announced.size)
        local = _persistent(repo, path, revision=revision, token=token, tqdm_class=_bar(path, progress, most))
    if expected is None and announced.size is not None and _is_sha256(announced.etag):
        verify_file(local, WeightsFile(path, announced.size, str(announced.etag)), cache=cache_dir())
    return local


def hub_token() -> str | bool | None:
    """What huggingface_hub takes as `token`: HF_TOKEN, None for its own stored one, False for none at all."""
    return (os.environ.get("HF_TOKEN") or None) if may_carry_token(endpoint()) else False


def _most(path: str, expected: WeightsFile | None, announced: int | None) -> int:
    """Bytes that may arrive. Raises WeightsError for a file without entry that is announced to be too large."""
    if expected is not None and expected.bytes:
        return expected.bytes
    most = max_unlisted_bytes()
    if announced is not None and announced > most:
        raise WeightsError(
            f"{endpoint()} announces {format_bytes(announced)} for {path}; of a file that is in no catalogue uhrmat "
            f"fetches at most {format_bytes(most)}.",
            f"If the file is right, set {LARGEST} to a larger size, like 20GB.",
        )
    return most if announced is None else announced


def _persistent(repo: str, path: str, **options: Any) -> Path:
    """Downloads. huggingface_hub resumes where a connection ends early; one that is reset is begun anew here."""
    for _ in range(_TRIES - 1):
        try:
            return Path(download(repo, path, **options))
        except Exception as error:
            if "ReadError" not in {kind.__name__ for kind in type(error).__mro__}:
                raise
    return Path(download(repo, path, **options))


def download(repo: str, path: str, **options: Any) -> str:
    """`hf_hub_download` with our endpoint, cache and silence."""
    from huggingface_hub import hf_hub_download

    with quiet_hub():
        result: str = hf_hub_download(
            repo, path, endpoint=endpoint(), cache_dir=cache_dir(), library_name="uhrmat", **options
        )
        return result


def list_files(repo: str, revision: str) -> list[str]:
    """Paths of all files of a repository, from the Hub, or those in the cache where the network is off."""
    from huggingface_hub import HfApi, constants

    if offline():
        return _cached_listing(repo, revision)
    api = HfApi(endpoint(), token=hub_token())
    with translate_errors(repo, revision), quiet_hub():
        info = api.model_info(repo, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    return [file.rfilename for file in info.siblings or []]


def _cached_listing(repo: str, revision: str) -> list[str]:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repos = scan_cache_dir(cache_dir()).repos
    except CacheNotFound:
        return []
    revisions = (r for of in repos if of.repo_id == repo for r in of.revisions if revision in (r.commit_hash, *r.refs))
    return [f.file_path.relative_to(r.snapshot_path).as_posix() for r in revisions for f in r.files]


def _compare(repo: str, expected: WeightsFile, size: int | None, etag: str | None) -> None:
    """Refuses a file whose size or (for LFS files, whose ETag is it) SHA-256 is announced to be another."""
    changed = size is not None and expected.bytes not in (0, size)
    if _is_sha256(etag):
        changed = changed or etag != expected.sha256
    if changed:
        raise WeightsError(
            f"{endpoint()} announces another {expected.path} for {repo} than the one uhrmat knows: it was not fetched.",
            "Look at HF_ENDPOINT; if it is right, give owner/repository@revision:file to use what is there now.",
        )


def _is_sha256(etag: str | None) -> bool:
    return etag is not None and re.fullmatch(r"[0-9a-f]{64}", etag) is not None


@contextmanager
def quiet_hub() -> Iterator[None]:
    """No log lines and bars of huggingface_hub between ours: what they would say is an error with its cure."""
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before, bars = logging.get_verbosity(), not are_progress_bars_disabled()
    logging.set_verbosity(ERROR)
    if bars:
        disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            enable_progress_bars()


def _bar(path: str, progress: Progress | None, most: int) -> Any:
    """A class that huggingface_hub takes for a tqdm bar: it shows nothing, calls `progress`, and raises WeightsError
    where more than `most` bytes arrive."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": StringIO(), "disable": False})  # type: ignore[no-untyped-call]
            self.update(0)

        def display(self, *args: Any, **kwargs: Any) -> bool:
            return True

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if self.n > most:
                raise WeightsError(
                    f"{endpoint()} sends more of {path} than the {format_bytes(most)} that it may have.",
                    "Look at HF_ENDPOINT and proxy.",
                )
            if progress is not None and self.total:
                progress(path, int(self.n), int(self.total))
            return None

    return Bar
