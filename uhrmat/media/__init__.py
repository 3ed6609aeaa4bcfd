"""Reading and writing pictures: bit depth, colour profile, orientation, atomic files. Importing it loads only numpy."""

from uhrmat.core.files import atomic_write, check_writable, same_file
from uhrmat.media.coding import normalise_mask, normalise_trimap
from uhrmat.media.colour import srgb_decode, srgb_encode
from uhrmat.media.convert import quantise
from uhrmat.media.picture import Picture, PictureInfo
from uhrmat.media.png import PngWriter, open_png
from uhrmat.media.read import MAX_PIXELS, read_info, read_picture
from uhrmat.media.write import ALPHA_SUFFIX, COLOUR_BITS, COLOUR_SUFFIX, write_alpha, write_rgb, write_rgba

__all__ = [
    "ALPHA_SUFFIX",
    "COLOUR_BITS",
    "COLOUR_SUFFIX",
    "MAX_PIXELS",
    "Picture",
    "PictureInfo",
    "PngWriter",
    "atomic_write",
    "check_writable",
    "normalise_mask",
    "normalise_trimap",
    "open_png",
    "quantise",
    "read_info",
    "read_picture",
    "same_file",
    "srgb_decode",
    "srgb_encode",
    "write_alpha",
    "write_rgb",
    "write_rgba",
]
