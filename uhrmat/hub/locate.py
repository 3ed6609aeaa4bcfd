"""From what a user typed to verified files on this machine."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from uhrmat.core.errors import WeightsError
from uhrmat.core.regular import need_regular
from uhrmat.hub.bundled import bundled_weights_dir
from uhrmat.hub.catalog import catalog_entries, close_names, find_entry
from uhrmat.hub.entry import CatalogEntry, LocalWeights, WeightsFile
from uhrmat.hub.fetch import Progress, cache_dir, cached_file, fetch, list_files, offline
from uhrmat.hub.verify import sha256, verify_file

SUFFIXES = (".safetensors", ".onnx")
_REPO = re.compile(r"(?P<repo>\w[\w.-]*/[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?::(?P<file>\S+))?")
_PICKLES = (".bin", ".ckpt", ".pkl", ".pt", ".pth")


def resolve(
    name: str | os.PathLike[str],
    *,
    accept: Collection[str] = (),
    suffixes: Collection[str] = SUFFIXES,
    progress: Progress | None = None,
    fresh: bool = False,
) -> LocalWeights:
    """Weights by name, path, folder or repository, on this machine and verified where their hash is known.

    name: a name of the catalogue, an existing file or folder, or `org/repo[@revision][:file]` on the Hub, in this
    order; accept: names of entries whose licence the user has accepted; suffixes: of files
    that the caller can read; progress: called with (file, bytes done, bytes in all). What is cached needs no network,
    unless `fresh` asks whether a branch has moved. Raises WeightsError.
    """
    text = os.fspath(name)
    if "://" in text:
        raise WeightsError(f"{text} is an address.", "Give owner/repository[@revision][:file], or fetch it yourself.")
    entry = find_entry(text)
    if entry is not None:
        return _known(entry, accept, progress)
    if os.path.exists(text):
        return _local(Path(text), suffixes)
    plain = bundled_weights_dir() / f"{text}.safetensors"
    if "/" not in text and plain.is_file():
        return _local(plain, suffixes)
    match = _REPO.fullmatch(text)
    if match and (match["file"] or not text.endswith((*SUFFIXES, *_PICKLES))):
        return _repository(match["repo"], match["revision"] or "main", match["file"], suffixes, progress, fresh)
    close = close_names(text)
    raise WeightsError(
        f"There are no weights {text!r}: no such file, no such name in the catalogue.",
        (f"Did you mean {' or '.join(close)}? " if close else "")
        + "See `uhrmat models list`, or give a file, a folder or owner/repository[@revision][:file].",
    )


def is_cached(entry: CatalogEntry) -> bool:
    """Whether all files of the entry are on this machine, in the size that they must have. Reads nothing."""
    return all(path is not None and file.bytes in (0, path.stat().st_size) for file, path in _where(entry))


def is_partly_cached(entry: CatalogEntry) -> bool:
    """Whether any file of the entry is on this machine, in whatever size."""
    return any(path is not None and path.exists() for _, path in _where(entry))


def verify_cache(entry: CatalogEntry) -> None:
    """Compares the entry's files on this machine with the catalogue; fetches nothing. Raises WeightsError for a wrong
    one, which is removed from the cache, see `verify.verify_file`, and for one that is missing beside others."""
    missing = []
    for file, path in _where(entry):
        if path is None or not path.exists():
            missing.append(file.path)
        else:
            verify_file(path, file, cache=_removable(entry))
    if missing:
        what = f"{entry.name} is only in part on this machine: {', '.join(missing)} is missing."
        raise WeightsError(what, f"Fetch it: `uhrmat models pull {entry.name}`.")


def _removable(entry: CatalogEntry) -> Path | None:
    return cache_dir() if entry.source == "hub" else None


def _where(entry: CatalogEntry) -> list[tuple[WeightsFile, Path | None]]:
    if entry.source == "bundled":
        return [(file, bundled_weights_dir() / file.path) for file in entry.files]
    if entry.source == "elsewhere":
        return [(file, None) for file in entry.files]
    return [(file, cached_file(entry.repo, entry.revision, file.path)) for file in entry.files]


def _known(entry: CatalogEntry, accept: Collection[str], progress: Progress | None) -> LocalWeights:
    if not is_cached(entry):
        require_acceptance(entry, accept)
    if entry.source == "elsewhere":
        raise WeightsError(
            f"{entry.name} is not on the Hub, so uhrmat does not fetch it: {entry.main.path} is at {entry.home}.",
            "Fetch it yourself and give its path; it is known by its hash.",
        )
    files: dict[str, Path] = {}
    for file, path in _where(entry):
        local_path = path or fetch(entry.repo, entry.revision, file.path, file, progress)
        verify_file(local_path, file, cache=_removable(entry))
        files[file.path] = local_path
    where = "bundled" if entry.source == "bundled" else f"{entry.repo}@{entry.revision[:8]}"
    return LocalWeights(files[entry.main.path], files, entry, f"{entry.name} ({where})", True)


def require_acceptance(entry: CatalogEntry, accept: Collection[str]) -> None:
    """Raises WeightsError unless the entry's licence asks for nothing or its name is in `accept`."""
    if entry.needs_acceptance and entry.name not in accept:
        raise WeightsError(
            f"{entry.name} is under {entry.licence}, which does not allow every use.",
            f"Read that licence; if it suits you: `uhrmat models pull {entry.name} --accept-licence {entry.name}`.",
        )


def _repository(
    repo: str, revision: str, file: str | None, suffixes: Collection[str], progress: Progress | None, fresh: bool
) -> LocalWeights:
    if file is None:
        file = _choose(list_files(repo, revision), suffixes, f"{repo}@{revision}")
    if ".." in file.split("/") or file.startswith("/") or "\\" in file:
        raise WeightsError(f"{file} is no place inside the repository {repo}.", "Name one of its files.")
    refuse_pickle(file)
    path = None if fresh and not offline() else cached_file(repo, revision, file)
    path = path or fetch(repo, revision, file, None, progress)
    known = recognise(path)
    commit = path.parts[path.parts.index("snapshots") + 1]  # .../snapshots/<commit>/<file>: what to pin
    return LocalWeights(path, {file: path}, known, f"{repo}@{commit}:{file}", known is not None)


def _local(path: Path, suffixes: Collection[str]) -> LocalWeights:
    files = {path.name: path}
    if path.is_dir():
        files = {p.relative_to(path).as_posix(): p for p in sorted(path.rglob("*")) if p.is_file()}
        path = path / _choose(list(files), suffixes, str(path))
    need_regular(path, WeightsError)
    refuse_pickle(path.name)
    known = recognise(path)
    return LocalWeights(path, files, known, str(path), known is not None)


def recognise(path: Path) -> CatalogEntry | None:
    """The catalogue's entry whose only or main file this is, identified by size and SHA-256."""
    size = path.stat().st_size
    likely = [entry for entry in catalog_entries() if entry.main.bytes == size]
    if not likely:
        return None
    digest = sha256(path)
    return next((entry for entry in likely if entry.main.sha256 == digest), None)


def refuse_pickle(name: str) -> None:
    """Raises WeightsError for files that run code when they are read."""
    if name.lower().endswith(_PICKLES):
        raise WeightsError(
            f"{name} is a pickle, which can run code when it is read, so uhrmat does not read it as weights.",
            "Use the .safetensors or .onnx file beside it, or `uhrmat models convert` a file that you trust.",
        )


def _choose(names: Collection[str], suffixes: Collection[str], where: str) -> str:
    """The one file to use among those of a folder or repository: the shallowest `model.*`, else the only one."""
    fitting = sorted((n for n in names if n.endswith(tuple(suffixes))), key=lambda n: (n.count("/"), n))
    plain = [n for n in fitting if n.rsplit("/", 1)[-1].split(".")[0] == "model"]
    if plain:
        return plain[0]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise WeightsError(f"{where} holds no weights that can be read here.", f"Needed: {' or '.join(suffixes)}.")
    raise WeightsError(
        f"{where} holds several weights: {', '.join(fitting[:8])}.", "Name one, after a colon or as path."
    )
