"""spconv's two algorithms on a stand-in for spconv: the engine is right with both, and trials choose between them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.sparse.networks import masks, one_thread, unet, weights
from uhrmat.sparse import DenseEngine, spconv_engine, spconv_rulebook
from uhrmat.sparse.active import ActiveSet
from uhrmat.sparse.spconv_engine import SpconvEngine
from uhrmat.sparse.spconv_rulebook import IMPLICIT, NATIVE, choose_algorithm

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MASKS = masks()
use_one_thread = pytest.fixture(autouse=True)(one_thread)


class StandIn:
    """spconv's functions as `spconv.pytorch.ops` states them, by tables of rows; what `wrong` adds, results are off by.

    Attributes:
        calls: Names of the convolutions that ran.
    """

    ConvAlgo = SimpleNamespace(Native="n", MaskImplicitGemm="m")

    def __init__(self, wrong: float = 0.0) -> None:
        self.wrong, self.calls = wrong, list[str]()

    def _tables(self, indices: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
        """Sites of the result in any order, (9, out) rows read or -1, and (9, in) rows written or -1."""
        fine = {(int(y), int(x)): row for row, (_, y, x) in enumerate(indices)}
        reached = {((y + dy) // stride, (x + dx) // stride) for y, x in fine for dy in (0, 1) for dx in (0, 1)}
        height, width = (1 + max(site[axis] for site in fine) for axis in (0, 1))
        coarse = [(y, x) for y, x in sorted(reached) if y * stride < height + 1 and x * stride < width + 1]
        coarse = [s for s in coarse[::-1] if s[0] < self.shape[0] and s[1] < self.shape[1]]
        sites = list(fine) if stride == 1 else coarse
        forward, backward = torch.full((9, len(sites)), -1), torch.full((9, len(fine)), -1)
        for row, (y, x) in enumerate(sites):
            for tap in range(9):
                read = fine.get((stride * y + tap // 3 - 1, stride * x + tap % 3 - 1))
                if read is not None:
                    forward[tap, row], backward[tap, read] = read, row
        used = (forward >= 0).any(0)
        assert bool(used.all()), "a site that reads nothing is not active"
        return torch.tensor([(0, y, x) for y, x in sites], dtype=torch.int32), forward, backward

    def _made(self, indices: Tensor, shape: list[int], stride: list[int], subm: bool) -> tuple[Tensor, Tensor, Tensor]:
        assert subm == (stride == [1, 1])
        self.shape = [-(-side // stride[0]) for side in shape]
        return self._tables(indices, stride[0])

    def get_indice_pairs(
        self, indices: Tensor, batch: int, shape: list[int], algo: str, kernel: list[int], stride: list[int],
        *rest: Any, subm: bool,
    ) -> tuple[Tensor, Any, Tensor]:  # fmt: skip
        assert algo == "n" and kernel == [3, 3] and batch == 1
        sites, forward, backward = self._made(indices, shape, stride, subm)
        return sites, (forward, backward), torch.zeros(9)

    def get_indice_pairs_implicit_gemm(
        self, indices: Tensor, batch: int, shape: list[int], algo: str, kernel: list[int], stride: list[int],
        *rest: Any, subm: bool, is_train: bool,
    ) -> tuple[Any, ...]:  # fmt: skip
        assert algo == "m" and kernel == [3, 3] and batch == 1
        sites, forward, backward = self._made(indices, shape, stride, subm)
        if not is_train:
            return sites, None, forward, None, ["m"], [], ["o"], [], ["all"]
        return sites, None, forward, backward, ["m"], ["bm"], ["o"], ["bo"], ["all"]

    def indice_conv(
        self, x: Tensor, filters: Tensor, pairs: Any, numbers: Tensor, count: int, inverse: bool, subm: bool
    ) -> Tensor:  # fmt: skip
        self.calls.append(NATIVE)
        return self._sum(x, filters, pairs[1 if inverse else 0], count)

    def implicit_gemm(
        self, x: Tensor, filters: Tensor, pairs: Tensor, masks: Any, order: Any, count: int, splits: Any,
        is_train: bool, is_subm: bool,
    ) -> tuple[Tensor, None, int]:  # fmt: skip
        assert (masks, order) in ((["m"], ["o"]), (["bm"], ["bo"])) and splits == ["all"] and not is_train
        self.calls.append(IMPLICIT)
        return self._sum(x, filters, pairs, count) + self.wrong, None, 0

    def _sum(self, x: Tensor, filters: Tensor, table: Tensor, count: int) -> Tensor:
        assert table.shape == (9, count)
        rows = torch.cat([x, x.new_zeros(1, x.shape[1])])[table]  # -1 is the last, zero row
        return torch.einsum("tni,toi->no", rows, filters.flatten(1, 2).transpose(0, 1))


@pytest.mark.parametrize("name", [name for name in MASKS if MASKS[name].any()])
@pytest.mark.parametrize("algorithm", [NATIVE, IMPLICIT])
def test_the_engine_is_right_with_both_algorithms(name: str, algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ops = StandIn()
    monkeypatch.setattr(spconv_engine, "_spconv_ops", lambda: ops)
    w, dense = weights(), DenseEngine(MASKS[name])
    active = ActiveSet.from_mask(MASKS[name])
    engine = SpconvEngine(active, torch.float32, "cpu", single_thread_oracle=True, algorithm=algorithm)
    for want, got in zip(unet(dense, w), unet(engine, w), strict=True):
        torch.testing.assert_close(engine.values(got), dense.values(want), rtol=0, atol=1e-4)
    assert set(ops.calls) == {algorithm}


@pytest.mark.parametrize(
    ("wrong", "slower", "chosen"), [(0.0, 0.9, IMPLICIT), (0.0, 1.1, NATIVE), (0.5, 0.9, NATIVE), (None, 0.9, NATIVE)]
)
def test_a_trial_takes_the_implicit_one_where_it_is_right_and_no_slower(
    wrong: float | None, slower: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wrong: what is off in its results; None: it cannot run. slower: its seconds by those of the other."""
    trials = list[tuple[str, int]]()

    def trial(ops: Any, algorithm: str, size: int, device: torch.device, dtype: torch.dtype) -> Any:
        trials.append((algorithm, size))
        if algorithm == IMPLICIT and wrong is None:
            raise RuntimeError("no kernel image is available for execution on the device")
        results, _ = real(ops, algorithm, 256, CPU, dtype)
        return results, slower if algorithm == IMPLICIT else 1.0

    real = spconv_rulebook._trial
    monkeypatch.setattr(spconv_rulebook, "_trial", trial)
    ops = StandIn(wrong or 0.0)
    assert choose_algorithm(ops, 600_000, CUDA, torch.float16 if wrong is None else torch.float32) == chosen
    assert trials == [(NATIVE, 1 << 20), (IMPLICIT, 1 << 20)]
    choose_algorithm(ops, 700_000, CUDA, torch.float16 if wrong is None else torch.float32)
    assert len(trials) == 2, "once for sizes alike"
    choose_algorithm(ops, 200_000, CUDA, torch.float16 if wrong is None else torch.float32)
    assert trials[2:] == [(NATIVE, 1 << 18), (IMPLICIT, 1 << 18)]
    assert choose_algorithm(ops, 600_000, CPU, torch.float32) == NATIVE
