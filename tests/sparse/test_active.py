"""The active set is the max-pooled mask, level by level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sparse.networks import masks
from uhrmat.core.errors import InputError
from uhrmat.sparse import ActiveSet, DenseEngine

MASKS = masks()


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("tile", [16, 6])
def test_levels_are_max_pooled(name: str, tile: int) -> None:
    active, dense = ActiveSet.from_mask(MASKS[name], tile), DenseEngine(MASKS[name])
    assert active.count == int(MASKS[name].sum())
    for level in range(4):
        assert torch.equal(active.mask(level), dense.mask(level)[0, 0])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([2, 4, 16]), st.integers(0, 1000))
def test_any_size_any_tile(height: int, width: int, tile: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.05
    active, dense = ActiveSet.from_mask(mask, tile), DenseEngine(mask)
    assert all(torch.equal(active.mask(level), dense.mask(level)[0, 0]) for level in range(4))


def test_only_tiles_with_active_sites_are_kept() -> None:
    mask = np.zeros((4096, 2048), np.uint8)
    mask[100, 100] = mask[4095, 2047] = 255
    active = ActiveSet.from_mask(mask)
    assert [level.tiles for level in active.levels] == [2, 2, 2, 2]
    assert active.count == 2
    assert all(bool(level.mask.flatten(1).any(1).all()) for level in active.levels)


def test_masks_of_any_type_and_stride() -> None:
    mask = MASKS["noise"]
    want = ActiveSet.from_mask(mask).mask()
    for same in (mask.numpy(), mask.float() * 0.5, mask.to(torch.uint8) * 255, mask.T.contiguous().T):
        assert torch.equal(ActiveSet.from_mask(same).mask(), want)


def test_wrong_masks_and_tiles_are_errors() -> None:
    with pytest.raises(InputError, match="cannot be an active set"):
        ActiveSet.from_mask(np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match="cannot be halved"):
        ActiveSet.from_mask(np.ones((4, 4)), tile=7)
