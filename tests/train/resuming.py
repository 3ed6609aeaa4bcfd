"""What every training run must do: end with the weights of an unbroken run when it was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from uhrmat.train.task import TrainingState, TrainingTask, fit


def resumed_like_unbroken(task: TrainingTask, folder: Path) -> TrainingState:
    """Trains without a break and, after an interruption at its first report, with one; both in `folder`. Asserts that
    the averaged weights are the same; returns the resumed run."""
    whole = fit(task, folder / "whole", workers=0, every=2).ema.state_dict()

    def stop(line: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(task, folder / "parts", workers=0, every=2, report=stop)
    resumed = fit(task, folder / "parts", workers=0, every=2)
    assert all(torch.equal(value, resumed.ema.state_dict()[name]) for name, value in whole.items())
    return resumed
