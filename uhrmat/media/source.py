"""A picture file that has been looked at but not decoded, and the words for what is wrong with one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike
from uhrmat.core.regular import need_regular
from uhrmat.media.foreign import HEAD, identify
from uhrmat.media.icc import Chromaticities
from uhrmat.media.picture import ExrFrame

Array = npt.NDArray[Any]
Decoded = tuple[Array, Array | None]
REEXPORT = "Open it in an image editor and save it again, or use another copy."

_MAGIC = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"\x76\x2f\x31\x01", "exr"))
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_RAW_SUFFIXES = frozenset(
    (".dng", ".nef", ".nrw", ".cr2", ".arw", ".srf", ".sr2", ".pef", ".rwl", ".iiq", ".3fr", ".fff")
)


@dataclass(frozen=True, kw_only=True)
class DecodedHeader:
    """Header of a picture file. `width` and `height` are as stored, before `orientation` is applied.

    `decode` gives grey (H, W) or RGB (H, W, 3) and the file's alpha (H, W) or None, not yet turned upright. These are
    the samples as stored, which is how mattes, masks and trimaps are read; only CMYK becomes sRGB on the way.
    `icc` describes RGB, None where there is none or colours were converted to sRGB. `grey_icc` is the profile of a grey
    file: a *picture* is re-encoded by it, data never is. `premultiplied`: colour is stored times alpha.
    `chromaticities`, `png_colour` and `exr` are those of `PictureInfo`. `decode_bytes` is the most that `decode` holds
    at once, its result included; 0 where that is no more than the result. `stored_pixels` are those that have to be
    decoded, where they are more than the picture's. `notes` are lines for the user; `decode` may add some.
    """

    width: int
    height: int
    dtype: str
    bit_depth: int
    has_alpha: bool
    decode: Callable[[], Decoded]
    icc: bytes | None = None
    exif: bytes | None = None
    orientation: int = 1
    linear: bool = False
    lossy: bool = False
    grey_icc: bytes | None = None
    premultiplied: bool = False
    chromaticities: Chromaticities | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = ()
    exr: ExrFrame | None = None
    decode_bytes: int = 0
    stored_pixels: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def peak_bytes(self) -> int:
        """The most bytes that reading takes: `decode`, or RGB and alpha, twice where a quarter turn is to be made."""
        pixel = np.dtype(self.dtype).itemsize * (4 if self.has_alpha else 3)
        upright = self.width * self.height * pixel
        return max(self.decode_bytes, upright * (2 if self.orientation >= 5 else 1))


def damaged_error(path: Path, kind: str) -> InputError:
    """The file is of the kind it claims, but broken or cut off."""
    return InputError(f"'{path}' is a damaged or incomplete {kind} file.", "It may be cut off: copy it again.")


def unsupported_error(path: Path, what: str, cure: str = "Save it as RGB in PNG or TIFF first.") -> InputError:
    """The file is sound, but of a variety that is not read."""
    return InputError(f"'{path}' is {what}, which is not supported.", cure)


def check_file(path: PathLike) -> Path:
    """The path, if it names a readable, non-empty, regular file; `InputError` otherwise."""
    file = Path(path)
    need_regular(file)
    try:
        if file.is_dir():
            raise InputError(f"'{file}' is a folder, not a picture.", "Name a file, or use 'uhrmat batch' for folders.")
        if not file.exists():
            raise InputError(f"'{file}' does not exist.", "Check the spelling and the folder.")
        with open(file, "rb") as opened:
            empty = not opened.read(1)
    except OSError as error:
        reason = error.strerror or str(error)
        cure = "Give a shorter name." if error.errno == errno.ENAMETOOLONG else "Check the file's permissions."
        raise InputError(f"'{file}' cannot be read: {reason}.", cure) from error
    if empty:
        raise InputError(f"'{file}' is empty (0 bytes).", "Copy or download it again.")
    return file


def sniff(path: Path) -> str:
    """png, jpeg, webp, tiff or exr by the file's first bytes, whatever its name says; `InputError` otherwise."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in _TIFF_MAGIC and path.suffix.lower() not in _RAW_SUFFIXES:
        return "tiff"
    foreign = identify(head)
    if foreign is not None:
        raise InputError(f"'{path}' is {foreign.name}, which is not read as a picture.", foreign.cure)
    if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".exr"):
        raise InputError(f"'{path}' is named like a picture, but its contents are something else.", REEXPORT)
    kind = f"a '{path.suffix}' file" if path.suffix else "a file of unknown kind"
    raise InputError(
        f"'{path}' is {kind}, and only PNG, JPEG, TIFF, WebP and EXR are read.", "Save it as PNG or TIFF first."
    )


def load_bytes(path: Path) -> npt.NDArray[np.uint8]:
    """The whole file as bytes, the form in which every decoder takes names with any characters."""
    return np.fromfile(path, np.uint8, count=os.path.getsize(path))
