"""Training material cached on disk: arrays by seed, each file with the version of its layout."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.media import atomic_write

VERSION_KEY = "version"
UNVERSIONED = 1
"""Version of files that state none: the layout before versions were written."""


def stale_cache(path: Path, delete: Path) -> InputError:
    """The error for a cached file that this version of uhrmat cannot use.

    Args:
        path: the file.
        delete: what to delete so that it is made again: the file or its folder.
    """
    return InputError(
        f"{path} was written by another version of uhrmat, or is damaged.", f"Delete {delete}: it is made again."
    )


def read_arrays(path: Path, version: int, delete: Path) -> dict[str, np.ndarray]:
    """The arrays of a cached .npz file, by name.

    Args:
        path: the file.
        version: the layout that the caller can read.
        delete: see `stale_cache`.

    Raises:
        InputError: the file has another version or cannot be read.
        FileNotFoundError: there is none.
    """
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise stale_cache(path, delete) from error
    if int(arrays.pop(VERSION_KEY, UNVERSIONED)) != version:
        raise stale_cache(path, delete)
    return arrays


def write_arrays(path: Path, version: int, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz file for `read_arrays`. It appears whole: other processes may read the folder meanwhile."""
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez(file, **arrays, **{VERSION_KEY: np.array(version)})  # type: ignore[arg-type]


class SeedFiles:
    """Arrays on disk by seed: one .npz file each, named by its seed.

    Args:
        folder: made where there is none.

    Attributes:
        version: of the layout; raised whenever what a file holds changes.
    """

    version: ClassVar[int] = 1

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, seed: int) -> Path:
        """The file of a seed, whether or not it exists."""
        return self.folder / f"{seed:06d}.npz"

    def seeds(self) -> list[int]:
        """Seeds whose files exist, in order."""
        return sorted(int(path.stem) for path in self.folder.glob("[0-9]*.npz"))

    def write(self, seed: int, **arrays: np.ndarray) -> None:
        """Write a seed's file."""
        write_arrays(self.path(seed), self.version, arrays)

    def read(self, seed: int) -> dict[str, np.ndarray]:
        """A seed's arrays. Raises InputError for a file of another version."""
        return read_arrays(self.path(seed), self.version, self.folder)

    def check(self) -> None:
        """Raise InputError unless the first file can be read: a stale cache is refused before training starts."""
        if seeds := self.seeds():
            self.read(seeds[0])
