"""Line charts and bars as PNG, drawn with Pillow: no plotting library is needed for this."""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Series = dict[str, list[tuple[float, float]]]
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _FOOT = 900, 460, 90, 30, 60, 50
_ROW, _NAMES = 24, 330
_INK, _PAPER, _GRID = (30, 30, 30), (255, 255, 255), (225, 225, 225)
_COLOURS = ((40, 100, 180), (200, 60, 40), (40, 140, 80), (150, 80, 170), (200, 140, 20), (90, 90, 90))


def lines(path: Path, title: str, across: str, up: str, series: Series) -> None:
    """Several series of positive (x, y) on two logarithmic axes, with a legend."""
    image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    points = [p for line in series.values() for p in line]
    if points:
        x, y = (_Axis([p[i] for p in points], *ends) for i, ends in enumerate(_frame()))
        _grid(draw, x, y)
        for number, (name, line) in enumerate(series.items()):
            colour = _COLOURS[number % len(_COLOURS)]
            places = [(x(a), y(b)) for a, b in line]
            draw.line(places, colour, 2)
            for a, b in places:
                draw.ellipse((a - 3, b - 3, a + 3, b + 3), colour)
            draw.text((_LEFT + 12, _TOP + 8 + 18 * number), name, colour, _font(14))
    draw.text((_LEFT, 12), title, _INK, _font(17))
    draw.text((_LEFT, 38), up, _INK, _font(13))
    draw.text((_WIDTH // 2, _HEIGHT - 22), across, _INK, _font(13))
    _save(image, path)


def bars(path: Path, title: str, unit: str, values: dict[str, float]) -> None:
    """One horizontal bar per name, in the given order, with its figure."""
    image = Image.new("RGB", (_WIDTH, _TOP + _ROW * max(len(values), 1) + 20), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((20, 12), f"{title} [{unit}]", _INK, _font(17))
    room = (_WIDTH - _NAMES - 90) / (max(values.values(), default=0) or 1)
    for row, (name, value) in enumerate(values.items()):
        top = _TOP + row * _ROW
        draw.text((20, top), name, _INK, _font(13))
        draw.rectangle((_NAMES, top, _NAMES + max(1.0, value * room), top + _ROW - 8), _COLOURS[0])
        draw.text((_NAMES + value * room + 6, top), f"{value:.4g}", _INK, _font(13))
    _save(image, path)


class _Axis:
    """From values to pixels, logarithmic, over the decades that hold the values."""

    def __init__(self, values: list[float], start: float, stop: float) -> None:
        self.low, self.high = math.log10(min(values)) - 0.05, math.log10(max(values)) + 0.05
        self.start, self.stop = start, stop

    def __call__(self, value: float) -> float:
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps = (1, 2, 5) if self.high - self.low < 3 else (1,)
        found = [step * 10.0**decade for decade in decades for step in steps]
        return [value for value in found if self.low <= math.log10(value) <= self.high]


def _frame() -> tuple[tuple[float, float], tuple[float, float]]:
    return (_LEFT, _WIDTH - _RIGHT), (_HEIGHT - _FOOT, _TOP)


def _grid(draw: ImageDraw.ImageDraw, x: _Axis, y: _Axis) -> None:
    for value in x.ticks():
        draw.line((x(value), y.start, x(value), y.stop), _GRID)
        draw.text((x(value) - 10, y.start + 6), f"{value:g}", _INK, _font(12))
    for value in y.ticks():
        draw.line((x.start, y(value), x.stop, y(value)), _GRID)
        draw.text((12, y(value) - 7), f"{value:g}", _INK, _font(12))


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
