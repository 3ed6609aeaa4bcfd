"""The screen of a clip: decided once, kept over frames that do not show it, and its light taken off the subject."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uhrmat import InputError
from uhrmat.core.options import ModelOptions
from uhrmat.prior.chroma_key.key import SCREEN_NOT_SEEN
from uhrmat.video.plan import plan_clip
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.screen import medoid_colour, missing_screen_note
from uhrmat.video.spec import ClipSpec

GREEN, SPILT = (40, 180, 60), (150, 170, 90)
LIGHT = ModelOptions(refiner="bilinear", precision="fp32")


@pytest.fixture
def spec(tmp_path: Path) -> ClipSpec:
    """Four frames of a greenish subject before green, of which the third shows the subject alone."""
    folder = tmp_path / "shot"
    folder.mkdir()
    for number in range(4):
        image = np.full((64, 80, 3), GREEN, np.uint8)
        image[16:, 20 + number : 60 + number] = SPILT
        if number == 2:
            image[:] = (90, 60, 50)
        Image.fromarray(image).save(folder / f"f_{number:03d}.png")
    return ClipSpec(source=folder, key="auto", outputs=("alpha", "foreground"), model=LIGHT)


def still(spec: ClipSpec, content: str, number: int) -> np.ndarray:
    return np.asarray(Image.open(spec.source.parent / f"shot_{content}" / f"f_{number:03d}.png")).astype(int)


def test_the_screen_is_the_same_for_all_frames(spec: ClipSpec) -> None:
    whole = plan_clip(spec).screen
    assert whole is not None and np.allclose(np.array(whole) * 255, GREEN, atol=2)
    assert plan_clip(replace(spec, key="green")).screen == whole == plan_clip(replace(spec, frames=2)).screen


def test_a_clip_without_a_screen_is_refused_unless_its_colour_is_given(spec: ClipSpec) -> None:
    with pytest.raises(InputError, match="no blue screen"):
        plan_clip(replace(spec, key="blue"))
    with pytest.raises(InputError, match="grey"):
        plan_clip(replace(spec, key="#808080"))
    assert plan_clip(replace(spec, key="#2028d0")).screen == (0x20 / 255, 0x28 / 255, 0xD0 / 255)


def test_a_frame_without_a_screen_is_noted_and_the_foreground_is_free_of_green(spec: ClipSpec) -> None:
    plan = plan_clip(spec)
    done = matte_clip(plan, ClipResources.load(plan))
    assert [note for note in done.notes if "screen" in note] == [
        "1 frames show no screen and were keyed with the clip's colour: 2"
    ]
    assert (still(spec, "alpha", 2) == 255).all()
    assert still(spec, "alpha", 0)[:10].max() == 0 and still(spec, "alpha", 0)[30:, 30:50].min() == 255
    inside = still(spec, "foreground", 3)[30:, 30:50, :3]
    assert (inside[..., 1] <= SPILT[1] - 8).all() and np.abs(inside[..., 0] - SPILT[0]).max() <= 8


def test_the_central_colour_is_one_of_those_seen() -> None:
    seen = np.array([[0, 1, 0], [0, 0.9, 0], [1, 0, 0], [0, 0.8, 0.1]])
    assert np.array_equal(medoid_colour(seen), seen[1])


def test_only_so_many_frames_are_listed() -> None:
    frames: list[dict[str, object]] = [{"number": n, "notes": [SCREEN_NOT_SEEN]} for n in range(20)]
    assert missing_screen_note(frames)[0].endswith("6, 7 …") and missing_screen_note([{"number": 1, "notes": []}]) == []
