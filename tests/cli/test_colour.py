"""What the colour files hold, pixel by pixel: straight, premultiplied, hidden, linear, deep."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from uhrmat.media import read_info, read_picture
from uhrmat.media.exr import write_exr
from uhrmat.media.picture import ExrFrame

from .conftest import Run, make_trimap


def rgba(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


@pytest.fixture
def written(run: Run, photo: Path, trimap: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    words = ("--trimap", trimap, "-o", tmp_path / "out", "--outputs", "foreground,cutout", *request.param)
    assert run("image", photo, *words).exit_code == 0
    return tmp_path / "out"


@pytest.mark.parametrize("written", [(), ("--straight",)], indirect=True)
def test_straight_colour_is_the_photographs(written: Path, photo: Path) -> None:
    original, cutout = rgba(photo), rgba(written / "photo_cutout.png")
    seen = cutout[..., 3] > 0
    assert {0, 128, 255} == set(np.unique(cutout[..., 3]))
    assert (cutout[seen][:, :3] == original[seen]).all()
    assert (cutout[~seen] == 0).all(), "nothing of the background stays"
    assert (rgba(written / "photo_foreground.png")[..., :3] == original).all(), "the whole layer of colours"


@pytest.mark.parametrize("written", [("--premultiply",)], indirect=True)
@pytest.mark.parametrize("name", ["foreground", "cutout"])
def test_premultiplied_colour_is_rounded_exactly(written: Path, photo: Path, name: str) -> None:
    result = rgba(written / f"photo_{name}.png")
    exact = rgba(photo) * result[..., 3:] / 255
    assert np.abs(result[..., :3] - exact).max() <= 0.5


def test_sixteen_bits_stay(run: Run, tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(5000, dtype=np.uint16)[None, :, None] * 13, 3, 2).repeat(2, 0)
    cv2.imwrite(str(tmp_path / "ramp.png"), ramp)
    assert run("image", tmp_path / "ramp.png", "--alpha-format", "png16").exit_code == 0
    colour = cv2.imread(str(tmp_path / "ramp_foreground.png"), cv2.IMREAD_UNCHANGED)
    assert colour.dtype == np.uint16 and np.array_equal(colour[..., :3], ramp)
    alpha = cv2.imread(str(tmp_path / "ramp_alpha.png"), cv2.IMREAD_UNCHANGED)
    assert alpha.dtype == np.uint16 and len(np.unique(alpha)) == 5000


@pytest.mark.parametrize(("words", "factor"), [((), 128 / 255), (("--straight",), 1.0)])
def test_linear_photographs_give_linear_exr(run: Run, tmp_path: Path, words: tuple[str, ...], factor: float) -> None:
    bright = np.full((12, 16, 3), 4.0, np.float32)
    write_exr(tmp_path / "hdr.exr", bright)
    trimap = make_trimap(tmp_path / "t.png")
    out = tmp_path / "out"
    assert (
        run("image", tmp_path / "hdr.exr", "--trimap", trimap, "-o", out, "--background", "black", *words).exit_code
        == 0
    )
    assert {path.name for path in out.iterdir()} == {"hdr_alpha.png", "hdr_foreground.exr", "hdr_composite.exr"}
    half = np.asarray(Image.open(trimap)) == 128
    assert read_info(out / "hdr_foreground.exr").linear
    np.testing.assert_allclose(read_picture(out / "hdr_foreground.exr").pixels[half], 4 * factor, rtol=1e-3)
    np.testing.assert_allclose(read_picture(out / "hdr_composite.exr").pixels[half], 4 * 128 / 255, rtol=1e-3)


@pytest.mark.parametrize("hint", ["png", "exr"])
def test_overscan_goes_from_exr_to_exr(run: Run, tmp_path: Path, hint: str) -> None:
    """The picture is 16 x 12, and goes on for 4 columns to the left and 3 rows above and below."""
    frame = ExrFrame((0, 0, 15, 11), (-4, -3, 15, 14), 2.0)
    pixels = np.random.default_rng(0).random((18, 20, 3), np.float32) + 0.5
    write_exr(tmp_path / "plate.exr", pixels, None, frame, (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329))
    trimap = make_trimap(tmp_path / "t.png")
    if hint == "exr":
        level = np.asarray(Image.open(trimap)).astype(np.float32) / 255
        trimap = tmp_path / "t.exr"
        write_exr(trimap, level, None, ExrFrame((0, 0, 15, 11), (0, 0, 15, 11)))
    out = tmp_path / "out"
    words = ("--trimap", trimap, "-o", out, "--straight", "--alpha-format", "exr")
    assert run("image", tmp_path / "plate.exr", *words).exit_code == 0
    for name in ("plate_alpha.exr", "plate_foreground.exr"):
        info = read_info(out / name, overscan=True)
        assert info.exr == frame and (info.width, info.height) == (20, 18)
    made = read_picture(out / "plate_foreground.exr", overscan=True)
    assert made.alpha is not None and np.allclose(made.pixels, pixels, atol=1e-3)
    assert np.array_equal(made.alpha[:, 0], made.alpha[:, 4]), "the hint's edge goes on"
    assert run("image", tmp_path / "plate.exr", "--trimap", trimap, "-o", tmp_path / "png").exit_code == 0
    assert Image.open(tmp_path / "png" / "plate_alpha.png").size == (16, 12)
