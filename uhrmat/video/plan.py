"""Plans a clip: checks its frames, hints and outputs before any work. Loads no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.files import same_file
from uhrmat.media import check_writable
from uhrmat.media.video import ClipInfo, ClipReader, Codec, open_clip
from uhrmat.prior.choose import (
    AFFINITY_PRIORS,
    BUNDLED_NETWORKS,
    DEFAULT_NETWORK,
    SOLVING_PRIORS,
    choose_prior,
    takes_prompts,
)
from uhrmat.video.consensus import CONSENSUS
from uhrmat.video.hints import ClipHints, find_hints, key_hints, with_radius
from uhrmat.video.propagation.params import METHODS
from uhrmat.video.ranges import check_ranges
from uhrmat.video.segments import Segment, split
from uhrmat.video.spec import ClipSpec
from uhrmat.video.targets import Target, check_targets, choose_targets
from uhrmat.video.work import Fingerprint, WorkFolder, fingerprint, settings_hash

SHORT_SIDE = 512
"""Working size on clips of priors that solve a system: a clip's priors cost more than its refinements."""
SOLVED = (*SOLVING_PRIORS, *BUNDLED_NETWORKS, DEFAULT_NETWORK)
"""Priors that solve a system for each frame."""


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """A clip whose inputs, outputs and settings have been checked.

    Attributes:
        spec: what is wanted.
        info: of the clip.
        start, stop: indices of its frames; `stop` is not included.
        codec: of the outputs.
        targets: the outputs.
        hints: the hints of its frames.
        settings: hash of all that decides what the frames look like.
        inputs: fingerprints of the files that the clip is made from, taken when it was planned.
        screen: RGB in [0, 1] of the screen if there is a key.
        replace: existing files may be replaced.
    """

    spec: ClipSpec
    info: ClipInfo
    start: int
    stop: int
    codec: Codec
    targets: tuple[Target, ...]
    hints: ClipHints
    settings: str
    inputs: tuple[Fingerprint, ...] = ()
    screen: tuple[float, ...] | None = None
    replace: bool = True

    @property
    def segments(self) -> list[Segment]:
        """In order."""
        return list(split(self.start, self.stop, self.spec.interval))

    @cached_property
    def work(self) -> WorkFolder:
        """Beside the first output, hidden."""
        path = self.targets[0].path
        return WorkFolder(path.with_name(f".{path.name}.uhrmat"))

    @property
    def prior(self) -> str:
        """The prior that decides, by name."""
        return choose_prior(self.spec.model.prior, self.hints.given, clip=True).name

    @property
    def side(self) -> int | None:
        """Working size of the prior in pixels: as given, else `working_side`."""
        return self.spec.model.working_size or working_side(self.prior, self.hints)

    @property
    def seeks_subject(self) -> bool:
        """Whether no hint says what the subject is, and frames may look at their neighbours (`video.consensus`)."""
        return not self.hints.given and self.spec.temporal and self.spec.averaged

    @property
    def needs_foreground(self) -> bool:
        """Whether any output shows the foreground's colours."""
        return any(target.content != "alpha" for target in self.targets)


def plan_clip(spec: ClipSpec, *, overwrite: bool = False, resume: bool = False) -> ClipPlan:
    """Plan a clip. Opens it and writes nothing.

    Args:
        spec: what is wanted.
        overwrite: existing outputs may be replaced.
        resume: an earlier run may be continued.

    Raises:
        InputError: clip, hints or options cannot work.
        OutputError: an output cannot be written, or would replace a file.
    """
    if spec.interval < 1:
        raise InputError(
            f"The key frame interval {spec.interval} must be 1 or more.", "Give --keyframe-interval 1 or more."
        )
    check_propagation(spec.propagation)
    source = fingerprint(spec.source)  # before it is read, so that any later change is noticed at the end
    with open_clip(spec.source, rate=spec.rate) as reader:
        info = reader.info
        start, stop = frame_range(spec, count_frames(reader))
    check_ranges(spec.redo, start, stop, info.numbers)
    hints = find_hints(
        info, start, stop, trimap=spec.trimap, mask=spec.mask, alpha=spec.alpha, plate=spec.plate, key=spec.key,
        radius=spec.radius, first_needed=spec.propagation == "flow", redo=bool(spec.redo), prompts=spec.prompts,
    )  # fmt: skip
    choose_prior(spec.model.prior, hints.given, clip=True)
    if hints.keys and not hints.prompts:
        key_hints(hints, min(hints.keys), (info.height, info.width))  # what cannot be used is refused before any work
        if hints.radius == "auto":
            with open_clip(spec.source, rate=spec.rate) as reader:
                hints = with_radius(hints, reader)
    if spec.propagation not in METHODS and not hints.propagated:
        raise InputError(
            f"The tracker {spec.propagation} has nothing to track: no hint is propagated.",
            "Give a mask, points or boxes of one frame, or leave --tracker out.",
        )
    if hints.prompts and spec.propagation == "flow" and start not in hints.keys and not spec.redo:
        what = f"No point or box is on the first frame, {start}."
        raise InputError(what, "Give one there, or leave --propagation out.")
    if hints.propagated and spec.model.prior not in ("auto", *AFFINITY_PRIORS):
        raise InputError(
            f"The prior {spec.model.prior} cannot propagate a hint from frame to frame.",
            "Leave --prior out, or give a hint for every frame.",
        )
    codec, targets = choose_targets(spec, info)
    files = _inputs(spec, info, hints)
    check_targets(
        targets, codec, info, range(start, stop), files, bits=spec.bits, replace=overwrite or resume or bool(spec.redo)
    )  # fmt: skip
    inputs = tuple(source if path == spec.source else fingerprint(path) for path in files)
    settings = _settings(spec, hints, codec, targets, start, stop, inputs)
    screen = _screen(spec, start, stop)
    return ClipPlan(
        spec=spec,
        info=info,
        start=start,
        stop=stop,
        codec=codec,
        targets=targets,
        hints=hints,
        settings=settings,
        inputs=inputs,
        screen=screen,
        replace=overwrite or resume or bool(spec.redo),
    )


def check_propagation(method: str) -> None:
    """Raises InputError where a clip's masks cannot be propagated by that method."""
    if method in METHODS or (method not in ("auto", "prompts") and takes_prompts(method)):
        return
    raise InputError(
        f"There is no propagation and no tracker called {method!r}.",
        f"Choose {', '.join(METHODS)}, edgetam, sam2.1-tiny or a folder with one of these networks.",
    )


def working_side(prior: str, hints: ClipHints) -> int | None:
    """Working size of a clip's prior in pixels: SHORT_SIDE for `SOLVED`; for a clip of alphas that of its frames,
    so that none of their detail is lost; None: the prior's own."""
    if prior in SOLVED:
        return SHORT_SIDE
    return min(hints.clip.size) if prior == "alpha" and hints.clip is not None else None


def _inputs(spec: ClipSpec, info: ClipInfo, hints: ClipHints) -> list[Path]:
    """Every file that the frames are made from."""
    named = str(spec.model.weights or "")
    weights = [Path(named)] if named.endswith(".safetensors") else []
    behind = [Path(spec.background)] if spec.background is not None and Path(spec.background).is_file() else []
    return [*info.sources, *hints.files(), *behind, *weights]


def _screen(spec: ClipSpec, start: int, stop: int) -> tuple[float, ...] | None:
    """The colour that --key means in this clip."""
    if spec.key is None:
        return None
    from uhrmat.video.screen import clip_screen

    with open_clip(spec.source, rate=spec.rate) as reader:
        return clip_screen(reader, start, stop, spec.key)


def parse_rate(text: str) -> Fraction:
    """Frames per second from `25`, `29.97` or `30000/1001`. Raises InputError."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise InputError(
            f"The rate {text!r} must be a positive number.", "Give frames per second, like 25 or 30000/1001."
        )
    return rate


def count_frames(reader: ClipReader) -> int:
    """Return the number of frames of a clip, by decoding it where its container does not say."""
    count = reader.info.frames
    return sum(1 for _ in reader.frames()) if count is None else count


def frame_range(spec: ClipSpec, length: int) -> tuple[int, int]:
    """(start, stop) within a clip of `length` frames. Raises InputError for a range without frames."""
    if spec.end is not None and spec.frames is not None:
        raise InputError("Both --end and --frames were given.", "Keep one of them.")
    stop = length if spec.end is None else spec.end
    if spec.frames is not None:
        stop = spec.start + spec.frames
    stop = min(stop, length)
    if spec.start < 0 or spec.start >= stop:
        raise InputError(
            f"Frames {spec.start} to {stop} do not exist in a clip of {length} frames.",
            "Choose others with --start and --end.",
        )
    return spec.start, stop


def _settings(
    spec: ClipSpec, hints: ClipHints, codec: Codec, targets: tuple[Target, ...], start: int, stop: int,
    inputs: tuple[Fingerprint, ...],
) -> str:  # fmt: skip
    return settings_hash({
        "files": inputs, "frames": [start, stop], "codec": codec.name,
        "targets": [[t.content, str(t.path)] for t in targets], "bits": spec.bits, "background": spec.background,
        "rate": str(spec.rate), "hints": [hints.kind, hints.key, str(hints.plate), sorted(hints.keys)],
        "propagation": [spec.propagation, asdict(spec.training)] if hints.propagated else None,
        "prompts": {index: [*map(str, p.points), *map(str, p.boxes)] for index, p in sorted(hints.prompts.items())},
        "seeks": None if hints.given else asdict(CONSENSUS),
        "radius": hints.radius, "hint_frames": None if hints.clip is None else sorted(hints.clip.frames.items()),
        "temporal": spec.temporal, "averaged": spec.averaged, "threshold": spec.threshold, "interval": spec.interval,
        "model": {key: str(value) for key, value in asdict(spec.model).items()},
    })  # fmt: skip


def check_report(report: Path, plan: ClipPlan) -> None:
    """Raises OutputError if a report, or the plot beside it, cannot be written or would replace an input or output."""
    check_writable(report.parent)
    for path in (report, report.with_suffix(".png")):
        if any(same_file(path, Path(name)) for name, *_ in plan.inputs):
            raise OutputError(f"The report {path} would replace an input.", "Choose another name with --report.")
        if any(same_file(path, target.path) for target in plan.targets):
            raise OutputError(f"The report {path} has the name of an output.", "Choose another name with --report.")
