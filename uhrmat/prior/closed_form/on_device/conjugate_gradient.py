"""Preconditioned conjugate gradients on a device, as `closed_form.conjugate_gradient` on the CPU.

All scalars stay on the device; the host waits for it once in several steps, to see whether to stop.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
_STEPS_PER_CHECK = 8
"""Steps between two looks at the residual, each of which waits for the device."""


def conjugate_gradient(
    product: Product, right: Tensor, start: Tensor, precondition: Product, *, tolerance: float, max_steps: int
) -> tuple[Tensor, bool]:
    """Solve A x = b for a symmetric positive definite A.

    Args:
        product: multiplies (n,) by A.
        right: (n,) float64, b.
        start: (n,) float64, where the search begins.
        precondition: multiplies (n,) by something like the inverse of A, symmetric and positive definite.
        tolerance: length of the residual, as a share of that of `right`, at which x is exact enough.
        max_steps: before giving up.

    Returns:
        x (n,) float64, and whether it is exact enough. If it is not, x is the last one seen to be finite.
    """
    x = start.clone()
    residual = right - product(x)
    enough = tolerance**2 * torch.dot(right, right)
    if bool(torch.dot(residual, residual) <= enough):
        return x, True
    direction = step = precondition(residual)
    size, finite = torch.dot(residual, step), x
    for number in range(1, max_steps + 1):
        image = product(direction)
        length = size / torch.dot(direction, image)
        x = torch.addcmul(x, length, direction)
        residual = torch.addcmul(residual, length, image, value=-1)
        if number % _STEPS_PER_CHECK == 0 or number == max_steps:
            square = torch.dot(residual, residual)
            if bool(square <= enough):
                return x, True
            if not bool(torch.isfinite(square)):
                break
            finite = x
        step = precondition(residual)
        last, size = size, torch.dot(residual, step)
        direction = torch.addcmul(step, size / last, direction)
    return finite, False
