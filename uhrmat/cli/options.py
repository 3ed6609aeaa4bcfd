"""Every option of every command, once: its name, its type and what `--help` says about it."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from uhrmat.core.options import ModelOptions


class Overflow(str, Enum):
    """What happens when the open pixels do not fit into the memory."""

    cascade = "cascade"
    parts = "parts"


class AlphaFormat(str, Enum):
    """File formats of the alpha."""

    png = "png"
    png16 = "png16"
    tiff = "tiff"
    exr = "exr"


class ColourFormat(str, Enum):
    """File formats of foreground, cutout and composite."""

    png = "png"
    png16 = "png16"
    tiff = "tiff"
    exr = "exr"
    webp = "webp"


class Runner(str, Enum):
    """Who does the work of a batch."""

    local = "local"
    ray = "ray"


_HINTS, _ENGINE, _OUTPUT, _REPORT = "Hints", "How it is computed", "What is written", "What is printed"

Photos = Annotated[list[Path], typer.Argument(help="One or more photographs.", metavar="PHOTO...", show_default=False)]
Mask = Annotated[Path, typer.Argument(help="A mask or a coarse alpha.", metavar="MASK", show_default=False)]

Trimap = Annotated[
    Path | None,
    typer.Option(
        help="Trimap of the photograph, or a folder of trimaps named like the photographs.", rich_help_panel=_HINTS
    ),
]
MaskHint = Annotated[
    Path | None,
    typer.Option("--mask", help="Coarse mask instead of a trimap, or a folder of masks.", rich_help_panel=_HINTS),
]
Plate = Annotated[
    Path | None,
    typer.Option(help="The scene without its subject (a clean plate), or a folder of them.", rich_help_panel=_HINTS),
]
Key = Annotated[
    str | None,
    typer.Option(
        help="Colour of the screen behind the subject: green, blue, #rrggbb, auto.",
        metavar="COLOUR",
        rich_help_panel=_HINTS,
    ),
]
AlphaHint = Annotated[
    Path | None,
    typer.Option("--alpha", help="Your own matte of low resolution, or a folder of them.", rich_help_panel=_HINTS),
]
ResizeTrimap = Annotated[
    bool,
    typer.Option(
        "--resize-trimap",
        help="Scale a trimap of another size or a mask of other proportions.",
        rich_help_panel=_HINTS,
    ),
]

Prior = Annotated[
    str,
    typer.Option(
        help="What decides on the small copy: auto (hints decide), closed-form+knn, closed-form, knn, lbdm, lkm, rw, "
        "mask, plate, key, alpha, lpn-person, a name from `uhrmat models list`, a file, a folder or owner/repository.",
        metavar="NAME",
        rich_help_panel=_ENGINE,
    ),
]
Refiner = Annotated[
    str,
    typer.Option(
        help="What decides at full resolution: shm, ddfe, or, to compare with, projection, guided, bilinear.",
        rich_help_panel=_ENGINE,
    ),
]
WorkingSize = Annotated[
    int | None, typer.Option(min=16, help="Short side of the small copy, in pixels.", rich_help_panel=_ENGINE)
]
Engine = Annotated[str, typer.Option(help="Sparse convolutions: auto, tiles, spconv, dense.", rich_help_panel=_ENGINE)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.", rich_help_panel=_ENGINE)]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16, fp16.", rich_help_panel=_ENGINE)]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads.", rich_help_panel=_ENGINE)]
MaxMemory = Annotated[
    str | None, typer.Option(help="Memory budget, like 8GB or 512MB.", metavar="SIZE", rich_help_panel=_ENGINE)
]
OverflowOption = Annotated[
    Overflow,
    typer.Option("--overflow", help="Over budget: coarse to fine, or exact in parts.", rich_help_panel=_ENGINE),
]
MaxPixels = Annotated[
    int | None, typer.Option(min=1, help="Refuse pictures with more pixels than this.", rich_help_panel=_ENGINE)
]
Weights = Annotated[
    str | None, typer.Option(help="Weights of the refiner: a name or a .safetensors file.", rich_help_panel=_ENGINE)
]

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR|FILE",
        help="Folder for the files, or the one file of one photograph; default: beside the photograph.",
        rich_help_panel=_OUTPUT,
    ),
]
OutFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The trimap to write.")]
Outputs = Annotated[
    str, typer.Option(help="Any of alpha, foreground, cutout, preview.", metavar="LIST", rich_help_panel=_OUTPUT)
]
ImageOutputs = Annotated[
    str | None,
    typer.Option(
        "--outputs", metavar="LIST", rich_help_panel=_OUTPUT, show_default=False,
        help="Any of alpha, foreground, cutout, preview. Default: alpha,foreground; with -o FILE foreground, or the "
        "composite with --background.",
    ),
]  # fmt: skip
ColourFormatOption = Annotated[
    ColourFormat | None,
    typer.Option(
        "--format", rich_help_panel=_OUTPUT, show_default=False,
        help="Format of foreground, cutout and composite. Default: PNG in the photograph's depth; EXR if that is "
        "scene-linear.",
    ),
]  # fmt: skip
KeepMetadata = Annotated[
    bool,
    typer.Option(
        "--keep-metadata", rich_help_panel=_OUTPUT,
        help="Leave GPS, serial numbers, owner and artist in the EXIF of the files.",
    ),
]  # fmt: skip
AlphaFormatOption = Annotated[
    AlphaFormat, typer.Option("--alpha-format", help="Format of the alpha.", rich_help_panel=_OUTPUT)
]
Background = Annotated[
    str | None,
    typer.Option(
        help="Also write a composite over this colour or picture.", metavar="COLOUR|IMAGE", rich_help_panel=_OUTPUT
    ),
]
Premultiply = Annotated[
    bool | None,
    typer.Option(
        "--premultiply/--straight",
        help="Colour of foreground and cutout. Default: straight; EXR premultiplied.",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.", rich_help_panel=_OUTPUT)]

Radius = Annotated[int | None, typer.Option(min=0, help="Half the width of the unknown band, in pixels.")]
Erode = Annotated[int | None, typer.Option(min=0, help="Width of the band inside the mask, in pixels.")]
Dilate = Annotated[int | None, typer.Option(min=0, help="Width of the band outside the mask, in pixels.")]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=_REPORT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=_REPORT)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_REPORT)]

Clip = Annotated[
    Path, typer.Argument(help="A video file, a folder of numbered frames, or a pattern.", metavar="CLIP|DIR|PATTERN")
]
ClipTrimap = Annotated[
    Path | None,
    typer.Option(
        "--trimap", help="Trimap of the first frame, or a folder of them by frame number.", rich_help_panel=_HINTS
    ),
]
ClipMask = Annotated[
    Path | None,
    typer.Option(
        "--mask", help="Mask of the first frame, or a folder of them by frame number.", rich_help_panel=_HINTS
    ),
]
ClipPlate = Annotated[
    Path | None, typer.Option("--plate", help="The scene without its subject.", rich_help_panel=_HINTS)
]
ClipKey = Annotated[
    str | None,
    typer.Option("--key", help="Screen colour: green, blue, #rrggbb, auto.", metavar="COLOUR", rich_help_panel=_HINTS),
]
_RANGE = "Which frames"
Start = Annotated[int, typer.Option(min=0, help="First frame, counted from 0.", rich_help_panel=_RANGE)]
End = Annotated[int | None, typer.Option(min=1, help="Frame to end before.", rich_help_panel=_RANGE)]
FrameCount = Annotated[int | None, typer.Option("--frames", min=1, help="How many.", rich_help_panel=_RANGE)]
FrameRate = Annotated[
    str | None,
    typer.Option(
        "--rate",
        metavar="FPS",
        rich_help_panel=_RANGE,
        help="Frames per second of stills (default: 24), or to show a file's frames at, without its sound: 24000/1001.",
    ),
]
_TIME = "What is computed again"
Temporal = Annotated[
    bool, typer.Option("--temporal/--no-temporal", help="Keep what did not change.", rich_help_panel=_TIME)
]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Change that counts, at least the noise. Default: 0.05; less without noise.",
        rich_help_panel=_TIME,
    ),
]
KeyframeInterval = Annotated[
    int, typer.Option(min=1, help="Frames after which everything is computed anew.", rich_help_panel=_TIME)
]
ClipOut = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="OUT", help="File, folder or pattern; default: beside the clip.",
        rich_help_panel=_OUTPUT,
    ),
]  # fmt: skip
CodecName = Annotated[
    str | None,
    typer.Option("--codec", help="prores4444, vp9, ffv1, h264, hevc, png, tiff, exr.", rich_help_panel=_OUTPUT),
]
Bits = Annotated[int | None, typer.Option("--bits", help="Per channel; default: the clip's.", rich_help_panel=_OUTPUT)]
ClipOutputs = Annotated[
    str | None,
    typer.Option(
        "--outputs", metavar="LIST", rich_help_panel=_OUTPUT,
        help="Any of alpha, foreground, composite. Default: alpha, or foreground with alpha in -o FILE.",
    ),
]  # fmt: skip
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a run ended early.", rich_help_panel=_OUTPUT)]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html|FILE.json",
        help="A page to judge by eye, or the figures of each frame with a plot beside.",
        rich_help_panel=_REPORT,
    ),
]
PageFile = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE.html", help="Also write a page to judge by eye.", rich_help_panel=_OUTPUT),
]
AlbumFile = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.html", help="Also write a page of this run's stills.", rich_help_panel=_OUTPUT
    ),
]

_WHICH, _WHO = "Which files", "Who does the work"
Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of photographs and clips.", metavar="FOLDER...", show_default=False),
]
BatchOut = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", rich_help_panel=_OUTPUT)
]
Trimaps = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|PATTERN", rich_help_panel=_HINTS,
        help="Trimaps: a folder of files named like the inputs, or a pattern like {folder}/{stem}_trimap.png.",
    ),
]  # fmt: skip
Masks = Annotated[
    str | None, typer.Option(metavar="DIR|PATTERN", help="The same for coarse masks.", rich_help_panel=_HINTS)
]
Plates = Annotated[
    str | None,
    typer.Option(
        "--plate", metavar="FILE|DIR|PATTERN", rich_help_panel=_HINTS,
        help="The scene without its subject, for all or for each.",
    ),
]  # fmt: skip
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Only files named so, or with / in paths like this.", rich_help_panel=_WHICH),
]
Exclude = Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Not these.", rich_help_panel=_WHICH)]
Sequences = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Folders whose numbered stills are one clip.", rich_help_panel=_WHICH),
]
Shard = Annotated[
    str, typer.Option(metavar="I/N", help="The I-th of N parts, for schedulers like Slurm.", rich_help_panel=_WHICH)
]
Watch = Annotated[bool, typer.Option("--watch", help="Go on as files arrive, until Ctrl-C.", rich_help_panel=_WHICH)]
Settle = Annotated[
    float,
    typer.Option(min=0, help="Seconds that a file must stand still with --watch.", rich_help_panel=_WHICH),
]
Verify = Annotated[
    str | None,
    typer.Option(
        "--verify", metavar="[N/T]", rich_help_panel=_WHICH,
        help="Matte nothing: check the results in -o, or the N-th of T shares of them, against their SHA-256.",
    ),
]  # fmt: skip
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done.", rich_help_panel=_WHICH)]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=0, help="Processes; 0: none but this one. Default: 1, with Ray all that fit.", rich_help_panel=_WHO
    ),
]
RunnerOption = Annotated[Runner, typer.Option("--runner", help="This machine, or Ray's.", rich_help_panel=_WHO)]
Address = Annotated[str | None, typer.Option(help="Ray's head node, or auto.", rich_help_panel=_WHO)]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print every event as a line of JSON.", rich_help_panel=_REPORT)
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
