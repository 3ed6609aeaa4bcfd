"""The colour of a clip's screen, determined once: a key colour that changes from frame to frame flickers.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.key_colour import key_rgb, parse_key
from uhrmat.media.video import ClipReader
from uhrmat.prior.base import working_shape
from uhrmat.prior.chroma_key.key import SCREEN_NOT_SEEN
from uhrmat.prior.chroma_key.screen import find_screen_colour
from uhrmat.prior.prefetch import downsample_picture

FRAMES = 5
"""Frames in which the screen is measured, evenly spread over the clip. Not tuned."""
_SIDE = 256
"""Short side in pixels at which it is measured. Not tuned."""


def clip_screen(reader: ClipReader, start: int, stop: int, key: str) -> tuple[float, ...]:
    """RGB in [0, 1] of the screen behind frames `start` to `stop`: the one nearest to all that a few frames show.

    key: see `parse_key`; a `#rrggbb` that none of them shows is taken as it is. Raises InputError where no screen is
    seen, or the colour is grey.
    """
    wanted = parse_key(key)
    colours, last = [], InputError(f"There is no {wanted} screen in the clip.", "Give its colour, --key '#rrggbb'.")
    for index in np.unique(np.linspace(start, stop - 1, FRAMES).astype(int)):
        frame = next(iter(reader.frames(int(index), int(index) + 1)), None)
        if frame is None:
            continue
        picture = frame.picture
        try:
            small = downsample_picture(picture, working_shape(picture.height, picture.width, _SIDE))
            colours.append(find_screen_colour(small, wanted))
        except InputError as error:
            last = error
    if colours:
        return tuple(float(c) for c in medoid_colour(np.stack(colours)))
    given = key_rgb(wanted)
    if given is None or "grey" in str(last):
        raise last
    return given


def medoid_colour(colours: np.ndarray) -> np.ndarray:
    """The medoid (3,) of colours (n, 3): the one with the least sum of distances to all others."""
    return np.asarray(colours[np.linalg.norm(colours[:, None] - colours[None], axis=2).sum(1).argmin()])


def missing_screen_note(frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line that names the frames (see `FrameStats.as_dict`) which show no screen, if there are any."""
    numbers = [frame["number"] for frame in frames if SCREEN_NOT_SEEN in frame["notes"]]
    if not numbers:
        return []
    listed = ", ".join(str(n) for n in numbers[:8]) + (" …" if len(numbers) > 8 else "")
    return [f"{len(numbers)} frames show no screen and were keyed with the clip's colour: {listed}"]
