"""Clips small enough for tests, and a pipeline whose refiner needs no network."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.pipeline import StillPipeline
from uhrmat.train.synth.clip import ClipFrame, ClipRecipe, render_clip

HEIGHT, WIDTH = 66, 98


def frames(count: int = 6, **options: float) -> list[ClipFrame]:
    recipe = {"seed": 3, "gust": 2.0, "period": 12.0, "margin": 0.03} | options
    return list(render_clip(ClipRecipe(HEIGHT, WIDTH, count, **recipe)))  # type: ignore[arg-type]


def pipeline(refiner: str = "guided") -> StillPipeline:
    return StillPipeline(refiner=refiner, precision="fp32", working_size=40)


def picture(pixels: np.ndarray) -> Picture:
    return Picture.from_array(pixels)


def hints(trimap: np.ndarray) -> Hints:
    return Hints(trimap=trimap)


def write_frames(folder: Path, clip: list[ClipFrame], first: int = 1001) -> tuple[Path, Path]:
    """A sequence and a folder with a trimap for each of its frames."""
    from PIL import Image

    pictures, trimaps = folder / "shot", folder / "trimaps"
    for made in (pictures, trimaps):
        made.mkdir()
    for frame in clip:
        Image.fromarray(frame.image).save(pictures / f"shot_{first + frame.number:04d}.png")
        Image.fromarray(frame.trimap).save(trimaps / f"trimap_{first + frame.number:04d}.png")
    return pictures, trimaps


def write_masks(folder: Path, clip: list[ClipFrame], first: int = 1001) -> Path:
    """A folder with a mask for each frame, soft at its edge, so that the prior `mask` leaves something open."""
    from PIL import Image

    folder.mkdir()
    for frame in clip:
        Image.fromarray(np.rint(frame.alpha * 255).astype(np.uint8)).save(folder / f"m{first + frame.number:04d}.png")
    return folder


def write_stream(path: Path, clip: list[ClipFrame], rate: int = 25) -> Path:
    """The frames as FFV1, exactly as they are."""
    import av

    height, width = clip[0].image.shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"  # type: ignore[union-attr]
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, "rgb24")))  # type: ignore[union-attr]
        container.mux(stream.encode(None))  # type: ignore[union-attr]
    return path


def with_sound(path: Path) -> None:
    """Adds PCM sound to a clip, a packet for each frame at 25 frames a second."""
    import av

    silent = path.rename(path.with_name("silent.mkv"))
    with av.open(str(silent)) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number, packet in enumerate(p for p in source.demux(video=0) if p.size):
            packet.stream = video
            target.mux(packet)
            sound = av.AudioFrame.from_ndarray(np.full((1, 320), number, np.int16), "s16", "mono")
            sound.sample_rate, sound.pts, sound.time_base = 8000, 320 * number, Fraction(1, 8000)
            target.mux(audio.encode(sound))
    silent.unlink()
