"""The header of a picture file before decoding, its format by its first bytes, and errors for what is wrong with it."""

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
    """The header of a picture file, and the function that decodes it.

    Attributes:
        width: Columns as stored, before `orientation` is applied.
        height: Rows as stored.
        dtype: "uint8", "uint16" or "float32".
        bit_depth: 8, 16 or 32 as stored.
        has_alpha: The file has an alpha channel.
        decode: Gives grey (H, W) or RGB (H, W, 3) and alpha (H, W) or None, not yet turned upright: samples as stored,
            which is how mattes, masks and trimaps are read. Only CMYK is converted to sRGB.
        icc: An RGB profile; None where there is none or colours are converted to sRGB.
        exif: A TIFF blob without JPEG's marker.
        orientation: In EXIF, 1 to 8.
        linear: Values are scene-linear.
        lossy: The compression changes values.
        grey_icc: The profile of a grey file, by which pictures are re-encoded, but no mattes, masks and trimaps.
        premultiplied: Colour is stored multiplied by alpha.
        chromaticities: As in `PictureInfo`.
        png_colour: As in `PictureInfo`.
        exr: As in `PictureInfo`.
        decode_bytes: The most bytes that `decode` uses at once, its result included; 0: no more than the result.
        stored_pixels: The pixels that are decoded, where they are more than the picture's.
        notes: Lines for the user; `decode` may add some.
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
    """The error for a damaged or truncated file of a format `kind`."""
    return InputError(f"'{path}' is a damaged or incomplete {kind} file.", "It may be cut off: copy it again.")


def unsupported_error(path: Path, what: str, cure: str = "Save it as RGB in PNG or TIFF first.") -> InputError:
    """The error for a sound file of a variety that is not read. what: with its article."""
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
        with open(file, "rb") as stream:
            empty = not stream.read(1)
    except OSError as error:
        reason = error.strerror or str(error)
        cure = "Give a shorter name." if error.errno == errno.ENAMETOOLONG else "Check the file's permissions."
        raise InputError(f"'{file}' cannot be read: {reason}.", cure) from error
    if empty:
        raise InputError(f"'{file}' is empty (0 bytes).", "Copy or download it again.")
    return file


def sniff(path: Path) -> str:
    """The format by a file's first bytes: png, jpeg, webp, tiff or exr; `InputError` for any other."""
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
    """The whole file as uint8, for decoders that cannot open names with all characters."""
    return np.fromfile(path, np.uint8, count=os.path.getsize(path))
