"""What the catalogue says about one set of weights: where it is, what it may be used for, what goes in and out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SOURCES = ("hub", "bundled", "elsewhere")
TASKS = ("person", "subject", "trimap", "refiner", "prior")
LOADERS = ("onnx", "vitmatte", "shm", "ddfe", "lpn", "none")
ACTIVATIONS = ("alpha", "logits", "softmax:1")


@dataclass(frozen=True)
class WeightsFile:
    """path: inside the repository; bytes, sha256 (64 lower-case hexadecimal digits): what must arrive."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Network:
    """How a picture becomes the network's input, and its output an alpha.

    fit: "square" (side x side), "short" (`side` on the short side) or "any"; side: pixels, 0 for "any"; multiple: both
    sides are multiples of it; layout: "NCHW" or "NHWC"; mean, std: per RGB channel, applied as (x - mean) / std to
    values in `range`: "unit" [0, 1], "byte" [0, 255], "max" (divided by the picture's largest value); order: of the
    colours in the input, "RGB" or "BGR";
    trimap: "" (takes none), "channel" (0, 0.5, 1 as a fourth channel, not normalised) or "one-hot" (three channels
    more: background, unknown, foreground); activation: "alpha" is used as it is, "logits" need a sigmoid,
    "softmax:1" is channel 1 of a softmax; input, output: tensor names, "" where the file itself has to be asked;
    recurrence: (input, output) names of state that is carried from frame to frame; ratio: name of the input that
    takes the downsampling ratio, or "".
    """

    fit: str
    side: int
    multiple: int
    activation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    range: str = "unit"
    order: str = "RGB"
    layout: str = "NCHW"
    trimap: str = ""
    input: str = ""
    output: str = ""
    recurrence: tuple[tuple[str, str], ...] = ()
    ratio: str = ""


@dataclass(frozen=True)
class CatalogEntry:
    """One set of weights.

    name: what users type; title: one line; task: one of TASKS ("trimap" needs one); source: "hub", "bundled" (travels
    with uhrmat) or "elsewhere" (`home` says where; users bring the file and it is known by its hash); loader: what can
    run it, "none" where that would need code from the repository; architecture: of the network, for loaders that know
    several; repo, revision (40 hexadecimal digits): empty unless source is "hub"; files: the first is the main one;
    licence: as declared, SPDX where there is one; commercial: whether that licence allows commercial use without
    obligations on one's own work (so GPL is False); data: what is known about the training data's terms;
    network: None where `loader` knows it all (our own refiners).
    """

    name: str
    title: str
    task: str
    source: str
    loader: str
    licence: str
    commercial: bool
    data: str
    files: tuple[WeightsFile, ...]
    architecture: str = ""
    repo: str = ""
    revision: str = ""
    home: str = ""
    network: Network | None = None

    @property
    def main(self) -> WeightsFile:
        """The file with the weights."""
        return self.files[0]

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files)

    @property
    def needs_acceptance(self) -> bool:
        """Whether it is fetched only after `--accept-licence NAME`: non-commercial and GPL weights."""
        return not self.commercial

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class LocalWeights:
    """Weights that lie on this machine, verified where their hash is known.

    path: the main file; files: every file by its name in the repository (main one included); entry: what the catalogue
    knows, None for weights of the user's own; origin: for people, like `modnet (Xenova/modnet@fa2fa546)` or the path;
    verified: whether the SHA-256 of every file was compared with the catalogue's.
    """

    path: Path
    files: dict[str, Path]
    entry: CatalogEntry | None
    origin: str
    verified: bool
