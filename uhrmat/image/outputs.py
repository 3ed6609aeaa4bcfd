"""Which files are written for a photograph, and their names: `OutputSpec`."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.naming import EXTENSION
from uhrmat.core.regular import need_place
from uhrmat.media import ALPHA_SUFFIX, COLOUR_BITS, COLOUR_SUFFIX, PictureInfo

OUTPUTS = ("alpha", "foreground", "cutout", "preview")
DEFAULT_OUTPUTS = ("alpha", "foreground")
_PNG, _TIFF, _EXR, _WEBP, JPEG = (".png",), (".tif", ".tiff"), (".exr",), (".webp",), (".jpg", ".jpeg")
_WRITTEN = (*_PNG, *_TIFF, *_EXR, *_WEBP, *JPEG)
_FITTING = {
    "alpha": (*_PNG, *_TIFF, *_EXR),
    "foreground": (*_PNG, *_TIFF, *_EXR, *_WEBP),
    "cutout": (*_PNG, *_TIFF, *_EXR, *_WEBP),
    "composite": _WRITTEN,
    "preview": _WRITTEN,
}
"""Extensions that a file of each content may have."""
_SIDES = {".webp": 16383, ".jpg": 65535, ".jpeg": 65535}
"""Pixels a side that a format can hold."""


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What is written for each photograph.

    Attributes:
        outputs: of OUTPUTS.
        alpha_format: of ALPHA_SUFFIX.
        background: a colour or the path of a picture, which adds the file `<stem>_composite`.
        premultiply: whether colour is stored times alpha; None: as the file format expects it, straight, but
            premultiplied for EXR.
        overwrite: whether files that exist are replaced.
        colour_format: of COLOUR_SUFFIX; None: PNG in the photograph's bit depth, EXR for scene-linear photographs.
        keep_metadata: see `media.exif_clean`.
        keep_empty: write the matte of a photograph in which no subject was found.
        file: the path of the only output, see `for_file`; None: names are made from the photograph's.

    Raises:
        InputError: for an output or a format that does not exist.
    """

    outputs: tuple[str, ...] = DEFAULT_OUTPUTS
    alpha_format: str = "png"
    background: str | None = None
    premultiply: bool | None = None
    overwrite: bool = False
    colour_format: str | None = None
    keep_metadata: bool = False
    file: Path | None = None
    keep_empty: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown or not self.names:
            what = f"There is no output named {unknown[0]!r}." if unknown else "The list of outputs is empty."
            raise InputError(what, f"Choose from {', '.join(OUTPUTS)}.")
        if self.alpha_format not in ALPHA_SUFFIX:
            raise InputError(
                f"There is no alpha format {self.alpha_format!r}.", f"Choose from {', '.join(ALPHA_SUFFIX)}."
            )
        if self.colour_format is not None and self.colour_format not in COLOUR_SUFFIX:
            raise InputError(f"There is no format {self.colour_format!r}.", f"Choose from {', '.join(COLOUR_SUFFIX)}.")

    @property
    def names(self) -> tuple[str, ...]:
        """All outputs, a composite last."""
        return tuple(dict.fromkeys((*self.outputs, *(["composite"] if self.background is not None else []))))

    @property
    def needs_foreground(self) -> bool:
        """Whether any file shows the foreground's colours."""
        return self.names != ("alpha",)

    @property
    def colour_bits(self) -> int | None:
        """Bits of each sample in files with colour; None for the photograph's."""
        return COLOUR_BITS.get(self.colour_format or "")

    def files(self, photo: Path, folder: Path, *, linear: bool) -> dict[str, Path]:
        """Output name → path in `folder`, or `file`. Without `colour_format` colour goes to EXR where the photograph is
        stored in floats, which `linear` says (an EXR holds linear light), else to PNG."""
        if self.file is not None:
            return dict.fromkeys(self.names, self.file)
        colour = COLOUR_SUFFIX[self.colour_format or ("exr" if linear else "png")]
        suffix = {"alpha": ALPHA_SUFFIX[self.alpha_format], "preview": ".jpg"}
        return {name: folder / f"{photo.stem}_{name}{suffix.get(name, colour)}" for name in self.names}


def parse_outputs(text: str) -> tuple[str, ...]:
    """`alpha, cutout` → ("alpha", "cutout"): without blanks, empty names and repetitions."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def names_file(output: Path) -> bool:
    """Whether `-o` names a file: by its extension, unless there is a folder of that name.

    Raises OutputError for a file of a kind that is not written, and for what is neither file nor folder.
    """
    need_place(output)
    suffix = output.suffix.lower()
    if suffix in _WRITTEN or os.path.isdir(output):
        return not os.path.isdir(output)
    if EXTENSION.fullmatch(suffix):
        hint = f"{_use(_WRITTEN)} A folder of that name has to be made first."
        raise OutputError(f"'{output}' cannot be written: {suffix} is none of the formats.", hint)
    return False


def for_file(spec: OutputSpec, file: Path, outputs: tuple[str, ...] | None) -> OutputSpec:
    """`spec` for the file named with `-o FILE`, whose extension decides the format.

    outputs: the names that the user gave, None for the default: the foreground with its alpha, or the composite where
    there is a background. Raises InputError for several outputs, or for a format that cannot hold the one.
    """
    if outputs is None:
        outputs = () if spec.background is not None else ("foreground",)
    spec = replace(spec, outputs=outputs, file=file)
    if len(spec.names) > 1:
        raise InputError(
            f"The file '{file}' can only hold one of {' and '.join(spec.names)}.",
            "Ask for one with --outputs, or name a folder with -o.",
        )
    name, suffix = spec.names[0], file.suffix.lower()
    if suffix not in _FITTING[name]:
        raise InputError(f"A file {suffix} cannot hold the {name}.", _use(_FITTING[name]))
    if name == "alpha":
        return replace(spec, alpha_format=_agreed("--alpha-format", spec.alpha_format, "png", suffix, ALPHA_SUFFIX))
    if name == "preview" or spec.colour_format is None:
        return spec
    return replace(spec, colour_format=_agreed("--format", spec.colour_format, None, suffix, COLOUR_SUFFIX))


def check_sides(files: dict[str, Path], photo: Path, info: PictureInfo) -> None:
    """Raises InputError where a photograph is too large for the format of one of its files, before it is matted."""
    for name, path in files.items():
        limit = _SIDES.get(path.suffix.lower())
        if limit is not None and name != "preview" and max(info.width, info.height) > limit:
            raise InputError(
                f"{path.suffix} holds at most {limit} pixels a side, but {photo} is {info.width}x{info.height}.",
                "Choose --format png or tiff.",
            )


def _agreed(option: str, wanted: str, default: str | None, suffix: str, suffixes: dict[str, str]) -> str:
    """The format that a file's extension means, in the bit depth of `wanted`.

    Raises InputError where the option names a format of another extension.
    """
    suffix = ".tif" if suffix == ".tiff" else suffix
    if suffixes[wanted] == suffix:
        return wanted
    if wanted != default:
        raise InputError(f"{option} {wanted} does not go with a file {suffix}.", f"Leave {option} out, or change one.")
    return next(name for name, written in suffixes.items() if written == suffix)


def _use(suffixes: tuple[str, ...]) -> str:
    return f"Use {', '.join(suffixes[:-1])} or {suffixes[-1]}."
