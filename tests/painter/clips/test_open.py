"""What painting a clip starts from: hints by frame, what was painted before, and what is a clip at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.painter.clips.conftest import KEEP, SIZE, STEP, moving_disc
from tests.painter.conftest import MODEL
from tests.painter.conftest import SIZE as LARGE
from tests.video.helpers import write_masks, write_stream
from uhrmat.core.errors import InputError, NoSubjectError
from uhrmat.painter.clips.open import names_clip, open_clip_session
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.run import StartHints
from uhrmat.train.synth.clip import ClipFrame


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


def test_it_starts_from_what_the_network_finds_in_the_first_frame(
    opened: Callable[..., ClipSession], tmp_path: Path, clip: Path
) -> None:
    big = write_stream(tmp_path / "big.mkv", large_disc())
    session = open_clip_session(big, StartHints(find_subject=True), MODEL, tmp_path / "out")
    try:
        assert session.keys.indices() == [0]
        trimap = session.keys.trimap(0)
        away = np.hypot(*(np.mgrid[: LARGE[0], : LARGE[1]] - np.array([120, 160])[:, None, None]))
        assert (trimap[away < 55] == 255).mean() > 0.9 and (trimap[away > 85] == 0).mean() > 0.9
        assert session.change(0, "undo", None) and session.keys.indices() == []
    finally:
        session.close()
    grey = write_stream(tmp_path / "grey.mkv", [replace(f, image=np.full_like(f.image, 128)) for f in moving_disc()])
    for _ in range(2):  # and nothing is locked
        with pytest.raises(NoSubjectError, match="no subject found"):
            open_clip_session(grey, StartHints(find_subject=True), MODEL, tmp_path / "out2")
    assert not (tmp_path / "out2").exists() or not list((tmp_path / "out2").rglob("*.png"))


def large_disc() -> list[ClipFrame]:
    """Two frames of the disc of `tests.painter.conftest.photo`, which the bundled network finds."""
    y, x = np.mgrid[: LARGE[0], : LARGE[1]]
    alpha = np.clip((70 - np.hypot(y - 120, x - 160)) / 3 + 0.5, 0, 1).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 4, (*LARGE, 3))
    pixels = alpha[..., None] * (200, 80, 60) + (1 - alpha[..., None]) * (50, 90, 140) + noise
    image = np.rint(pixels.clip(0, 255)).astype(np.uint8)
    return [ClipFrame(number, image, alpha, np.full(LARGE, 128, np.uint8)) for number in range(2)]
