"""Plots are PNG files drawn by matplotlib; without it there is one clear sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uhrmat.core.errors import UhrmatError
from uhrmat.metrics import plots
from uhrmat.metrics.plots import Panel, check_plots, plot_bars, plot_lines, plot_panels


def test_panels_lines_and_bars_are_pictures(tmp_path: Path) -> None:
    panels = [
        Panel(title="bars", values=[1.0, 2.0], names=["a", "b"], bars=True, level=1.5),
        Panel(title="line", values=[1.0, 3.0, 2.0], positions=[10, 20, 30], marks=[20]),
    ]
    plot_panels(tmp_path / "panels.png", panels, "title", "frame")
    plot_lines(tmp_path / "lines.png", "title", "x", "y", {"one": [(1, 2), (10, 5)], "two": [(2, 2)]})
    plot_bars(tmp_path / "new" / "bars.png", "title", "ms", {"one": 1.0, "two": 0.0})
    for path in (tmp_path / "panels.png", tmp_path / "lines.png", tmp_path / "new" / "bars.png"):
        with Image.open(path) as image:
            assert image.format == "PNG" and np.asarray(image.convert("L")).min() < 128


def test_without_values_there_is_still_a_file(tmp_path: Path) -> None:
    plot_panels(tmp_path / "panels.png", [])
    plot_lines(tmp_path / "lines.png", "title", "x", "y", {})
    plot_bars(tmp_path / "bars.png", "title", "ms", {})
    assert len(list(tmp_path.iterdir())) == 3


def test_without_matplotlib_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(UhrmatError, match=r"Plots need matplotlib.*pip install 'uhrmat\[plots\]'"):
        check_plots()
    with pytest.raises(UhrmatError, match="Plots need matplotlib"):
        plot_bars(tmp_path / "bars.png", "title", "ms", {"one": 1.0})
    assert not any(tmp_path.iterdir())
