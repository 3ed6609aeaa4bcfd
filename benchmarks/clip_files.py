"""Clips from file to file: frames per second with decoding and encoding, and what is held after 50 and 2 000 frames."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from uhrmat.core.memory import resident_memory
from uhrmat.core.options import ModelOptions
from uhrmat.train.synth.clip import ClipRecipe, render_clip
from uhrmat.video.frames import TemporalOptions
from uhrmat.video.plan import plan_clip
from uhrmat.video.report import ClipReport
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

MODES = {
    "off": TemporalOptions(temporal=False),
    "frame by frame": TemporalOptions(averaged=False),
    "on": TemporalOptions(),
}
"""All anew; what changed, for itself; what changed, averaged where the subject stands."""
EARLY = 50
"""By this frame everything that a clip needs is there."""


def speed(options: argparse.Namespace, wanted: ClipRecipe) -> Iterator[dict[str, Any]]:
    """Frames per second from H.264 to H.264 with a trimap for each frame, temporal sparsity off and on."""
    with _folder(options.keep) as folder:
        source, trimaps = encoded(wanted, folder)
        for temporal in options.modes:
            gate = MODES[temporal]
            spec = ClipSpec(
                source=source,
                output=folder / "out.mp4",
                outputs=("alpha",),
                trimap=trimaps,
                temporal=gate.temporal,
                averaged=gate.averaged,
                model=ModelOptions(threads=options.threads, refiner=options.refiner),
            )
            report, _ = _matted(spec)
            print(f"{wanted.height} lines, temporal {temporal}: {report.rate:.2f} frames per second", flush=True)
            yield {"height": wanted.height, "frames": wanted.frames, "temporal": temporal,
                   "noise": wanted.noise, "pan": wanted.pan, "frames_per_second": round(report.rate, 4),
                   "stage_seconds": report.stage_seconds, "peak": report.peak_memory,
                   "reuse_share": round(report.reuse_share, 4)}  # fmt: skip


def memory(options: argparse.Namespace, wanted: ClipRecipe) -> Iterator[dict[str, Any]]:
    """What this process holds after each frame of a long clip with a mask for each frame: the most until EARLY, until
    the end, and at some frames between."""
    with _folder(options.keep) as folder:
        source, masks = encoded(wanted, folder, masks=True)
        spec = ClipSpec(source=source, output=folder / "out.mp4", outputs=("alpha",), mask=masks, interval=60,
                        model=ModelOptions(threads=options.threads, refiner=options.refiner, prior="mask"))  # fmt: skip
        _, held = _matted(spec)
    count, early = wanted.frames, min(EARLY, wanted.frames // 2)
    at = sorted({early, *(n for n in (100, 200, 500, 1000, 1500) if n < count), count})
    most = max(held[n] for n in range(1, early + 1)), max(held[n] for n in range(early, count + 1))
    print(f"held until frame {early}: {most[0] / 1e6:.1f} MB, then: {most[1] / 1e6:.1f} MB", flush=True)
    yield {"height": wanted.height, "width": wanted.width, "frames": count, "early_frame": early, "early": most[0],
           "late": most[1], "held": {str(n): held[n] for n in at}}  # fmt: skip


def _matted(spec: ClipSpec) -> tuple[ClipReport, dict[int, int]]:
    """A clip's report, and the bytes held after each of its frames."""
    plan = plan_clip(spec, overwrite=True)
    held: dict[int, int] = {}

    def note(done: int, count: int) -> None:
        held[done] = resident_memory()

    return matte_clip(plan, ClipResources.load(plan), progress=note), held


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The given folder, which is kept, or a temporary one."""
    if keep is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
    else:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep


def encoded(wanted: ClipRecipe, folder: Path, *, masks: bool = False) -> tuple[Path, Path]:
    """The clip as H.264 with a trimap, or its alpha as a mask, of every frame beside it; what is there stays."""
    name = f"{wanted.height}-{wanted.frames}"
    source, hints = folder / f"clip-{name}.mp4", folder / f"{'masks' if masks else 'trimaps'}-{name}"
    if source.exists() and hints.is_dir():
        return source, hints
    hints.mkdir(exist_ok=True)
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "14", "preset": "veryfast"})
        for frame in render_clip(wanted):
            if frame.number == 0:
                stream.height, stream.width = frame.alpha.shape
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, "rgb24")))
            shown = np.rint(frame.alpha * 255).astype(np.uint8) if masks else frame.trimap
            Image.fromarray(shown).save(hints / f"{frame.number:06d}.png")
        container.mux(stream.encode(None))
    return source, hints
