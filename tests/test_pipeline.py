"""The whole path for one picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from uhrmat import InputError, WeightsError
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.media.resample import area_average
from uhrmat.pipeline import StillPipeline
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.synth import Scene, render_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return render_scene(11, 640, 900, kind="hair", camera=False)


@pytest.fixture(scope="module")
def picture(scene: Scene) -> Picture:
    return Picture.from_array(np.rint(scene.image * 255).astype(np.uint8))


@pytest.mark.parametrize("refiner", ["shm", "projection", "guided", "bilinear"])
def test_known_pixels_are_exact_and_the_rest_is_close(refiner: str, scene: Scene, picture: Picture) -> None:
    matte = StillPipeline(refiner=refiner, working_size=256).matte(picture, trimap=scene.trimap, foreground=False)
    alpha, unknown = matte.alpha, scene.trimap == 128
    assert alpha.dtype == np.float32 and alpha.shape == scene.alpha.shape
    assert (alpha[scene.trimap == 0] == 0).all() and (alpha[scene.trimap == 255] == 1).all()
    assert alpha.min() >= 0 and alpha.max() <= 1
    assert matte.stats.active_pixels == matte.active.sum() > unknown.sum()
    assert np.abs(alpha - scene.alpha)[unknown].mean() < 0.2


def test_of_scribbles_only_what_the_prior_leaves_in_doubt_is_refined(scene: Scene, picture: Picture) -> None:
    scribbles = np.full(scene.alpha.shape, 128, np.uint8)
    inside, outside = (cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5) for side in (
        scene.trimap == 255, scene.trimap == 0))  # fmt: skip
    scribbles[inside > 0.6 * inside.max()], scribbles[outside > 0.5 * outside.max()] = 255, 0
    assert (scribbles == 128).mean() > 0.6
    matte = StillPipeline(working_size=256).matte(picture, trimap=scribbles, foreground=False)
    assert (matte.alpha[scribbles == 0] == 0).all() and (matte.alpha[scribbles == 255] == 1).all()
    assert (matte.trimap[scribbles != 128] == scribbles[scribbles != 128]).all()
    assert 0 < matte.stats.active_share < 0.6 * (scribbles == 128).mean()
    assert (matte.active == trimap_mask(matte.trimap)).all()
    assert np.abs(matte.alpha - scene.alpha).mean() < 0.1


def test_half_unknown_is_an_ordinary_trimap_all_of_which_is_refined(scene: Scene, picture: Picture) -> None:
    trimap = np.full(scene.alpha.shape, 255, np.uint8)
    trimap[:, :450], trimap[320:] = 128, 0
    trimap[320:, :450] = 128
    assert (trimap == 128).mean() == 0.5
    matte = StillPipeline(working_size=96, refiner="bilinear").matte(picture, trimap=trimap, foreground=False)
    assert (matte.trimap == trimap).all() and (matte.active == trimap_mask(trimap)).all()


def test_the_refiner_beats_the_upsampled_prior(scene: Scene, picture: Picture) -> None:
    unknown = scene.trimap == 128
    errors = {}
    for refiner in ("bilinear", "shm"):
        matte = StillPipeline(refiner=refiner, working_size=160).matte(picture, trimap=scene.trimap, foreground=False)
        errors[refiner] = float(np.abs(matte.alpha - scene.alpha)[unknown].mean())
    assert errors["shm"] < 0.9 * errors["bilinear"]


def test_foreground_keeps_solid_pixels_and_the_pictures_type(scene: Scene, picture: Picture) -> None:
    matte = StillPipeline(working_size=256).matte(picture, trimap=scene.trimap)
    assert matte.foreground is not None and matte.foreground.dtype == np.uint8
    solid = matte.alpha == 1
    assert (matte.foreground[solid] == picture.pixels[solid]).all()
    assert set(matte.stats.seconds) == {"read", "prior", "refine", "foreground"}


def test_bf16_is_close_to_fp32(scene: Scene, picture: Picture) -> None:
    result = [
        StillPipeline(precision=p, working_size=160).matte(picture, trimap=scene.trimap).alpha for p in ("fp32", "bf16")
    ]
    assert np.abs(result[0] - result[1]).mean() < 2e-3


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deeper_pictures_give_the_same_alpha(dtype: type, scene: Scene, picture: Picture) -> None:
    deep = picture.pixels.astype(np.uint16) * 257 if dtype is np.uint16 else picture.pixels.astype(np.float32) / 255
    matter = StillPipeline(working_size=160, precision="fp32")
    alphas = [matter.matte(x, trimap=scene.trimap, foreground=False).alpha for x in (picture, deep)]
    assert np.abs(alphas[0] - alphas[1]).max() < 2e-3


@pytest.mark.parametrize("value", [0, 128, 255])
def test_hints_of_one_kind(value: int) -> None:
    """Frames without the subject, or without anything else: finite, and said."""
    image = np.random.default_rng(1).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    matte = StillPipeline().matte(image, hints=Hints(np.full((70, 50), value, np.uint8)))
    assert np.isfinite(matte.alpha).all() and ((matte.alpha == value / 255).all() or value == 128)
    text = {0: "the alpha is empty", 128: "", 255: "the alpha is full"}[value]
    assert text in " ".join(matte.stats.notes)


def test_one_pixel() -> None:
    matte = StillPipeline().matte(np.zeros((1, 1, 3), np.uint8), hints=Hints(np.full((1, 1), 128, np.uint8)))
    assert matte.alpha.shape == (1, 1) and 0 <= matte.alpha[0, 0] <= 1


def test_a_mask_becomes_a_trimap(scene: Scene, picture: Picture) -> None:
    mask = (scene.alpha > 0.5).astype(np.float32)
    matte = StillPipeline(working_size=160).matte(picture, mask=mask, foreground=False)
    assert matte.trimap is not None and set(np.unique(matte.trimap)) == {0, 128, 255}
    assert "mask" in matte.stats.notes[0]


def test_refusals(picture: Picture) -> None:
    trimap = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match="4x4, but the picture"):
        StillPipeline().matte(picture, trimap=trimap)
    with pytest.raises(InputError, match="needs a trimap"):
        StillPipeline("closed-form").matte(picture)
    with pytest.raises(InputError, match="Keep the trimap"):
        StillPipeline().matte(picture, trimap=trimap, mask=trimap)
    for wrong in ({"prior": "x"}, {"refiner": "x"}, {"device": "x"}, {"precision": "x"}, {"device": "cuda:99"}):
        with pytest.raises(InputError):
            StillPipeline(**wrong)  # type: ignore[arg-type]
    with pytest.raises(WeightsError):
        StillPipeline(weights="/nowhere.safetensors")


def test_the_users_own_small_matte_is_refined_where_it_is_open(scene: Scene, picture: Picture) -> None:
    own = area_average(scene.alpha, (160, 225))
    errors = {}
    for refiner in ("bilinear", "shm"):
        matte = StillPipeline(refiner=refiner, working_size=160).matte(picture, alpha=own, foreground=False)
        errors[refiner] = float(np.abs(matte.alpha - scene.alpha).mean())
    assert matte.stats.prior == "alpha" and "alpha was given" in matte.stats.notes[0]
    assert (matte.alpha[matte.trimap == 0] == 0).all() and (matte.alpha[matte.trimap == 255] == 1).all()
    assert errors["shm"] < errors["bilinear"] < 0.05


def test_an_empty_prior_gives_an_empty_matte_and_says_so(picture: Picture) -> None:
    matte = StillPipeline(working_size=160).matte(picture, hints=Hints(alpha=np.zeros((16, 22), np.float32)))
    assert (matte.alpha == 0).all() and matte.stats.active_pixels == 0
    assert "the alpha is empty" in matte.stats.notes[-1]
    with pytest.raises(InputError, match="0% all over"):
        StillPipeline(working_size=160).matte(picture, alpha=np.zeros((16, 22), np.float32))


def test_a_plate_and_a_screen_from_photograph_to_foreground(scene: Scene) -> None:
    plate = np.rint(scene.background * 255).astype(np.uint8)
    seen = np.rint(scene.image.clip(0, 1) * 255).astype(np.uint8)
    result = StillPipeline(working_size=240).matte(seen, plate=plate, foreground=False)
    assert result.stats.prior == "plate" and np.abs(result.alpha - scene.alpha).mean() < 0.06
    grey = scene.foreground.mean(-1, keepdims=True).repeat(3, -1)
    screen = np.float32([0.15, 0.7, 0.2])
    image = scene.alpha[..., None] * (grey + 0.1 * screen) + (1 - scene.alpha[..., None]) * screen
    keyed = StillPipeline(working_size=240).matte(np.rint(image.clip(0, 1) * 255).astype(np.uint8), key="green")
    assert np.abs(keyed.alpha - scene.alpha).mean() < 0.02 and "screen #" in " ".join(keyed.stats.notes)
    assert keyed.foreground is not None
    colour = keyed.foreground.astype(int)
    assert (colour[..., 1] - colour[..., ::2].max(-1)).max() <= 2


@pytest.mark.parametrize("refiner", ["shm", "ddfe", "guided", "bilinear"])
def test_warming_up_leaves_no_trace(refiner: str, scene: Scene, picture: Picture) -> None:
    # The low-resolution alpha is given and the budget fixed: a solver's last bits depend on where its vectors lie in
    # memory, the refiner's on how many pixels go into one product.
    low = area_average(scene.alpha, (160, 225))
    options = {"refiner": refiner, "working_size": 160, "precision": "fp32", "max_memory": 8 << 30}
    cold, warm = (StillPipeline(**options) for _ in range(2))
    warm.warm_up()
    alphas = [matter.matte(picture, alpha=low, trimap=scene.trimap, foreground=False).alpha for matter in (cold, warm)]
    assert np.array_equal(*alphas)


def test_notes_of_the_file_are_the_mattes(scene: Scene, picture: Picture) -> None:
    noted = Picture(picture.pixels, None, replace(picture.info, notes=("a.jpg is damaged inside",)))
    matte = StillPipeline(refiner="bilinear", working_size=64).matte(noted, trimap=scene.trimap, foreground=False)
    assert matte.stats.notes[0] == "a.jpg is damaged inside"


def test_arrays_that_are_only_lent_are_read_without_a_word(recwarn: pytest.WarningsRecorder, scene: Scene) -> None:
    seen = np.rint(scene.image.clip(0, 1) * 255).astype(np.uint8)
    trimap = scene.trimap.copy()
    for array in (seen, trimap):
        array.flags.writeable = False
    matter = StillPipeline("closed-form", working_size=96, threads=1)
    assert matter.matte(seen, trimap=trimap).alpha.shape == trimap.shape
    assert not [warning for warning in recwarn if "writ" in str(warning.message)]
