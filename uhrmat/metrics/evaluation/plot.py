"""Bars of each score for each picture, as one PNG."""

from __future__ import annotations

from pathlib import Path

from uhrmat.metrics.evaluation.run import Evaluation
from uhrmat.metrics.plots import Panel, plot_panels


def write_plot(path: Path, evaluation: Evaluation, overwrite: bool = True) -> None:
    """Draws a panel for each score: a bar for each picture or frame in the table's order, the mean as a line.

    Args:
        path: The PNG file.
        evaluation: What is drawn; the title states protocol and region.
        overwrite: Whether a file that exists is replaced.

    Raises:
        UhrmatError: matplotlib is not installed, or the file cannot be written.
    """
    mean, names = evaluation.mean, list(evaluation.scores)
    panels = [
        Panel(
            title=f"{title}: mean {mean.values[key]:.4g}",
            values=[scores.values.get(key, 0.0) for scores in evaluation.scores.values()],
            names=names,
            bars=True,
            level=mean.values[key],
        )
        for key, title in mean.header.items()
    ]
    plot_panels(path, panels, f"{mean.protocol}, {mean.region} region, {len(names)} items", overwrite=overwrite)
