"""A network's coarse alpha made into a matte, and the confidence that there is a subject."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tests.prior.composites import before_screen
from uhrmat.core.errors import InputError, NoSubjectError, UhrmatError
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.networks.coarse import subject_region, trimap_from_coarse
from uhrmat.prior.networks.confidence import CONFIDENCE_DEFAULTS, doubt_notes, first_view, require_subject, two_views
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.prior.registry import PriorRegistry


class Network:
    """A network that returns `alpha(picture)`, and the pictures that it has seen."""

    name = "fake"

    def __init__(self, alpha: Callable[[np.ndarray], np.ndarray], working_size: int | None = None) -> None:
        self.working_size, self._alpha = working_size, alpha
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        self.seen.append(small.shape)
        return PriorResult(self._alpha(small).astype(np.float32), self.name)


def blobs(*parts: tuple[int, int, int, int, float], size: tuple[int, int] = (100, 120)) -> np.ndarray:
    """An alpha with rectangles (top, left, bottom, right) of a value."""
    alpha = np.zeros(size, np.float32)
    for top, left, bottom, right, value in parts:
        alpha[top:bottom, left:right] = value
    return alpha


def test_hysteresis_keeps_what_reaches_a_certain_pixel() -> None:
    region = subject_region(blobs((10, 10, 50, 50, 0.5), (20, 20, 30, 30, 0.9), (60, 60, 90, 90, 0.59)))
    assert region[10:50, 10:50].all() and region.sum() == 1600  # 0.59 alone is no seed
    assert not subject_region(blobs((10, 10, 50, 50, 0.59))).any()


def test_small_parts_and_holes_are_removed() -> None:
    alpha = blobs((10, 10, 60, 60, 1.0), (80, 80, 84, 84, 1.0), (70, 10, 90, 40, 1.0))
    alpha[30:32, 30:32] = 0  # a hole of 4 pixels, and one of 100
    alpha[40:50, 40:50] = 0
    region = subject_region(alpha)
    assert region[30:32, 30:32].all() and not region[40:50, 40:50].any()
    assert region[70:90, 10:40].all() and not region[80:84, 80:84].any()


def test_the_trimap_is_unknown_around_the_edge_and_where_the_network_is_unsure() -> None:
    trimap = trimap_from_coarse(blobs((20, 20, 70, 70, 1.0), (20, 40, 46, 46, 0.8), (20, 70, 70, 80, 0.2)))
    assert trimap[22, 30] == 255 and trimap[22, 43] == 128  # near the edge: certain, unsure
    assert trimap[23, 43] == 255 and trimap[40, 43] == 255  # farther inside both are foreground
    assert (trimap[45, 18:22] == 128).all() and trimap[45, 16] == 0 and trimap[45, 23] == 255
    assert (trimap[45, 70:73] == 128).all() and (trimap[45, 75:] == 0).all()  # unsure far away is background
    assert (trimap_from_coarse(np.full((30, 40), 0.3, np.float32)) == 0).all()


def test_the_solved_edge_is_closer_than_the_coarse_one_and_the_background_is_clean() -> None:
    picture, true, _ = before_screen("solid", noise=0.01)
    coarse = np.maximum(cv2.GaussianBlur((true > 0.5).astype(np.float32), (0, 0), 3), 0.03)
    result = NetworkMatte(Network(lambda small: coarse))(picture, LowResHints())
    assert np.abs(result.alpha - true).mean() < 0.5 * np.abs(coarse - true).mean()
    assert (coarse > 0.01).all() and (result.alpha[true == 0] > 0.01).mean() < 0.1
    assert result.name == "fake" and result.confidence is not None


def test_the_network_sees_its_own_size() -> None:
    network = Network(lambda small: blobs((8, 8, 24, 24, 1.0), size=small.shape[:2]), working_size=32)
    matte = NetworkMatte(network)
    alpha = matte(np.random.default_rng(0).random((64, 96, 3), np.float32), LowResHints()).alpha
    assert network.seen[0] == (32, 48, 3) and alpha.shape == (64, 96) and matte.working_size is None
    assert alpha[32, 32] == 1 and alpha[60, 90] == 0
    assert NetworkMatte(Network(lambda small: small[..., 0], 1024)).working_size == 1024


def test_a_trimap_goes_before_the_network_and_asks_for_no_confidence() -> None:
    network = Network(lambda small: blobs((20, 20, 70, 70, 1.0)))
    trimap = np.full((100, 120), 128, np.uint8)
    trimap[30:40, 30:40], trimap[80:] = 0, 255
    result = NetworkMatte(network)(np.full((100, 120, 3), 0.5, np.float32), LowResHints(trimap))
    assert (result.alpha[30:40, 30:40] == 0).all() and (result.alpha[80:] == 1).all()
    assert result.confidence is None and len(network.seen) == 1


def test_nothing_certain_is_an_empty_matte_without_confidence() -> None:
    result = NetworkMatte(Network(lambda small: np.full(small.shape[:2], 0.4)))(
        np.full((30, 40, 3), 0.5, np.float32), LowResHints()
    )
    assert (result.alpha == 0).all() and result.confidence == 0


def test_a_second_view_is_looked_at_only_in_doubt() -> None:
    sure = Network(lambda small: blobs((20, 20, 70, 70, 1.0)))
    assert NetworkMatte(sure).confidence(np.zeros((100, 120, 3), np.float32)) == 1 and len(sure.seen) == 1

    def by_colour(small: np.ndarray) -> np.ndarray:
        """Red is the subject: the same in every view."""
        return np.where(small[..., 0] > 0.6, 0.8, 0.3 * (small[..., 1] > 0.5))

    picture = np.zeros((100, 120, 3), np.float32)
    picture[20:70, 20:60, 0], picture[:, :, 1] = 1, 1
    steady = Network(by_colour)
    same = NetworkMatte(steady).confidence(picture)
    assert steady.seen == [(100, 120, 3), (75, 90, 3)]
    left = Network(lambda small: np.where(np.arange(small.shape[1]) < 40, 0.75, 0.2) * np.ones(small.shape[:2]))
    other = NetworkMatte(left).confidence(picture)  # it marks the left, whatever the picture shows
    assert 0 < other < 0.6 * same


def test_confidence_of_views() -> None:
    alpha = blobs((0, 0, 10, 10, 0.8), (0, 10, 10, 20, 0.4))
    mean = (0.8**2 + 0.4**2) / (0.8 + 0.4)
    assert first_view(alpha) == pytest.approx(mean) and first_view(np.zeros((4, 5), np.float32)) == 0
    assert two_views(alpha, alpha) == pytest.approx(mean)
    assert two_views(alpha, alpha / 2) == pytest.approx(0.75 * mean / 2)
    apart = two_views(blobs((0, 0, 10, 10, 1.0)), blobs((50, 0, 60, 10, 1.0)))
    assert apart == 0 and two_views(np.zeros((4, 5)), np.zeros((4, 5))) == 0


def test_what_is_said_of_a_confidence() -> None:
    least, doubtful = CONFIDENCE_DEFAULTS.least, CONFIDENCE_DEFAULTS.doubtful
    for value in (None, 1.0, doubtful):
        assert doubt_notes(value) == []
    assert "the subject is doubtful" in doubt_notes(least)[0] and "no subject" in doubt_notes(least - 0.01)[0]
    for good in (None, 1.0, least):
        require_subject(good)
    with pytest.raises(NoSubjectError, match="no subject found: give --mask, --point or --box") as error:
        require_subject(least - 0.01)
    assert isinstance(error.value, InputError) and "--keep-empty" in error.value.hint


def test_networks_with_a_state_or_a_trimap_are_left_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(lambda small: small[..., 0])
    monkeypatch.setattr("uhrmat.prior.networks.registry.load_network", lambda *_rest: network)
    assert isinstance(PriorRegistry("lpn-person").choose(frozenset())[0], NetworkMatte)
    for kind in ("recurrent", "needs_trimap"):
        monkeypatch.setattr(network, kind, True, raising=False)
        assert PriorRegistry("lpn-person").choose(frozenset())[0] is network
        monkeypatch.delattr(network, kind)


def test_values_that_are_not_finite_are_no_missing_subject() -> None:
    matte = NetworkMatte(Network(lambda small: np.full(small.shape[:2], np.nan)))
    picture = np.zeros((30, 40, 3), np.float32)
    with pytest.raises(UhrmatError, match="fake returned values that are not finite"):
        matte(picture, LowResHints())
    with pytest.raises(UhrmatError, match="fake returned values that are not finite"):
        matte.confidence(picture)


def test_a_picture_without_a_subject_is_refused_unless_it_is_kept() -> None:
    priors = StillPipeline("lpn-person", refiner="bilinear", precision="fp32")
    priors.priors.use("lpn-person", NetworkMatte(Network(lambda small: np.zeros(small.shape[:2]))))
    picture = np.zeros((60, 80, 3), np.uint8)
    with pytest.raises(NoSubjectError):
        priors.matte(picture, foreground=False)
    kept = priors.matte(picture, foreground=False, keep_empty=True)
    assert (kept.alpha == 0).all() and any("no subject was found" in note for note in kept.stats.warnings)
    trimap = np.full((60, 80), 128, np.uint8)
    trimap[:20] = 0
    assert (priors.matte(picture, trimap=trimap, foreground=False).alpha[:20] == 0).all()


def test_a_doubtful_subject_comes_with_a_note() -> None:
    pipeline = StillPipeline("lpn-person", refiner="bilinear", precision="fp32")

    def use(value: float) -> list[str]:
        network = Network(lambda small: np.where(small[..., 0] > 0.5, value, 0))
        pipeline.priors.use("lpn-person", NetworkMatte(network))
        return pipeline.matte(picture, foreground=False).stats.notes

    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:50, 10:60] = 255
    assert any("the subject is doubtful (confidence 0.6" in note for note in use(0.65))
    assert not any("doubtful" in note for note in use(0.99))
