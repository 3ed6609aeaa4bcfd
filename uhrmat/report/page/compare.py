"""Comparison of two mattes of one photograph: an exhibit, their difference, and their errors against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_alpha, read_trimap
from uhrmat.media import Picture, read_picture
from uhrmat.metrics import as_unit, get_protocol, score
from uhrmat.report.page.exhibit import Array, Exhibit, Side, Table, unpremultiply

STEP = 1 / 255
"""Difference of alpha from which on two pixels count as different, in 8 bits one step."""


@dataclass(frozen=True)
class Comparison:
    """A comparison.

    Attributes:
        exhibit: For the page.
        figures: Figures of "a", of "b", and of their "difference", by name.
    """

    exhibit: Exhibit
    figures: dict[str, dict[str, Any]]


def compare(
    a: Path, b: Path, truth: Path | None = None, *, photo: Path | None = None, trimap: Path | None = None
) -> Comparison:
    """Compare two mattes (grey) or cut-outs (colour with alpha) of one photograph.

    Args:
        a: File of the first matte.
        b: File of the second matte.
        truth: File of the ground truth, or None.
        photo: File of the photograph, shown behind the mattes, or None.
        trimap: File of the trimap in whose unknown region errors are measured; None measures the whole picture.

    Raises:
        InputError: A file cannot be read as what it is given for, or sizes differ.
    """
    names = _names(a, b)
    sides = (_side(names[0], a), _side(names[1], b))
    size = sides[0].alpha.shape
    _same(b, sides[1].alpha.shape, a, size)
    true = None if truth is None else as_unit(read_alpha(truth)).clip(0, 1)
    picture = None if photo is None else read_picture(photo)
    if truth is not None and true is not None:
        _same(truth, true.shape, a, size)
    if photo is not None and picture is not None:
        _same(photo, (picture.height, picture.width), a, size)
    region = None if trimap is None else read_trimap(trimap, (size[0], size[1]))
    figures = _figures(sides, true, region)
    exhibit = Exhibit(
        title=f"{names[0]} and {names[1]}",
        sides=sides,
        photo=None if picture is None else picture.pixels,
        info=None if picture is None else picture.info,
        truth=true,
        table=_table(names, size, figures),
    )
    return Comparison(exhibit, figures)


def _names(a: Path, b: Path) -> tuple[str, str]:
    """Names of the two files, preceded by as many folders as make them different."""
    for count in range(1, 1 + max(len(a.parts), len(b.parts))):
        names = "/".join(a.parts[-count:]), "/".join(b.parts[-count:])
        if names[0] != names[1]:
            return names
    return a.name, b.name


def _same(path: Path, shape: tuple[int, ...], other: Path, size: tuple[int, ...]) -> None:
    if shape[:2] != size[:2]:
        raise InputError(
            f"'{path}' is {shape[1]}x{shape[0]}, but '{other}' is {size[1]}x{size[0]}.",
            "Only files of one photograph at one size can be compared.",
        )


def _side(name: str, path: Path) -> Side:
    picture = read_picture(path)
    if picture.alpha is None or picture.alpha.min() == picture.alpha.max() or _is_grey(picture):
        return Side(name, as_unit(read_alpha(path)).clip(0, 1))
    alpha = as_unit(picture.alpha).clip(0, 1)
    colour = unpremultiply(picture.pixels, alpha) if picture.info.premultiplied else picture.pixels
    return Side(name, alpha, colour, info=picture.info)


def _is_grey(picture: Picture) -> bool:
    """Whether the colours are grey: a matte with an alpha channel of its own."""
    part = picture.pixels[:: max(1, picture.height // 512), :: max(1, picture.width // 512)]
    return bool((part == part[..., :1]).all())


def _figures(sides: tuple[Side, ...], truth: Array | None, region: Array | None) -> dict[str, dict[str, Any]]:
    figures: dict[str, dict[str, Any]] = {}
    for key, side in zip("ab", sides, strict=True):
        alpha = side.alpha
        figures[key] = {
            "name": side.name,
            "mean_alpha": float(alpha.mean(dtype=np.float64)),
            "open_share": float(((alpha > 0) & (alpha < 1)).mean()),
        }
        if truth is not None:
            scores = score(alpha, truth, region)
            if not scores.pixels:
                raise InputError("The trimap leaves nothing unknown, so there is nothing to measure.", "Leave it out.")
            figures[key]["scores"] = scores.as_dict()
    gap = np.abs(sides[0].alpha - sides[1].alpha)
    figures["difference"] = {
        "mean": float(gap.mean(dtype=np.float64)),
        "largest": float(gap.max()),
        "share": float((gap >= STEP - 1e-6).mean()),
    }
    return figures


def _table(names: tuple[str, str], size: tuple[int, ...], figures: dict[str, dict[str, Any]]) -> Table:
    """Rows for the page and the terminal: name, A, B."""
    a, b, gap = figures["a"], figures["b"], figures["difference"]
    rows = [
        ["", *names],
        ["size", *[f"{size[1]} × {size[0]}"] * 2],
        ["mean alpha", f"{a['mean_alpha']:.4f}", f"{b['mean_alpha']:.4f}"],
        ["neither 0 nor 1", f"{a['open_share']:.2%}", f"{b['open_share']:.2%}"],
        ["differ by 1/255 or more", f"{gap['share']:.2%} of the pixels", ""],
        ["mean difference", f"{gap['mean']:.5f}", ""],
        ["largest difference", f"{gap['largest']:.3f}", ""],
    ]
    if "scores" in a:
        first, second = a["scores"], b["scores"]
        protocol = get_protocol(first["protocol"])
        rows += [[protocol.title(key), f"{first[key]:.4f}", f"{second[key]:.4f}"] for key in first["scale"]]
        rows.append(["protocol", f"{first['protocol']}, {first['region']} region", ""])
    return rows
