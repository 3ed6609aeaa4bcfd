"""The rows about a photograph in the table that ends a run, and below it on a page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.core.units import format_bytes

if TYPE_CHECKING:  # its module loads torch, and `uhrmat batch` prints tables without torch
    from uhrmat.image.photo import ImageReport

Rows = list[tuple[str, str]]


def report_rows(report: ImageReport) -> Rows:
    """Return names and values: what was matted, how, how long it took, and which files there are."""
    return stats_rows(str(report.photo), report.stats.as_dict(), report.files)


def paint_command(photo: Path, files: Mapping[str, Path]) -> str:
    """Return the command line that goes on with a result on the page of `uhrmat paint`."""
    start = ["--alpha", str(files["alpha"])] if "alpha" in files else []
    return shlex.join(["uhrmat", "paint", str(photo), *start])


def stats_rows(photo: str, stats: Mapping[str, Any], files: Mapping[str, Any]) -> Rows:
    """Return the same rows from `MattingStats.as_dict` and paths by output name."""
    return [
        ("photograph", photo),
        ("size", f"{stats['width']} × {stats['height']}"),
        ("active pixels", f"{stats['active_pixels']:,} ({stats['active_share']:.1%})"),
        ("prior", f"{stats['prior']} at {stats['working_size'][1]} × {stats['working_size'][0]}"),
        ("refiner", stats["refiner"]),
        ("engine", f"{stats['engine']}, {stats['precision']}"),
        ("device", stats["device"]),
        ("seconds", format_stages(stats["seconds"])),
        ("peak memory", format_bytes(stats["peak_memory"])),
        *(("note", note) for note in stats["notes"]),
        *((name, str(path)) for name, path in files.items()),
    ]


def format_stages(seconds: Mapping[str, float]) -> str:
    """Format seconds by stage as `4.20: read 0.10, prior 3.10, …`: the sum and its parts."""
    return f"{sum(seconds.values()):.2f}: " + ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())
