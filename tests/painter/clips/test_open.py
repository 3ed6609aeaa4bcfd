"""What painting a clip starts from: hints by frame, what was painted before, and what is a clip at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.painter.clips.conftest import KEEP, SIZE, STEP, moving_disc
from tests.video.helpers import write_masks
from uhrmat.core.errors import InputError
from uhrmat.painter.clips.open import names_clip
from uhrmat.painter.clips.session import ClipSession


def write_mask(path: Path, frame: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.rint(moving_disc()[frame].alpha * 255).astype(np.uint8)).save(path)
    return path


def test_a_mask_starts_on_the_first_frame_and_a_folders_by_their_numbers(
    opened: Callable[..., ClipSession], tmp_path: Path
) -> None:
    session = opened(mask=write_mask(tmp_path / "one.png", 0))
    assert session.keys.indices() == [0]
    assert session.keys.trimap(0)[36, 30] == 255 and session.keys.trimap(0)[2, 90] == 0
    write_mask(tmp_path / "masks" / "m_0002.png", 2)
    write_mask(tmp_path / "masks" / "m_0005.png", 5)
    session = opened(mask=tmp_path / "masks")
    assert session.keys.indices() == [0, 2, 5]  # the first one was painted before
    assert session.keys.trimap(5)[36, 30 + 5 * STEP] == 255 and session.keys.trimap(5)[36, 14] == 0
    assert session.state(5)["undo"] == 1


def test_what_was_painted_before_is_not_painted_over(opened: Callable[..., ClipSession], tmp_path: Path) -> None:
    assert opened().change(0, "stroke", KEEP)
    session = opened(mask=write_mask(tmp_path / "one.png", 0))
    trimap = session.keys.trimap(0)
    assert trimap[36, 30] == 255 and not (trimap == 0).any()


def test_a_hint_for_every_frame_and_an_unreadable_one_are_refused(
    opened: Callable[..., ClipSession], tmp_path: Path, clip: Path
) -> None:
    masks = write_masks(tmp_path / "masks", moving_disc(), 0)
    with pytest.raises(InputError, match="Each frame has a mask of its own"):
        opened(mask=masks)
    with pytest.raises(InputError, match=r"none.png"):
        opened(mask=tmp_path / "none.png")
    assert opened().keys.indices() == []  # and nothing is locked
    assert not clip.with_name("a take_keys").exists()


def test_clips_are_told_from_photographs(clip: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "text.txt").write_text("neither")
    (tmp_path / "folder").mkdir()
    named = {
        clip.name: True,
        "photo.png": False,
        "text.txt": False,
        "none.mp4": False,
        "folder": True,
        "f_%04d.png": True,
    }
    assert {name: names_clip(tmp_path / name) for name in named} == named
