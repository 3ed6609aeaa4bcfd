"""Scenes: the same seed gives the same scene, and what a scene says about itself is true."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.train.synth import KINDS, Scene, compose, find_training_data, render_scene

GENERATED = [kind for kind in KINDS if kind != "pair"]


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    """One small scene of every kind that needs no photographs, without camera."""
    return {kind: render_scene(3, 160, 192, kind=kind, camera=False) for kind in GENERATED}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out like the training data: two textures, one pair."""
    root = tmp_path_factory.mktemp("data")
    (root / "textures").mkdir()
    (root / "mattes" / "original").mkdir(parents=True)
    (root / "mattes" / "alpha").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        noise = cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(root / "textures" / f"{name}.jpg"), noise)
    alpha = cv2.GaussianBlur(cv2.circle(np.zeros((120, 100), np.uint8), (50, 60), 30, 255, -1), (0, 0), 2)
    cv2.imwrite(str(root / "mattes" / "alpha" / "p.png"), alpha)
    photo = np.where(alpha[..., None] > 127, (30, 60, 200), (200, 90, 20)).astype(np.uint8)
    cv2.imwrite(str(root / "mattes" / "original" / "p.jpg"), photo)
    return root


@pytest.mark.parametrize("kind", GENERATED)
def test_shapes_and_ranges(scenes: dict[str, Scene], kind: str) -> None:
    scene = scenes[kind]
    for picture in (scene.image, scene.foreground, scene.background):
        assert picture.shape == (160, 192, 3) and picture.dtype == np.float32
        assert np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1
    assert scene.alpha.shape == (160, 192) and scene.alpha.dtype == np.float32
    assert scene.alpha.min() >= 0 and scene.alpha.max() <= 1
    assert scene.trimap.dtype == np.uint8 and set(np.unique(scene.trimap)) <= {0, 128, 255}
    assert scene.kind == kind and not scene.camera


@pytest.mark.parametrize("kind", GENERATED)
def test_the_composition_is_exact(scenes: dict[str, Scene], kind: str) -> None:
    scene = scenes[kind]
    again = compose(scene.alpha, scene.foreground, scene.background, linear=scene.linear)
    np.testing.assert_array_equal(scene.image, again)
    if not scene.linear:
        cover = scene.alpha[..., None]
        np.testing.assert_allclose(scene.image, cover * scene.foreground + (1 - cover) * scene.background, atol=1e-6)


@pytest.mark.parametrize("kind", GENERATED)
def test_known_pixels_are_known_and_some_are_fractional(scenes: dict[str, Scene], kind: str) -> None:
    scene = scenes[kind]
    assert (scene.alpha[scene.trimap == 255] == 1).all()
    assert (scene.alpha[scene.trimap == 0] == 0).all()
    assert np.count_nonzero((scene.alpha > 0.05) & (scene.alpha < 0.95)) > 50
    assert scene.alpha.max() > 0.3


def test_trimaps_of_large_pictures_respect_the_exact_alpha() -> None:
    scene = render_scene(11, 700, 2100, kind="solid", size=0.6)
    assert (scene.alpha[scene.trimap == 255] == 1).all()
    assert (scene.alpha[scene.trimap == 0] == 0).all()
    assert 0 < np.mean(scene.trimap == 128) < 0.6


@pytest.mark.parametrize("kind", ["hair", "lace"])
def test_the_same_seed_gives_the_same_scene(kind: str) -> None:
    first, second = (render_scene(5, 96, 96, kind=kind) for _ in range(2))
    for name in ("image", "alpha", "foreground", "background", "trimap"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    other = render_scene(6, 96, 96, kind=kind)
    assert not np.array_equal(first.alpha, other.alpha)


def test_a_drawn_kind_is_the_same_as_the_named_one() -> None:
    drawn = render_scene(8, 64, 64)
    named = render_scene(8, 64, 64, kind=drawn.kind)
    np.testing.assert_array_equal(drawn.image, named.image)


def test_seeds_reach_many_kinds_and_most_compose_in_display_space() -> None:
    scenes = [render_scene(seed, 32, 32) for seed in range(80)]
    assert len({scene.kind for scene in scenes}) >= 8
    assert np.mean([scene.linear for scene in scenes]) <= 0.2
    assert 0.6 < np.mean([scene.camera for scene in scenes]) < 1.0


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (17, 131)])
@pytest.mark.parametrize("kind", GENERATED)
def test_small_and_odd_sizes(kind: str, size: tuple[int, int]) -> None:
    scene = render_scene(2, *size, kind=kind, difficulty=1.0)
    assert scene.image.shape == (*size, 3) and np.isfinite(scene.image).all()
    assert scene.alpha.shape == scene.trimap.shape == size


def test_the_camera_changes_the_image_alone() -> None:
    off, on = (render_scene(4, 96, 96, kind="fur", camera=camera) for camera in (False, True))
    np.testing.assert_array_equal(off.alpha, on.alpha)
    np.testing.assert_array_equal(off.trimap, on.trimap)
    assert 0 < np.abs(off.image - on.image).mean() < 0.1


def test_a_wanted_share_of_unknown_pixels() -> None:
    scene = render_scene(3, 256, 256, kind="solid", unknown_share=0.25, size=0.7)
    assert 0.2 < np.mean(scene.trimap == 128) < 0.35


def test_a_smaller_size_gives_a_smaller_subject() -> None:
    small, large = (
        sum(render_scene(seed, 96, 96, kind="fur", size=size).alpha.mean() for seed in range(4)) for size in (0.4, 1)
    )
    assert small < 0.5 * large


def test_photographs_and_pairs(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UHRMAT_CACHE", str(tmp_path))
    backgrounds, subjects = find_training_data(data)
    assert [p.name for p in backgrounds] == ["a.jpg", "b.jpg"]
    assert [(p.name, a.name) for p, a in subjects] == [("p.jpg", "p.png")]
    scene = render_scene(1, 128, 128, kind="pair", backgrounds=backgrounds, subjects=subjects, camera=False)
    again = render_scene(1, 128, 128, kind="pair", backgrounds=backgrounds, subjects=subjects, camera=False)
    np.testing.assert_array_equal(scene.image, again.image)  # the first estimated, the second read the cache
    assert len(list(tmp_path.rglob("*.npy"))) == 1
    assert scene.alpha.max() == 1 and 0.02 < scene.alpha.mean() < 0.9


def test_an_estimated_foreground_has_lost_the_old_background(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UHRMAT_CACHE", str(tmp_path))
    from uhrmat.train.synth.kinds.pair import _subject

    [(photo, alpha)] = find_training_data(data)[1]
    subject = _subject(photo, alpha)
    edge = subject[(subject[..., 3] > 60) & (subject[..., 3] < 200)]
    assert subject.shape == (120, 100, 4)
    assert np.median(edge[:, 0]) > 120  # red, as the disc, not blue as its old background


@pytest.mark.parametrize(
    ("change", "message"),
    [({"kind": "unicorn"}, "no kind"), ({"height": 8}, "too small"), ({"kind": "pair"}, "photographs with alphas")],
)
def test_bad_wishes_are_refused(change: dict[str, object], message: str) -> None:
    wish: dict[str, object] = {"seed": 0, "height": 64, "width": 64} | change
    with pytest.raises(InputError, match=message):
        render_scene(**wish)  # type: ignore[arg-type]


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no textures"):
        find_training_data(tmp_path)


def test_a_background_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "broken.jpg").write_text("not a picture")
    backgrounds, _ = find_training_data(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        for seed in range(8):
            render_scene(seed, 64, 64, kind="solid", backgrounds=backgrounds)
