"""The table that ends a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from uhrmat.units import format_bytes

if TYPE_CHECKING:
    from uhrmat.photo import Delivered


def delivered_table(items: Iterable[Delivered]) -> Table:
    """Two columns, a section for each photograph: what was matted, how, how long it took and which files there are."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for number, item in enumerate(items):
        if number:
            table.add_row()
        for name, value in rows(item):
            table.add_row(name, escape(value))
    return table


def rows(item: Delivered) -> list[tuple[str, str]]:
    """What the table says about one photograph, line by line."""
    stats = item.stats
    return [
        ("photograph", str(item.photo)),
        ("size", f"{stats.width} × {stats.height}"),
        ("active pixels", f"{stats.active_pixels:,} ({stats.active_share:.1%})"),
        ("prior", f"{stats.prior} at {stats.working_size[1]} × {stats.working_size[0]}"),
        ("refiner", stats.refiner),
        ("engine", f"{stats.engine}, {stats.precision}"),
        ("device", stats.device),
        ("seconds", stages(item.seconds)),
        ("peak memory", format_bytes(stats.peak_memory)),
        *(("note", note) for note in stats.notes),
        *((name if index else f"files: {name}", str(path)) for index, (name, path) in enumerate(item.files.items())),
    ]


def stages(seconds: dict[str, float]) -> str:
    """`4.2: read 0.1, prior 3.1, …`; a stage named total is taken for the sum of the others and not counted twice."""
    parts = {name: value for name, value in seconds.items() if name != "total"}
    return f"{sum(parts.values()):.2f}: " + ", ".join(f"{name} {value:.2f}" for name, value in parts.items())
