"""Memory that runs out anywhere, for every refiner that divides its work: the next try starts from the same state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from uhrmat import MemoryBudgetError
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.refine import runner, sparse_refiner
from uhrmat.refine.base import RefineInput
from uhrmat.refine.fuse import upsampled_prior
from uhrmat.refine.memory.budget import BudgetParams
from uhrmat.refine.memory.cost import Cost
from uhrmat.refine.registry import make_refiner
from uhrmat.refine.runner import refine_within
from uhrmat.sparse.tiles import TilesEngine
from uhrmat.sparsity.spatial import trimap_mask

SIZE = (560, 200)
UNIT = Cost("spconv", 1.0, 0)
"""One active pixel costs a byte, so that a limit is a number of pixels."""
KINDS = ("shm", "ddfe")


@pytest.fixture(scope="module")
def refiners() -> dict[str, Any]:
    """The default refiners with output layers that change every active pixel."""
    refiners = {}
    for kind in KINDS:
        made = make_refiner(kind, None, "tiles", torch.float32, "cpu")
        made.cost = UNIT  # type: ignore[attr-defined]
        refiners[kind] = made
    torch.manual_seed(1)
    torch.nn.init.normal_(refiners["shm"].net.gate.gate.weight, std=0.5)
    torch.nn.init.normal_(refiners["ddfe"].net.last.weight, std=0.5)
    return refiners


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> RefineInput:
    monkeypatch.setattr(runner, "bytes_of_copies", lambda inputs: 0)
    rng = np.random.default_rng(5)
    picture = Picture.from_array(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    unknown = np.abs(x - 100 - 20 * np.sin(y / 30)) < 25
    trimap = np.where(unknown, 128, np.where(x < 100, 0, 255)).astype(np.uint8)
    shape = (112, 40)
    ramp = np.broadcast_to(np.linspace(0, 1, shape[1], dtype=np.float32), shape)
    prior = np.where(downsample_trimap(trimap, shape) == 128, ramp, ramp > 0.5).astype(np.float32)
    return RefineInput(picture, area_average(picture.pixels, shape, 255.0), prior, trimap, trimap_mask(trimap))


def _refined(refiner: Any, inputs: RefineInput, mode: str, limit: int) -> np.ndarray:
    assert inputs.trimap is not None
    alpha = upsampled_prior(inputs.prior, inputs.trimap)
    refine_within(refiner, inputs, alpha, mode, limit, BudgetParams(smallest_part=5000))
    return alpha


def _failing(real: Callable[..., Any], at: int, calls: list[int], late: bool = False) -> Callable[..., Any]:
    """`real`, but that memory runs out in its call number `at`; late: after it has done its work."""

    def call(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) != at:
            return real(*args, **options)
        if late:
            real(*args, **options)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    return call


PLACES: dict[str, tuple[Any, str, bool]] = {
    "before a part": (sparse_refiner, "make_engine", False),
    "after a part was written": (TilesEngine, "scatter", True),
    "in a layer": (TilesEngine, "subm_conv", False),
    "in the features": (TilesEngine, "sample", True),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("kind", "mode"), [("shm", "parts"), ("shm", "cascade"), ("ddfe", "parts")])
def test_a_retry_gives_what_an_undisturbed_run_gives(
    kind: str, mode: str, place: str, refiners: dict[str, Any], inputs: RefineInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = int(inputs.active.sum()) - 1
    owner, name, late = PLACES[place]
    real, calls = getattr(owner, name), list[int]()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, _failing(real, 0, calls))
        whole = _refined(refiners[kind], inputs, mode, limit)
    expected = {limit: whole, limit // 2: _refined(refiners[kind], inputs, mode, limit // 2)}
    assert np.abs(whole - upsampled_prior(inputs.prior, inputs.trimap)).max() > 0.05  # type: ignore[arg-type]
    count = len(calls)
    for at in sorted({2, count}):
        calls = []
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, _failing(real, at, calls, late))
            alpha = _refined(refiners[kind], inputs, mode, limit)
        assert len(calls) > at
        # DDFE's levels are retried each for itself, all but one with the whole limit: that changes the cuts alone.
        closest = min(float(np.abs(alpha - want).max()) for want in expected.values())
        assert closest < 1e-5, (at, count)


def test_the_error_names_the_reason(
    refiners: dict[str, Any], inputs: RefineInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: Any) -> Any:
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

    monkeypatch.setattr(sparse_refiner, "make_engine", never)
    with pytest.raises(MemoryBudgetError, match="CUBLAS_STATUS_ALLOC_FAILED"):
        _refined(refiners["ddfe"], inputs, "parts", int(inputs.active.sum()))
