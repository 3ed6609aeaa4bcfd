"""Colour-line features and bilinear maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from uhrmat.media import Picture
from uhrmat.refine import colour_line
from uhrmat.refine.colour_line import estimate_smooth_colours, project
from uhrmat.refine.features import CHANNELS, PROJECTION, BilinearMaps, ColourLineFeatures, PictureColours, context_maps


def test_projection_recovers_alpha_between_distant_colours() -> None:
    front, back = torch.tensor([0.9, 0.1, 0.2]), torch.tensor([0.1, 0.6, 0.9])
    alpha = torch.linspace(0, 1, 11)[:, None]
    base, confidence, away = project(alpha * front + (1 - alpha) * back, front, back, torch.full_like(alpha, 0.5))
    assert confidence.min() > 0.98 and away.max() < 1e-5
    assert torch.allclose(base, confidence * alpha + (1 - confidence) * 0.5, atol=1e-5)


def test_without_contrast_the_prior_stays() -> None:
    colour, alpha = torch.full((4, 3), 0.3), torch.tensor([[0.0], [0.2], [0.7], [1.0]])
    base, confidence, _ = project(colour, colour, colour, alpha)
    assert torch.equal(base, alpha) and (confidence == 0).all()


def test_smooth_colours_keep_known_regions_and_extend_into_the_unknown() -> None:
    alpha = torch.zeros(1, 1, 32, 32)
    alpha[..., 20:], alpha[..., 12:20] = 1, 0.5
    front, back = torch.tensor([0.8, 0.2, 0.1]), torch.tensor([0.1, 0.3, 0.9])
    image = alpha * front.view(1, 3, 1, 1) + (1 - alpha) * back.view(1, 3, 1, 1)
    found_front, found_back = estimate_smooth_colours(image, alpha)
    assert (found_front[0, :, 16, 30] - front).abs().max() < 0.03
    assert (found_back[0, :, 16, 1] - back).abs().max() < 0.03
    middle = (found_front - found_back)[0, :, 16, 16]
    assert torch.nn.functional.cosine_similarity(middle, front - back, dim=0) > 0.95


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_smooth_colours_of_one_kind_are_finite(alpha: float) -> None:
    for colours in estimate_smooth_colours(torch.rand(1, 3, 9, 7), torch.full((1, 1, 9, 7), alpha)):
        assert torch.isfinite(colours).all() and colours.min() >= 0 and colours.max() <= 1


@pytest.mark.parametrize("size", [(40, 30), (33, 17), (8, 8), (5, 60)])
def test_bilinear_maps_agree_with_torch(size: tuple[int, int]) -> None:
    maps = torch.rand(8, 6, 2)
    ys, xs = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    expected = F.interpolate(maps.permute(2, 0, 1)[None], size, mode="bilinear", align_corners=False)[0]
    assert torch.allclose(BilinearMaps(maps, size)(ys, xs), expected.permute(1, 2, 0), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_of_every_stored_type(dtype: type) -> None:
    values = np.random.default_rng(3).random((6, 5, 3))
    pixels = values.astype(np.float32) if dtype is np.float32 else (values * np.iinfo(dtype).max).astype(dtype)
    picture = Picture.from_array(pixels)
    colours = PictureColours(picture)(torch.arange(30).view(6, 5))
    assert np.allclose(colours.numpy(), picture.to_float(), atol=1e-6)


def test_linear_pictures_are_shown_display_referred() -> None:
    picture = Picture.from_array(np.full((2, 2, 3), 0.2140, np.float32), linear=True)
    assert torch.allclose(PictureColours(picture)(torch.arange(4)), torch.full((4, 3), 0.5), atol=1e-3)


def test_features_put_known_pixels_into_the_base() -> None:
    picture = Picture.from_array(np.random.default_rng(4).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    trimap = np.full((20, 24), 128, np.uint8)
    trimap[:5], trimap[15:] = 0, 255
    small = np.random.default_rng(5).random((10, 12, 3), np.float32)
    base = np.full((20, 24), np.nan, np.float32)
    features = ColourLineFeatures(
        PictureColours(picture), (20, 24), small, np.full((10, 12), 0.4, np.float32), trimap, base
    )
    features.network_weight = 1.0
    ys, xs = torch.meshgrid(torch.arange(20), torch.arange(24), indexing="ij")
    values = features(ys, xs)
    assert values.shape == (20, 24, CHANNELS) and torch.isfinite(values).all()
    assert (base[:5] == 0).all() and (base[15:] == 1).all()
    assert np.allclose(base, (values[..., PROJECTION].numpy() + 1) / 2)


def test_context_maps_average_areas() -> None:
    small = np.random.default_rng(6).random((256, 512, 3), np.float32)
    expected = small.reshape(128, 2, 128, 4, 3).mean((1, 3))
    assert np.allclose(context_maps(small).permute(1, 2, 0).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(37, 64), (2, 5), (9, 3)])
def test_smooth_colours_divided_at_once_are_the_same(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(3)
    image, alpha = (torch.rand(2, channels, *size, generator=generator) for channels in (3, 1))
    weights = torch.stack([alpha, 1 - alpha]) ** 2
    one, other = (colour_line._pull_push(image, weights, 0.1, at_once) for at_once in (False, True))
    assert one.shape == (2, 2, 3, *size) and one.std() > 0.05
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
