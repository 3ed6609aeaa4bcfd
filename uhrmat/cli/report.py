"""What the table that ends a run says about a photograph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from uhrmat.core.units import format_bytes

if TYPE_CHECKING:
    from uhrmat.image.photo import Delivered


def report(item: Delivered) -> list[tuple[str, str]]:
    """Names and values: what was matted, how, how long it took, and which files there are."""
    return rows(str(item.photo), item.stats.as_dict(), item.files)


def rows(photo: str, stats: Mapping[str, Any], files: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same from `Stats.as_dict` and paths by output."""
    return [
        ("photograph", photo),
        ("size", f"{stats['width']} × {stats['height']}"),
        ("active pixels", f"{stats['active_pixels']:,} ({stats['active_share']:.1%})"),
        ("prior", f"{stats['prior']} at {stats['working_size'][1]} × {stats['working_size'][0]}"),
        ("refiner", stats["refiner"]),
        ("engine", f"{stats['engine']}, {stats['precision']}"),
        ("device", stats["device"]),
        ("seconds", stages(stats["seconds"])),
        ("peak memory", format_bytes(stats["peak_memory"])),
        *(("note", note) for note in stats["notes"]),
        *((name, str(path)) for name, path in files.items()),
    ]


def stages(seconds: dict[str, float]) -> str:
    """`4.20: read 0.10, prior 3.10, …`: the sum and its parts."""
    return f"{sum(seconds.values()):.2f}: " + ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())
