"""Counted multiply-accumulates, against a count by hand and against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.macs import active_sites, dense_sites, macs
from uhrmat.refine.shm.network import SHM, SIZES, SHMConfig
from uhrmat.sparse import ActiveSet, DenseEngine, Feat

SMALL = SHMConfig(
    inputs=2,
    stem=1,
    half=3,
    stages=((2, 1, True), (2, 1, True)),
    decoder=(2, 1, 1),
    head=(1, 1),
    norm=False,
    residual=True,
)


def test_by_hand() -> None:
    stem_and_down = 64 * 9 * 2 * 1 + 16 * 9 * 1 * 3 + 16 * 9 * 3 * 3
    quarter = 4 * 9 * (3 * 2 + 2 * 2 + 3 * 2)
    eighth = 1 * 9 * (2 * 2 + 2 * 2 + 2 * 2)
    up_4 = 4 * (9 * 2 * 2 // 4 + 9 * (2 + 2) * 2)
    up_2 = (16 * 9 * 2 * 1) // 4 + 16 * 9 * (1 + 3) * 1
    up_1 = (64 * 9 * 1 * 1) // 4 + 64 * 9 * (1 + 1) * 1
    head = 64 * (9 + 9 + 1)
    assert macs(SMALL, [64, 16, 4, 1]) == stem_and_down + quarter + eighth + up_4 + up_2 + up_1 + head


@pytest.mark.parametrize("size", sorted(SIZES))
def test_dense_count_is_what_torch_counts(size: str) -> None:
    net = SHM(size).eval()
    engine = DenseEngine(torch.ones(32, 48))
    x = Feat(torch.zeros(1, net.config.inputs, 32, 48), 0)
    small, alpha = torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    with torch.no_grad(), FlopCounterMode(display=False) as whole:
        net(engine, x, small, alpha)
    with torch.no_grad(), FlopCounterMode(display=False) as context:
        net.gate(net.context(torch.cat([small, alpha], 1)), alpha)
    assert 2 * macs(net.config, dense_sites(32, 48)) == whole.get_total_flops() - context.get_total_flops()


def test_sites() -> None:
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[9, 9] = True
    assert active_sites(ActiveSet.from_mask(mask)) == [1, 4, 4, 4]
    assert dense_sites(9, 16) == [144, 40, 12, 4]


def test_full_active_set_counts_as_dense() -> None:
    full = ActiveSet.from_mask(torch.ones(24, 40, dtype=torch.bool))
    assert active_sites(full) == dense_sites(24, 40)
