"""Painted frames in files: written at once, read again, removed when blank, refused where they cannot be."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.painter.clips.conftest import COUNT, KEEP, REMOVE, SIZE
from tests.painter.test_session import until
from uhrmat.core.errors import InputError, OutputError
from uhrmat.painter.clips import keys as keys_module
from uhrmat.painter.clips.keys import KeyFrames
from uhrmat.painter.strokes import parse_stroke


def paint(keys: KeyFrames, index: int, *strokes: dict[str, Any]) -> np.ndarray:
    for stroke in strokes:
        assert keys.canvas(index).paint(parse_stroke(stroke))
        keys.touch(index)
    return keys.trimap(index)


def test_what_is_painted_is_in_the_frames_file_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys = KeyFrames(folder, range(COUNT), SIZE)
    assert not folder.exists() and keys.indices() == []
    third, first = paint(keys, 3, KEEP, REMOVE), paint(keys, 0, KEEP)
    assert keys.versions() == {0: 1, 3: 2} and keys.version(1) == 0
    keys.close()
    assert sorted(path.name for path in folder.iterdir()) == ["0000.png", "0003.png"]
    assert (np.asarray(Image.open(folder / "0003.png")) == third).all() and len(np.unique(third)) == 3
    again = KeyFrames(folder, range(COUNT), SIZE)
    try:
        assert again.indices() == [0, 3] and again.canvas(3).depth == (0, 0)
        assert (again.trimap(0) == first).all() and (again.trimap(3) == third).all()
        assert (again.trimap(2) == 128).all() and again.indices() == [0, 3]
    finally:
        again.close()


def test_a_change_is_written_without_being_asked_and_a_blank_frame_has_no_file(tmp_path: Path) -> None:
    keys = KeyFrames(tmp_path / "keys", range(COUNT), SIZE)
    try:
        paint(keys, 2, KEEP)
        until(keys.file(2).exists)
        assert (np.asarray(Image.open(keys.file(2))) == keys.trimap(2)).all()
        assert keys.depth(2) == (1, 0) and keys.depth(1) == (0, 0)
        keys.canvas(2).undo()
        keys.touch(2)
        keys.flush()
        assert keys.indices() == [] and not keys.file(2).exists()
        assert keys.depth(2) == (0, 1)  # what was undone to nothing can come back
    finally:
        keys.close()


def test_files_are_numbered_like_a_sequences(tmp_path: Path) -> None:
    keys = KeyFrames(tmp_path / "keys", (1001, 1002, 1007), SIZE)
    paint(keys, 2, KEEP)
    keys.close()
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["1007.png"]


def test_canvases_beyond_the_kept_ones_come_back_from_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys_module, "_KEPT", 2)
    keys = KeyFrames(tmp_path / "keys", range(COUNT), SIZE)
    try:
        painted = {index: paint(keys, index, {**KEEP, "radius": 2 + index}) for index in range(5)}
        keys.flush()
        for index in (5, 6, 0, 1, 2, 3, 4):
            assert (keys.trimap(index) == painted.get(index, np.full(SIZE, 128))).all()
        assert len(keys._canvases) == 2
    finally:
        keys.close()


def test_two_programs_do_not_paint_in_one_folder(tmp_path: Path) -> None:
    keys = KeyFrames(tmp_path / "keys", range(COUNT), SIZE)
    with pytest.raises(OutputError, match="Another run is at work"):
        KeyFrames(tmp_path / "keys", range(COUNT), SIZE)
    keys.close()
    KeyFrames(tmp_path / "keys", range(COUNT), SIZE).close()
    assert list(tmp_path.iterdir()) == []  # nor is a lock left


def test_a_key_frame_of_another_size_is_refused_and_other_files_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(folder / "0900.png")  # of no frame
    KeyFrames(folder, range(COUNT), SIZE).close()
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(folder / "0002.png")
    with pytest.raises(InputError, match=r"0002.png is 12 × 10, .* 96 × 72"):
        KeyFrames(folder, range(COUNT), SIZE)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_full_disk_is_told_and_what_was_painted_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyFrames(tmp_path / "keys", range(COUNT), SIZE)

    def full(path: Path, *_: Any) -> None:
        raise OutputError(f"Cannot write '{path}': {errno.errorcode[errno.ENOSPC]}.", "Free the disk.")

    with monkeypatch.context() as patch:
        patch.setattr(keys_module, "write_alpha", full)
        painted = paint(keys, 1, KEEP)
        until(lambda: "ENOSPC" in keys.error)
        with pytest.raises(OutputError, match="ENOSPC"):
            keys.flush()
    keys.flush()
    assert keys.error == "" and (np.asarray(Image.open(keys.file(1))) == painted).all()
    keys.close()
