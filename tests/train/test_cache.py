"""Cached training material of another version is refused in one sentence, or made again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from uhrmat.core.errors import InputError
from uhrmat.train.cache import read_arrays, write_arrays
from uhrmat.train.lpn import photo_cache
from uhrmat.train.samples import SampleCache
from uhrmat.train.subject.photos import read_photos


def test_arrays_come_back_with_their_version(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, 3, {"x": np.arange(4)})
    assert read_arrays(path, 3, path)["x"].tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match=r"a\.npz was written by another version of uhrmat"):
        read_arrays(path, 4, path)


def test_arrays_without_version_are_of_the_first(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(2))
    assert set(read_arrays(tmp_path / "a.npz", 1, tmp_path)) == {"x"}
    with pytest.raises(InputError):
        read_arrays(tmp_path / "a.npz", 2, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"PK no archive", b"\x93NUMPY"])
def test_damaged_samples_are_refused_before_training(tmp_path: Path, damage: bytes) -> None:
    cache = SampleCache(tmp_path)
    cache.check()
    cache.path(3).write_bytes(damage)
    with pytest.raises(InputError) as error:
        cache.check()
    assert f"Delete {tmp_path}" in str(error.value)


def test_photographs_cached_by_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "photos.safetensors"
    fields = {"source": "people", "name": "1", "tag": "person", "no_longer_a_field": 1}
    save_file({"photo/0": np.zeros(3, np.uint8)}, path, {"photos": json.dumps([fields])})
    with pytest.raises(InputError, match=r"photos\.safetensors was written by another version"):
        next(read_photos(path))
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"photos\.safetensors was written by another version"):
        next(read_photos(path))


def test_decoded_photographs_of_another_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_cache, "find_sources", lambda data: [])
    photo_cache.fill_photo_cache(tmp_path, tmp_path / "cache")
    photo_cache.fill_photo_cache(tmp_path, tmp_path / "cache")
    (tmp_path / "cache" / "version.txt").write_text("0")
    with pytest.raises(InputError, match="another version"):
        photo_cache.fill_photo_cache(tmp_path, tmp_path / "cache")
