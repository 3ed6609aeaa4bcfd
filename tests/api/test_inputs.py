"""Every kind of input that a caller may have, in every type, with every hint: the same matte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import uhrmat
from uhrmat import InputError, MattingPipeline
from uhrmat.media import Picture

HEIGHT, WIDTH = 48, 64


def _scene() -> tuple[np.ndarray, np.ndarray]:
    """A soft disc before noise: (H, W, 3) and alpha (H, W), float32 in [0, 1]."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    alpha = np.clip((18 - np.hypot(y - HEIGHT / 2, x - WIDTH / 2)) / 6 + 0.5, 0, 1).astype(np.float32)
    back = rng.uniform(0, 0.4, (HEIGHT, WIDTH, 3)).astype(np.float32)
    front = np.full((3,), 0.85, np.float32) + rng.uniform(0, 0.1, (HEIGHT, WIDTH, 3)).astype(np.float32)
    image = alpha[..., None] * front + (1 - alpha[..., None]) * back
    return np.rint(image * 255).astype(np.uint8), alpha


PIXELS, ALPHA = _scene()
TRIMAP = np.where(ALPHA <= 0, 0, np.where(ALPHA >= 1, 255, 128)).astype(np.uint8)
PLATE = np.where(ALPHA[..., None] > 0, 50, PIXELS).astype(np.uint8)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    with MattingPipeline(refiner="guided", precision="fp32", working_size=24, device="cpu") as made:
        yield made


@pytest.fixture(scope="module")
def expected(pipeline: MattingPipeline) -> np.ndarray:
    return pipeline(PIXELS, trimap=TRIMAP).alpha


def _file(folder: Path, array: np.ndarray, name: str) -> Path:
    Image.fromarray(array).save(folder / name)
    return folder / name


PICTURES: dict[str, Callable[[Path], Any]] = {
    "path": lambda folder: _file(folder, PIXELS, "p.png"),
    "path as text": lambda folder: str(_file(folder, PIXELS, "p.png")),
    "numpy uint8": lambda folder: PIXELS,
    "numpy uint16": lambda folder: PIXELS.astype(np.uint16) * 257,
    "numpy float32": lambda folder: PIXELS.astype(np.float32) / 255,
    "numpy float64": lambda folder: PIXELS.astype(np.float64) / 255,
    "numpy not contiguous": lambda folder: np.ascontiguousarray(PIXELS[:, ::-1])[:, ::-1],
    "numpy with alpha": lambda folder: np.dstack((PIXELS, np.full((HEIGHT, WIDTH), 255, np.uint8))),
    "PIL RGB": lambda folder: Image.fromarray(PIXELS),
    "PIL RGBA": lambda folder: Image.fromarray(PIXELS).convert("RGBA"),
    "torch CHW uint8": lambda folder: torch.from_numpy(PIXELS).permute(2, 0, 1),
    "torch CHW float32": lambda folder: torch.from_numpy(PIXELS).permute(2, 0, 1) / 255,
    "torch CHW float64": lambda folder: torch.from_numpy(PIXELS).permute(2, 0, 1).double() / 255,
    "torch HWC uint8": lambda folder: torch.from_numpy(PIXELS),
    "torch that needs a gradient": lambda folder: (torch.from_numpy(PIXELS).permute(2, 0, 1) / 255).requires_grad_(),
    "Picture": lambda folder: Picture.from_array(PIXELS),
}
TRIMAPS: dict[str, Callable[[Path], Any]] = {
    "path": lambda folder: _file(folder, TRIMAP, "t.png"),
    "numpy uint8": lambda folder: TRIMAP,
    "numpy float": lambda folder: TRIMAP.astype(np.float32) / 255,
    "numpy (H, W, 1)": lambda folder: TRIMAP[..., None],
    "numpy (1, H, W)": lambda folder: TRIMAP[None],
    "PIL L": lambda folder: Image.fromarray(TRIMAP),
    "PIL P": lambda folder: Image.fromarray(TRIMAP).convert("P"),
    "torch (H, W)": lambda folder: torch.from_numpy(TRIMAP),
    "torch (1, H, W) float": lambda folder: torch.from_numpy(TRIMAP)[None] / 255,
}
OTHER_HINTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "mask bool": lambda folder: {"mask": ALPHA > 0.5},
    "mask uint8": lambda folder: {"mask": (ALPHA > 0.5).astype(np.uint8) * 255},
    "mask torch bool": lambda folder: {"mask": torch.from_numpy(ALPHA > 0.5)},
    "mask PIL 1": lambda folder: {"mask": Image.fromarray(ALPHA > 0.5)},
    "mask path": lambda folder: {"mask": _file(folder, (ALPHA > 0.5).astype(np.uint8) * 255, "m.png")},
    "alpha numpy": lambda folder: {"alpha": np.asarray(Image.fromarray(ALPHA).resize((32, 24)))},
    "alpha torch": lambda folder: {"alpha": torch.from_numpy(ALPHA)},
    "plate numpy": lambda folder: {"plate": PLATE},
    "plate torch": lambda folder: {"plate": torch.from_numpy(PLATE).permute(2, 0, 1)},
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_every_kind_give_the_same_matte(
    kind: str, tmp_path: Path, pipeline: MattingPipeline, expected: np.ndarray
) -> None:
    result = pipeline(PICTURES[kind](tmp_path), trimap=TRIMAP)
    assert result.alpha.dtype == np.float32 and result.alpha.shape == (HEIGHT, WIDTH)
    assert np.abs(result.alpha - expected).max() < 2e-3
    assert result.foreground is not None and result.foreground.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("kind", TRIMAPS)
def test_trimaps_of_every_kind_mean_the_same(
    kind: str, tmp_path: Path, pipeline: MattingPipeline, expected: np.ndarray
) -> None:
    result = pipeline(PIXELS, trimap=TRIMAPS[kind](tmp_path), foreground=False)
    assert np.abs(result.alpha - expected).max() < 1e-3
    assert (result.alpha[TRIMAP == 0] == 0).all() and (result.alpha[TRIMAP == 255] == 1).all()


@pytest.mark.parametrize("kind", OTHER_HINTS)
def test_every_other_hint_finds_the_subject(kind: str, tmp_path: Path, pipeline: MattingPipeline) -> None:
    result = pipeline(PIXELS, foreground=False, **OTHER_HINTS[kind](tmp_path))
    assert np.abs(result.alpha - ALPHA).mean() < 0.06
    assert result.given


BATCHES: dict[str, tuple[Any, Any]] = {
    "lists": ([PIXELS, Image.fromarray(PIXELS)], [TRIMAP, torch.from_numpy(TRIMAP)]),
    "numpy BHWC": (np.stack([PIXELS, PIXELS]), np.stack([TRIMAP, TRIMAP])),
    "torch BCHW": (
        torch.from_numpy(np.stack([PIXELS] * 2)).permute(0, 3, 1, 2),
        torch.from_numpy(TRIMAP)[None, None].repeat(2, 1, 1, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BATCHES)
def test_a_batch_gives_a_list(kind: str, pipeline: MattingPipeline, expected: np.ndarray) -> None:
    images, trimaps = BATCHES[kind]
    results = pipeline(images, trimap=trimaps, foreground=False)
    assert isinstance(results, list) and len(results) == 2
    for result in results:
        assert np.abs(result.alpha - expected).max() < 2e-3


PRIORS: dict[str, Any] = {
    "function": lambda small, hints: np.asarray(Image.fromarray(ALPHA).resize((small.shape[1], small.shape[0]))),
    "function of another size": lambda small, hints: ALPHA,
    "function that gives a tensor": lambda small, hints: torch.from_numpy(ALPHA)[None],
    "array": ALPHA,
    "tensor": torch.from_numpy(ALPHA),
}


@pytest.mark.parametrize("kind", PRIORS)
def test_a_prior_of_ones_own(kind: str) -> None:
    result = uhrmat.matte(PIXELS, prior=PRIORS[kind], refiner="guided", working_size=24, foreground=False)
    assert isinstance(result, uhrmat.MattingResult)
    assert np.abs(result.alpha - ALPHA).mean() < 0.06 and result.stats.prior


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.full((4, 4), 2.0), "values from 2 to 2"),
        (np.full((4, 4), np.nan), "values from nan"),
        (np.zeros((4, 4, 3)), "shape"),
        (np.zeros((4, 4), np.int64), "int64"),
    ],
)
def test_a_prior_of_ones_own_that_gives_no_alpha(value: np.ndarray, text: str) -> None:
    with pytest.raises(InputError, match=text):
        uhrmat.matte(PIXELS, prior=lambda small, hints: value, refiner="bilinear")


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no picture": (3, {}, "int is no picture"),
    "shape": (np.zeros((2, 3, 5), np.uint8), {}, "shape"),
    "int64": (PIXELS.astype(np.int64), {}, "int64"),
    "float above 1": (PIXELS.astype(np.float32), {}, r"\[0, 1\]"),
    "missing file": ("nowhere.png", {}, "nowhere.png"),
    "empty batch": ([], {}, "empty"),
    "hint of another size": (PIXELS, {"trimap": TRIMAP[:20]}, "trimap"),
    "hint of another type": (PIXELS, {"mask": {"a": 1}}, "`mask` cannot be a dict"),
    "one hint for a batch": ([PIXELS, PIXELS], {"trimap": TRIMAP}, "2 pictures"),
    "too few hints": ([PIXELS, PIXELS], {"trimap": [TRIMAP]}, "has 1"),
    "trimap and mask": (PIXELS, {"trimap": TRIMAP, "mask": ALPHA > 0.5}, "Both a trimap and a mask"),
    "empty mask": (PIXELS, {"mask": np.zeros((HEIGHT, WIDTH), bool)}, "marks no subject"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence_without_options_of_commands(kind: str, pipeline: MattingPipeline) -> None:
    image, hints, text = BAD[kind]
    with pytest.raises(InputError, match=text) as caught:
        pipeline(image, **hints)
    assert "--" not in str(caught.value) and caught.value.hint


def test_progress_names_the_stages_in_order(pipeline: MattingPipeline) -> None:
    steps: list[uhrmat.Progress] = []
    pipeline([PIXELS, PIXELS], trimap=[TRIMAP, TRIMAP], progress=steps.append)
    assert [(s.item, s.stage, s.done) for s in steps[:5]] == [
        (0, "read", 0), (0, "prior", 1), (0, "refine", 2), (0, "foreground", 3), (0, "foreground", 4),
    ]  # fmt: skip
    assert {s.item for s in steps} == {0, 1} and all(s.total == 4 for s in steps)


def test_a_closed_pipeline_says_so() -> None:
    with MattingPipeline(refiner="bilinear") as pipeline:
        assert "bilinear" in repr(pipeline)
    with pytest.raises(InputError, match="closed"):
        pipeline(PIXELS, trimap=TRIMAP)


def test_names_are_public() -> None:
    assert set(uhrmat.__all__) <= set(dir(uhrmat))
    for name in uhrmat.__all__:
        assert getattr(uhrmat, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        uhrmat.nothing  # type: ignore[attr-defined]  # noqa: B018
