"""Plots as PNG files, drawn by matplotlib, an optional extra (`pip install 'uhrmat[plots]'`).

The one plotter of the package: scores (`uhrmat evaluate --plot`), clip reports, loss curves and benchmarks use it.
matplotlib is imported when a plot is drawn; `check_plots` checks beforehand whether that is possible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from uhrmat.core.errors import UhrmatError
from uhrmat.media import atomic_write

_DPI = 100
_BLUE, _RED, _AMBER = "#4678b4", "#c83c28", "#e0a020"
_NAMES = 40
"""Bars up to which each has its name below the last panel."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel of a plot.

    Attributes:
        title: Shown above the panel.
        values: Values in order.
        positions: Where each value lies on the horizontal axis; None numbers them from 0.
        names: Names of the values on the horizontal axis, instead of positions.
        bars: Whether values are bars from 0, else a line.
        level: A horizontal line, like the mean of the values, or None.
        marks: Positions of vertical lines, like cuts of a clip.
        shaded: Positions at which the background is shaded, like doubtful frames of a clip.
    """

    title: str
    values: Sequence[float]
    positions: Sequence[float] | None = None
    names: Sequence[str] | None = None
    bars: bool = False
    level: float | None = None
    marks: Sequence[float] = ()
    shaded: Sequence[float] = ()


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def check_plots() -> None:
    """Checks that plots can be drawn, before any work.

    Raises:
        UhrmatError: matplotlib is not installed.
    """
    if not can_plot():
        raise UhrmatError("Plots need matplotlib, which is not installed.", "Run: pip install 'uhrmat[plots]'")


def plot_panels(
    path: Path, panels: Sequence[Panel], title: str = "", x_label: str = "", overwrite: bool = True
) -> None:
    """Draws panels below each other.

    Args:
        path: The PNG file.
        panels: From top to bottom.
        title: Above all panels.
        x_label: Label of the horizontal axis of the last panel.
        overwrite: Whether a file that exists is replaced.

    Raises:
        UhrmatError: matplotlib is not installed, or the file cannot be written.
    """
    figure = _figure(10, 0.6 + 1.6 * max(1, len(panels)))
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(len(panels), 1, number)
        where = range(len(panel.values)) if panel.positions is None else panel.positions
        if panel.bars:
            axes.bar(where, panel.values, color=_BLUE)
        else:
            axes.plot(where, panel.values, color=_BLUE)
        if panel.level is not None:
            axes.axhline(panel.level, color=_RED, linewidth=1)
        for position in panel.shaded:
            axes.axvspan(position - 0.5, position + 0.5, color=_AMBER, alpha=0.4, linewidth=0)
        for mark in panel.marks:
            axes.axvline(mark, color=_RED, linewidth=1)
        axes.set_title(panel.title, fontsize=10, loc="left")
        axes.margins(x=0.01)
        if panel.names is not None:
            named = number == len(panels) and len(panel.names) <= _NAMES
            axes.set_xticks(list(where) if named else [], list(panel.names) if named else [], rotation=90, fontsize=8)
    if panels:
        axes.set_xlabel(x_label)
    figure.suptitle(title, fontsize=11)
    _save(figure, path, overwrite)


def plot_lines(
    path: Path, title: str, x_label: str, y_label: str, series: Mapping[str, Sequence[tuple[float, float]]]
) -> None:
    """Draws series of positive (x, y) on two logarithmic axes, with a legend.

    Args:
        path: The PNG file; one that exists is replaced.
        title: Above the axes.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        series: Points by name.

    Raises:
        UhrmatError: matplotlib is not installed, or the file cannot be written.
    """
    figure = _figure(9, 4.6)
    axes = figure.add_subplot()
    for name, points in series.items():
        axes.loglog([x for x, _ in points], [y for _, y in points], marker="o", markersize=4, label=name)
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.grid(True, which="both", alpha=0.3)
    if series:
        axes.legend()
    _save(figure, path)


def plot_bars(path: Path, title: str, unit: str, values: Mapping[str, float]) -> None:
    """Draws one horizontal bar per name with its value, the first one on top.

    Args:
        path: The PNG file; one that exists is replaced.
        title: Above the bars.
        unit: Of the values.
        values: By name, in order.

    Raises:
        UhrmatError: matplotlib is not installed, or the file cannot be written.
    """
    figure = _figure(9, 1 + 0.26 * max(1, len(values)))
    axes = figure.add_subplot()
    bars = axes.barh(range(len(values)), list(values.values()), color=_BLUE)
    axes.bar_label(bars, labels=[f"{value:.4g}" for value in values.values()], padding=3)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set(title=title, xlabel=unit)
    _save(figure, path)


def _figure(width: float, height: float) -> Any:
    """A matplotlib figure of so many inches; without pyplot, so that no display or global state is involved."""
    check_plots()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _save(figure: Any, path: Path, overwrite: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, format="png")
