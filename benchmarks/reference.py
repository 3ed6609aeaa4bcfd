"""PyMatting as a command: `python -m benchmarks.reference METHOD PICTURE TRIMAP OUT`, at full resolution.

It writes OUT/alpha.png and OUT/foreground.png (straight RGBA), as `uhrmat image` does. METHOD is cf, knn or lbdm; the
solver's settings are PyMatting's own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pymatting

METHODS = {
    "cf": pymatting.estimate_alpha_cf,
    "knn": pymatting.estimate_alpha_knn,
    "lbdm": pymatting.estimate_alpha_lbdm,
}


def main(method: str, picture: str, trimap: str, out: str) -> None:
    stored, hint = cv2.imread(picture), cv2.imread(trimap, cv2.IMREAD_GRAYSCALE)
    assert stored is not None and hint is not None, "picture or trimap cannot be read"
    pixels = stored[..., ::-1] / 255.0
    alpha = METHODS[method](pixels, hint / 255.0)
    foreground = pymatting.estimate_foreground_ml(pixels, alpha)
    colours = np.dstack([foreground[..., ::-1], alpha])
    cv2.imwrite(str(Path(out, "alpha.png")), _bytes(alpha))
    cv2.imwrite(str(Path(out, "foreground.png")), _bytes(colours))


def _bytes(unit: np.ndarray) -> np.ndarray:
    return np.rint(unit.clip(0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    main(*sys.argv[1:])
