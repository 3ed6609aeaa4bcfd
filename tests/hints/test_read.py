"""A hint that marks nothing is refused or noted, from arrays and files alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.hints.read import Hints, read_hints
from uhrmat.media import Picture

SIZE = (40, 60)
SUBJECT = np.zeros(SIZE, np.uint8)
SUBJECT[10:30, 20:45] = 1
TRIMAP = np.zeros(SIZE, np.uint8)
TRIMAP[6:34, 16:49] = 128
TRIMAP[14:26, 24:41] = 255


def plain(value: float, dtype: str = "uint8") -> np.ndarray:
    return np.full(SIZE, value, dtype)


MARKS_NOTHING: dict[str, tuple[str, np.ndarray, str]] = {
    "black mask": ("mask", plain(0), "is black, or nearly, all over"),
    "nearly black mask": ("mask", plain(12), "is black, or nearly, all over"),
    "dark float mask": ("mask", SUBJECT * np.float32(0.09), "is black, or nearly, all over"),
    "white mask": ("mask", plain(255), "is white, or nearly, all over"),
    "bright mask": ("mask", 240 + SUBJECT, "is white, or nearly, all over"),
    "white bool mask": ("mask", plain(1, "bool"), "is white, or nearly, all over"),
    "grey mask": ("mask", plain(0.5, "float32"), "values from 50% to 50% only"),
    "two greys": ("mask", 100 + 50 * SUBJECT, "values from 39% to 59% only"),
    "labels": ("mask", SUBJECT + SUBJECT.T.repeat(2, 1)[:40, :60], "labels"),
    "black trimap": ("trimap", plain(0), "is background"),
    "nearly black trimap": ("trimap", plain(20) - SUBJECT, "is background"),
    "labels as a trimap": ("trimap", SUBJECT * 9, "is background"),
    "float of 12 bits": ("trimap", SUBJECT * np.float32(4095), "is background"),
    "white trimap": ("trimap", plain(255), "is foreground"),
    "grey trimap": ("trimap", plain(128), "is unknown"),
    "empty matte": ("alpha", plain(0), "is 0% all over"),
    "full matte": ("alpha", plain(1.0, "float32"), "is 100% all over"),
    "one value": ("alpha", plain(0.5, "float64"), "is 50% all over"),
}


@pytest.mark.parametrize("case", MARKS_NOTHING)
def test_what_marks_nothing_is_refused(tmp_path: Path, case: str) -> None:
    kind, values, says = MARKS_NOTHING[case]
    with pytest.raises(InputError, match=f"^The {kind}.*({says})"):
        read_hints(SIZE, **{kind: values})
    if values.dtype == np.uint8:
        cv2.imwrite(str(tmp_path / "hint.png"), values)
        with pytest.raises(InputError, match=rf"The {kind} '.*hint\.png'.*({says})"):
            read_hints(SIZE, **{kind: tmp_path / "hint.png"})


@pytest.mark.parametrize("case", [case for case, (_, _, says) in MARKS_NOTHING.items() if "labels" not in says])
def test_in_a_clip_it_is_a_note(case: str) -> None:
    kind, values, says = MARKS_NOTHING[case]
    result = read_hints(SIZE, strict=False, **{kind: values})
    assert any(f"the {kind} " in warning and says in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("hint", "says"),
    [
        ({"trimap": np.where(SUBJECT, 255, 0)}, "leaves nothing unknown"),
        ({"trimap": SUBJECT > 0}, "leaves nothing unknown"),
        ({"trimap": SUBJECT}, "read as labels"),
        ({"mask": SUBJECT * 3}, "3 is taken as the subject"),
        ({"mask": SUBJECT * np.uint8(150)}, "highest value is 59%"),
        ({"mask": 255 - SUBJECT * np.uint8(150)}, "lowest value is 41%"),
        ({"mask": SUBJECT[::2, ::2]}, "the mask is 30x20 and was scaled to the picture's 60x40"),
        ({"plate": np.zeros((20, 30, 3), np.uint8)}, "the plate is 30x20"),
    ],
)
def test_what_may_have_been_meant_otherwise_is_noted(hint: dict[str, Any], says: str) -> None:
    assert says in " ".join(read_hints(SIZE, **hint).warnings)


@pytest.mark.parametrize(
    "hint",
    [
        {"trimap": TRIMAP},
        {"trimap": np.minimum(TRIMAP, 128)},  # lace: background and unknown alone
        {"mask": SUBJECT},
        {"mask": SUBJECT.astype(bool)},
        {"mask": SUBJECT * np.uint16(65535)},
        {"alpha": SUBJECT[::2, ::2] * np.float32(0.5)},
        {"trimap": plain(128), "key": "green"},
        {"plate": Picture.from_array(np.zeros((*SIZE, 3), np.uint8))},
    ],
)
def test_what_is_plain_is_not_remarked_upon(hint: dict[str, Any]) -> None:
    assert read_hints(SIZE, **hint).warnings == []


CODINGS: list[Any] = [np.bool_, np.uint8, np.uint16, np.int8, np.int64, np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", CODINGS)
def test_a_binary_mask_means_the_same_in_every_type(dtype: Any) -> None:
    wanted, result = read_hints(SIZE, mask=SUBJECT > 0), read_hints(SIZE, mask=SUBJECT.astype(dtype))
    assert same(wanted, result)


@pytest.mark.parametrize("levels", [(7, 248), (0, 255), (0, 3), (0, 1), (25, 231)])
def test_a_mask_means_the_same_as_array_and_file(tmp_path: Path, levels: tuple[int, int]) -> None:
    values = np.array(levels, np.uint8)[SUBJECT]
    cv2.imwrite(str(tmp_path / "m.png"), values)
    result = [read_hints(SIZE, mask=source) for source in (values, tmp_path / "m.png", SUBJECT > 0)]
    assert same(result[0], result[1]) and same(result[0], result[2])
    assert set(np.unique(result[0].trimap)) == {0, 128, 255}


def same(a: Hints, b: Hints) -> bool:
    assert a.trimap is not None and a.mask is not None and b.trimap is not None and b.mask is not None
    return np.array_equal(a.trimap, b.trimap) and np.array_equal(a.mask, b.mask)
