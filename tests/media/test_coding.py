"""What a hint's numbers mean: every usual coding, as an array and as a file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_mask, read_matte, read_trimap
from uhrmat.media import normalise_mask, normalise_trimap

ROLES = np.array([[0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 1, 2]])  # background, unknown, foreground
WANTED = np.array([0, 128, 255], np.uint8)[ROLES]

TRIMAPS: dict[str, tuple[tuple[float, float, float], list[str]]] = {
    "plain": ((0, 128, 255), ["uint8", "uint16", "int16", "int32", "int64", "float32", "float64"]),
    "127": ((0, 127, 255), ["uint8", "int64", "float32"]),
    "near black and white": ((1, 128, 254), ["uint8", "uint16", "int64", "float32"]),
    "video range": ((16, 126, 235), ["uint8", "int64", "float64"]),
    "at the tolerance": ((25, 26, 230), ["uint8"]),
    "at the other end": ((25, 229, 230), ["uint8"]),
    "the middle one of three": ((0, 1, 255), ["uint8", "int64"]),
    "the middle one of three, white": ((0, 254, 255), ["uint8", "float32"]),
    "labels": ((0, 1, 2), ["uint8", "uint16", "int8", "int64", "float32"]),
    "signed labels": ((-1, 0, 1), ["int8", "int64", "float32", "float64"]),
    "unit": ((0, 0.5, 1), ["float16", "float32", "float64"]),
    "unit at the tolerance": ((0.1, 0.11, 0.9), ["float32", "float64"]),
    "unit with overshoot": ((-0.04, 0.4, 1.06), ["float32"]),
    "16 bits": ((0, 32768, 65535), ["uint16", "int32", "int64", "float32"]),
    "16 bits, near black and white": ((300, 32768, 65000), ["uint16", "float64"]),
    "32 bits": ((0, 2**31, 2**32 - 1), ["uint32"]),
}


def in_file(path: Path, values: np.ndarray) -> Path:
    """A file that holds these values, of a kind that can."""
    if values.dtype in (np.uint8, np.uint16):
        cv2.imwrite(str(path.with_suffix(".png")), values)
        return path.with_suffix(".png")
    tifffile.imwrite(path.with_suffix(".tif"), values, photometric="minisblack")
    return path.with_suffix(".tif")


def variants(table: dict[str, tuple[tuple[float, ...], list[str]]]) -> list[tuple[str, str]]:
    return [(name, dtype) for name, (_, dtypes) in table.items() for dtype in dtypes]


@pytest.mark.parametrize(("coding", "dtype"), variants(TRIMAPS))
def test_trimap_codings(tmp_path: Path, coding: str, dtype: str) -> None:
    values = np.array(TRIMAPS[coding][0]).astype(dtype)[ROLES]
    notes: list[str] = []
    assert read_trimap(values, notes=notes).tolist() == WANTED.tolist() and notes == []
    if dtype in ("uint8", "uint16", "float32"):
        assert read_trimap(in_file(tmp_path / "t", values)).tolist() == WANTED.tolist()


MASKS: dict[str, tuple[tuple[float, float], list[str], str]] = {
    "plain": ((0, 255), ["uint8", "uint16", "int16", "int64", "float32", "float64"], ""),
    "binary": ((0, 1), ["uint8", "uint16", "int8", "int64", "float32", "float64"], ""),
    "one label": ((0, 3), ["uint8", "uint16", "int64", "float32"], "3 is taken as the subject"),
    "another label": ((0, 25), ["uint8"], "25 is taken as the subject"),
    "near black and white": ((7, 248), ["uint8", "int64", "float32"], ""),
    "16 bits": ((0, 65535), ["uint16", "int32", "uint32", "float64"], ""),
    "16 bits, video range": ((4096, 60160), ["uint16"], ""),
    "32 bits": ((0, 2**32 - 1), ["uint32"], ""),
    "with overshoot": ((-0.02, 1.03), ["float16", "float32"], ""),
}


@pytest.mark.parametrize(
    ("coding", "dtype"), variants({name: (values, dtypes) for name, (values, dtypes, _) in MASKS.items()})
)
def test_mask_codings(tmp_path: Path, coding: str, dtype: str) -> None:
    values = np.array(MASKS[coding][0]).astype(dtype)[(ROLES == 2).astype(int)]
    notes: list[str] = []
    assert read_mask(values, notes=notes).tolist() == (ROLES == 2).tolist()
    assert MASKS[coding][2] in " ".join(notes) and bool(notes) == bool(MASKS[coding][2])
    if dtype in ("uint8", "uint16", "float32"):
        assert read_mask(in_file(tmp_path / "m", values)).tolist() == (ROLES == 2).tolist()


def test_bool() -> None:
    assert read_mask(ROLES == 2).tolist() == (ROLES == 2).tolist()
    assert read_trimap(ROLES == 2).tolist() == np.where(ROLES == 2, 255, 0).tolist()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_with_channels_are_as_files(channels: int) -> None:
    values = np.repeat(WANTED[..., None], channels, axis=2)
    if channels == 4:
        values[..., 3] = 255
    assert read_trimap(values).tolist() == WANTED.tolist()
    assert read_mask(values / 255.0)[0, 2] == pytest.approx(128 / 255)


def test_soft_masks_keep_their_values() -> None:
    soft = np.array([[0, 51, 128, 255]], np.uint8)
    assert read_mask(soft)[0].tolist() == pytest.approx([0, 0.2, 128 / 255, 1])
    dim = np.array([[0.0, 0.3, 0.6]], np.float32)
    assert np.array_equal(read_mask(dim), dim)


def test_a_matte_is_not_stretched() -> None:
    matte = np.array([[3, 100, 250]], np.uint8)
    assert read_matte(matte)[0].tolist() == pytest.approx([3 / 255, 100 / 255, 250 / 255])
    dark = np.array([[0, 3, 9]], np.uint8)
    assert read_matte(dark)[0].tolist() == pytest.approx([0, 3 / 255, 9 / 255])


NONSENSE: dict[str, tuple[np.ndarray, str]] = {
    "NaN": (np.array([[0, np.nan, 1]]), "not numbers"),
    "infinity": (np.array([[0, np.inf]], np.float32), "not numbers"),
    "negative": (np.array([[-3, 0, 5]]), "from -3 to 5"),
    "wraps round": (np.array([[-1, 128, 255]]), "from -1 to 255"),
    "negative floats": (np.array([[-1.0, 0.5, 1.0]]), "from -1 to 1"),
    "beyond 16 bits": (np.array([[0, 70000]]), "from 0 to 70000"),
    "complex": (np.array([[1j]]), "complex"),
    "text": (np.array([["a"]]), "type"),
    "a stack": (np.zeros((2, 2, 7), np.uint8), "shape"),
    "a row": (np.zeros(5, np.uint8), "shape"),
    "nothing": (np.zeros((0, 5), np.uint8), "shape"),
}


@pytest.mark.parametrize("read", [read_trimap, read_mask, read_matte])
@pytest.mark.parametrize("case", NONSENSE)
def test_what_is_no_hint(case: str, read: object) -> None:
    values, says = NONSENSE[case]
    with pytest.raises(InputError, match=says):
        read(values)  # type: ignore[operator]


@pytest.mark.parametrize("given", [[[0, 1]], 5, {"a": 1}, None])
def test_only_arrays_and_paths(given: object) -> None:
    with pytest.raises(InputError, match="Give a path or a numpy array"):
        read_mask(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 1, 20], [1, 2, 3]])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_several_labels_are_refused(values: list[int], dtype: str) -> None:
    with pytest.raises(InputError, match=f"0 to {max(values)}: labels"):
        read_mask(np.array([values], dtype))


def test_ambiguous_labels_are_noted() -> None:
    notes: list[str] = []
    assert read_trimap(np.array([[0, 1]]), notes=notes).tolist() == [[0, 128]]
    assert notes == ["the trimap's values 0 and 1 are read as labels: 0 is background, 1 is unknown"]


@given(hnp.arrays(np.uint8, (5, 5)))
def test_normalising_twice_changes_nothing(values: np.ndarray) -> None:
    once = normalise_trimap(values)
    assert np.array_equal(normalise_trimap(once), once)


@given(hnp.arrays(st.sampled_from(["float32", "float64"]), (3, 3), elements=st.floats(-4, 300, width=32)))
def test_floats_are_in_range_or_refused(values: np.ndarray) -> None:
    try:
        mask = normalise_mask(values)
    except InputError:
        return
    assert mask.dtype == np.float32 and 0 <= mask.min() <= mask.max() <= 1
