"""Every option of every command, defined once: name, type and help text."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from uhrmat.core.options import ModelOptions


class Overflow(str, Enum):
    """What is done when the active pixels do not fit into the memory budget."""

    cascade = "cascade"
    parts = "parts"


class AlphaFormat(str, Enum):
    """File formats of the alpha."""

    png = "png"
    png16 = "png16"
    tiff = "tiff"
    exr = "exr"


class PropagationMethod(str, Enum):
    """How masks are propagated from frame to frame of a clip."""

    network = "network"
    flow = "flow"


class ColourFormat(str, Enum):
    """File formats of foreground, cutout and composite."""

    png = "png"
    png16 = "png16"
    tiff = "tiff"
    exr = "exr"
    webp = "webp"


HINTS, ENGINE, OUTPUT, REPORT = "Hints", "Model and resources", "Output", "Messages"

Photos = Annotated[list[Path], typer.Argument(help="One or more photographs.", metavar="PHOTO...", show_default=False)]
Mask = Annotated[Path, typer.Argument(help="A binary mask or a soft alpha.", metavar="MASK", show_default=False)]

Trimap = Annotated[
    Path | None,
    typer.Option(
        help="Trimap: black is background, white is foreground, grey is unknown. A file, or a folder of files named "
        "like the photographs.",
        rich_help_panel=HINTS,
    ),
]
MaskHint = Annotated[
    Path | None,
    typer.Option(
        "--mask", rich_help_panel=HINTS,
        help="Coarse mask, from which a trimap is made. A file, or a folder of files named like the photographs.",
    ),
]  # fmt: skip
Plate = Annotated[
    Path | None,
    typer.Option(
        help="Clean plate: the scene without its subject. A file, or a folder of files named like the photographs.",
        rich_help_panel=HINTS,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        help="Colour of the screen behind the subject: green, blue, #rrggbb, or auto to detect it.",
        metavar="COLOUR", rich_help_panel=HINTS,
    ),
]  # fmt: skip
AlphaHint = Annotated[
    Path | None,
    typer.Option(
        "--alpha", rich_help_panel=HINTS,
        help="Low-resolution alpha to start from. A file, or a folder of files named like the photographs.",
    ),
]  # fmt: skip
MaskRadius = Annotated[
    str | None,
    typer.Option(
        "--radius", metavar="N|auto", rich_help_panel=HINTS, show_default=False,
        help="Half the width in pixels of the unknown band that a mask gets. Default: 2 % of the short side; auto: "
        "0.75 % where the mask's edge fits the picture. A number keeps the band of a still as it is; else it is "
        "widened where the subject's edge lies outside it.",
    ),
]  # fmt: skip
ResizeTrimap = Annotated[
    bool,
    typer.Option(
        "--resize-trimap", rich_help_panel=HINTS,
        help="Scale a trimap whose size, or a mask whose proportions, differ from the photograph's.",
    ),
]  # fmt: skip

Prior = Annotated[
    str,
    typer.Option(
        help="Method of the low-resolution alpha: auto (by the hints given), lpn-trimap, closed-form+knn, closed-form, "
        "knn, lbdm, lkm, rw, mask, plate, key, alpha, lpn-subject, lpn-person, a name from `uhrmat models list`, a "
        "file, a folder or owner/repository.",
        metavar="NAME", rich_help_panel=ENGINE,
    ),
]  # fmt: skip
Refiner = Annotated[
    str,
    typer.Option(
        help="Refiner at full resolution: shm, ddfe; for comparison projection, guided, bilinear.",
        rich_help_panel=ENGINE,
    ),
]
WorkingSize = Annotated[
    int | None,
    typer.Option(
        min=16, rich_help_panel=ENGINE,
        help="Short side of the low-resolution picture in pixels. Default: the prior's own.",
    ),
]  # fmt: skip
Engine = Annotated[
    str,
    typer.Option(help="Implementation of the sparse convolutions: auto, tiles, spconv, dense.", rich_help_panel=ENGINE),
]
Device = Annotated[str, typer.Option(help="Where networks run: auto, cpu, cuda, cuda:1, mps.", rich_help_panel=ENGINE)]
Precision = Annotated[
    str, typer.Option(help="Arithmetic of the refiner: auto, fp32, bf16, fp16.", rich_help_panel=ENGINE)
]
Threads = Annotated[
    int | None, typer.Option(min=1, help="Number of CPU threads. Default: all cores.", rich_help_panel=ENGINE)
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        help="Memory budget, like 8GB or 512MB. Default: a share of what is free.",
        metavar="SIZE", rich_help_panel=ENGINE,
    ),
]  # fmt: skip
OverflowOption = Annotated[
    Overflow,
    typer.Option(
        "--overflow", rich_help_panel=ENGINE,
        help="If the budget does not suffice: cascade (coarse to fine) or parts (tiles, exact).",
    ),
]  # fmt: skip
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, help="Refuse pictures with more pixels than this. Default: 2^30.", rich_help_panel=ENGINE),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Weights of the refiner: a name from `uhrmat models list` or a .safetensors file.", rich_help_panel=ENGINE
    ),
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR|FILE",
        help="Folder for the results, or one file if there is one photograph. Default: beside the photograph.",
        rich_help_panel=OUTPUT,
    ),
]
OutFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File of the trimap.")]
Outputs = Annotated[
    str,
    typer.Option(
        help="Results to write: any of alpha, foreground, cutout, preview.", metavar="LIST", rich_help_panel=OUTPUT
    ),
]
ImageOutputs = Annotated[
    str | None,
    typer.Option(
        "--outputs", metavar="LIST", rich_help_panel=OUTPUT, show_default=False,
        help="Results to write: any of alpha, foreground, cutout, preview. Default: alpha,foreground; with -o FILE "
        "foreground, or the composite with --background.",
    ),
]  # fmt: skip
ColourFormatOption = Annotated[
    ColourFormat | None,
    typer.Option(
        "--format", rich_help_panel=OUTPUT, show_default=False,
        help="File format of foreground, cutout and composite. Default: PNG with the photograph's bit depth, EXR for a "
        "scene-linear photograph.",
    ),
]  # fmt: skip
KeepMetadata = Annotated[
    bool,
    typer.Option(
        "--keep-metadata", rich_help_panel=OUTPUT,
        help="Keep GPS position, serial numbers, owner and artist in the EXIF of the results.",
    ),
]  # fmt: skip
AlphaFormatOption = Annotated[
    AlphaFormat, typer.Option("--alpha-format", help="File format of the alpha.", rich_help_panel=OUTPUT)
]
Background = Annotated[
    str | None,
    typer.Option(
        help="Also write a composite over this colour (#rrggbb) or picture.",
        metavar="COLOUR|IMAGE", rich_help_panel=OUTPUT,
    ),
]  # fmt: skip
Premultiply = Annotated[
    bool | None,
    typer.Option(
        "--premultiply/--straight",
        help="Premultiplied or straight colour in foreground and cutout. Default: straight, in EXR premultiplied.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=OUTPUT)]

KeepEmpty = Annotated[
    bool,
    typer.Option(
        "--keep-empty", rich_help_panel=OUTPUT,
        help="Without hints: write mattes even where no subject is found. Otherwise that is an error.",
    ),
]  # fmt: skip

Radius = Annotated[
    int | None,
    typer.Option(min=0, help="Half the width of the unknown band, in pixels. Default: 2 % of the short side."),
]
Erode = Annotated[int | None, typer.Option(min=0, help="Width of the unknown band inside the mask, in pixels.")]
Dilate = Annotated[int | None, typer.Option(min=0, help="Width of the unknown band outside the mask, in pixels.")]

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document to standard output.", rich_help_panel=REPORT)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=REPORT)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=REPORT)]

Clip = Annotated[
    Path,
    typer.Argument(
        help="A video file, a folder of numbered frames, or a pattern such as f_%04d.png.", metavar="CLIP|DIR|PATTERN"
    ),
]
ClipTrimap = Annotated[
    Path | None,
    typer.Option(
        "--trimap", rich_help_panel=HINTS,
        help="Trimap of the first frame, a folder or pattern of trimaps numbered like the frames, or a clip of them.",
    ),
]  # fmt: skip
ClipMask = Annotated[
    Path | None,
    typer.Option(
        "--mask", rich_help_panel=HINTS,
        help="Mask of the first frame, a folder or pattern of masks numbered like the frames, or a clip of them.",
    ),
]  # fmt: skip
ClipAlpha = Annotated[
    Path | None,
    typer.Option(
        "--alpha", rich_help_panel=HINTS,
        help="Alphas to refine, of any resolution: a clip (its alpha channel, or its grey), a folder or a pattern; or "
        "the alpha of the first frame alone.",
    ),
]  # fmt: skip
ClipPlate = Annotated[
    Path | None, typer.Option("--plate", help="Clean plate: the scene without its subject.", rich_help_panel=HINTS)
]
ClipKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="Colour of the screen: green, blue, #rrggbb, or auto to detect it.",
        metavar="COLOUR", rich_help_panel=HINTS,
    ),
]  # fmt: skip
_RANGE = "Frames"
Start = Annotated[int, typer.Option(min=0, help="Index of the first frame, counted from 0.", rich_help_panel=_RANGE)]
End = Annotated[
    int | None,
    typer.Option(min=1, help="Index of the frame to end before. Default: the end of the clip.", rich_help_panel=_RANGE),
]
FrameCount = Annotated[
    int | None, typer.Option("--frames", min=1, help="Number of frames, instead of --end.", rich_help_panel=_RANGE)
]
FrameRate = Annotated[
    str | None,
    typer.Option(
        "--rate",
        metavar="FPS",
        rich_help_panel=_RANGE,
        help="Frames per second, like 25 or 24000/1001, of a sequence (default: 24); for a video file it replaces the "
        "file's own rate, and the sound is left out.",
    ),
]
Propagation = Annotated[
    PropagationMethod,
    typer.Option(
        "--propagation", rich_help_panel=HINTS,
        help="How hints of key frames reach the other frames of a clip: by a network that is trained on the clip's key "
        "frames (about a minute), or by optical flow alone.",
    ),
]  # fmt: skip
TEMPORAL = "Temporal sparsity"
Temporal = Annotated[
    bool,
    typer.Option(
        "--temporal/--no-temporal", rich_help_panel=TEMPORAL,
        help="Compute only the pixels that changed, or every frame anew.",
    ),
]  # fmt: skip
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, rich_help_panel=TEMPORAL,
        help="Change of a colour, from 0 to 1, above which a pixel is computed again; never below the noise. Default: "
        "0.05, less in a clip without noise.",
    ),
]  # fmt: skip
KeyframeInterval = Annotated[
    int,
    typer.Option(
        min=1, rich_help_panel=TEMPORAL,
        help="Number of frames from one key frame, which is computed anew, to the next.",
    ),
]  # fmt: skip
ClipOut = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT", help="File, folder or pattern for the results. Default: beside the clip.",
        rich_help_panel=OUTPUT,
    ),
]  # fmt: skip
CodecName = Annotated[
    str | None,
    typer.Option(
        "--codec", rich_help_panel=OUTPUT,
        help="prores4444, vp9, ffv1, h264, hevc, png, tiff or exr. Default: by the output's extension.",
    ),
]  # fmt: skip
Bits = Annotated[
    int | None, typer.Option("--bits", help="Bits per channel. Default: the clip's.", rich_help_panel=OUTPUT)
]
ClipOutputs = Annotated[
    str | None,
    typer.Option(
        "--outputs", metavar="LIST", rich_help_panel=OUTPUT,
        help="Results to write: any of alpha, foreground, composite. Default: alpha, or foreground with alpha in "
        "-o FILE.",
    ),
]  # fmt: skip
Resume = Annotated[bool, typer.Option("--resume", help="Continue a run that ended early.", rich_help_panel=OUTPUT)]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html|FILE.json",
        help="Write a page with frames to inspect (.html), or the figures of each frame with a plot (.json).",
        rich_help_panel=REPORT,
    ),
]
PageFile = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.html", help="Also write a page with the results to inspect.", rich_help_panel=OUTPUT
    ),
]


def model_options(
    *, prior: str, refiner: str, weights: str | None, working_size: int | None, engine: str, device: str,
    precision: str, threads: int | None, max_memory: str | None, overflow: Overflow,
) -> ModelOptions:  # fmt: skip
    """From a command's options. The memory budget also holds for what the command itself reads.

    Raises InputError where `max_memory` is no size.
    """
    from uhrmat.core.memory import set_memory_limit
    from uhrmat.core.units import parse_bytes

    budget = None if max_memory is None else parse_bytes(max_memory)
    set_memory_limit(budget, device)  # until the session ends
    return ModelOptions(
        prior=prior, refiner=refiner, weights=weights, working_size=working_size, engine=engine, device=device,
        precision=precision, threads=threads, max_memory=budget, overflow=overflow.value,
    )  # fmt: skip
