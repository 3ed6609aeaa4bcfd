"""What the catalogue says about one set of weights: where it is, what it may be used for, what goes in and out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SOURCES = ("hub", "bundled", "elsewhere")
TASKS = ("person", "subject", "trimap", "prompts", "refiner", "prior")
LOADERS = ("onnx", "vitmatte", "sam2", "edgetam", "shm", "ddfe", "lpn", "none")
ACTIVATIONS = ("alpha", "logits", "softmax:1")


@dataclass(frozen=True)
class WeightsFile:
    """path: inside the repository; bytes, sha256 (64 lower-case hexadecimal digits): what must arrive. bytes is 0 where
    the size is not known, and the SHA-256 alone decides."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Network:
    """How a picture becomes the network's input, and its output an alpha.

    Attributes:
        fit: "square" (side x side), "short" (`side` on the short side) or "any".
        side: pixels, 0 for "any".
        multiple: both sides are multiples of it.
        activation: "alpha" is used as it is, "logits" need a sigmoid, "softmax:1" is channel 1 of a softmax.
        mean, std: for each RGB channel, applied as (x - mean) / std to values in `range`.
        range: "unit" [0, 1], "byte" [0, 255], or "max" (divided by the picture's largest value).
        order: of the colours in the input, "RGB" or "BGR".
        layout: "NCHW" or "NHWC".
        trimap: "" (takes none), "channel" (0, 0.5, 1 as a fourth channel, not normalised) or "one-hot" (three more
            channels: background, unknown, foreground).
        input, output: tensor names; "": those that the file states.
        recurrence: (input, output) names of recurrent state, passed from frame to frame.
        ratio: name of the input that takes the downsampling ratio, or "".
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


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One set of weights.

    Attributes:
        name: what users type.
        title: one line.
        task: one of TASKS; "trimap" needs a trimap, "prompts" points or boxes.
        source: "hub", "bundled" (installed with uhrmat) or "elsewhere" (`home` is its page; users download the file
            themselves and it is recognised by its hash).
        loader: what can run it; "none" where that would need code from the repository.
        licence: as declared, an SPDX name where there is one.
        commercial: whether the licence allows commercial use without obligations on one's own work (GPL: False).
        data: what is known about the terms of the training data.
        files: the first one holds the weights.
        architecture: of the network, for loaders that know several.
        repo, revision: on the Hub, revision as 40 hexadecimal digits; empty unless source is "hub".
        home: see `source`.
        network: None where `loader` needs no description (our own refiners).
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
