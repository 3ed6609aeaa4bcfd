"""Active pixels of the frames that a page shows, stored as text with the figures of their segment.

A mask is a PNG of one bit per pixel in base64, some kilobytes for a frame of 4K. Only a few frames are kept, so that
memory does not grow with the clip; a resumed run reads those of the run before.
"""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt


def pack_mask(mask: npt.NDArray[np.bool_]) -> str:
    """A mask (H, W) bool as text."""
    import cv2

    image = mask.view(np.uint8) * np.uint8(255)
    encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_BILEVEL, 1])[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def unpack_mask(text: str) -> npt.NDArray[np.bool_]:
    """The mask (H, W) bool of a text that `pack_mask` made."""
    import cv2

    encoded = np.frombuffer(base64.b64decode(text), np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return np.asarray(image) > 0
