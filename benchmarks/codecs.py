"""Every codec there and back: what is read again of what was written.

Run from the repository: `python -m benchmarks.codecs`; it writes results/codecs.json. Two segments of a clip of 29.97
frames per second with sound are encoded and joined, as `uhrmat video` does. alpha: PSNR in dB of the worst frame, or
exact at its depth; duration: frames that the joined file is longer than the source; sound: whether the packets of its
audio are the source's; patches: eight flat colours, the largest difference in 255ths, for the matrix and range of each
source. Frames are 320 x 192: a disc with a soft edge and strands, and with --noise pure noise for an alpha.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import header, parser, write
from tests.media.video.helpers import (
    CODE,
    LUMA,
    PATCHES,
    RATE,
    centres,
    clip_info,
    encode,
    grey_frame,
    patches,
    scenery,
    soft_alpha,
    some_frame,
    sound_packets,
)
from uhrmat.media.video import (
    CODECS,
    Codec,
    ColourTags,
    Content,
    check_alpha,
    copy_sound,
    join_segments,
    open_clip,
    open_writer,
)

_WIDTH, _HEIGHT = 320, 192


def rows(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each codec, depth, and content that has an alpha."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = [grey_frame(60 + i, _WIDTH, _HEIGHT) for i in range(options.frames)]
        source = encode(folder / "source.mp4", frames, sound=True, options={"bf": "0"})
        for codec in CODECS.values():
            for bits in codec.bits:
                colours = coloured(codec, bits, folder)
                for content in ("alpha", "foreground"):
                    if content in codec.contents:
                        out = folder / f"{codec.name}-{bits}-{content}"
                        row = {"codec": codec.name, "bits": bits, "content": content,
                               **alpha(codec, bits, content, source, out, options), **colours}  # fmt: skip
                        print(row, flush=True)
                        yield row


def alpha(
    codec: Codec, bits: int, content: Content, source: Path, out: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Alpha, duration and sound of two segments that were joined."""
    out.mkdir()
    colour, count, parts = scenery(_HEIGHT, _WIDTH), options.frames, []
    alphas = {i: _alpha(i, options.noise) for i in range(count)}
    with open_clip(source) as clip:
        info = clip.info
    path = out / "joined" if codec.sequence else out / f"joined{codec.suffix}"
    for start, stop in ((0, count // 2), (count // 2, count)):
        parts.append(path if codec.sequence else out / f"part{start}{codec.suffix}")
        with open_writer(parts[-1], codec, info, content, bits=bits) as writer:
            for index in range(start, stop):
                writer.write(some_frame(index, colour), alphas[index], colour)
    if codec.sequence:
        copy_sound(info, out / "joined.mka", Fraction(0))
        sound = out / "joined.mka"
    else:
        sound = join_segments(parts, path, info, codec, audio_from=source).audio_path or path
    check = check_alpha(writer.path if codec.sequence else path, codec, alphas, content)
    with open_clip(path, rate=RATE if codec.sequence else None) as joined:
        longer = (joined.info.duration - info.duration) * float(RATE)
        assert joined.info.frames == count
    return {"exact": check.exact, "psnr": None if check.exact else round(check.psnr, 1),
            "longer": round(longer, 3), "sound": sound_packets(sound) == sound_packets(source)}  # fmt: skip


def coloured(codec: Codec, bits: int, folder: Path) -> dict[str, Any]:
    """Of eight flat colours the largest difference for each matrix and range."""
    result = {}
    for matrix in LUMA:
        for full in (False, True):
            tags = ColourTags(
                matrix=matrix, range="full" if full else "limited", primaries=1, transfer=1, matrix_code=CODE[matrix]
            )
            path = folder / f"{codec.name}-{bits}-{matrix}-{full}{'' if codec.sequence else codec.suffix}"
            with open_writer(path, codec, clip_info(64, 32, tags, bits=8), "composite", bits=bits) as writer:
                writer.write(some_frame(0, patches()), None, patches())
            with open_clip(path, rate=RATE if codec.sequence else None) as clip:
                pixels = next(clip.frames()).picture.pixels
            result[f"{matrix} {'full' if full else 'limited'}"] = round(float(_difference(pixels)), 2)
    return {"patches": result}


def _difference(pixels: np.ndarray) -> float:
    if pixels.dtype.kind == "f":  # EXR holds linear light
        from uhrmat.media import srgb_encode

        return float(np.abs(srgb_encode(pixels)[8::16, 8::16].reshape(-1, 3) * 255 - PATCHES).max())
    return float(np.abs(centres(pixels) - PATCHES).max())


def _alpha(index: int, noise: bool) -> np.ndarray:
    if noise:
        return np.random.default_rng(index).random((_HEIGHT, _WIDTH), np.float32)
    return soft_alpha(_HEIGHT, _WIDTH, index)


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/codecs.json."""
    result = parser(__doc__)
    result.add_argument("--frames", type=int, default=24)
    result.add_argument("--noise", action="store_true", help="for an alpha, the worst there is")
    options = result.parse_args(arguments)
    options.frames = 4 if options.quick else options.frames
    made: list[dict[str, Any]] = []
    for row in rows(options):
        made.append(row)
        write(options.results, "codecs", {**header(1, options.quick), "noise": options.noise, "codecs": made})


if __name__ == "__main__":
    main()
