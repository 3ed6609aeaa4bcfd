"""Scores of pairs of files, their mean, and both as CSV or a dictionary."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uhrmat.errors import InputError
from uhrmat.evaluation.pairs import Pair, Pairing
from uhrmat.media import atomic, read_picture, read_trimap
from uhrmat.metrics import ClipScores, Scores, get_protocol, mean_scores, score
from uhrmat.metrics.arrays import Array, same_size

_GREY_SLACK = 12 / 255  # what JPEG makes of a grey picture


@dataclass(frozen=True)
class Evaluation:
    """Scores by name in order, their mean, and the files that found no partner."""

    scores: dict[str, Scores]
    mean: Scores
    unmatched: tuple[Path, ...]

    def as_dict(self) -> dict[str, object]:
        """Protocol, region, scale and header once, then values by picture."""
        head = self.mean.as_dict()
        return {
            **{key: head[key] for key in ("protocol", "region", "scale")},
            "pictures": [{"name": name, "pixels": s.pixels, **s.values} for name, s in self.scores.items()],
            "mean": self.mean.values,
            "unmatched": [str(path) for path in self.unmatched],
        }


def evaluate(
    pairing: Pairing,
    *,
    region: str | None = None,
    protocol: str | None = None,
    clip: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> Evaluation:
    """Scores of all pairs.

    region: "whole" or "unknown"; None = unknown where there are trimaps, else whole. protocol: see `metrics.PROTOCOLS`;
    None = rvm for a clip, else alphamatting. clip: pairs are frames in order, dtSSD is measured too. Raises InputError,
    naming the pair, for sizes that differ, coloured files, or region "unknown" without a trimap.
    """
    if region not in (None, "whole", "unknown"):
        raise InputError(f"There is no region '{region}'.", "Choose whole or unknown.")
    trimaps = all(pair.trimap for pair in pairing.pairs)
    if region == "unknown" and not trimaps:
        raise InputError("The unknown region needs a trimap.", "Add --trimap, or measure --region whole.")
    used = get_protocol(protocol or ("rvm" if clip else "alphamatting")).name
    inside = trimaps and region != "whole"
    measure = ClipScores(protocol=used).push if clip else lambda p, g, r: score(p, g, r, protocol=used)
    scores = {}
    for pair in pairing.pairs:
        progress(pair.name)
        try:
            scores[pair.name] = measure(*_read(pair, inside))
        except InputError as error:
            raise InputError(f"{pair.name}: {error.message}", error.hint) from error
    return Evaluation(scores, mean_scores(list(scores.values())), pairing.unmatched)


def read_alpha(path: Path) -> Array:
    """The alpha in a file, (H, W) in its stored dtype: its alpha channel where that varies, else its grey values.

    Unlike a mask, a matte is taken at its word: values are never rescaled by their maximum. InputError for colour.
    """
    picture = read_picture(path)
    if picture.alpha is not None and picture.alpha.min() != picture.alpha.max():
        return picture.alpha
    pixels = picture.pixels
    top = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    for y in range(0, len(pixels), 512):
        strip = pixels[y : y + 512].astype(np.float32)
        if np.ptp(strip, axis=2).max() > _GREY_SLACK * top:
            raise InputError(f"'{path}' is coloured, not an alpha.", "Give a grey file or one with an alpha channel.")
    return np.ascontiguousarray(pixels[..., 1])


def write_csv(path: Path, evaluation: Evaluation) -> None:
    """One row per picture and one named `mean`; protocol and region in every row, scales in the header."""
    header = evaluation.mean.header
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "protocol", "region", "pixels", *header.values()])
        for name, s in [*evaluation.scores.items(), ("mean", evaluation.mean)]:
            writer.writerow([name, s.protocol, s.region, s.pixels, *(s.values.get(key, "") for key in header)])


def _read(pair: Pair, inside: bool) -> tuple[Array, Array, Array | None]:
    pred, truth = read_alpha(pair.pred), read_alpha(pair.truth)
    same_size(pred, truth)
    height, width = truth.shape
    region = read_trimap(pair.trimap, (height, width)) if inside and pair.trimap else None
    return pred, truth, region
