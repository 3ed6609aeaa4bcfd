"""Bars of each figure for each picture, as one PNG, drawn with Pillow: no plotting library is needed for this."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from uhrmat.media import atomic
from uhrmat.metrics.evaluation.run import Evaluation

_PANEL, _LEFT, _HEAD, _FOOT, _WIDTH = 150, 70, 26, 10, 1000
_BAR, _MEAN, _INK, _PAPER = (70, 120, 180), (200, 60, 40), (30, 30, 30), (255, 255, 255)
_NAMES = 40  # up to so many pictures are named below the last panel


def write_plot(path: Path, evaluation: Evaluation, overwrite: bool = True) -> None:
    """A panel per figure: a bar per picture or frame in the table's order, the mean as a line; the protocol on top."""
    mean = evaluation.mean
    names = list(evaluation.scores)
    label = 130 if len(names) <= _NAMES else _FOOT
    image = Image.new("RGB", (_WIDTH, _HEAD + _PANEL * len(mean.header) + label), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    draw.text((_LEFT, 6), f"{mean.protocol}, {mean.region} region, {len(names)} items", _INK, font)
    for row, (key, title) in enumerate(mean.header.items()):
        values = [s.values.get(key, 0.0) for s in evaluation.scores.values()]
        _panel(draw, font, _HEAD + row * _PANEL, title, values, mean.values[key])
    if len(names) <= _NAMES:
        _labels(image, font, names)
    with atomic(path, overwrite=overwrite) as temporary:
        image.save(temporary, "PNG")


def _slot(count: int) -> float:
    return (_WIDTH - _LEFT - _FOOT) / count


def _panel(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, top: int, title: str,
    values: list[float], mean: float,
) -> None:  # fmt: skip
    base, height = top + _PANEL - _FOOT, _PANEL - _FOOT - 22
    scale = height / (max(values) or 1.0)
    slot = _slot(len(values))
    for index, value in enumerate(values):
        x = _LEFT + index * slot
        draw.rectangle((x, base - value * scale, x + max(slot * 0.8, 1), base), _BAR)
    line = base - mean * scale
    draw.line((_LEFT, line, _WIDTH - _FOOT, line), _MEAN)
    draw.line((_LEFT, base, _WIDTH - _FOOT, base), _INK)
    plain = title.replace("×", "x")  # Pillow's own font has no such sign
    draw.text((_LEFT, top + 2), f"{plain}: mean {mean:.4g}", _MEAN, font)
    draw.text((4, base - height - 6), f"{max(values):.4g}", _INK, font)
    draw.text((4, base - 12), "0", _INK, font)


def _labels(image: Image.Image, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, names: list[str]) -> None:
    for index, name in enumerate(names):
        text = Image.new("RGB", (126, 16), _PAPER)
        ImageDraw.Draw(text).text((0, 0), name[:20], _INK, font)
        x = round(_LEFT + (index + 0.4) * _slot(len(names))) - 8
        image.paste(text.rotate(-90, expand=True), (x, image.height - 128))
