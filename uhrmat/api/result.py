"""The matte of one picture, as Python callers get it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uhrmat.api.errors import python_errors
from uhrmat.core.errors import InputError, OutputError
from uhrmat.image.outputs import DEFAULT_OUTPUTS, JPEG, OutputSpec, check_sides, for_file, names_file
from uhrmat.image.write import write_outputs
from uhrmat.media import check_writable
from uhrmat.media.composite import need_opaque, parse_background
from uhrmat.pipeline import StillResult

_UNNAMED = "matte.png"
"""From its stem, names are made for pictures that are no files."""


@dataclass(kw_only=True, repr=False)
class MattingResult(StillResult):
    """The matte of one picture.

    Attributes:
        alpha: (H, W) float32 in [0, 1]; 1 is foreground.
        foreground: (H, W, 3) straight (not premultiplied) colour, RGB in the picture's dtype; None where it was not
            computed.
        prior_alpha: (h, w) float32 in [0, 1], the low-resolution alpha.
        active: (H, W) bool, the pixels that were refined at full resolution.
        trimap: (H, W) uint8 {0, 128, 255}: the one that was given, or the one made from the prior.
        stats: what it took: seconds by stage, active pixels, peak memory, notes and warnings.
        picture: the picture as read, with its colour profile and bit depth in `picture.info`.
        given: names of the hints.
    """

    def to_pil(self, content: str = "cutout") -> Image.Image:
        """Return a PIL image of 8 bits a channel.

        Args:
            content: "cutout" (RGBA, straight alpha), "alpha" (L), or "foreground" (RGB, without alpha).

        Raises:
            InputError: for another content, or where the foreground was not computed.
        """
        if content not in ("cutout", "alpha", "foreground"):
            raise InputError(f"There is no content {content!r}.", "Choose cutout, alpha or foreground.")
        alpha = np.rint(self.alpha * 255).astype(np.uint8)
        icc = self.picture.info.icc
        if content == "alpha":
            return Image.fromarray(alpha)
        colour = self._colour_uint8()
        pixels = colour if content == "foreground" else np.dstack((colour, alpha))
        image = Image.fromarray(pixels)
        if icc and not self.picture.info.linear:
            image.info["icc_profile"] = icc
        return image

    def save(
        self, path: str | os.PathLike[str], outputs: Sequence[str] | None = None, *, background: str | None = None,
        alpha_format: str = "png", colour_format: str | None = None, premultiply: bool | None = None,
        keep_metadata: bool = False, overwrite: bool = False,
    ) -> dict[str, Path]:  # fmt: skip
        """Write files, as `uhrmat image` does: all of them take their names together, or none does.

        Args:
            path: a folder, which is made where it is missing, or a file (.png, .tif, .exr, .webp, and .jpg for
                composites), whose extension decides the format.
            outputs: of "alpha", "foreground", "cutout", "preview"; None: alpha and foreground into a folder, the
                foreground with its alpha into a file.
            background: a colour or the path of a picture; adds "composite".
            alpha_format: "png", "png16", "tiff" or "exr", in a folder.
            colour_format: "png", "png16", "tiff", "exr" or "webp"; None: PNG in the picture's bit depth, EXR for
                scene-linear pictures.
            premultiply: whether colour is stored times alpha; None: as the format expects it.
            keep_metadata: whether camera, place and author of the picture's EXIF are kept.
            overwrite: whether files that exist are replaced.

        Returns:
            The files by output name.

        Raises:
            InputError: for an output or format that does not exist or does not fit.
            OutputError: where a file exists or cannot be written; then no file has changed.
        """
        with python_errors():
            wanted = None if outputs is None else tuple(outputs)
            target = Path(path)
            spec = OutputSpec(
                outputs=DEFAULT_OUTPUTS if wanted is None else wanted, alpha_format=alpha_format, background=background,
                premultiply=premultiply, overwrite=overwrite, colour_format=colour_format, keep_metadata=keep_metadata,
            )  # fmt: skip
            if names_file(target):
                spec = for_file(spec, target, wanted)
            if spec.needs_foreground and self.foreground is None:
                raise InputError(
                    "The foreground was not computed.", 'Matte with foreground=True, or save outputs=["alpha"].'
                )
            scene = None if background is None else parse_background(background)
            if scene is not None and spec.file is not None and target.suffix.lower() in JPEG:
                need_opaque(scene, f"a {target.suffix} file")
            info = self.picture.info
            photo = info.path or Path(_UNNAMED)
            files = spec.files(photo, target, linear=info.dtype == "float32" and info.linear)
            check_sides(files, photo, info)
            check_writable(next(iter(files.values())).parent)
            self._check_targets(files, overwrite)
            return write_outputs(self, files, spec, scene)

    def __repr__(self) -> str:
        stats = self.stats
        name = self.picture.info.path.name if self.picture.info.path else "array"
        return (
            f"MattingResult({name}, {stats.width}x{stats.height}, {stats.active_share:.1%} refined, "
            f"prior={stats.prior}, refiner={stats.refiner}, {sum(stats.seconds.values()):.2f} s on {stats.device})"
        )

    def _check_targets(self, files: dict[str, Path], overwrite: bool) -> None:
        """Raise OutputError where a file exists or is the photograph."""
        photo = self.picture.info.path
        for file in files.values():
            if not overwrite and os.path.lexists(file):
                raise OutputError(f"The output {file} exists.", "Replace it with `overwrite=True`, or choose another.")
            if photo is not None and file.resolve() == Path(photo).resolve():
                raise OutputError(f"The output {file} is the photograph itself.", "Choose another name or folder.")

    def _colour_uint8(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        if self.foreground is None:
            raise InputError("The foreground was not computed.", "Matte with foreground=True.")
        pixels = self.foreground
        if self.picture.info.linear:
            from uhrmat.media.colour import linear_to_display

            pixels = linear_to_display(pixels, self.picture.info.chromaticities)
        if pixels.dtype == np.uint8:
            return pixels
        full = 65535 if pixels.dtype == np.uint16 else 1.0
        return np.rint(np.clip(pixels / np.float32(full), 0, 1) * 255).astype(np.uint8)
