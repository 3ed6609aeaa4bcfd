"""Public tensor functions of refine and sparse: type, memory layout, and a float64 reference, one table for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from uhrmat.refine.colour_line import estimate_smooth_colours, project
from uhrmat.refine.ddfe import network as ddfe
from uhrmat.refine.features import assemble_features, fallback_alpha, mask_colour_line, residual_baseline
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.guided_filter import guided_coefficients
from uhrmat.refine.pyramid import pyramid_shapes
from uhrmat.sparse import ActiveSet, DenseEngine
from uhrmat.sparse.kernels import four_phases


def _unit(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def _features() -> Tensor:
    return assemble_features(_unit(6, 7, 3), _unit(6, 7, 7), None, 2.0)


def _convolve(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    def run(x: Tensor, weight: Tensor) -> Tensor:
        engine = DenseEngine(torch.ones(8, 10))
        level = 1 if name == "inverse_conv" else 0
        result: Tensor = getattr(engine, name)(engine.wrap(x, level), weight).data
        return result

    return run


FUNCTIONS: dict[str, tuple[Callable[..., Any], list[Tensor]]] = {
    "smooth colours": (estimate_smooth_colours, [_unit(2, 3, 9, 7), _unit(2, 1, 9, 7)]),
    "projection": (project, [_unit(5, 6, 3), _unit(5, 6, 3), _unit(5, 6, 3), _unit(5, 6, 1)]),
    "SHM features": (lambda c, m: assemble_features(c, m, None, 2.0), [_unit(5, 6, 3), _unit(5, 6, 7)]),
    "DDFE features": (
        ddfe.assemble_features,
        [_unit(5, 6, 3), _unit(5, 6, 3), _unit(5, 6, 1), torch.zeros(5, 6, 2).double(), _unit(5, 6, 10)],
    ),
    "fallback": (lambda f, m: fallback_alpha(f, m, 0.4), [_features(), _unit(6, 7, 4)]),
    "baseline": (lambda f, a: residual_baseline(f, a, 0.45), [_features(), _unit(6, 7)]),
    "no colour line": (mask_colour_line, [_features()]),
    "four phases": (four_phases, [_unit(3, 4, 3, 3)]),
    "submanifold": (_convolve("subm_conv"), [_unit(1, 3, 8, 10), _unit(4, 3, 3, 3)]),
    "strided": (_convolve("strided_conv"), [_unit(1, 3, 8, 10), _unit(4, 3, 3, 3)]),
    "inverse": (_convolve("inverse_conv"), [_unit(1, 3, 4, 5), _unit(3, 4, 3, 3)]),
}


def _results(name: str, change: Callable[[Tensor], Tensor]) -> list[Tensor]:
    function, arguments = FUNCTIONS[name]
    result = function(*[change(x) for x in arguments])
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.25)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_type_and_float64_reference(name: str, dtype: torch.dtype, tolerance: float) -> None:
    if name in ("SHM features", "DDFE features") and dtype != torch.float32:
        pytest.skip("features are float32; engines cast them")
    for result, reference in zip(_results(name, lambda x: x.to(dtype)), _results(name, lambda x: x), strict=True):
        assert result.dtype == dtype and result.shape == reference.shape
        assert (result.double() - reference).abs().max() < tolerance * max(1, float(reference.abs().max()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_non_contiguous_arguments(name: str) -> None:
    def spread(x: Tensor) -> Tensor:
        wide = x.repeat_interleave(2, -1)[..., ::2]
        assert not wide.is_contiguous() or wide.numel() < 2 or wide.shape[-1] == 1
        return wide

    for result, reference in zip(_results(name, spread), _results(name, lambda x: x), strict=True):
        torch.testing.assert_close(result, reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_not_changed(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    copies = [x.clone() for x in arguments]
    function(*copies)
    assert all(torch.equal(copy, x) for copy, x in zip(copies, arguments, strict=True))


@pytest.mark.parametrize("name", ["projection", "fallback", "baseline", "submanifold", "strided", "inverse"])
def test_shapes_that_do_not_fit_are_errors(name: str) -> None:
    function, arguments = FUNCTIONS[name]
    with pytest.raises((RuntimeError, IndexError)):
        function(arguments[0][:, :-1], *arguments[1:])


def test_array_functions_take_views() -> None:
    """Guided filter, upsampling, trimap and active set: strided views equal their copies."""
    rng = np.random.default_rng(2)
    small, alpha = rng.random((12, 28, 3), np.float32)[:, ::2], rng.random((24, 14), np.float32)[::2]
    assert np.array_equal(guided_coefficients(small, alpha), guided_coefficients(small.copy(), alpha.copy()))
    trimap = rng.choice(np.array([0, 128, 255], np.uint8), (60, 33))[:, ::-1]
    upsampled = upsampled_prior(alpha, trimap)
    assert upsampled.dtype == np.float32 and np.array_equal(upsampled, upsampled_prior(alpha.copy(), trimap.copy()))
    wide = np.full((60, 66), np.nan, np.float32)
    wide[:, ::2] = upsampled * 3 - 1
    apply_trimap(wide[:, ::2], trimap)
    assert np.isnan(wide[:, 1::2]).all() and (wide[:, ::2][trimap == 255] == 1).all()
    assert (wide[:, ::2][trimap == 0] == 0).all() and 0 <= wide[:, ::2].min() <= wide[:, ::2].max() <= 1
    assert torch.equal(ActiveSet.from_mask(trimap == 128).mask(2), ActiveSet.from_mask((trimap == 128).copy()).mask(2))


@pytest.mark.parametrize(
    ("size", "start", "shapes"),
    [
        ((400, 600), (100, 150), [(200, 300), (400, 600)]),
        ((400, 600), (99, 149), [(200, 300), (400, 600)]),
        ((401, 601), (150, 225), [(200, 300), (401, 601)]),
        ((100, 150), (100, 150), []),
        ((101, 151), (100, 150), []),
    ],
)
def test_pyramid_shapes(size: tuple[int, int], start: tuple[int, int], shapes: list[tuple[int, int]]) -> None:
    assert pyramid_shapes(size, start) == shapes
