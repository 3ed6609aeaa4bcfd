"""Reports of a clip: as a table, as JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uhrmat.core.printable import escape_surrogates
from uhrmat.core.redact import names_by_path, redact_folders
from uhrmat.core.units import format_bytes
from uhrmat.media import atomic_write
from uhrmat.metrics.plots import Panel, can_plot, plot_panels
from uhrmat.prior.registry import PriorRegistry
from uhrmat.video.plan import ClipPlan
from uhrmat.video.propagation.advice import best_hint_frame
from uhrmat.video.propagation.report import frames_in_state
from uhrmat.video.subject_masks import surest_frame


@dataclass(frozen=True, kw_only=True)
class ClipReport:
    """What became of a clip.

    Attributes:
        plan: of the clip.
        refiner, engine, device, precision: what was used, by name.
        files: by output.
        frames: figures of each frame in order, see `FrameStats.as_dict`.
        kept: number of frames that an earlier run had done.
        seconds: of this run.
        peak_memory: bytes, see `core.devices.peak_memory`.
        notes: lines for the user.
        active: number of a frame → its active pixels, see `active_masks`; only for some frames.
    """

    plan: ClipPlan
    refiner: str
    engine: str
    device: str
    precision: str
    files: dict[str, Path]
    frames: list[dict[str, Any]]
    kept: int
    seconds: float
    peak_memory: int
    notes: list[str]
    active: dict[int, str] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """Number of the first frame that was matted."""
        return self.plan.spec.redo[0][0] if self.plan.spec.redo else self.plan.start

    @property
    def count(self) -> int:
        """Number of frames that were to be matted."""
        redo = self.plan.spec.redo
        return sum(last - first + 1 for first, last in redo) if redo else self.plan.stop - self.plan.start

    @property
    def best_hint_frame(self) -> int | None:
        """Number of the frame on which a hint would help most, see `propagation.advice`; None without doubtful ones."""
        return best_hint_frame(self.frames, self.plan.hints.keys)

    def mean(self, name: str) -> float:
        """Mean of a figure over all frames."""
        return sum(float(frame[name]) for frame in self.frames) / max(1, len(self.frames))

    @property
    def reuse_share(self) -> float:
        """Share of the bands that was kept, over all frames but key frames."""
        others = [f for f in self.frames if not f["key"]]
        band = sum(f["band"] for f in others)
        return 1 - sum(f["active"] for f in others) / band if band else 0.0

    @property
    def cuts(self) -> list[int]:
        """Numbers of the frames at which a new shot begins."""
        return [int(frame["number"]) for frame in self.frames if frame["cut"]]

    @property
    def stage_seconds(self) -> dict[str, float]:
        """Seconds by stage over all frames; stages overlap."""
        seconds: dict[str, float] = {}
        for frame in self.frames:
            for name, value in frame["seconds"].items():
                seconds[name] = seconds.get(name, 0.0) + value
        return seconds

    @property
    def rate(self) -> float:
        """Frames per second of this run, decoding and encoding included."""
        return (len(self.frames) - self.kept) / max(self.seconds, 1e-9)

    def names(self) -> dict[Path, str]:
        """Of its files, for `redact_folders`."""
        return names_by_path((self.plan.spec.source, *self.files.values(), *self.plan.hints.files()))

    def as_dict(self, *, frames: bool = True) -> dict[str, Any]:
        """As plain values for JSON. frames: with the figures of every frame."""
        plan, surest = self.plan, surest_frame(self.frames)
        values: dict[str, Any] = {
            "clip": str(plan.spec.source), "status": "done", "width": plan.info.width, "height": plan.info.height,
            "first": self.first, "count": self.count, "redone": [list(one) for one in plan.spec.redo],
            "kept": self.kept, "codec": plan.codec.name,
            "files": {name: str(path) for name, path in self.files.items()}, "prior": plan.prior,
            "propagated": plan.hints.propagated,
            "propagation": plan.spec.propagation if plan.hints.propagated else None,
            "doubtful": frames_in_state(self.frames, "doubtful"), "lost": frames_in_state(self.frames, "lost"),
            "best_hint_frame": self.best_hint_frame, "surest_frame": None if surest is None else surest[0],
            "refiner": self.refiner, "engine": self.engine,
            "device": self.device, "precision": self.precision, "temporal": plan.spec.temporal,
            "averaged": plan.spec.averaged, "interval": plan.spec.interval,
            "active_share": self.mean("active_share"), "reuse_share": self.reuse_share,
            "noise": self.mean("noise"), "cuts": self.cuts, "frames_per_second": self.rate, "seconds": self.seconds,
            "stage_seconds": self.stage_seconds, "peak_memory": self.peak_memory, "notes": self.notes,
        }  # fmt: skip
        return {**values, "frames": self.frames} if frames else values


_KIND = {"alpha": "an alpha", "prompts": "points or boxes"}


def prior_note(plan: ClipPlan, priors: PriorRegistry) -> list[str]:
    """A line for the user on why that prior was chosen, as a picture's has; none where the user named it."""
    if plan.spec.model.prior != "auto":
        return []
    if plan.hints.propagated:
        kind, count = plan.hints.kind, len(plan.hints.keys)
        which = f"{count} of {plan.stop - plan.start} frames {'has' if count == 1 else 'have'}"
        what = _KIND.get("prompts" if plan.hints.prompts else kind, f"a {kind}")
        return [f"prior propagated from frame to frame, because {which} {what}"]
    note = priors.for_clips().choose(plan.hints.given)[1].note
    return [note] if note else []


def frame_warnings(frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """The warnings of the frames (see `FrameStats.as_dict`), each once, with the numbers of its frames."""
    about: dict[str, list[int]] = {}
    for frame in frames:
        for text in frame.get("warnings", ()):
            about.setdefault(text, []).append(frame["number"])
    return [f"{text} ({_listed(numbers, len(frames))})" for text, numbers in about.items()]


def _listed(numbers: Sequence[int], count: int) -> str:
    if len(numbers) == count:
        return "every frame"
    shown = ", ".join(str(number) for number in numbers[:8]) + (" …" if len(numbers) > 8 else "")
    return f"{len(numbers)} of {count} frames: {shown}"


def table_rows(report: ClipReport) -> list[tuple[str, str]]:
    """Names and values for the table that ends a run."""
    plan = report.plan
    stages = ", ".join(f"{name} {value:.1f}" for name, value in report.stage_seconds.items())
    propagated = f", propagated from frame to frame ({plan.spec.propagation})" if plan.hints.propagated else ""
    again = f", {report.kept} of them by an earlier run" if report.kept else ""
    reuse = f"{report.reuse_share:.1%} of the band" if plan.spec.temporal else "off"
    return [
        ("clip", str(plan.spec.source)),
        ("size", f"{plan.info.width} × {plan.info.height}"),
        ("frames", f"{report.count} from {report.first}{again}"),
        ("active pixels", f"{report.mean('active_share'):.1%}"),
        ("reused", reuse),
        ("noise", f"{255 * report.mean('noise'):.1f} levels of 255"),
        ("cuts", ", ".join(map(str, report.cuts)) or "none"),
        ("prior", plan.prior + propagated),
        ("refiner", report.refiner),
        ("engine", f"{report.engine}, {report.precision}"),
        ("device", report.device),
        ("seconds", f"{report.seconds:.1f}: {stages} (they overlap)"),
        ("frames per second", f"{report.rate:.2f}"),
        ("peak memory", format_bytes(report.peak_memory)),
        *(("note", note) for note in report.notes),
        *((name, str(path)) for name, path in report.files.items()),
    ]


def write_report(path: Path, report: ClipReport) -> tuple[Path, ...]:
    """Write the report as JSON and, where matplotlib is installed, its plot of the same name as PNG, both atomically.

    Args:
        path: The JSON file.
        report: Of a finished clip.

    Returns:
        Paths of the files that were written.

    Raises:
        OutputError: A file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(
            json.dumps(escape_surrogates(redact_folders(report.as_dict(), report.names())), indent=1) + "\n"
        )
    if not can_plot():
        return (path,)
    plot = path.with_suffix(".png")
    write_plot(plot, report.frames, report.cuts)
    return path, plot


def write_plot(path: Path, frames: list[dict[str, Any]], cuts: list[int]) -> None:
    """Draw confidence, active share, reused share and seconds of each frame as a PNG file.

    Args:
        path: The PNG file.
        frames: Figures of each frame in order, see `FrameStats.as_dict`.
        cuts: Numbers of the frames at which a new shot begins, drawn as vertical lines; doubtful and lost frames are
            shaded.

    Raises:
        UhrmatError: matplotlib is not installed, or the file cannot be written.
    """
    series = {
        "active pixels, share of the picture": [f["active_share"] for f in frames],
        "reused, share of the spatial mask": [f["reuse_share"] for f in frames],
        "seconds of all stages": [sum(f["seconds"].values()) for f in frames],
    }
    if any("confidence" in f for f in frames):
        series = {"confidence of the propagated mask": [f.get("confidence", 0.0) for f in frames], **series}
    numbers = [int(f["number"]) for f in frames]
    unsure = [*frames_in_state(frames, "doubtful"), *frames_in_state(frames, "lost")]
    panels = [
        Panel(title=title, values=values, positions=numbers, bars=True, marks=cuts, shaded=unsure)
        for title, values in series.items()
    ]
    plot_panels(path, panels, x_label="frame")
