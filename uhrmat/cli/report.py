"""What the table that ends a run says about a photograph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uhrmat.units import format_bytes

if TYPE_CHECKING:
    from uhrmat.photo import Delivered


def report(item: Delivered) -> list[tuple[str, str]]:
    """Names and values: what was matted, how, how long it took, and which files there are."""
    stats = item.stats
    return [
        ("photograph", str(item.photo)),
        ("size", f"{stats.width} × {stats.height}"),
        ("active pixels", f"{stats.active_pixels:,} ({stats.active_share:.1%})"),
        ("prior", f"{stats.prior} at {stats.working_size[1]} × {stats.working_size[0]}"),
        ("refiner", stats.refiner),
        ("engine", f"{stats.engine}, {stats.precision}"),
        ("device", stats.device),
        ("seconds", stages(stats.seconds)),
        ("peak memory", format_bytes(stats.peak_memory)),
        *(("note", note) for note in stats.notes),
        *((name, str(path)) for name, path in item.files.items()),
    ]


def stages(seconds: dict[str, float]) -> str:
    """`4.20: read 0.10, prior 3.10, …`: the sum and its parts."""
    return f"{sum(seconds.values()):.2f}: " + ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())
