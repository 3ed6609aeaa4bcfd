"""Trimaps and masks: every usual coding means the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tests.media.helpers import exif_blob, grey_profile, raw_png, save
from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_alpha, read_mask, read_trimap, resize_trimap

WANTED = np.repeat(np.array([[0, 128, 255, 128, 0, 255]], np.uint8), 4, axis=0)
WANTED[3] = 0
LEVELS = st.sampled_from([0, 128, 255])


def recoded(background: int, unknown: int, foreground: int, dtype: str = "uint8") -> np.ndarray:
    table = {0: background, 128: unknown, 255: foreground}
    return np.vectorize(table.__getitem__)(WANTED).astype(dtype)


def as_rgb(folder: Path) -> Path:
    return save(folder / "t.png", np.dstack([WANTED] * 3))


def as_palette(folder: Path) -> Path:
    return raw_png(folder / "t.png", recoded(0, 1, 2), 3, 8, (b"PLTE", bytes([0, 0, 0, 99, 99, 99, 255, 255, 255])))


def as_alpha_channel(folder: Path) -> Path:
    return save(folder / "t.png", np.dstack([np.full_like(WANTED, 255)] * 3 + [WANTED]))


def as_opaque_rgba(folder: Path) -> Path:
    return save(folder / "t.png", np.dstack([WANTED] * 3 + [np.full_like(WANTED, 255)]))


def as_cutout(folder: Path) -> Path:
    opacity = np.where(WANTED, 255, 0).astype(np.uint8)
    return save(folder / "t.png", np.dstack([np.maximum(WANTED, 128)] * 3 + [opacity]))


def as_float(folder: Path, scale: float = 1.0) -> Path:
    tifffile.imwrite(folder / "t.tif", (WANTED / 255 * scale).astype(np.float32), photometric="minisblack")
    return folder / "t.tif"


def as_jpeg(folder: Path) -> Path:
    return save(folder / "t.jpg", cv2.resize(WANTED, None, fx=16, fy=16, interpolation=cv2.INTER_NEAREST), quality=90)


def grey(background: int, unknown: int, foreground: int, dtype: str = "uint8"):  # type: ignore[no-untyped-def]
    def make(folder: Path) -> Path:
        cv2.imwrite(str(folder / "t.png"), recoded(background, unknown, foreground, dtype))
        return folder / "t.png"

    return make


CODINGS = {
    "0 128 255": grey(0, 128, 255),
    "0 127 255": grey(0, 127, 255),
    "0 1 255": grey(0, 1, 255),
    "0 254 255": grey(0, 254, 255),
    "labels 0 1 2": grey(0, 1, 2),
    "16 bits": grey(0, 32768, 65535, "uint16"),
    "16 bits, shifted from 8": grey(0, 128 << 8, 255 << 8, "uint16"),
    "8 bits in 16": grey(0, 128, 255, "uint16"),
    "RGB": as_rgb,
    "palette": as_palette,
    "in the alpha channel": as_alpha_channel,
    "RGBA": as_opaque_rgba,
    "cut out": as_cutout,
    "float": as_float,
    "float to 255": lambda d: as_float(d, 255.0),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_codings(tmp_path: Path, coding: str) -> None:
    trimap = read_trimap(CODINGS[coding](tmp_path), size=(4, 6))
    assert trimap.dtype == np.uint8
    assert trimap.tolist() == WANTED.tolist()


def test_jpeg_ringing_is_forgiven(tmp_path: Path) -> None:
    trimap = read_trimap(as_jpeg(tmp_path))
    assert (trimap == cv2.resize(WANTED, None, fx=16, fy=16, interpolation=cv2.INTER_NEAREST)).mean() > 0.97


@pytest.mark.parametrize("value", [0, 255])
def test_a_trimap_of_one_value(tmp_path: Path, value: int) -> None:
    assert np.unique(read_trimap(save(tmp_path / "t.png", np.full((3, 3), value, np.uint8)))).tolist() == [value]
    assert np.unique(read_trimap(save(tmp_path / "u.png", np.full((1, 1), 128, np.uint8)))).tolist() == [128]


def test_a_coloured_trimap_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "t.png", np.dstack([WANTED, WANTED[::-1], WANTED]))
    with pytest.raises(InputError, match="is coloured"):
        read_trimap(path)


def test_another_size_is_refused_with_both_sizes_and_the_cure(tmp_path: Path) -> None:
    path = save(tmp_path / "t.png", WANTED)
    with pytest.raises(InputError, match=r"is 6x4, but the picture is 12x8.*--resize-trimap"):
        read_trimap(path, size=(8, 12))
    with pytest.raises(InputError, match=r"mask .* is 6x4, but the picture is 12x6"):
        read_mask(path, size=(6, 12))
    notes: list[str] = []
    assert read_trimap(path, size=(8, 12), resize=True, notes=notes).shape == (8, 12)
    assert read_mask(path, size=(6, 12), resize=True, notes=notes).shape == (6, 12)
    assert notes == [
        "the trimap is 6x4 and was scaled to the picture's 12x8",
        "the mask is 6x4 and was scaled to the picture's 12x6, which changes its proportions",
    ]


@pytest.mark.parametrize("resize", [False, True])
@pytest.mark.parametrize("size", [(6, 4), (12, 8), (900, 600), (101, 100)])
def test_a_hint_on_its_side_is_never_stretched(tmp_path: Path, size: tuple[int, int], resize: bool) -> None:
    path = save(tmp_path / "t.png", np.full((100, 101), 128, np.uint8) if size == (101, 100) else WANTED)
    for read in (read_trimap, read_mask):
        for source in (path, np.asarray(Image.open(path))):
            with pytest.raises(InputError, match="turned by 90°"):
                read(source, size=size, resize=resize)


def test_square_hints_lie_on_no_side() -> None:
    square, upright = np.eye(6), np.eye(4, 6)
    assert read_mask(square, (12, 8), resize=True).shape == (12, 8)
    assert read_mask(upright, (6, 6), resize=True).shape == (6, 6)


def test_orientation_of_a_trimap(tmp_path: Path) -> None:
    path = save(tmp_path / "t.png", np.ascontiguousarray(WANTED.T[:, ::-1]), exif=b"Exif\0\0" + exif_blob(8))
    assert read_trimap(path, size=(4, 6)).shape == (4, 6)


@settings(max_examples=40, deadline=None)
@given(
    trimap=hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=LEVELS),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_resizing_invents_no_known_pixel(trimap: np.ndarray, size: tuple[int, int]) -> None:
    out = resize_trimap(trimap, size)
    assert out.shape == size and set(np.unique(out)) <= {0, 128, 255}
    assert set(np.unique(out)) - {128} <= set(np.unique(trimap))
    assert np.array_equal(resize_trimap(trimap, (trimap.shape[0], trimap.shape[1])), trimap)


def test_shrinking_keeps_a_thin_unknown_line() -> None:
    trimap = np.full((64, 64), 255, np.uint8)
    trimap[:, 21] = 128
    assert (resize_trimap(trimap, (8, 8))[:, 2] == 128).all()
    assert (resize_trimap(trimap, (64, 8))[:, 2] == 128).all()


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (np.array([[0, 51, 255]], np.uint8), [0, 0.2, 1]),
        (np.array([[0, 1]], np.uint8), [0, 1]),
        (np.array([[0, 13107, 65535]], np.uint16), [0, 0.2, 1]),
        (np.array([[0, 51, 255]], np.uint16), [0, 0.2, 1]),
    ],
)
def test_masks(tmp_path: Path, stored: np.ndarray, wanted: list[float]) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), stored)
    mask = read_mask(tmp_path / "m.png")
    assert mask.dtype == np.float32 and mask[0].tolist() == pytest.approx(wanted)


def test_masks_of_the_same_proportions_are_resampled_with_a_note(tmp_path: Path) -> None:
    path, notes = save(tmp_path / "m.png", np.array([[0, 255], [0, 255]], np.uint8)), list[str]()
    mask = read_mask(path, size=(8, 8), notes=notes)
    assert mask.shape == (8, 8) and mask.min() == 0 and mask.max() == 1 and mask.mean() == pytest.approx(0.5)
    assert notes == ["the mask is 2x2 and was scaled to the picture's 8x8"]
    assert read_mask(np.asarray(Image.open(path)), size=(1, 1)).shape == (1, 1)


SUBJECT = np.zeros((8, 8), bool)
SUBJECT[2:6, 2:6] = True


def cutout(colour: object, alpha: object = 255) -> np.ndarray:
    """RGBA with the subject's opacity."""
    pixels = np.broadcast_to(np.asarray(colour, np.uint8), (8, 8, 3))
    return np.dstack([pixels, np.where(SUBJECT, alpha, 0).astype(np.uint8)])


GREYS = np.random.default_rng(3).integers(60, 110, (8, 8, 1)).astype(np.uint8)
CUTOUTS = {
    "coloured": cutout((210, 60, 40)),
    "of a grey photograph": cutout(GREYS),
    "of one grey": cutout(99),
    "16 bits": cutout((210, 60, 40)).astype(np.uint16) * 257,
    "white paint on nothing": cutout(255),
    "black and white paint": np.dstack([np.where(SUBJECT, 255, 0)] * 3 + [np.where(np.eye(8), 128, 255)]),
}


@pytest.mark.parametrize("kind", CUTOUTS)
def test_a_cut_out_is_a_mask(tmp_path: Path, kind: str) -> None:
    pixels = CUTOUTS[kind].astype(np.uint16 if "16" in kind else np.uint8)
    cv2.imwrite(str(tmp_path / "c.png"), pixels[..., [2, 1, 0, 3]])
    for source in (pixels, tmp_path / "c.png"):
        assert np.array_equal(read_mask(source) > 0.4, SUBJECT)
        if "paint" not in kind:
            assert read_trimap(source).tolist() == np.where(SUBJECT, 255, 0).tolist()


def test_a_cut_out_with_nothing_in_it_is_no_coloured_file(tmp_path: Path) -> None:
    path = save(tmp_path / "c.png", cutout((200, 60, 20), 0))
    assert read_alpha(path).tolist() == np.zeros((8, 8)).tolist()
    with pytest.raises(InputError, match="coloured"):
        read_alpha(
            save(tmp_path / "photo.png", np.dstack([cutout((200, 60, 20))[..., :3], np.full((8, 8), 255, np.uint8)]))
        )


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_profile_on_a_hint_changes_no_sample(tmp_path: Path, suffix: str) -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    path = save(
        tmp_path / f"m{suffix}", ramp, icc_profile=grey_profile(), **({"quality": 100} if suffix == ".jpg" else {})
    )
    stored = np.asarray(Image.open(path))
    assert np.abs(read_alpha(path) * 255 - stored).max() < 1.01
    assert np.array_equal(read_trimap(path), read_trimap(stored))
