"""Every measure on cases small enough to work out by hand, and against slow, literal versions of the definitions."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from uhrmat.core.errors import InputError
from uhrmat.metrics import (
    ClipScores,
    TemporalError,
    as_unit,
    connectivity_error,
    differences,
    gradient_error,
    mean_scores,
    score,
    unknown_region,
)
from uhrmat.metrics import arrays as arrays_module

SHARED = Path(__file__).resolve().parents[3] / "shared" / "tools" / "metrics.py"


def soft_pair(seed: int, shape: tuple[int, int] = (61, 83)) -> tuple[np.ndarray, np.ndarray]:
    """A matte with islands and soft edges, and a disturbed copy; no value sits on a level or on theta."""
    rng = np.random.default_rng(seed)
    truth = np.clip(ndimage.gaussian_filter(rng.normal(size=shape), 3) * 4 + 0.5, 0, 1)
    pred = np.clip(truth + ndimage.gaussian_filter(rng.normal(size=shape), 1) * 0.3, 0, 1)
    return pred.astype(np.float32), truth.astype(np.float32)


def literal_conn(pred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The definition, level by level with another labelling, in float64."""
    last, done = np.ones(pred.shape), np.zeros(pred.shape, bool)
    for level in range(1, 11):
        both = (pred >= np.float32(level) / np.float32(10)) & (truth >= np.float32(level) / np.float32(10))
        labels, count = ndimage.label(both)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        largest = labels == 1 + sizes.argmax() if count else np.zeros(pred.shape, bool)
        last[~largest & ~done] = (level - 1) / 10
        done |= ~largest
    dp, dg = pred - last, truth - last
    return np.abs(dp * (dp >= 0.15) - dg * (dg >= 0.15))


def literal_gradient(alpha: np.ndarray, sigma: float = 1.4) -> np.ndarray:
    half = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * 0.01)))
    x = np.arange(-half, half + 1.0)
    gauss = np.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    kernel = np.outer(gauss, -x * gauss / sigma**2)
    kernel /= np.sqrt((kernel**2).sum())
    across, down = (ndimage.correlate(alpha.astype(np.float64), k, mode="nearest") for k in (kernel, kernel.T))
    return np.hypot(across, down)


def test_sums_and_means_by_hand() -> None:
    pred = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)
    truth = np.array([[0.0, 1.0], [0.5, 0.25]], np.float32)
    sums = differences(pred, truth)
    assert (sums.absolute, sums.squared, sums.pixels) == (1.0, 0.5, 4)
    inside = differences(pred, truth, np.array([[True, True], [False, False]]))
    assert (inside.absolute, inside.squared, inside.pixels) == (0.5, 0.25, 2)


def test_scales_of_the_protocols() -> None:
    pred, truth = np.zeros((10, 10), np.uint8), np.full((10, 10), 255, np.uint8)
    paper = score(pred, truth)
    assert paper.sad == pytest.approx(0.1) and paper.mse == pytest.approx(1000) and paper.mad == pytest.approx(1000)
    raw = score(pred, truth, protocol="raw")
    assert (raw.sad, raw.mse, raw.mad) == (100, 1, 1)
    assert raw.grad == pytest.approx(0, abs=1e-12)
    assert list(paper.header.values()) == ["SAD /1e3", "MSE ×1e3", "MAD ×1e3", "Grad /1e3", "Conn /1e3"]
    assert paper.as_dict()["scale"] == {"sad": 1e-3, "mse": 1e3, "mad": 1e3, "grad": 1e-3, "conn": 1e-3}
    assert score(pred, truth, protocol="video").protocol == "rvm"


def test_conn_by_hand() -> None:
    """Two opaque pixels joined, one apart: for that one l = 0, so it counts with the whole difference of its alphas."""
    truth = np.array([[1, 1, 0, 1]], np.float32)
    pred = np.array([[1, 1, 0, 0.5]], np.float32)
    assert connectivity_error(pred, truth) == pytest.approx(0.5)
    assert connectivity_error(truth, truth) == 0
    # 0.1 below in a connected pixel: l = 0.9, both distances stay below theta.
    assert connectivity_error(np.array([[1, 0.9]], np.float32), np.array([[1, 1]], np.float32)) == 0
    # Nothing reaches 0.1 in both: l = 0 everywhere.
    assert connectivity_error(np.array([[0.05, 0]], np.float32), np.array([[1, 1]], np.float32)) == pytest.approx(2)


def test_conn_is_four_connected_and_a_tie_goes_to_the_first() -> None:
    diagonal = np.array([[1, 0], [0, 1]], np.float32)
    pred = diagonal * np.float32(0.55)
    # l is 0.5 for the first pixel (distances 0.05, 0.5), 0 for the second (0.55, 1): 0.5 + 0.45.
    assert connectivity_error(pred, diagonal) == pytest.approx(0.95)
    assert connectivity_error(pred, diagonal, np.array([[1, 0], [0, 0]], bool)) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(6))
def test_conn_equals_the_literal_definition(seed: int) -> None:
    pred, truth = soft_pair(seed)
    expected = literal_conn(pred, truth)
    region = np.random.default_rng(seed).random(pred.shape) < 0.5
    assert connectivity_error(pred, truth) == pytest.approx(expected.sum(), rel=1e-5)
    assert connectivity_error(pred, truth, region) == pytest.approx(expected[region].sum(), rel=1e-5)


def test_eight_bit_values_reach_the_level_they_stand_for() -> None:
    alpha = as_unit(np.full((1, 2), 153, np.uint8))  # 0.6
    assert connectivity_error(alpha, np.ones((1, 2), np.float32)) == pytest.approx(2 * 0.4)
    below = as_unit(np.full((1, 2), 152, np.uint8))
    assert connectivity_error(below, np.ones((1, 2), np.float32)) == pytest.approx(2 * 0.5)


def test_grad_equals_the_literal_definition_across_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    pred, truth = soft_pair(1)
    region = np.random.default_rng(0).random(pred.shape) < 0.3
    expected = (literal_gradient(pred) - literal_gradient(truth)) ** 2
    monkeypatch.setattr(arrays_module, "STRIP", 7)
    assert gradient_error(pred, truth) == pytest.approx(expected.sum(), rel=1e-6)
    assert gradient_error(pred, truth, region) == pytest.approx(expected[region].sum(), rel=1e-6)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pred, truth = soft_pair(2)
    whole = score(pred, truth).values
    monkeypatch.setattr(arrays_module, "STRIP", 5)
    assert score(pred, truth).values == pytest.approx(whole, rel=1e-9)


def test_dtssd_by_hand() -> None:
    truth = [np.zeros((2, 2), np.float32)] * 3
    pred = [np.full((2, 2), v, np.float32) for v in (0.0, 0.5, 0.25)]
    temporal = TemporalError()
    got = [temporal.push(p, g) for p, g in zip(pred, truth, strict=True)]
    assert got == [None, 0.5, 0.25]
    corner = np.array([[True, False], [False, False]])
    only = TemporalError()
    only.push(truth[0], truth[0])
    assert only.push(np.array([[0.5, 1], [1, 1]], np.float32), truth[0], corner) == 0.5


@pytest.mark.parametrize(("protocol", "first", "mean"), [("rvm", 0.0, 25.0), ("alphamatting", None, 50.0)])
def test_the_first_frame_counts_as_the_protocol_says(protocol: str, first: float | None, mean: float) -> None:
    clip = ClipScores(protocol=protocol, conn=False)
    black = np.zeros((2, 2), np.float32)
    frames = [clip.push(black, black), clip.push(black + 0.5, black)]
    assert frames[0].dtssd == first and frames[0].conn is None
    assert mean_scores(frames).dtssd == pytest.approx(mean)


def test_regions_are_named_and_a_trimap_means_its_unknown_pixels() -> None:
    trimap = np.array([[0, 128, 255], [0, 90, 255]], np.uint8)
    assert unknown_region(trimap).tolist() == [[False, True, False]] * 2
    assert unknown_region(trimap / np.float32(255)).tolist() == [[False, True, False]] * 2
    ones = np.ones((2, 3), np.float32)
    assert (score(ones, ones, trimap).region, score(ones, ones, trimap).pixels) == ("unknown", 2)
    assert score(ones, ones, trimap == 0).region == "mask"
    assert score(ones, ones).region == "whole"


def test_a_single_pixel_scores_and_an_empty_region_does_not() -> None:
    one = np.ones((1, 1), np.uint16) * 65535
    assert set(score(one, one).values.values()) == {0.0}
    empty = score(one, one * 0, np.zeros((1, 1), bool))
    assert empty.values == {} and empty.pixels == 0 and empty.sad is None
    assert mean_scores([empty, score(one, one, np.ones((1, 1), bool))]).values == {
        "sad": 0, "mse": 0, "mad": 0, "grad": 0, "conn": 0
    }  # fmt: skip


def test_a_frame_without_the_region_is_passed_over_in_time() -> None:
    clip, black = ClipScores(), np.zeros((2, 2), np.float32)
    nothing, all_of_it = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    frames = [clip.push(black + v, black, r) for v, r in ((0, all_of_it), (0.5, nothing), (0.5, all_of_it))]
    assert [frame.dtssd for frame in frames] == [0, None, 0]


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint32, np.complex64])
def test_types_without_a_full_scale_are_refused(dtype: type) -> None:
    with pytest.raises(InputError, match="has no full scale"):
        as_unit(np.full((2, 2), 255, dtype))


@pytest.mark.parametrize(
    ("pred", "truth", "region", "says"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), None, "3x2.*2x3"),
        (np.full((2, 2), np.nan), np.zeros((2, 2)), None, "nan"),
        (np.full((2, 2), 255.0), np.zeros((2, 2)), None, "255"),
        (np.zeros((2, 2, 3)), np.zeros((2, 2, 3)), None, r"\(H, W\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((3, 3), bool), "region"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    pred: np.ndarray, truth: np.ndarray, region: np.ndarray | None, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        score(pred, truth, region)


def test_unknown_protocols_and_mixed_means_are_refused() -> None:
    one = np.ones((2, 2), np.float32)
    with pytest.raises(InputError, match="nonsense"):
        score(one, one, protocol="nonsense")
    with pytest.raises(InputError, match="one protocol and region"):
        mean_scores([score(one, one), score(one, one, protocol="raw")])


@pytest.mark.skipif(not SHARED.exists(), reason="the independent measure is not here")
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_independent_measure(seed: int) -> None:
    spec = importlib.util.spec_from_file_location("shared_metrics", SHARED)
    assert spec and spec.loader
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    pred, truth = soft_pair(seed, (150, 130))
    unknown = (truth > 0.05) & (truth < 0.95)
    ours = score(pred, truth, unknown)
    expected = theirs.scores(pred.astype(np.float64), truth.astype(np.float64), unknown)
    assert [ours.sad, ours.mse, ours.grad, ours.conn] == pytest.approx(expected, rel=1e-5)
