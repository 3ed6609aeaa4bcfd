"""Drawing: coverage is an area, layers add up, strands are as wide as asked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from uhrmat.train.synth.camera import add_noise, compress_jpeg, demosaic, sharpen
from uhrmat.train.synth.canvas import blank, convolve, disc, draw, mask_of, over, paint, soften, straight
from uhrmat.train.synth.noise import fractal, smoothstep
from uhrmat.train.synth.shapes import ellipse
from uhrmat.train.synth.stage import Stage
from uhrmat.train.synth.strands import Growth, clump, grow, ribbons, split_ribbons
from uhrmat.train.synth.trimap import make_trimap


@pytest.fixture()
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_coverage_is_the_area_of_the_polygon() -> None:
    mask = mask_of(300, 300, [ellipse(np.array([150.0, 140.0]), 90, 50)])
    assert mask.sum() == pytest.approx(np.pi * 90 * 50, rel=0.01)
    ys, xs = np.mgrid[:300, :300] + 0.5
    assert (xs * mask).sum() / mask.sum() == pytest.approx(150, abs=0.1)
    assert (ys * mask).sum() / mask.sum() == pytest.approx(140, abs=0.1)


def test_a_polygon_inside_another_is_a_hole() -> None:
    centre = np.array([50.0, 50.0])
    ring = mask_of(100, 100, [ellipse(centre, 40, 40), ellipse(centre, 20, 20)])
    assert ring[50, 50] == 0 and ring[50, 80] == 1


def test_tiles_leave_no_seam() -> None:
    square = np.array([[100.0, 100], [600, 100], [600, 600], [100, 600]])
    layer = draw(blank(700, 700), [square], np.array([[0.2, 0.4, 0.8]]), blur=2.0)
    whole = soften(draw(blank(700, 700), [square], np.array([[0.2, 0.4, 0.8]])), 2.0)
    np.testing.assert_allclose(layer, whole, atol=2e-3)
    np.testing.assert_allclose(layer[300, 300], [0.2, 0.4, 0.8, 1.0], atol=0.003)


@pytest.mark.parametrize("width", [0.6, 1.0, 2.0, 5.0])
def test_ribbons_are_as_wide_as_asked(width: float) -> None:
    path = np.stack([np.linspace(20, 180, 30), np.linspace(30, 90, 30)], 1)[None]
    layer = draw(blank(128, 200), ribbons(path, np.array([width]), taper=0.0), np.ones((1, 3)))
    assert layer[..., 3].sum() / np.hypot(160, 60) == pytest.approx(width, abs=0.12)


def test_over_and_paint_agree_with_the_equation(rng: np.random.Generator) -> None:
    top = rng.random((8, 9, 4), np.float32)
    top[..., :3] *= top[..., 3:]
    bottom = rng.random((8, 9, 4), np.float32)
    expected = top + bottom * (1 - top[..., 3:])
    painted = paint(bottom.copy(), top[..., 3].copy(), top[..., :3] / top[..., 3:])
    np.testing.assert_allclose(over(bottom.copy(), top), expected, atol=1e-6)
    np.testing.assert_allclose(painted, expected, atol=1e-5)


def test_straight_undoes_the_premultiplication_and_fills_the_rest(rng: np.random.Generator) -> None:
    layer = blank(61, 83)
    layer[20:40, 30:50] = (0.1, 0.2, 0.3, 0.5)
    colour = straight(layer)
    np.testing.assert_allclose(colour, np.broadcast_to([0.2, 0.4, 0.6], colour.shape), atol=0.01)
    assert np.isfinite(straight(blank(20, 20))).all()


def test_kernels_keep_the_light(rng: np.random.Generator) -> None:
    assert disc(4.3).sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(convolve(np.full((40, 40, 4), 0.7, np.float32), disc(3.0)), 0.7, atol=1e-5)


def test_strands_start_at_their_roots_and_have_their_length(rng: np.random.Generator) -> None:
    roots = rng.uniform(0, 100, (20, 2))
    paths = grow(rng, roots, rng.uniform(0, 6, 20), np.full(20, 50.0), Growth(wave=0.5))
    np.testing.assert_allclose(paths[:, 0], roots)
    np.testing.assert_allclose(np.linalg.norm(np.diff(paths, axis=1), axis=2).sum(1), 50.0, rtol=1e-6)
    many, owner = clump(rng, paths, 4, spread=2.0, close=0.5, tip=0.2, frizz=0.02)
    assert many.shape == (80, paths.shape[1], 2) and (np.bincount(owner) == 4).all()


def test_cut_ribbons_join(rng: np.random.Generator) -> None:
    outline = ribbons(grow(rng, np.zeros((3, 2)), np.zeros(3), np.full(3, 30.0), Growth()), np.full(3, 2.0))
    first, second = split_ribbons(outline, 2)
    np.testing.assert_array_equal(first[:, first.shape[1] // 2 - 1], second[:, 0])


def test_noise_is_smooth_and_bounded(rng: np.random.Generator) -> None:
    field = fractal(rng, 120, 90, cell=40, octaves=1)
    assert field.shape == (120, 90) and np.abs(field).max() < 2.5
    assert np.abs(np.diff(field, axis=0)).max() < 0.3
    assert smoothstep(np.array([0.0, 1.0], np.float32), 1, 0).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_trimap_of_a_flat_alpha_is_flat(rng: np.random.Generator, value: float) -> None:
    trimap = make_trimap(Stage(rng, 50, 60), np.full((50, 60), value, np.float32))
    assert (trimap == int(value * 255)).all()


def test_a_hard_edge_is_unknown(rng: np.random.Generator) -> None:
    alpha = np.zeros((80, 80), np.float32)
    alpha[:, 40:] = 1
    trimap = make_trimap(Stage(rng, 80, 80), alpha)
    assert (trimap[:, 39:41] == 128).all()


def test_every_part_of_the_camera_keeps_size_range_and_place(rng: np.random.Generator) -> None:
    stage = Stage(rng, 64, 63)
    picture = cv2.GaussianBlur(rng.random((64, 63, 3), np.float32), (0, 0), 3)
    for taken in (add_noise(stage, picture), demosaic(picture), sharpen(stage, picture), compress_jpeg(stage, picture)):
        assert taken.shape == picture.shape and taken.dtype == np.float32
        assert taken.min() >= 0 and taken.max() <= 1
        assert np.abs(taken - picture).mean() < 0.06


def test_the_example_writes_four_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Path(__file__).parents[2] / "examples" / "render_scene.py"
    spec = importlib.util.spec_from_file_location("render_scene_example", place)
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    picture = tmp_path / "s.png"
    wish = ["--width", "200", "--height", "150", "--kind", "hair", "--unknown-share", "0.2"]
    assert example.main([str(picture), *wish]) == 0
    sizes = {p.name: cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in tmp_path.iterdir()}
    assert {name: (a.shape, str(a.dtype)) for name, a in sizes.items()} == {
        "s.png": ((150, 200, 3), "uint8"), "s_trimap.png": ((150, 200), "uint8"),
        "s_alpha.png": ((150, 200), "uint16"), "s_foreground.png": ((150, 200, 3), "uint8"),
    }  # fmt: skip
    assert "pixels unknown" in capsys.readouterr().out
    assert example.main([str(picture), "--kind", "pair"]) == 2
