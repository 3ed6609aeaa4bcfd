"""The bundled prior for points, boxes and strokes: which part of a picture is found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uhrmat import MattingPipeline
from uhrmat.core.errors import InputError, NoSubjectError
from uhrmat.hints.prompts import Box, Point, Prompts
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.choose import choose_prior, takes_prompts
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.prior.prompts.grabcut import BACKGROUND, LIKELY_FOREGROUND, grabcut
from uhrmat.prior.prompts.locate import PromptLocator
from uhrmat.train.lpn.measure import mask_iou

HEIGHT, WIDTH = 160, 240
LEFT, RIGHT = (60, 80), (175, 80)


def disc(centre: tuple[int, int], radius: int = 35) -> np.ndarray:
    return np.asarray(cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), centre, radius, 1, -1)) > 0


def scene() -> np.ndarray:
    """A red disc on the left and a blue one on the right, before grey with noise."""
    picture = np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)
    picture[disc(LEFT)], picture[disc(RIGHT)] = (0.8, 0.2, 0.2), (0.2, 0.2, 0.8)
    noise = np.random.default_rng(5).normal(0, 0.02, picture.shape).astype(np.float32)
    return np.asarray(np.clip(picture + noise, 0, 1), np.float32)


class Coloured:
    """A network that marks what is coloured, with an alpha of `value`."""

    name, working_size = "coloured", None

    def __init__(self, value: float = 0.9) -> None:
        self.value = value

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        coloured = np.ptp(cv2.blur(small, (3, 3)), axis=2) > 0.25
        return PriorResult(np.where(coloured, self.value, 0.02).astype(np.float32), self.name)


def find(prompts: Prompts, value: float = 0.9) -> np.ndarray:
    return PromptLocator(Coloured(value))(scene(), LowResHints(prompts=prompts)).alpha


@pytest.mark.parametrize("value", [0.9, 0.3, 0.0], ids=["sure", "faint", "blind"])
def test_a_box_finds_the_subject_in_it_alone(value: float) -> None:
    alpha = find(Prompts(boxes=(Box(20, 40, 100, 120),)), value)
    assert mask_iou(alpha > 0.5, disc(LEFT)) > 0.93
    assert alpha[:, 100:].max() == 0


@pytest.mark.parametrize(("at", "other"), [(LEFT, RIGHT), (RIGHT, LEFT)])
def test_a_point_finds_the_subject_under_it(at: tuple[int, int], other: tuple[int, int]) -> None:
    alpha = find(Prompts((Point(*at),)))
    assert mask_iou(alpha > 0.5, disc(at)) > 0.93 and not (alpha[disc(other)] > 0.5).any()


def test_colours_decide_where_the_network_sees_nothing() -> None:
    assert mask_iou(find(Prompts((Point(*LEFT),)), 0.0) > 0.5, disc(LEFT)) > 0.9


def test_two_points_find_both_and_two_boxes_too() -> None:
    both = disc(LEFT) | disc(RIGHT)
    assert mask_iou(find(Prompts((Point(*LEFT), Point(*RIGHT)))) > 0.5, both) > 0.93
    assert mask_iou(find(Prompts(boxes=(Box(20, 40, 100, 120), Box(135, 40, 215, 120)))) > 0.5, both) > 0.93


def test_background_prompts_take_away() -> None:
    assert mask_iou(find(Prompts((Point(*RIGHT, False),), (Box(0, 0, WIDTH, HEIGHT),))) > 0.5, disc(LEFT)) > 0.9
    alone = find(Prompts(boxes=(Box(130, 30, 220, 130, False),)))  # the network's subject less this
    assert mask_iou(alone > 0.5, disc(LEFT)) > 0.93 and (alone[30:130, 130:220] == 0).all()


def test_strokes_find_what_they_lie_on() -> None:
    strokes = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.line(strokes, (45, 70), (75, 95), 1, 3)
    alpha = find(Prompts(strokes=strokes > 0))
    assert mask_iou(alpha > 0.5, disc(LEFT)) > 0.93 and (alpha[strokes > 0] == 1).all()


def test_a_point_close_to_another_of_the_other_side_keeps_its_pixel() -> None:
    alpha = find(Prompts((Point(60, 80), Point(61, 80, False))))
    assert alpha[80, 60] == 1 and alpha[80, 61] == 0


def test_a_small_marked_part_is_kept_beside_a_large_one() -> None:
    picture = scene()
    picture[140:148, 228:236] = (0.2, 0.8, 0.2)
    prompts = Prompts(boxes=(Box(20, 40, 100, 120), Box(224, 136, 240, 152)))
    alpha = NetworkMatte(PromptLocator(Coloured()))(picture, LowResHints(prompts=prompts)).alpha
    assert (alpha[142:146, 230:234] > 0.5).all() and mask_iou(alpha > 0.5, disc(LEFT)) > 0.85


def test_nothing_found_is_an_error() -> None:
    class Nothing(Coloured):
        def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
            return PriorResult(np.zeros(small.shape[:2], np.float32), self.name)

    with pytest.raises(NoSubjectError, match="finds nothing where the points and boxes are"):
        NetworkMatte(Nothing())(scene(), LowResHints(prompts=Prompts(boxes=(Box(0, 0, 9, 9),))))


def test_grabcut_gives_the_same_twice_and_keeps_seeds_of_too_few_pixels() -> None:
    seeds = np.full((HEIGHT, WIDTH), BACKGROUND, np.uint8)
    seeds[40:120, 20:100] = LIKELY_FOREGROUND
    first = grabcut(scene(), seeds)
    assert (first == grabcut(scene(), seeds)).all() and mask_iou(first > 0, disc(LEFT)) > 0.95
    few = np.full((HEIGHT, WIDTH), BACKGROUND, np.uint8)
    few[0, :4] = LIKELY_FOREGROUND
    assert grabcut(scene(), few).sum() == 4


def test_prompts_choose_their_prior() -> None:
    choice = choose_prior("auto", frozenset({"prompts"}))
    assert choice.name == "prompts" and "points or boxes were given" in choice.note
    assert takes_prompts("auto") and takes_prompts("prompts") and not takes_prompts("knn")
    with pytest.raises(InputError, match="needs points or boxes"):
        choose_prior("prompts", frozenset({"mask"}))
    with pytest.raises(InputError, match="takes no points or boxes"):
        choose_prior("lpn-subject", frozenset({"prompts"}))


def test_the_pipeline_takes_points_and_boxes() -> None:
    picture = (scene() * 255).astype(np.uint8)
    with MattingPipeline(refiner="bilinear", device="cpu", precision="fp32") as pipeline:
        boxed = pipeline(picture, boxes=[(20, 40, 100, 120)], foreground=False)
        assert mask_iou(boxed.alpha > 0.5, disc(LEFT)) > 0.9 and boxed.stats.prior == "prompts"
        texts = pipeline([picture, picture], boxes=["20,40,100,120", None], points=[None, "175,80"], foreground=False)
        assert (texts[0].alpha == boxed.alpha).all()
        assert texts[1].alpha[80, 175] > 0.9 and texts[1].alpha[80, 60] < 0.1
        rectangle = np.zeros((HEIGHT, WIDTH), np.uint8)
        rectangle[40:120, 20:100] = 255
        drawn = pipeline(picture, mask=rectangle, foreground=False)
        assert (drawn.alpha == boxed.alpha).all() and any("taken as a box" in line for line in drawn.stats.notes)
        with pytest.raises(InputError, match="lies outside the picture"):
            pipeline(picture, points=[(WIDTH, 0)])
