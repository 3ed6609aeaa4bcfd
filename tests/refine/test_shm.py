"""The sparse high-resolution module on every engine, and its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uhrmat.refine.layers import SparseConv
from uhrmat.refine.shm.masked_se import MaskedSE
from uhrmat.refine.shm.network import SHM, SIZES
from uhrmat.sparse import ActiveSet, DenseEngine, TilesEngine


def _network(size: str) -> SHM:
    """A network whose every part matters: no zero-initialised layer, BatchNorm statistics that are not the identity."""
    torch.manual_seed(7)
    net = SHM(size)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
        if isinstance(module, SparseConv) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.05)
    torch.nn.init.normal_(net.gate.gate.weight, std=0.5)
    return net.eval()


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 1.0])
def test_tiles_equal_the_dense_oracle(size: str, share: float) -> None:
    net, rng = _network(size), np.random.default_rng(1)
    mask = rng.random((53, 70)) < share
    values = torch.randn(53, 70, net.config.inputs)
    small, alpha = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    results = []
    for engine in (DenseEngine(mask), TilesEngine(ActiveSet.from_mask(mask))):
        with torch.no_grad():
            results.append(engine.values(net(engine, engine.sample(lambda y, x: values[y, x]), small, alpha)))
    assert results[0].shape == (mask.sum(), 1) == results[1].shape
    assert (results[0] - results[1]).abs().max() < 1e-4 if mask.any() else True


def test_untrained_lite_changes_nothing() -> None:
    net, engine = SHM("lite").eval(), DenseEngine(np.ones((16, 16)))
    x = engine.sample(lambda y, _: torch.rand(*y.shape, net.config.inputs))
    assert (net(engine, x, torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)).data == 0).all()


def test_paper_size_has_the_papers_widths() -> None:
    net = SHM("paper")
    head = [(layer.weight.shape[1], layer.weight.shape[0]) for layer in net.head]
    assert head == [(67, 32), (32, 16), (16, 1)]
    assert [up.weight.shape[:2] for up in net.ups] == [(512, 256), (320, 256), (320, 64)]
    count = sum(p.numel() for name, p in net.named_parameters() if not name.startswith(("context", "gate")))
    # seeds.md counts 14,895,200 in the release, 73,728 of them in taps that never act.
    assert abs(count - (14_895_200 - 73_728)) / 14_895_200 < 0.01


def test_paper_size_returns_side_outputs_in_training() -> None:
    net = SHM("paper").train()
    engine = DenseEngine(torch.rand(2, 1, 32, 32) < 0.3)
    outputs = net(engine, engine.wrap(torch.randn(2, 4, 32, 32)), torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
    assert [x.level for x in outputs] == [2, 1, 0, 0]
    assert all(x.data.detach().min() >= 0 and x.data.detach().max() <= 1 for x in outputs)


def test_folded_normalisation_equals_the_normalisation() -> None:
    torch.manual_seed(2)
    conv = SparseConv("subm", 3, 5, norm=True, bias=False, act="relu").train()
    engine = DenseEngine(torch.rand(2, 1, 20, 20) < 0.5)
    x = engine.wrap(torch.randn(2, 3, 20, 20))
    assert conv.norm is not None
    conv.norm.momentum = 1.0
    trained = conv(engine, x).data
    rows = engine.values(x).shape[0]
    conv.norm.running_var.mul_((rows - 1) / rows)  # type: ignore[union-attr]
    assert torch.allclose(conv.eval()(engine, x).data, trained, atol=1e-5)


def test_masked_se_looks_inside_and_outside_the_mask() -> None:
    torch.manual_seed(3)
    gate = MaskedSE(8, 4)
    context, mask = torch.rand(1, 4, 8, 8), torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 1
    assert torch.equal(gate(context, mask), torch.ones(1, 8))
    torch.nn.init.normal_(gate.gate.weight)
    inside, outside = context.clone(), context.clone()
    inside[..., :4] += 1
    outside[..., 4:] += 1
    results = [gate(x, mask) for x in (context, inside, outside)]
    assert not torch.allclose(results[0], results[1]) and not torch.allclose(results[1], results[2])
    assert torch.allclose(gate(context, mask), gate(context, mask.repeat_interleave(2, -1).repeat_interleave(2, -2)))


def test_the_networks_weight_goes_from_the_prior_to_the_guided_filter_with_the_scale() -> None:
    from uhrmat.refine.features import RESIDUAL_BASELINE, network_weight

    near, far = RESIDUAL_BASELINE.near, RESIDUAL_BASELINE.far

    assert network_weight(0.5) == network_weight(1.0) == (near, 0.0) and network_weight(2.0) == network_weight(9.0) == (
        far,
        1.0,
    )
    assert near > network_weight(1.3)[0] > network_weight(1.7)[0] > far
    assert 0 < network_weight(1.3)[1] < network_weight(1.7)[1] < 1
