"""What some fifty commands write, as SHA-256: two versions on one machine are the same where these are.

    python -m benchmarks.golden write before.json        at the commit to compare with
    python -m benchmarks.golden compare before.json      at the commit to be looked at: exit code 1 for a difference

Inputs are tiny and made here, from fixed seeds. Everything runs on the CPU in fp32 with one thread. The last bits
differ between processors and between versions of the libraries, so a file of hashes is good for one machine. Of clips,
the decoded frames are hashed: containers hold random numbers. Reports, manifests and pages name folders and seconds and
are left out.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import argparse
import contextlib
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH, FRAMES = 72, 96, 5
CONTAINERS = (".mov", ".mp4", ".mkv", ".webm")
LEFT_OUT = (".json", ".jsonl", ".html", ".lock", ".txt")
FIXED = ["--device", "cpu", "--precision", "fp32", "--threads", "1", "--quiet"]
LIGHT = ["--prior", "mask", "--refiner", "bilinear"]
Command = list[str]


# ------------------------------------------------------------------------------------------------------------- inputs
def soft_alpha(shift: float = 0.0) -> np.ndarray:
    """(H, W) in [0, 1]: a disc with spikes, soft at its edge."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    dy, dx = y - HEIGHT / 2, x - WIDTH / 2 - shift
    edge = 18 + 4 * np.sin(9 * np.arctan2(dy, dx))
    return np.clip((edge - np.hypot(dy, dx)) / 5 + 0.5, 0, 1)


def background(seed: int = 1) -> np.ndarray:
    """(H, W, 3) of 255: a smooth pattern with noise."""
    rng = np.random.default_rng(seed)
    rough = rng.uniform(60, 200, (6, 8, 3)).astype(np.float32)
    return cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) + rng.normal(0, 2, (HEIGHT, WIDTH, 3))


def shown(alpha: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """(H, W, 3) of 255: a reddish subject before `behind`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    front = np.stack([170 + 30 * np.sin(x / 5), 70 + 20 * np.cos(y / 4), 60 + 0 * x], axis=-1)
    return alpha[..., None] * front + (1 - alpha[..., None]) * behind


def grey_levels(values: np.ndarray) -> np.ndarray:
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def make_inputs(root: Path) -> None:
    """Every file that the commands read, below `root`."""
    alpha, behind = soft_alpha(), background()
    photo = shown(alpha, behind)
    rng = np.random.default_rng(7)
    green = np.full((HEIGHT, WIDTH, 3), (40, 180, 60)) + rng.normal(0, 2, (HEIGHT, WIDTH, 3))
    trimap = np.where(alpha >= 1, 255, np.where(alpha <= 0, 0, 128))
    trimap = np.where(cv2.dilate((trimap == 128).astype(np.uint8), np.ones((7, 7))) > 0, 128, trimap)
    pictures = {
        "photo.png": grey_levels(photo),
        "green.png": grey_levels(shown(alpha, green)),
        "plate.png": grey_levels(behind + np.random.default_rng(3).normal(0, 1, behind.shape)),
        "over.png": grey_levels(background(9)),
        "trimap.png": trimap.astype(np.uint8),
        "mask.png": grey_levels(alpha * 255),
        "hard.png": ((alpha > 0.5) * 255).astype(np.uint8),
        "low.png": grey_levels(cv2.resize(alpha, (24, 18), interpolation=cv2.INTER_AREA) * 255),
    }
    for name, values in pictures.items():
        Image.fromarray(values).save(root / name)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "camera", 6
    Image.fromarray(pictures["photo.png"]).rotate(90, expand=True).save(root / "photo.jpg", quality=92, exif=exif)
    deep = np.rint(photo.clip(0, 255) * 257).astype(np.uint16)
    cv2.imwrite(str(root / "deep.png"), deep[..., ::-1])
    for folder in ("shot", "screen", "masks", "batch/a", "batch/b", "batch_masks/a", "batch_masks/b/take"):
        (root / folder).mkdir(parents=True)
    frames = []
    for number in range(FRAMES):
        moved = soft_alpha(2.0 * number)
        frames.append(grey_levels(shown(moved, behind)))
        Image.fromarray(frames[-1]).save(root / "shot" / f"f_{number + 1:04d}.png")
        Image.fromarray(grey_levels(shown(moved, green))).save(root / "screen" / f"g_{number + 1:04d}.png")
        for folder in ("masks", "batch_masks/b/take"):
            Image.fromarray(grey_levels(moved * 255)).save(root / folder / f"m_{number + 1:04d}.png")
    for path in (root / "clip.mkv", root / "batch" / "b" / "take.mkv"):
        write_clip(path, frames)
    for number in range(6):
        moved = soft_alpha(5.0 * number)
        Image.fromarray(grey_levels(shown(moved, behind))).save(root / "batch" / "a" / f"p{number}.png")
        Image.fromarray(grey_levels(moved * 255)).save(root / "batch_masks" / "a" / f"p{number}.png")


def write_clip(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode(None))


# ----------------------------------------------------------------------------------------------------------- commands
def commands() -> dict[str, list[Command]]:
    """Case → its commands, one after the other, with {in} and {out} for the folders."""
    result: dict[str, list[Command]] = {}

    def image(case: str, *words: str, photo: str = "photo.png", out: str = "{out}") -> None:
        result[case] = [["image", f"{{in}}/{photo}", *words, "-o", out, *FIXED]]

    def video(case: str, *words: str, clip: str = "shot", out: str) -> None:
        result[case] = [["video", f"{{in}}/{clip}", *words, "-o", f"{{out}}/{out}", *FIXED]]

    trimap, mask = ["--trimap", "{in}/trimap.png"], ["--mask", "{in}/mask.png"]
    masks = ["--mask", "{in}/masks", *LIGHT]
    for prior in ("closed-form+knn", "closed-form", "knn", "lbdm", "lkm", "rw"):
        image(f"prior {prior}", *trimap, "--prior", prior, "--refiner", "guided")
    image("hint trimap, auto", *trimap, "--outputs", "alpha,foreground,cutout,preview")
    image("hint mask, auto", "--mask", "{in}/hard.png")
    image("hint mask", *mask, "--prior", "mask")
    image("hint plate", "--plate", "{in}/plate.png")
    image("hint plate with trimap", "--plate", "{in}/plate.png", *trimap)
    image("hint key", "--key", "green", photo="green.png")
    image("hint key, found", "--key", "auto", photo="green.png")
    image("hint key with trimap", "--key", "#28b43c", *trimap, photo="green.png")
    image("hint alpha", "--alpha", "{in}/low.png")
    image("no hint, lpn-person", "--prior", "lpn-person")
    image("working size", *mask, "--prior", "mask", "--working-size", "24")
    for refiner in ("shm", "ddfe", "projection", "guided", "bilinear"):
        image(f"refiner {refiner}", *mask, "--prior", "mask", "--refiner", refiner)
    for weights in ("ddfe-line", "ddfe-paper", "ddfe-paper-no-mdrd"):
        image(f"weights {weights}", *mask, "--prior", "mask", "--refiner", "ddfe", "--weights", weights)
    for engine in ("tiles", "dense"):
        for refiner in ("shm", "ddfe"):
            image(f"engine {engine} {refiner}", *mask, "--prior", "mask", "--refiner", refiner, "--engine", engine)
    for kind in ("png16", "tiff", "exr", "webp"):
        alpha = "png" if kind == "webp" else kind
        words = ["--format", kind, "--alpha-format", alpha, "--outputs", "alpha,foreground,cutout"]
        image(f"format {kind}", *mask, *LIGHT, *words)
    image("format premultiplied, over a colour", *mask, *LIGHT, "--premultiply", "--background", "#204060")
    image("format one file over a picture", *mask, *LIGHT, "--background", "{in}/over.png", out="{out}/x.jpg")
    image("input 16 bits", *mask, *LIGHT, "--outputs", "alpha,foreground,cutout", photo="deep.png")
    image("input JPEG with EXIF", *mask, *LIGHT, "--outputs", "cutout", "--keep-metadata", photo="photo.jpg")
    result["trimap"] = [["trimap", "{in}/hard.png", "-o", "{out}/t.png", "--erode", "3", "--dilate", "5", "--quiet"]]
    result["evaluate"] = [
        ["evaluate", "{in}/hard.png", "{in}/mask.png", "--trimap", "{in}/trimap.png", "--csv", "{out}/s.csv", "--quiet"]
    ]
    for codec, out in (("prores4444", "c.mov"), ("ffv1", "c.mkv"), ("vp9", "c.webm")):
        video(f"codec {codec}", *masks, "--codec", codec, "--outputs", "foreground", out=out)
    for codec, out in (("h264", "c.mp4"), ("hevc", "c.mp4")):
        words = ["--codec", codec, "--outputs", "composite", "--background", "#204060"]
        video(f"codec {codec}", *masks, *words, out=out)
    for suffix in ("png", "tiff", "exr"):
        video(f"codec {suffix} frames", *masks, "--outputs", "foreground", out=f"c_%04d.{suffix}")
    video(
        "clip, first mask carried",
        "--mask",
        "{in}/masks/m_0001.png",
        "--refiner",
        "shm",
        "--propagation",
        "flow",
        out="c_%04d.png",
    )
    video(
        "clip, ddfe", "--mask", "{in}/masks", "--prior", "mask", "--refiner", "ddfe", "--frames", "2", out="c_%04d.png"
    )
    video("clip, plate", "--plate", "{in}/plate.png", "--refiner", "guided", out="c_%04d.png")
    video("clip, key", "--key", "green", "--refiner", "guided", clip="screen", out="c_%04d.png")
    video("clip, every frame anew", *masks, "--no-temporal", "--start", "1", "--end", "4", out="c_%04d.png")
    video("clip, stream in segments", *masks, "--keyframe-interval", "2", clip="clip.mkv", out="c.mkv")
    batch = ["batch", "{in}/batch", "-o", "{out}", "--masks", "{in}/batch_masks", *LIGHT, "--codec", "ffv1", *FIXED]
    result["batch in this process"] = [[*batch, "--jobs", "0", "--outputs", "alpha,foreground"]]
    result["batch in a process, resumed"] = [[*batch, "--jobs", "1", "--include", "p1.png"], [*batch, "--jobs", "1"]]
    result["batch in two shards"] = [[*batch, "--jobs", "0", "--shard", f"{part}/2"] for part in (1, 2)]
    return result


def run_here(words: Command) -> int:
    """The exit code of one command in this process; what it prints is dropped where it succeeds."""
    from click.exceptions import ClickException, Exit

    from uhrmat.cli.app import app

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = app(words, standalone_mode=False) or 0
        except Exit as end:
            code = end.exit_code
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except ClickException as error:
            code = error.exit_code
            printed.write(error.format_message())
    if code:
        print(f"exit code {code}: uhrmat {' '.join(words)}\n{printed.getvalue()}", file=sys.stderr)
    return int(code)


def killed_and_resumed(inputs: Path, out: Path) -> int:
    """The exit code of a clip that goes on after its process was killed with the first segment written."""
    words = ["video", f"{inputs}/shot", "--mask", f"{inputs}/masks", *LIGHT, "--keyframe-interval", "1"]
    words += ["-o", f"{out}/c.mkv", "--codec", "ffv1", *FIXED]
    process = subprocess.Popen([sys.executable, "-m", "uhrmat", *words], stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None and not [p for p in out.rglob("*.json") if p.stem not in ("manifest", "lock")]:
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    if (out / "c.mkv").exists():  # too fast to be killed: the same frames all the same
        return 0
    return run_here([*words, "--resume"])


# ------------------------------------------------------------------------------------------------------------- hashes
def digests(folder: Path) -> Iterator[tuple[str, str]]:
    """(path below `folder`, SHA-256) of the results there, without bookkeeping."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and not hidden and path.suffix not in LEFT_OUT:
            yield (
                name,
                clip_digest(path) if path.suffix in CONTAINERS else hashlib.sha256(path.read_bytes()).hexdigest(),
            )


def clip_digest(path: Path) -> str:
    """SHA-256 of a clip's decoded frames, their formats and times."""
    result = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            result.update(f"{frame.format.name} {frame.width}x{frame.height} {frame.pts} {frame.time_base}".encode())
            for plane in frame.planes:
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                result.update(np.ascontiguousarray(rows[:, : plane.width]).tobytes())
    return result.hexdigest()


def measured(only: str) -> dict[str, str]:
    """Case and file → SHA-256, and case → exit codes."""
    result: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="golden") as scratch:
        inputs = Path(scratch, "in")
        inputs.mkdir()
        make_inputs(inputs)
        cases = commands()
        for number, case in enumerate([*cases, "clip, killed and resumed"]):
            if only not in case:
                continue
            out, begun = Path(scratch, f"out{number}"), time.perf_counter()
            out.mkdir()
            if case in cases:
                places = {"in": inputs, "out": out}
                codes = [run_here([word.format_map(places) for word in line]) for line in cases[case]]
            else:
                codes = [killed_and_resumed(inputs, out)]
            result[case] = f"exit {codes}"
            result.update({f"{case}: {name}": digest for name, digest in digests(out)})
            print(f"{time.perf_counter() - begun:6.1f} s  {case}", file=sys.stderr)
    return result


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=["write", "compare"])
    options.add_argument("file", type=Path)
    options.add_argument("--only", default="", help="cases whose name holds this")
    chosen = options.parse_args()
    now = measured(chosen.only)
    if chosen.what == "write":
        chosen.file.write_text(json.dumps(now, indent=1) + "\n")
        return 0
    before = {k: v for k, v in json.loads(chosen.file.read_text()).items() if chosen.only in k}
    different = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    for key in different:
        print(f"{key}: {before.get(key, 'missing')} -> {now.get(key, 'missing')}")
    print(f"{len(different)} of {len(before.keys() | now.keys())} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
