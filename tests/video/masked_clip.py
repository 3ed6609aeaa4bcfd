"""A clip of seven frames with a mask for each, in segments of three frames: its runs, and what they leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.video.helpers import frames, write_masks, write_stream
from uhrmat.core.options import ModelOptions
from uhrmat.media.video import open_clip
from uhrmat.video.plan import plan_clip
from uhrmat.video.report import ClipReport
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

CLIP = frames(7, noise=1.0)
LIGHT = ModelOptions(prior="mask", refiner="guided", precision="fp32")


def masked_clip(folder: Path) -> ClipSpec:
    """The clip as a stream in `folder`, which has nothing else but its masks."""
    masks = write_masks(folder / "masks", CLIP, 0)
    source = write_stream(folder / "take.mkv", CLIP)
    return ClipSpec(source=source, output=folder / "out.mkv", outputs=("alpha",), mask=masks, interval=3, model=LIGHT)


def matte(spec: ClipSpec, **options: bool) -> ClipReport:
    plan = plan_clip(spec, overwrite=True)
    return matte_clip(plan, ClipResources.load(plan), **options)


def alphas(path: Path) -> list[np.ndarray]:
    """In [0, 1]."""
    with open_clip(path) as reader:
        return [frame.picture.to_float()[..., 0] for frame in reader.frames()]


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"take.mkv", "masks"}


def pixels(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
