"""Render a picture of any size with its exact alpha, foreground and trimap, for tests and benchmarks.

    python examples/render_scene.py scene.png --width 3840 --height 2160 --kind hair --unknown-share 0.07

writes scene.png (8 bit), scene_trimap.png (0, 128, 255), scene_alpha.png (16 bit) and scene_foreground.png (8 bit).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from uhrmat.core.errors import UhrmatError
from uhrmat.train.synth import KINDS, Scene, find_training_data, render_scene

_TRIES = 4


def main(arguments: list[str] | None = None) -> int:
    """Parse, render, write; 0 if all went well, 2 for input that cannot be used."""
    wanted = _parser().parse_args(arguments)
    try:
        scene = render(wanted)
    except UhrmatError as error:
        print(error, file=sys.stderr)
        return 2
    for path in write(scene, wanted.picture):
        print(path)
    unknown = scene.trimap == 128
    print(f"{scene.kind}: {int(unknown.sum())} of {unknown.size} pixels unknown ({unknown.mean():.1%})")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, help="PNG to write; the other files are named after it")
    parser.add_argument("--width", type=int, default=3840)
    parser.add_argument("--height", type=int, default=2160)
    parser.add_argument("--kind", choices=KINDS, help="default: drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--difficulty", type=float, default=0.5, help="0 to 1")
    parser.add_argument("--unknown-share", type=float, help="wanted share of unknown pixels, about, 0 to 1")
    parser.add_argument("--data", type=Path, help="folder with textures/ and mattes/ (default: all is generated)")
    parser.add_argument("--no-camera", action="store_true", help="leave out noise, sharpening and JPEG")
    return parser


def render(wanted: argparse.Namespace) -> Scene:
    """Render; a subject whose unknown pixels alone exceed the wanted share is made smaller."""
    backgrounds, subjects = find_training_data(wanted.data) if wanted.data else ([], [])
    size, share = 1.0, wanted.unknown_share
    for _ in range(_TRIES):
        scene = render_scene(
            wanted.seed, wanted.height, wanted.width, kind=wanted.kind, backgrounds=backgrounds, subjects=subjects,
            difficulty=wanted.difficulty, camera=False if wanted.no_camera else None, unknown_share=share, size=size,
        )  # fmt: skip
        got = float(np.mean(scene.trimap == 128))
        if share is None or got <= 1.2 * share:
            break
        size *= max(0.3, 0.9 * float(np.sqrt(share / got)))
    return scene


def write(scene: Scene, picture: Path) -> list[Path]:
    """Write the four files and return their paths."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    files = {
        "": np.rint(scene.image[..., ::-1] * 255).astype(np.uint8),
        "_trimap": scene.trimap,
        "_alpha": np.rint(scene.alpha * 65535).astype(np.uint16),
        "_foreground": np.rint(scene.foreground[..., ::-1] * 255).astype(np.uint8),
    }
    paths = []
    for name, pixels in files.items():
        path = picture.with_name(f"{picture.stem}{name}.png")
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())  # cv2.imwrite takes no name that is not UTF-8
        paths.append(path)
    return paths


if __name__ == "__main__":
    raise SystemExit(main())
