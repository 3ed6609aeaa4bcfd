"""Masks around the frame in view: they follow the subject, are made anew by the trained network, and go stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.painter.clips.conftest import CENTRE, COUNT, KEEP, RADIUS, REMOVE, SIZE, STEP, TINY
from tests.painter.clips.test_runs import shifted, until
from uhrmat.core.errors import InputError
from uhrmat.media.resample import area_average
from uhrmat.painter.clips.ahead import AheadParams, MasksAhead
from uhrmat.painter.clips.frames import ClipFrames
from uhrmat.painter.clips.keys import KeyFrames
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.strokes import parse_stroke
from uhrmat.prior.closed_form.solve import solve


class Watched:
    """Masks ahead of a tiny clip, and what was told of them."""

    def __init__(self, clip: Path, params: AheadParams) -> None:
        self.frames = ClipFrames(clip)
        self.keys = KeyFrames(clip.with_name("keys"), self.frames.numbers, SIZE)
        self.told, self.busy = list[int](), list[str]()
        self.ahead = MasksAhead(self.frames, self.keys, solve, "cpu", self.take, params)

    def take(self, frames: list[int]) -> None:  # type: ignore[override]
        self.told += frames
        if hasattr(self, "ahead") and (not self.busy or self.busy[-1] != self.ahead.busy):
            self.busy.append(self.ahead.busy)

    def paint(self, frame: int, *, hold: bool = False) -> None:
        """Two strokes on a frame; no mask is made from the first alone. hold: nor afterwards."""
        self.ahead.hold(True)
        for stroke in (shifted(KEEP, STEP * frame), REMOVE):
            self.keys.canvas(frame).paint(parse_stroke(stroke))
        self.keys.touch(frame)
        self.ahead.touch()
        self.ahead.hold(hold)

    def idle(self) -> bool:
        return not self.ahead.busy and self.ahead._trained == self.keys.versions()


@pytest.fixture
def watch(clip: Path) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(**params: int | float) -> Watched:
        made.append(Watched(clip, AheadParams(training=TINY, quiet=0.01, **params)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.ahead.close()
        one.keys.close()


def overlap(mask: np.ndarray | None, frame: int) -> float:
    """Intersection over union of a mask with the disc of a frame."""
    assert mask is not None
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (np.hypot(y - CENTRE[0], x - CENTRE[1] - STEP * frame) < RADIUS).astype(np.float32)
    small = area_average(disc, (mask.shape[0], mask.shape[1])) > 0.5
    return float((small & (mask > 127)).sum() / (small | (mask > 127)).sum())


def test_masks_follow_the_subject_and_are_made_anew_by_the_trained_network(watch: Callable[..., Watched]) -> None:
    one = watch()
    assert one.ahead.mask(0) is None and not one.ahead.figures()
    one.paint(2)
    until(one.idle)
    assert [overlap(one.ahead.mask(frame), frame) > 0.7 for frame in range(COUNT)] == [True] * COUNT
    assert [name for name in one.busy if name] == ["propagating", "training", "propagating"]
    assert all(one.told.count(frame) >= 2 for frame in range(COUNT) if frame != 2)
    figures = one.ahead.figures()
    assert figures[2]["confidence"] == 1 and all(0 < figures[frame]["confidence"] <= 1 for frame in range(COUNT))
    assert {figure["propagation"] for figure in figures.values()} <= {"sure", "doubtful"}


def test_a_new_key_frame_makes_stale_what_it_reaches_and_nothing_painted_has_no_mask(
    watch: Callable[..., Watched],
) -> None:
    one = watch(reach=2, near=1)
    one.paint(0)
    until(one.idle)
    assert sorted(one.ahead.figures()) == [0, 1, 2]  # no farther from the frame in view
    one.ahead.look(6)
    until(lambda: sorted(one.ahead.figures()) == list(range(COUNT)))  # all that lead to it
    forward = one.ahead.mask(1)
    one.paint(6)
    until(one.idle)
    assert ("backward", 5) in one.ahead._states and ("backward", 2) not in one.ahead._states  # 2 is out of reach
    assert forward is not None and one.ahead.figures()[6]["confidence"] == 1
    for frame in (0, 6):
        while one.keys.canvas(frame).undo():
            pass
        one.keys.touch(frame)
    one.ahead.touch()
    until(lambda: not one.ahead.figures())
    assert one.ahead.mask(1) is None and one.ahead.mask(0) is None


def test_nothing_is_done_while_the_clip_is_matted(watch: Callable[..., Watched]) -> None:
    one = watch()
    one.paint(0, hold=True)
    one.ahead._thread.join(0.5)
    assert not one.ahead.figures() and one.ahead.busy == ""
    one.ahead.hold(False)
    until(lambda: 1 in one.ahead.figures())


def test_an_error_is_told_and_the_next_change_tries_again(watch: Callable[..., Watched]) -> None:
    one = watch()
    small = one.ahead._small

    def broken(index: int, step: int = 1) -> np.ndarray:
        raise InputError(f"Frame {index} cannot be decoded.", "Repair the clip.")

    one.ahead._small = broken  # type: ignore[assignment]
    one.paint(0)
    until(lambda: "Frame 0 cannot be decoded" in one.ahead.error)
    one.ahead._small = small
    one.paint(1)
    until(lambda: 2 in one.ahead.figures() and not one.ahead.error)


def test_the_pages_of_a_frame_are_told_its_mask_and_can_go_on_from_it(session: ClipSession) -> None:
    with pytest.raises(InputError, match="No mask has been propagated to frame 1"):
        session.change(1, "adopt", None)
    session.ahead.hold(True)
    for stroke in (KEEP, REMOVE):
        session.change(0, "stroke", stroke)
    session.ahead.hold(False)
    until(lambda: [1, 1] in [list(run) for run in session.state(1)["clip"]["masked"]] or 1 in session.ahead.figures())
    state = session.state(1)
    assert state["alpha"] >= 1 and state["clip"]["confidence"] > 0 and state["clip"]["keys"] == [0]
    session.ahead.hold(True)  # else a mask of what is painted on frame 1 takes the place of the one to adopt
    until(lambda: not session.ahead.busy)
    assert session.change(1, "stroke", {"tool": "remove", "shape": "brush", "radius": 2, "points": [[34, 36]]})
    assert session.change(1, "adopt", None)
    trimap = session.keys.trimap(1)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    far = np.hypot(y - CENTRE[0], x - CENTRE[1] - STEP)
    assert trimap[36, 34] == 0  # what was painted by hand stays
    assert (trimap[(far < RADIUS - 8) & (np.hypot(y - 36, x - 34) > 3)] == 255).mean() > 0.9
    assert (trimap[far > RADIUS + 8] == 0).mean() > 0.9 and (trimap == 128).any()
    assert session.change(1, "undo", None) and (session.keys.trimap(1) != 128).sum() < 20
