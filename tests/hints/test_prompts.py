"""Points and boxes as texts and numbers, what of them is refused, and boxes and strokes that were drawn as a mask."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.hints.drawn import recognise_prompts
from uhrmat.hints.prompts import Box, Point, Prompts, parse_prompts
from uhrmat.hints.read import read_hints
from uhrmat.media import Picture, read_picture

SHARED = Path(os.environ.get("UHRMAT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
SIZE = (300, 400)


def test_texts_and_numbers_are_read() -> None:
    made = parse_prompts(["12,34", "-5.5, 6", (7, 8, False)], ["1,2,30,40", (0, 0, 9, 9)])
    assert made is not None
    assert made.points == (Point(12, 34), Point(5.5, 6, False), Point(7, 8, False))
    assert made.boxes == (Box(1, 2, 30, 40), Box(0, 0, 9, 9))
    assert parse_prompts() is None and parse_prompts([], ()) is None


@pytest.mark.parametrize("one", ["12,34", (12, 34), Point(12, 34), np.array([[12, 34]])])
def test_a_single_point_needs_no_list(one: Any) -> None:
    made = parse_prompts(one)
    assert made is not None and made.points == (Point(12, 34),)


@pytest.mark.parametrize("wrong", ["12", "1,2,3", "a,b", "1,-2", "nan,1", "", (1, 2, 3, 4), 5, "1.2.3,4"])
def test_what_is_no_point_is_refused_with_its_value(wrong: Any) -> None:
    with pytest.raises(InputError, match="is no point") as raised:
        parse_prompts([wrong])
    assert "x,y" in raised.value.hint


@pytest.mark.parametrize(
    ("points", "boxes", "message"),
    [
        (["400,10"], [], "400,10 lies outside the picture, which is 400x300"),
        (["10,300"], [], "lies outside"),
        ([], ["10,10,10,20"], "holds no pixel"),
        ([], ["10,20,30,15"], "holds no pixel"),
        ([], ["10,10,401,20"], "reaches outside the picture"),
        (["10,10", "-10,10"], [], "10,10 is given as subject and as background"),
        (["50,50"], ["60,60,90,90"], "lies outside the box 60,60,90,90"),
        (["65,65"], ["-60,60,90,90"], "lies in the background box"),
    ],
)
def test_what_cannot_be_is_refused(points: list[str], boxes: list[str], message: str) -> None:
    made = parse_prompts(points, boxes)
    assert made is not None
    with pytest.raises(InputError, match=message):
        made.check(*SIZE)


def test_neighbours_of_what_is_refused_are_taken() -> None:
    made = parse_prompts(["399,299", "0,0", "-0,1"], ["0,0,400,300", "-0,1,1,2", "399,299,400,300"])
    assert made is not None
    made.check(*SIZE)


def test_prompts_follow_the_picture_to_another_size() -> None:
    strokes = np.zeros(SIZE, bool)
    strokes[299, 399] = True
    small = Prompts((Point(399, 299), Point(0, 0)), (Box(40, 30, 400, 300),), strokes).scaled(SIZE, (30, 40))
    assert (int(small.points[0].x), int(small.points[0].y)) == (39, 29) and int(small.points[1].x) == 0
    assert small.boxes == (Box(4, 3, 40, 30),)
    assert small.strokes is not None and small.strokes[29, 39] and small.strokes.sum() == 1
    moved = Prompts((Point(1, 2),), (Box(0, 0, 5, 5),), strokes).moved(10, 20, (400, 500))
    assert moved.points == (Point(21, 12),) and moved.boxes == (Box(20, 10, 25, 15),)
    assert moved.strokes is not None and moved.strokes[309, 419]


def blank() -> np.ndarray:
    return np.zeros(SIZE, np.float32)


def picture(subject: np.ndarray | None = None) -> Picture:
    """Noise, with a lighter subject."""
    rng = np.random.default_rng(3)
    levels = 90 + rng.normal(0, 5, (*SIZE, 3)) + (0 if subject is None else 80 * subject[..., None])
    return Picture.from_array(np.clip(levels, 0, 255).astype(np.uint8))


def disc() -> np.ndarray:
    return np.asarray(cv2.circle(blank(), (200, 150), 80, 1.0, -1))


def test_filled_rectangles_are_boxes() -> None:
    mask = blank()
    mask[50:200, 60:300] = 1
    mask[240:280, 10:50] = 1
    drawn = recognise_prompts(mask, picture())
    assert drawn is not None and set(drawn.prompts.boxes) == {Box(60, 50, 300, 200), Box(10, 240, 50, 280)}
    assert "filled rectangle" in drawn.note and "60,50,300,200" in drawn.note


def test_thin_strokes_on_a_subject_are_strokes() -> None:
    mask = blank()
    cv2.line(mask, (160, 120), (240, 180), 1.0, 5)
    cv2.ellipse(mask, (200, 150), (40, 30), 20, 0, 200, 1.0, 5)
    drawn = recognise_prompts(mask, picture(disc()))
    assert drawn is not None and drawn.prompts.strokes is not None and not drawn.prompts.boxes
    assert drawn.prompts.strokes[150, 200] and drawn.prompts.strokes.sum() == (mask > 0.5).sum()
    assert recognise_prompts(mask, None) is None  # without the picture it may be a thin subject


def _nicked() -> np.ndarray:
    mask = blank()
    mask[50:200, 60:300] = 1
    mask[50:60, 60:70] = 0
    return mask


def _tilted() -> np.ndarray:
    return np.asarray(cv2.fillPoly(blank(), [np.array([[60, 50], [300, 54], [300, 204], [60, 200]])], 1.0))


def _thin_subject() -> np.ndarray:
    return np.asarray(cv2.line(blank(), (50, 250), (350, 40), 1.0, 5))


@pytest.mark.parametrize("mask", [disc(), _nicked(), _tilted(), _thin_subject()], ids=["disc", "nick", "tilt", "thin"])
def test_masks_of_subjects_are_no_prompts(mask: np.ndarray) -> None:
    assert recognise_prompts(mask, picture(mask)) is None


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="shared data are not here")
def test_true_masks_of_photographs_are_no_prompts() -> None:
    masks = sorted((SHARED / "data/dev/validation/coco_other").glob("*_*.png"))[::6]
    assert len(masks) > 15
    for path in masks:
        values = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.float32) / 255
        photo = read_picture(path.with_name(f"{path.stem.rsplit('_', 1)[0]}.jpg"))
        assert recognise_prompts(values, photo) is None, path.name


def test_a_rectangle_as_a_mask_becomes_a_box_unless_a_radius_is_given() -> None:
    mask = blank()
    mask[50:200, 60:300] = 1
    hints = read_hints(SIZE, mask=mask, picture=picture(), recognise=True)
    assert hints.given == {"prompts"} and hints.prompts is not None and hints.prompts.boxes == (Box(60, 50, 300, 200),)
    assert any("taken as a box" in line for line in hints.choices)
    for options in ({"recognise": True, "radius": 6}, {"recognise": False}):
        kept = read_hints(SIZE, mask=mask, picture=picture(), **options)  # type: ignore[arg-type]
        assert kept.given == {"trimap", "mask"} and kept.prompts is None


def test_points_do_not_go_with_a_mask() -> None:
    with pytest.raises(InputError, match="two kinds were given: mask and points or boxes"):
        read_hints(SIZE, mask=disc(), prompts=Prompts((Point(1, 1),)))
    with pytest.raises(InputError, match="lies outside the picture"):
        read_hints(SIZE, prompts=Prompts((Point(500, 1),)))
