"""Points and boxes on frames of a clip, and the masks that are made of them before propagation begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from uhrmat.core.errors import InputError
from uhrmat.hints.prompts import Prompts, parse_prompts
from uhrmat.hints.read import Hints
from uhrmat.media import write_alpha
from uhrmat.media.video import ClipReader

if TYPE_CHECKING:  # `plan` imports this, and loads no network
    from uhrmat.prior.registry import PriorRegistry
    from uhrmat.video.hints import ClipHints

FramePrompts = Mapping[int | None, Prompts]
"""Prompts by index of frame; None is the first frame that is matted."""


def parse_frame_prompts(points: Iterable[str] = (), boxes: Iterable[str] = ()) -> dict[int | None, Prompts]:
    """Prompts from texts: "x,y[:frame]" and "x0,y0,x1,y1[:frame]", with "-" before what is background.

    Raises:
        InputError: for anything else.
    """
    sorted_by: dict[int | None, tuple[list[str], list[str]]] = {}
    for at, texts in enumerate((points, boxes)):
        for text in texts:
            place, colon, number = text.rpartition(":")
            if colon and not re.fullmatch(r"\s*\d+\s*", number):
                raise InputError(f"{number!r} in {text!r} is no frame.", "Give its index, like 120,340:25.")
            frame = int(number) if colon else None
            sorted_by.setdefault(frame, ([], []))[at].append(place if colon else text)
    made = {frame: parse_prompts(*texts) for frame, texts in sorted_by.items()}
    return {frame: prompts for frame, prompts in made.items() if prompts is not None}


def place_prompts(given: FramePrompts, start: int, stop: int, size: tuple[int, int]) -> dict[int, Prompts]:
    """Check prompts against a clip.

    Args:
        given: by index of frame.
        start, stop: indices of the frames that are matted, `stop` not included.
        size: (H, W) of the frames.

    Returns:
        By index of frame.

    Raises:
        InputError: a frame is not matted, nothing on it marks the subject, or prompts cannot be, see `Prompts.check`.
    """
    placed: dict[int, Prompts] = {}
    for frame, prompts in given.items():
        index = start if frame is None else frame
        if not start <= index < stop:
            raise InputError(f"Points or boxes are for frame {index}, and frames {start} to {stop - 1} are matted.",
                             "Give one of these.")  # fmt: skip
        prompts.check(*size)
        before = placed.get(index)
        if before is not None:
            prompts = Prompts((*before.points, *prompts.points), (*before.boxes, *prompts.boxes))
        placed[index] = prompts
    for index, prompts in placed.items():
        prompts.check(*size)
        if not prompts.has_subject:
            raise InputError(
                f"Only background is marked on frame {index}.", "Give a point or a box of the subject there."
            )
    return placed


def write_prompt_masks(hints: ClipHints, reader: ClipReader, priors: PriorRegistry, folder: Path) -> ClipHints:
    """Make a mask of the prompts on each frame, where that has not been done, and give its file as the frame's hint.

    Args:
        hints: of the clip; returned as they are where they hold no prompts.
        reader: of the clip.
        priors: with the prior that takes prompts.
        folder: of the propagated alphas.

    Raises:
        InputError: a frame cannot be decoded.
        NoSubjectError: nothing is found where the prompts are.
    """
    if not hints.prompts:
        return hints
    from uhrmat.prior.base import require_finite
    from uhrmat.prior.prefetch import prior_inputs

    folder.mkdir(parents=True, exist_ok=True)
    keys = {index: folder / f"prompts-{index:06d}.png" for index in hints.prompts}
    for index, path in keys.items():
        if path.is_file():
            continue
        frame = next(iter(reader.frames(index, index + 1)), None)
        if frame is None:
            raise InputError(f"Frame {index}, on which the subject is marked, cannot be decoded.", "Mark another.")
        method, _ = priors.choose(frozenset({"prompts"}))
        given = Hints(prompts=hints.prompts[index])
        small, low_res = prior_inputs(frame.picture, given, method.working_size)
        write_alpha(path, require_finite(method(small, low_res)).alpha)
    return replace(hints, keys={**hints.keys, **keys})
