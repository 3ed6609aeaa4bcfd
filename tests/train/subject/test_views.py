"""Photographs kept and labelled; views drawn from them; what a camera does to them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from uhrmat.core.errors import InputError
from uhrmat.train.subject.degrade import adjust_tone, simulate_camera
from uhrmat.train.subject.photos import Photo, find_photos, read_photos, write_photos
from uhrmat.train.subject.pool import Pool, combine_labels, load_pool
from uhrmat.train.subject.teachers import Ensemble, label
from uhrmat.train.subject.views import ViewGenerator

CPU = torch.device("cpu")


@pytest.fixture()
def pool(prepared: tuple[Pool, Ensemble]) -> Pool:
    return prepared[0]


def test_photographs_and_what_is_known_of_them(photographs: Path, tmp_path: Path) -> None:
    result = list(find_photos(photographs))
    assert Counter(item.photo.source for item in result) == {"people": 11, "set": 15, "coco": 2}
    assert [item.photo.name for item in result if item.photo.held_out] == ["7", "f9"]
    write_photos(photographs, tmp_path / "photos.safetensors")
    kept = {item.photo.name: item for item in read_photos(tmp_path / "photos.safetensors")}
    assert len(kept) == 28
    for name in ("0", "a"):  # a mask of people is one of the subject too; of "a" nothing is a person
        assert kept[name].subject is not None and kept[name].subject.max() == 255
    assert kept["0"].person is kept["0"].subject and kept["a"].person.max() == 0
    assert kept["b"].photo.tag == "none" and kept["b"].subject is None
    red = kept["f2"].pixels[40, 25].astype(int)
    assert red[0] > red[1] + 60, "RGB, not BGR"


def test_refusals(tmp_path: Path, photographs: Path) -> None:
    with pytest.raises(InputError, match="no people/"):
        write_photos(tmp_path, tmp_path / "photos.safetensors")
    with pytest.raises(InputError, match=r"no teacher red\.onnx"):
        Ensemble(tmp_path, tmp_path)


def test_labels_are_where_the_teachers_find_something(pool: Pool) -> None:
    by_name = {photo.name: row for row, photo in enumerate(pool.photos)}
    bar = pool.planes[by_name["f2"], 3].float() / 255
    assert bar[48:96, 32:48].mean() > 0.95 and bar[:, 96:].mean() < 0.05
    assert pool.planes[by_name["f3"], 3].max() == 0 and pool.planes[by_name["f3"], 5].min() == 255
    assert pool.planes[by_name["f4"], 5].max() == 0, "the label of an ambiguous photograph has no weight"
    assert pool.planes[by_name["f1"], 4].max() == 0, "an animal is no person"
    left, top, right, bottom = pool.box[by_name["0"]].tolist()
    assert (left, right) == pytest.approx((10 / 72, 34 / 72), abs=0.02)
    assert (top, bottom) == pytest.approx((20 / 96, 80 / 96), abs=0.02)
    assert not pool.touches[by_name["0"]].any() and pool.touches[by_name["10"], 2] == (10 + 30 + 24 > 71)


def test_an_interrupted_labelling_goes_on(
    photographs: Path, small_teachers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(photographs, tmp_path / "photos.safetensors")
    ensemble, path, seen = Ensemble(small_teachers, tmp_path), tmp_path / "photos.safetensors", []

    def counted(*args: torch.Tensor) -> dict[str, torch.Tensor]:
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(1)
        return label(*args)

    monkeypatch.setattr("uhrmat.train.subject.pool.label", counted)
    with pytest.raises(KeyboardInterrupt):
        load_pool(path, ensemble, CPU, torch.float32, tmp_path / "labels")
    monkeypatch.setattr("uhrmat.train.subject.pool.label", lambda *a: seen.append(1) or label(*a))
    load_pool(path, ensemble, CPU, torch.float32, tmp_path / "labels")
    assert len(seen) == 12, "five before, seven after: each photograph once"


def test_teachers_that_disagree_weigh_less() -> None:
    on, off = torch.ones(8, 8), torch.zeros(8, 8)
    agreed = {name: on for name in ("u2netp", "any", "animal", "person:selfie", "person:bodypix", "person:deeplab")}
    subject, person, weight, agreement = combine_labels(agreed, "person")
    assert subject.min() == person.min() == weight.min() == agreement == 1
    *_, weight, agreement = combine_labels(agreed | {"person:selfie": off}, "person")
    assert weight.max() < 0.2 and agreement == pytest.approx(1 / 3)
    subject, person, *_ = combine_labels(agreed | {"person:selfie": off, "u2netp": off, "any": off}, "animal")
    assert subject.max() == person.max() == 0


def test_views_repeat_by_their_number(pool: Pool) -> None:
    painter = ViewGenerator(pool, seed=3)
    first, again, other = painter.draw(5, 64, 6), painter.draw(5, 64, 6), painter.draw(6, 64, 6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["image"].shape != other["image"].shape or not torch.equal(first["image"], other["image"])
    for name in ("image", "subject", "person", "weight"):
        assert first[name].min() >= 0 and first[name].max() <= 1 and first[name].shape[0] == 6


def test_the_mask_lies_on_the_subject(pool: Pool) -> None:
    """Red bars were the only thing in them that is red: the mask must follow it through every change of geometry."""
    painter, inside, outside = ViewGenerator(pool, seed=1), [], []
    for number in range(6):
        view = painter.draw(number, 96, 8)
        red = view["image"][:, :1] - view["image"][:, 1:2]
        certain = view["weight"] > 0
        inside.append(red[(view["subject"] > 0.95) & certain])
        outside.append(red[(view["subject"] < 0.05) & certain])
    assert torch.cat(inside).mean() > 0.4 and torch.cat(outside).mean().abs() < 0.1


def test_nothing_held_out_is_drawn(pool: Pool) -> None:
    painter = ViewGenerator(pool, seed=1)
    held = torch.tensor([photo.held_out for photo in pool.photos])
    for weights in (painter.subjects, painter.cutouts, painter.places):
        assert weights.sum() > 0 and weights[held].sum() == 0


@pytest.mark.parametrize("change", [simulate_camera, lambda x, dice: adjust_tone(x, dice, 1.0)])
def test_pictures_stay_pictures(change: object) -> None:
    image = torch.rand(16, 3, 24, 32, generator=torch.Generator().manual_seed(0))
    result = change(image, torch.Generator().manual_seed(1))  # type: ignore[operator]
    assert result.shape == image.shape and result.min() >= 0 and result.max() <= 1 and torch.isfinite(result).all()
    again = change(image, torch.Generator().manual_seed(1))  # type: ignore[operator]
    assert torch.equal(result, again) and not torch.equal(result, image)


def test_photo_tags_decide_what_is_a_place(pool: Pool) -> None:
    painter = ViewGenerator(pool, seed=1)
    drawn = {pool.photos[row].tag for row in painter.places.nonzero()[:, 0].tolist()}
    assert drawn == {"none"} and isinstance(pool.photos[0], Photo)
