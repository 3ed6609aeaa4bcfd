"""Folders: many files of mixed kind, runs that are killed, overlap of reading, matting and writing, flat memory.

Run from the repository: `python -m benchmarks.batch [--cases mixed killed overlap memory]`; it writes
results/batch.json. mixed: 200 files, ten of them broken, by `uhrmat batch`; every result is read back. killed: a folder
of 60 whose run is killed with SIGKILL at ten random moments and then left alone, compared byte by byte with an unbroken
run; work done twice is counted in the manifest. overlap: photographs of 1500 x 1000 from a disk that is slowed down by
waiting, so that reading and writing take a tenth of, as long as, and twice as long as the matting; the time from the
first file begun to the last one done over the larger of the two sums (both measured in the same run, one worker).
memory: many small files through one worker; its resident memory on the way.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import header, parser, write
from uhrmat.batch import worker
from uhrmat.batch.find import Selection
from uhrmat.batch.hints import Hints
from uhrmat.batch.job import Job, run
from uhrmat.batch.settings import Settings
from uhrmat.executors.inline import InlineExecutor
from uhrmat.media import read_mask
from uhrmat.media.video import open_clip

LIGHT = ["--prior", "mask", "--refiner", "bilinear", "--outputs", "alpha", "--codec", "ffv1", "--device", "cpu"]
Size = tuple[int, int]


def picture(path: Path, seed: int, size: Size = (96, 64)) -> None:
    """Noise, in the format of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)


def soft_mask(path: Path, size: Size = (96, 64)) -> None:
    """0 on the left, 255 on the right, a ramp between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.clip(np.linspace(-200, 455, size[0]), 0, 255).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (size[1], 1))).save(path)


def clip(path: Path, masks: Path, count: int = 9) -> None:
    """A lossless stream, with a mask for each frame."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "bgr0"  # type: ignore[union-attr]
        for number in range(count):
            pixels = np.full((64, 96, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))  # type: ignore[union-attr]
            soft_mask(masks / f"{number:03d}.png")
        container.mux(stream.encode(None))  # type: ignore[union-attr]


def folder(root: Path, stills: int, clips: int) -> None:
    """`root`/in and `root`/masks: stills of four formats in five subfolders, and clips."""
    for number in range(stills):
        name = f"s{number % 5}/p{number:04d}"
        picture(root / "in" / f"{name}.{('jpg', 'png', 'tif', 'webp')[number % 4]}", number)
        soft_mask(root / "masks" / f"{name}.png")
    for number in range(clips):
        clip(root / "in" / "clips" / f"c{number}.mkv", root / "masks" / "clips" / f"c{number}")


def spoil(root: Path, count: int = 10) -> list[str]:
    """Breaks files in ways of their own; their keys. A clip that is cut off is none: it is matted as far as it goes."""
    files = sorted((root / "in").rglob("*.*"))
    ways: list[Callable[[Path], object]] = [
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"this is a text"),
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
        lambda path: (root / "masks" / path.relative_to(root / "in")).with_suffix(".png").unlink(),
    ]
    stills = [path for path in files if path.suffix != ".mkv"][: count - 2]
    bad = stills + [path for path in files if path.suffix == ".mkv"][:2]
    for number, path in enumerate(bad):
        ways[number % 5 if path.suffix != ".mkv" else 1 + number % 2](path)
    return sorted(path.relative_to(root / "in").as_posix() for path in bad)


def command(root: Path, out: str) -> list[str]:
    """`uhrmat batch` over `root`."""
    words = [root / "in", "-o", root / out, "--masks", root / "masks", *LIGHT, "--keyframe-interval", 3, "--json"]
    return [sys.executable, "-m", "uhrmat", "batch", *map(str, words)]


def results(out: Path) -> dict[str, str]:
    """Path → hash of all but the bookkeeping."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.parent.name != ".uhrmat" and not path.name.startswith("failures")
    }


def is_right(root: Path, key: str) -> bool:
    """Whether the alpha of an input is 0 and 1 where its mask leaves no doubt."""
    source = Path(key)
    stem = root / "out" / source.parent / f"{source.stem}_alpha"
    if source.suffix == ".mkv":
        with open_clip(stem.with_name(f"{stem.name}.mkv")) as reader:
            alphas = [frame.picture.pixels[..., 0] / 255 for frame in reader.frames()]
    else:
        alphas = [read_mask(stem.with_name(f"{stem.name}.png"))]
    sides = [(float(alpha[:, :8].max()), float(alpha[:, -8:].min())) for alpha in alphas]
    return len(alphas) == (9 if source.suffix == ".mkv" else 1) and all(side == (0.0, 1.0) for side in sides)


def mixed(quick: bool, root: Path) -> dict[str, Any]:
    """Ten broken files among many."""
    folder(root, 17 if quick else 194, 3 if quick else 6)
    bad = spoil(root)
    done = subprocess.run(command(root, "out"), capture_output=True, text=True)
    keys = [path.relative_to(root / "in").as_posix() for path in sorted((root / "in").rglob("*.*"))]
    named = sorted(item["item"] for item in json.loads((root / "out" / "failures.json").read_text()))
    right = sum(is_right(root, key) for key in keys if key not in bad)
    summary = json.loads(done.stdout.splitlines()[-1])
    return {
        "files": len(keys), "broken": len(bad), "right": right, "named": len(named),
        "named_are_the_broken": named == bad, "exit_code": done.returncode, "seconds": round(summary["seconds"], 1),
    }  # fmt: skip


def killed(quick: bool, root: Path) -> dict[str, Any]:
    """SIGKILL at random moments, then to the end."""
    folder(root, 12 if quick else 57, 3)
    subprocess.run(command(root, "whole"), capture_output=True, check=True)
    kills, chance = 2 if quick else 10, random.Random(8)
    in_hand: Counter[str] = Counter()
    for _ in range(kills):
        in_hand.update(_kill(command(root, "out"), chance))
    last = subprocess.run(command(root, "out"), capture_output=True, text=True, check=True)
    lines = (root / "out" / ".uhrmat" / "manifest-1of1.jsonl").read_text().splitlines()
    begun = Counter(record["key"] for record in map(json.loads, lines) if record["state"] == "begun")
    same = results(root / "out") == results(root / "whole")
    unexplained = sum(max(0, count - 1 - in_hand[key]) for key, count in begun.items())
    return {
        "files": len(results(root / "whole")), "kills": kills, "identical_bytes": same,
        "partial_files": len(set(results(root / "out")) - set(results(root / "whole"))),
        "begun_again": sum(count - 1 for count in begun.values()), "of_them_not_in_hand_when_killed": unexplained,
        "left_for_the_last_run": json.loads(last.stdout.splitlines()[-1])["done"],
    }  # fmt: skip


def _kill(words: list[str], chance: random.Random) -> set[str]:
    """Starts a run, kills it after a random number of events and a moment; what it had in hand."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    events, limit = list[dict[str, Any]](), chance.randint(1, 12)
    for line in process.stdout:
        events.append(json.loads(line))
        if len(events) >= limit:
            time.sleep(chance.random() * 0.2)
            break
    process.kill()
    events += [json.loads(line) for line in process.stdout if line.endswith("\n")]
    process.wait()
    begun = {event["item"] for event in events if event["event"] == "begin"}
    return begun - {event["item"] for event in events if event["event"] in ("done", "failed")}


def _inline(root: Path, matter: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
    settings = Settings({"precision": "fp32", "device": "cpu", **matter}, ("alpha",), given=("mask",))
    job = Job([root / "in"], root / "out", settings, Selection(), Hints({"mask": str(root / "masks")}), overwrite=True)
    run(job, lambda: InlineExecutor(settings), tell)


def overlap(quick: bool, root: Path) -> dict[str, Any]:
    """Three speeds of disk."""
    size, count = ((300, 200), 6) if quick else ((1500, 1000), 24)
    for number in range(count):
        picture(root / "in" / f"{number}.png", number, size)
        soft_mask(root / "masks" / f"{number}.png", size)
    pause = [0.0]
    load, deliver = worker.load, worker.deliver

    def slow(inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            time.sleep(pause[0] / 2)
            return inner(*arguments)

        return call

    found: dict[str, Any] = {}
    worker.load, worker.deliver = _timed(slow(load), io := [0.0]), _timed(slow(deliver), io)
    try:
        each = 0.0
        for name, share in (("bare", 0.0), ("tenth", 0.1), ("equal", 1.0), ("double", 2.0)):
            pause[0], io[0] = share * each, 0.0
            found[name] = _measured(root, io)
            each = each or found[name]["matting"] / count
    finally:
        worker.load, worker.deliver = load, deliver
    return {"photographs": count, "size": size, **found}


def _timed(inner: Callable[..., Any], total: list[float]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        begun = time.perf_counter()
        try:
            return inner(*arguments)
        finally:
            total[0] += time.perf_counter() - begun

    return call


def _measured(root: Path, io: list[float]) -> dict[str, float]:
    times: list[float] = []
    matting = [0.0]

    def tell(event: dict[str, Any]) -> None:
        if event["event"] in ("begin", "done"):
            times.append(time.perf_counter())
        if event["event"] == "done":
            stages = event["stats"]["seconds"]
            matting[0] += sum(seconds for name, seconds in stages.items() if name not in ("load", "write"))

    _inline(root, {"prior": "mask", "refiner": "guided"}, tell)
    wall = times[-1] - times[0]
    ratio = wall / max(matting[0], io[0])
    return {"wall": round(wall, 2), "matting": round(matting[0], 2), "io": round(io[0], 2), "ratio": round(ratio, 3)}


def memory(quick: bool, root: Path) -> dict[str, Any]:
    """Resident memory of the process after every tenth of the files."""
    count = 50 if quick else 1500
    for number in range(count):
        picture(root / "in" / f"{number % 20}" / f"{number}.jpg", number)
        soft_mask(root / "masks" / f"{number % 20}" / f"{number}.png")
    seen: list[int] = []

    def tell(event: dict[str, Any]) -> None:
        if event["event"] == "done" and event["ended"] % (count // 10) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            seen.append(pages * 4096 >> 10)

    _inline(root, {"prior": "mask", "refiner": "bilinear"}, tell)
    return {"files": count, "resident_kb": seen, "growth_kb_per_file": round((seen[-1] - seen[1]) / (0.8 * count), 3)}


CASES = {"mixed": mixed, "killed": killed, "overlap": overlap, "memory": memory}


def main() -> None:
    """See the module."""
    options = parser(__doc__)
    options.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    asked = options.parse_args()
    path = asked.results / "batch.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for name in asked.cases:
        with tempfile.TemporaryDirectory(prefix="uhrmat-batch-") as root:
            document[name] = {**CASES[name](asked.quick, Path(root)), "run": header(asked.threads, asked.quick)}
        print(name, json.dumps({k: v for k, v in document[name].items() if k != "run"}), flush=True)
        write(asked.results, "batch", document)


if __name__ == "__main__":
    main()
