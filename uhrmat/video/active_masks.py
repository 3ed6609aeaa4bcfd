"""Active pixels of the few frames that a page shows, kept as text beside the figures of their segment.

A mask is a picture of one bit a pixel (PNG, base64): some kilobytes for a frame of 4K. Only frames that were asked for
are kept, so that what is held does not grow with the clip, and a run that goes on finds those of the run before.
"""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt


def pack(mask: npt.NDArray[np.bool_]) -> str:
    """(H, W) bool as text."""
    import cv2

    image = mask.view(np.uint8) * np.uint8(255)
    encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_BILEVEL, 1])[1]
    return base64.b64encode(encoded.tobytes()).decode("ascii")


def unpack(text: str) -> npt.NDArray[np.bool_]:
    """What `pack` was given."""
    import cv2

    encoded = np.frombuffer(base64.b64decode(text), np.uint8)
    image = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return np.asarray(image) > 0
