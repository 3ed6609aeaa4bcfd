"""What a clip gives, checked before any work: which frames, which hints, which files. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from uhrmat.clip.hints import ClipHints, find_hints
from uhrmat.clip.segments import KEYFRAME_INTERVAL, Segment, split
from uhrmat.clip.work import Work, fingerprint, settings_hash
from uhrmat.errors import InputError, OutputError
from uhrmat.media import check_writable
from uhrmat.media.files import same_file
from uhrmat.media.video import CODECS, ClipInfo, ClipReader, Codec, Content, find_codec, open_clip, open_writer
from uhrmat.media.video.sequence import is_pattern
from uhrmat.prior.affinity import METHODS
from uhrmat.prior.choose import pick

CONTENTS: tuple[Content, ...] = ("alpha", "foreground", "composite")
SHORT_SIDE = 512
"""Working size of the affinity priors on clips: a clip's priors cost more than its refinements."""
_DEFAULT, _STILLS = "prores4444", {".png": "png", ".tif": "tiff", ".tiff": "tiff", ".exr": "exr"}


@dataclass(frozen=True)
class Target:
    """One output: its content and where it goes, a file, or for a sequence a folder or a pattern."""

    content: Content
    path: Path


@dataclass(frozen=True)
class ClipSpec:
    """What is wanted of a clip; paths and plain values only, so that it can be sent to another machine.

    outputs: any of CONTENTS; None: alpha, or for a file that carries alpha both; output: file, folder, pattern or None,
    beside the clip; codec: a name in `CODECS`, None: by the output's extension; start, end, frames: indices, `end` is
    not in it; rate: of a sequence; threshold, temporal, averaged: see `clip.matter.Gate`; interval: frames between key
    frames; matter: options of `Matter` (prior, refiner, device, …); blend: weights that average in the rule's place,
    see `clip.blend.make_blend`.
    """

    source: Path
    output: Path | None = None
    outputs: tuple[str, ...] | None = None
    codec: str | None = None
    bits: int | None = None
    background: str | None = None
    start: int = 0
    end: int | None = None
    frames: int | None = None
    rate: Fraction | None = None
    trimap: Path | None = None
    mask: Path | None = None
    plate: Path | None = None
    key: str | None = None
    temporal: bool = True
    threshold: float | None = None
    interval: int = KEYFRAME_INTERVAL
    matter: Mapping[str, Any] = field(default_factory=dict)
    averaged: bool = True
    blend: str | None = None


@dataclass(frozen=True)
class ClipJob:
    """A clip whose every question is answered. start, stop: indices of its frames; work: the folder for its segments;
    settings: hash of all that decides what the frames look like; screen: RGB in [0, 1] where there is a key."""

    spec: ClipSpec
    info: ClipInfo
    start: int
    stop: int
    codec: Codec
    targets: tuple[Target, ...]
    hints: ClipHints
    settings: str
    screen: tuple[float, ...] | None = None

    @property
    def segments(self) -> list[Segment]:
        """In order."""
        return list(split(self.start, self.stop, self.spec.interval))

    @property
    def work(self) -> Work:
        """Beside the first output, hidden."""
        path = self.targets[0].path
        return Work(path.with_name(f".{path.name.replace('%', '')}.uhrmat"))

    @property
    def prior(self) -> str:
        """The prior that decides, by name."""
        return pick(str(self.spec.matter.get("prior", "auto")), self.hints.given).name

    @property
    def side(self) -> int | None:
        """Working size of the prior: what was asked for, SHORT_SIDE for affinity priors, else the prior's own."""
        asked = self.spec.matter.get("working_size")
        return int(asked) if asked else SHORT_SIDE if self.prior in METHODS else None

    @property
    def needs_foreground(self) -> bool:
        """Whether any output shows the foreground's colours."""
        return any(target.content != "alpha" for target in self.targets)


def plan_clip(spec: ClipSpec, *, overwrite: bool = False, resume: bool = False) -> ClipJob:
    """The job of a clip. Opens the clip and writes nothing. Raises InputError or OutputError for what cannot work."""
    if spec.interval < 1:
        raise InputError("A key frame interval below 1 makes no sense.", "Give --keyframe-interval 1 or more.")
    with open_clip(spec.source, rate=spec.rate) as reader:
        info = reader.info
        start, stop = frame_range(spec, _length(reader))
    hints = find_hints(info, start, stop, trimap=spec.trimap, mask=spec.mask, plate=spec.plate, key=spec.key)
    pick(str(spec.matter.get("prior", "auto")), hints.given)
    if hints.carried and spec.matter.get("prior", "auto") not in ("auto", *METHODS):
        raise InputError(
            f"The prior {spec.matter['prior']} cannot carry a hint from frame to frame.",
            "Leave --prior out, or give a hint for every frame.",
        )
    codec, targets = choose_targets(spec, info)
    _check_targets(targets, codec, info, spec, overwrite or resume)
    settings = _settings(spec, hints, codec, targets, start, stop)
    return ClipJob(spec, info, start, stop, codec, targets, hints, settings, _screen(spec, start, stop))


def _screen(spec: ClipSpec, start: int, stop: int) -> tuple[float, ...] | None:
    """The colour that --key means in this clip."""
    if spec.key is None:
        return None
    from uhrmat.clip.screen import clip_screen

    with open_clip(spec.source, rate=spec.rate) as reader:
        return clip_screen(reader, start, stop, spec.key)


def parse_rate(text: str) -> Fraction:
    """Frames per second from `25`, `29.97` or `30000/1001`. Raises InputError."""
    try:
        found = Fraction(text)
    except (ValueError, ZeroDivisionError):
        found = Fraction(0)
    if found <= 0:
        raise InputError(f"The rate {text!r} is none.", "Give frames per second, like 25 or 30000/1001.")
    return found


def _length(reader: ClipReader) -> int:
    found = reader.info.frames
    return sum(1 for _ in reader.frames()) if found is None else found


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
            f"Frames {spec.start} to {stop} of a clip of {length} are none.", "Choose others with --start and --end."
        )
    return spec.start, stop


def choose_targets(spec: ClipSpec, info: ClipInfo) -> tuple[Codec, tuple[Target, ...]]:
    """The codec and the outputs. Raises InputError or OutputError for names that there are not."""
    name = spec.codec or _codec_of(spec, info)
    given = spec.outputs
    into_file = spec.output is not None and (bool(_kind(spec.output)) or is_pattern(spec.output))
    if given is None:
        carries = name in CODECS and CODECS[name].carries_alpha and into_file
        given = ("foreground",) if carries else ("alpha",)
    contents = tuple(dict.fromkeys([*given, *(["composite"] if spec.background is not None else [])]))
    unknown = [content for content in contents if content not in CONTENTS]
    if unknown or not contents:
        what = f"There is no output named {unknown[0]!r}." if unknown else "No output was asked for."
        raise InputError(what, f"Choose from {', '.join(CONTENTS)}.")
    if "composite" in contents and spec.background is None:
        raise InputError("A composite needs a background.", "Give one with --background.")
    for content in contents:
        codec = find_codec(name, content)  # type: ignore[arg-type]
    if into_file and len(contents) > 1:
        raise InputError(
            f"One file cannot hold {' and '.join(contents)}.", "Name a folder with -o, or ask for one of them."
        )
    into_file = into_file or (codec.sequence and spec.output is not None and len(contents) == 1)
    paths = [_path(spec, info, codec, content, into_file) for content in contents]
    return codec, tuple(Target(content, path) for content, path in zip(contents, paths, strict=True))  # type: ignore[arg-type]


def _codec_of(spec: ClipSpec, info: ClipInfo) -> str:
    """By the output's extension, else the kind of the input's stills, else ProRes."""
    if spec.output is not None and (suffix := _kind(spec.output)):
        return next(name for name, codec in CODECS.items() if suffix in (codec.suffix, *codec.suffixes))
    if info.kind == "sequence":
        return _STILLS.get(Path(info.pattern).suffix.lower(), "png")
    return _DEFAULT


def _kind(path: Path) -> str:
    """The extension of a path that names a file of some codec, else nothing."""
    suffix = path.suffix.lower()
    known = {s for codec in CODECS.values() for s in (codec.suffix, *codec.suffixes)}
    return suffix if suffix in known and not path.is_dir() else ""


def _path(spec: ClipSpec, info: ClipInfo, codec: Codec, content: str, into_file: bool) -> Path:
    if into_file and spec.output is not None:
        return spec.output
    source = Path(spec.source)
    stem = stem_of(source, info)
    folder = source.parent if spec.output is None else spec.output
    return folder / (f"{stem}_{content}" if codec.sequence else f"{stem}_{content}{codec.suffix}")


def stem_of(source: Path, info: ClipInfo) -> str:
    """What outputs are named after: the file, the folder of a sequence, or what stands before a pattern's number."""
    if info.kind == "stream":
        return source.stem
    if source.is_dir():
        return source.resolve().name
    return Path(info.pattern).stem.partition("%")[0].rstrip("_-. ") or source.resolve().parent.name


def _check_targets(targets: tuple[Target, ...], codec: Codec, info: ClipInfo, spec: ClipSpec, replace: bool) -> None:
    inputs = [spec.source, *(p for p in (spec.trimap, spec.mask, spec.plate) if p is not None)]
    for target in targets:
        if any(same_file(target.path, path) for path in inputs):
            raise OutputError(f"The output {target.path} is one of the inputs.", "Choose another name with -o.")
        check_writable(target.path.parent)
        writer = open_writer(target.path, codec, info, target.content, bits=spec.bits)
        writer.abort()
        there = _existing(writer.path, codec)
        if there is not None and not replace:
            raise OutputError(f"The output {there} exists.", "Replace it with --overwrite, or choose another with -o.")


def _existing(path: Path, codec: Codec) -> Path | None:
    if not codec.sequence:
        return path if path.exists() else None
    return next((p for p in sorted(path.parent.glob(f"*{path.suffix}"))), None) if path.parent.is_dir() else None


def _settings(
    spec: ClipSpec, hints: ClipHints, codec: Codec, targets: tuple[Target, ...], start: int, stop: int
) -> str:
    files = [spec.source if not is_pattern(spec.source) else spec.source.parent, *hints.files()]
    if spec.background is not None and Path(spec.background).exists():
        files.append(Path(spec.background))
    named = [str(name or "") for name in (spec.matter.get("weights"), spec.blend)]
    files += [Path(name) for name in named if name.endswith(".safetensors")]
    return settings_hash({
        "files": [fingerprint(path) for path in files], "frames": [start, stop], "codec": codec.name,
        "targets": [[t.content, str(t.path)] for t in targets], "bits": spec.bits, "background": spec.background,
        "rate": str(spec.rate), "hints": [hints.kind, hints.key, str(hints.plate), sorted(hints.keys)],
        "temporal": spec.temporal, "averaged": spec.averaged, "blend": spec.blend, "threshold": spec.threshold,
        "interval": spec.interval,
        "matter": {key: str(value) for key, value in sorted(spec.matter.items())},
    })  # fmt: skip
