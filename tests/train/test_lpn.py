"""The network that finds people: its shape, its pictures, its training and its command, on pictures made here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.docs.schema import compare
from tests.train.resuming import resumed_like_unbroken
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.hub.bundled import bundled_weights
from uhrmat.prior.networks.lpn import CONTEXT, PersonNet, fold_batch_norm, load_person, person_alpha
from uhrmat.train.lpn.measure import held_out_people, largest_false_alpha, make_segmenter, mask_iou, measure_people
from uhrmat.train.lpn.person import PersonTask, person_loss
from uhrmat.train.lpn.photo_cache import PhotoCache, fill_photo_cache, find_sources, held_out
from uhrmat.train.lpn.scenes import BatchSizes, SceneGenerator, SceneStream
from uhrmat.train.lpn.views import Window, fit_window, person_window, place_window, resample_window
from uhrmat.train.recipe import PersonRecipe, load_recipe
from uhrmat.train.task import fit

SIDE = 64


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs laid out like the training data: "people" are red figures with a light head, places are noise."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    folders = ("people/photo", "people/mask", "textures", "mattes/P3M/original", "mattes/P3M/alpha", "mattes/AIM")
    for folder in folders:
        (root / folder).mkdir(parents=True)
    for number in range(1, 9):
        photo, mask = _figure(rng)
        cv2.imwrite(str(root / f"people/photo/{number:04d}.jpg"), photo)
        cv2.imwrite(str(root / f"people/mask/{number:04d}.png"), mask)
    photo, mask = _figure(rng)
    cv2.imwrite(str(root / "mattes/P3M/original/p.jpg"), photo)
    cv2.imwrite(str(root / "mattes/P3M/alpha/p.png"), mask)
    cv2.imwrite(str(root / "mattes/AIM/o.jpg"), np.full((90, 90, 3), (200, 90, 20), np.uint8))
    cv2.imwrite(str(root / "mattes/AIM/o.png"), cv2.circle(np.zeros((90, 90), np.uint8), (45, 45), 30, 255, -1))
    for name in "ab":
        cv2.imwrite(str(root / f"textures/{name}.jpg"), _place(rng, 200, 300))
    return root


def _place(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    small = rng.integers(40, 160, (6, 8, 1), np.uint8).repeat(3, 2)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _figure(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    photo, mask = _place(rng, 150, 100), np.zeros((150, 100), np.uint8)
    x = int(rng.integers(40, 60))
    for canvas, body, head in ((photo, (30, 30, 230), (230, 240, 250)), (mask, 255, 255)):
        cv2.rectangle(canvas, (x - 16, 45), (x + 16, 135), body, -1)
        cv2.circle(canvas, (x, 32), 14, head, -1)
    return photo, mask


@pytest.fixture(scope="module")
def store(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    fill_photo_cache(data, folder)
    return folder


def _recipe(**changes: object) -> PersonRecipe:
    small = {"side": SIDE, "large": SIDE, "batch": 4, "steps": 4, "warmup": 2, "rate": 2e-3, "ema": 0.9}
    return load_recipe("lpn-person", PersonRecipe, **{**small, **changes})


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (1, 7), (96, 40)])
def test_every_size_gets_an_alpha_of_its_size(size: tuple[int, int]) -> None:
    net = PersonNet(norm=False).eval()
    result = net(torch.rand(2, 3, *size))
    assert result.logits.shape == (2, 1, *size) and torch.isfinite(result.logits).all()
    assert result.context.shape == (2, CONTEXT, -(-size[0] // 16), -(-size[1] // 16))


def test_a_mirror_image_gives_the_mirrored_answer() -> None:
    torch.manual_seed(2)
    net, image = PersonNet(norm=False).eval(), torch.rand(2, 3, 50, 70)
    alpha, context = person_alpha(net, image)
    assert alpha.shape == (2, 1, 50, 70) and context.shape == (2, CONTEXT, 4, 5)
    assert 0 < float(alpha.min()) < float(alpha.max()) < 1
    torch.testing.assert_close(person_alpha(net, image.flip(-1))[0], alpha.flip(-1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(context, net(image).context, atol=1e-4, rtol=1e-4)


def test_folding_changes_nothing() -> None:
    torch.manual_seed(1)
    net = PersonNet()
    for _ in range(3):
        net(torch.rand(4, 3, 64, 64) * 0.5)
    image = torch.rand(1, 3, 70, 90)
    with torch.no_grad():
        plain, whole = fold_batch_norm(net.eval())(image), net(image)
    torch.testing.assert_close(plain.logits, whole.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(plain.context, whole.context, atol=1e-4, rtol=1e-4)


def test_a_tenth_is_held_out(data: Path, store: Path) -> None:
    assert [source.name for source in held_out_people(data)] == ["0007"]
    assert held_out("0017") and not held_out("0070") and not held_out("p7")
    names = PhotoCache(store).names
    assert names["people"] == ["0001", "0002", "0003", "0004", "0005", "0006", "0008"]
    assert names["portraits"] == ["p"] and names["others"] == ["o"] and names["places"] == ["a", "b"]


def test_a_store_is_filled_once(data: Path, store: Path) -> None:
    path = store / "people" / "0001.0.npy"
    before = path.stat().st_mtime_ns
    levels = fill_photo_cache(data, store).levels("people", "0001")
    assert path.stat().st_mtime_ns == before and not list(store.rglob(".*"))
    assert [level.shape for level in levels] == [(150, 100, 4), (75, 50, 4), (38, 25, 4)]


def test_a_window_shows_what_it_covers() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8)[:, None, None] * 2, (1, 64, 3))
    levels = [ramp, cv2.resize(ramp, (32, 32), interpolation=cv2.INTER_AREA)]
    same = resample_window(levels, Window((32, 32), (64, 64)), (64, 64), cv2.BORDER_REFLECT_101)
    np.testing.assert_array_equal(same, ramp)
    part = resample_window(levels, Window((32, 16), (32, 32)), (32, 32), cv2.BORDER_REFLECT_101)
    np.testing.assert_array_equal(part, ramp[:32, 16:48])
    half = resample_window(levels, Window((32, 32), (64, 64)), (32, 32), cv2.BORDER_REFLECT_101)
    assert np.abs(half.astype(int) - levels[1]).max() <= 1
    turned = resample_window(levels, Window((32, 32), (64, 64), 180.0), (64, 64), cv2.BORDER_REFLECT_101)
    assert np.abs(turned[::-1, ::-1].astype(int) - ramp)[1:-1].max() <= 1


def test_windows_stay_inside_and_find_the_figure() -> None:
    rng, mask = np.random.default_rng(2), np.zeros((80, 60), np.uint8)
    mask[10:70, 20:40] = 255
    for _ in range(50):
        window = fit_window(person_window(mask, 4.0, (96, 64), rng), (320, 240))
        (x, y), (wide, tall) = window.centre, window.size
        assert wide / 2 - 1e-6 <= x <= 240 - wide / 2 + 1e-6 and tall / 2 - 1e-6 <= y <= 320 - tall / 2 + 1e-6
        assert x - wide / 2 < 160 and x + wide / 2 > 80 and y - tall / 2 < 280 and y + tall / 2 > 40
        place = place_window((320, 240), (64, 96), rng)
        assert place.size[0] <= 240 + 1e-6 and place.size[1] / place.size[0] == pytest.approx(64 / 96)


def test_pictures_of_all_kinds(store: Path) -> None:
    painter, rng = SceneGenerator(PhotoCache(store)), np.random.default_rng(4)
    pictures = [painter.draw((64, 96), rng) for _ in range(60)]
    assert all(image.shape == (64, 96, 3) and alpha.shape == (64, 96) for image, alpha in pictures)
    assert all(image.dtype == alpha.dtype == np.uint8 for image, alpha in pictures)
    shares = [float((alpha > 127).mean()) for _, alpha in pictures]
    assert sum(share == 0 for share in shares) >= 3 and sum(share > 0.05 for share in shares) >= 30


def test_batches_depend_on_their_number_only(store: Path) -> None:
    sizes = BatchSizes(3, 64, 96, 0.5)
    first = iter(SceneStream(store, 5, sizes))
    for _ in range(3):
        next(first)
    third = next(first)
    again = next(iter(SceneStream(store, 5, sizes, 3)))
    assert torch.equal(third["image"], again["image"]) and torch.equal(third["alpha"], again["alpha"])
    assert [sizes(number) for number in range(4)] == [(64, 3), (96, 2), (64, 3), (96, 2)]


def test_the_loss_by_hand() -> None:
    recipe, alpha = _recipe(bce=1.0, dice=1.0, gradient=1.0), torch.zeros(1, 1, 8, 8)
    alpha[..., :4] = 1
    sure, parts = person_loss(recipe, (alpha * 2 - 1) * 30, alpha)
    assert float(sure) == pytest.approx(0, abs=1e-5) and set(parts) == {"bce", "dice", "gradient"}
    unsure, parts = person_loss(recipe, torch.zeros_like(alpha), alpha)
    slack = 0.002 * 64
    assert parts["bce"] == pytest.approx(np.log(2), abs=1e-5)
    assert parts["dice"] == pytest.approx(1 - (16 + slack) / (48 + slack), abs=1e-5)
    assert float(unsure) > float(sure)


def test_the_loss_falls_and_the_figure_is_found(data: Path, store: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    task = PersonTask(_recipe(steps=40, batch=6), store, data)
    fit(task, tmp_path, workers=0, every=10, report=lines.append)
    assert lines[-1]["bce"] + lines[-1]["dice"] < 0.85 * (lines[0]["bce"] + lines[0]["dice"])
    assert lines[-1]["iou"] > 0.3


def test_a_resumed_run_ends_with_the_same_weights(data: Path, store: Path, tmp_path: Path) -> None:
    task = PersonTask(_recipe(), store, data)
    assert fit(task, tmp_path / "parts", workers=0, every=2, seconds=0).step == 0
    assert resumed_like_unbroken(task, tmp_path).step == 4


def test_measures(data: Path) -> None:
    people = held_out_people(data)
    true = np.zeros((4, 4), bool)
    assert mask_iou(true, true) == 1 and mask_iou(~true, true) == 0
    everything = measure_people(lambda picture: np.ones(picture.shape[:2], np.float32), people)
    mask = cv2.imread(str(people[0].mask), cv2.IMREAD_GRAYSCALE)
    assert everything["iou"] == pytest.approx((mask > 127).mean())
    assert largest_false_alpha(lambda picture: np.full(picture.shape[:2], 0.25, np.float32), people) == pytest.approx(
        0.25
    )


def test_the_command_writes_weights_with_their_figures(data: Path, store: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in _recipe(steps=2).as_dict().items()))
    arguments = ["train", "lpn", "-o", str(tmp_path / "run"), "--recipe", str(recipe), "--data", str(data)]
    result = CliRunner().invoke(app, [*arguments, "--cache", str(store), "--workers", "0", "--every", "1", "--json"])
    assert result.exit_code == 0, result.output
    compare("train", json.loads(result.stdout))
    path = Path(json.loads(result.stdout)["weights"])
    card = path.with_suffix(".md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    assert "2 steps of 4 pictures" in card and "7 street photographs" in card and "IoU at 0.5" in card
    actual = make_segmenter(load_person(path), 64)(np.zeros((90, 60, 3), np.uint8))
    assert actual.shape == (90, 60) and actual.min() >= 0 and actual.max() <= 1


def test_refusals(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no people"):
        find_sources(tmp_path)
    with pytest.raises(InputError, match="is for lpn-person"):
        load_recipe("lpn-person")
    result = CliRunner().invoke(app, ["train", "lpn", "-o", str(tmp_path)])
    assert result.exit_code == 2 and "Give photographs" in result.output
    broken = tmp_path / "people" / "photo"
    broken.mkdir(parents=True)
    (broken / "1.jpg").write_text("no picture")
    with pytest.raises(InputError, match="cannot be read"):
        fill_photo_cache(tmp_path, tmp_path / "store")


def test_the_bundled_weights_are_those_of_their_card() -> None:
    path = bundled_weights("lpn-person")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in path.with_suffix(".md").read_text()


@pytest.mark.parametrize("kind", ["black", "grey", "white", "gradient", "noise"])
def test_an_empty_picture_gives_an_empty_matte(kind: str) -> None:
    rng, side = np.random.default_rng(0), 256
    level = {"black": 0, "grey": 128, "white": 255}.get(kind, 0)
    picture = np.full((side, side, 3), level, np.uint8)
    if kind == "gradient":
        picture[:] = np.arange(side, dtype=np.uint8)[:, None, None]
    if kind == "noise":
        picture = _place(rng, side, side)
    result = make_segmenter(load_person(bundled_weights("lpn-person")), side)(picture)
    assert float(result.mean()) < 0.01 and float((result > 0.5).mean()) == 0
