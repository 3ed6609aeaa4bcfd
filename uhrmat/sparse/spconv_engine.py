"""The spconv engine, for CUDA: spconv 2.3's low-level calls (`spconv_rulebook`) with one rulebook per geometry.

spconv, https://github.com/traveller59/spconv, returns the sites of a strided layer in an order that may differ from
call to call. Here the rulebook of every geometry (a level's 3x3 neighbourhood, a step from one level to the next) is
made once and used by all layers, in both directions: features of one level always agree in order and can be added and
concatenated row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.errors import InputError
from uhrmat.sparse.active import ActiveSet
from uhrmat.sparse.engine import Act, Engine, Feat, SampleFn, activate, write_features
from uhrmat.sparse.resident import ResidentActive
from uhrmat.sparse.spconv_rulebook import RULEBOOKS, Rulebook, choose_algorithm

SPCONV_TYPES = (torch.float32, torch.float16)
"""Types of arithmetic that spconv supports here."""


class SpconvEngine(Engine):
    """Sparse convolutions by spconv on one picture, inference only.

    Features are (N, C), N the active sites of their level.

    Args:
        active: The active set.
        dtype: Of features and arithmetic, one of `SPCONV_TYPES`.
        device: Like "cuda:0".
        algorithm: A name in `spconv_rulebook.RULEBOOKS`; None chooses by trial, see `choose_algorithm`.
        single_thread_oracle: Lets it run on the CPU, for tests in a process with OMP_NUM_THREADS=1.

    Raises:
        InputError: The device is not CUDA, the type is not supported, or spconv is not installed.
    """

    name = "spconv"

    def __init__(
        self,
        active: ActiveSet | ResidentActive,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cuda",
        single_thread_oracle: bool = False,
        algorithm: str | None = None,
    ) -> None:
        self.active, self.dtype, self.device = active, dtype, torch.device(device)
        if self.device.type != "cuda" and not single_thread_oracle:
            message = (
                "The spconv engine runs on CUDA only: on the CPU it is racy above one thread and gives wrong numbers."
            )
            raise InputError(message, "Use the engine tiles.")
        if dtype not in SPCONV_TYPES:
            raise InputError(
                f"The spconv engine cannot compute in {dtype}.", "Use float32, float16 or the engine tiles."
            )
        self._ops = _spconv_ops()
        ys, xs = active.mask().nonzero(as_tuple=True)
        indices = torch.stack([torch.zeros_like(ys), ys, xs], 1).int().contiguous().to(self.device)
        self._indices: list[Tensor] = [indices]
        self._books: dict[tuple[str, int], Rulebook | None] = {}
        self.algorithm = algorithm or choose_algorithm(self._ops, len(indices), self.device, dtype)

    @torch.no_grad()
    def sample(self, fn: SampleFn) -> Feat:
        _, ys, xs = self._indices[0].long().unbind(1)
        return Feat(fn(ys, xs).to(self.dtype), 0)

    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        if weight.shape[-1] == 1:
            out = x.data @ weight[:, :, 0, 0].T.to(x.data)
            return self._finish(out, x.level, bias, act)
        book = self._rulebook("subm", x.level)
        return self._convolve(x, x.level, weight.permute(0, 2, 3, 1), bias, act, book)

    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        book = self._rulebook("strided", x.level)
        return self._convolve(x, x.level + 1, weight.permute(0, 2, 3, 1), bias, act, book)

    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        book = self._rulebook("strided", x.level - 1)
        return self._convolve(x, x.level - 1, weight.permute(1, 2, 3, 0), bias, act, book, inverse=True)

    def cat(self, *xs: Feat) -> Feat:
        return Feat(torch.cat([x.data for x in xs], 1), xs[0].level)

    def add(self, x: Feat, y: Feat, act: Act = None) -> Feat:
        return Feat(activate(x.data + y.data, act), x.level)

    def scale(self, x: Feat, gate: Tensor) -> Feat:
        return Feat(x.data * gate.reshape(1, -1).to(x.data), x.level)

    def mean(self, x: Feat) -> Tensor:
        return x.data.sum(0, dtype=torch.float32)[None] / max(len(x.data), 1)

    def scatter(self, x: Feat, out: Tensor | np.ndarray, add: bool = False) -> None:
        target = torch.as_tensor(out)
        _, ys, xs = self._indices[0].long().to(target.device).unbind(1)
        write_features(target, (ys, xs), x.data.to(target), add)

    def values(self, x: Feat) -> Tensor:
        _, ys, xs = self._indices[x.level].long().unbind(1)
        return x.data[torch.argsort(ys * self.active.levels[x.level].width + xs)].float()

    @torch.no_grad()
    def _convolve(
        self,
        x: Feat,
        to: int,
        weight: Tensor,
        bias: Tensor | None,
        act: Act,
        book: Rulebook | None,
        inverse: bool = False,
    ) -> Feat:
        """Convolve to level `to` with a weight (out, 3, 3, in), spconv's layout. spconv refuses an empty set."""
        count = len(self._indices[to])
        if count == 0 or book is None:
            return Feat(x.data.new_zeros((0, len(weight))), to)
        filters = weight.detach().to(x.data).contiguous()
        out = book.convolve(x.data.contiguous(), filters, count, inverse)
        return self._finish(out, to, bias, act)

    def _finish(self, out: Tensor, level: int, bias: Tensor | None, act: Act) -> Feat:
        """Add the bias and apply the activation."""
        if bias is not None:
            out = out + bias.detach().to(out)
        return Feat(activate(out, act), level)

    def _rulebook(self, kind: str, level: int) -> Rulebook | None:
        """Pairs of input and output rows of a geometry; None on an empty set.

        That of a strided layer also fixes the order of the sites of the next coarser level.
        """
        if (kind, level) not in self._books:
            indices, tiles = self._indices[level], self.active.levels[level]
            made, strided = None, kind == "strided"
            if len(indices):
                made = RULEBOOKS[self.algorithm](self._ops, indices, (tiles.height, tiles.width), strided)
            if strided:
                self._indices.append(indices if made is None else made.indices)
            self._books[kind, level] = made
        return self._books[kind, level]


def _spconv_ops() -> Any:
    """spconv's low-level functions; InputError where they cannot be imported."""
    try:
        from spconv.pytorch import ops
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "spconv":
            raise InputError("spconv is not installed.", 'Run: pip install "uhrmat[cuda]"') from error
        raise _import_error(error) from error
    except Exception as error:  # a library of CUDA that is missing, a build for another Python or torch, …
        raise _import_error(error) from error
    return ops


def _import_error(error: Exception) -> InputError:
    reason = (str(error).splitlines() or [""])[0][:160]
    return InputError(
        f"spconv is installed, but cannot be loaded ({type(error).__name__}: {reason}).",
        "See `uhrmat doctor`; the engine tiles needs no spconv.",
    )
