"""Folders: many files of mixed kind, runs that are killed, overlap of reading, matting and writing, flat memory.

Run from the repository: `python -m benchmarks.batch [--cases mixed killed overlap memory]`; it writes
results/batch.json. mixed: 200 files, ten of them broken, by `uhrmat batch`; every result is read back. killed: the same
folder; the run is killed with SIGKILL at ten random moments and then left alone, and compared byte by byte with an
unbroken one, after every kill and at the end; work done twice is counted in the manifest. overlap: photographs of
1500 x 1000 from a disk that does one thing at a time and is slowed down by waiting, so that it needs a tenth of, as
long as, and twice as long as the matting; the time from the first file begun to the last one done over the larger of
the two sums (both measured in the same run, one worker). memory: 3000 small files with the shipped refiner, as many as
fill eight hours at ten seconds each; the resident memory of both processes.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import OpenEXR
from PIL import Image

from benchmarks.common import header, parser, write
from benchmarks.watch import resident, tree
from uhrmat.batch import worker
from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.find import Selection
from uhrmat.batch.hints import HintFolders
from uhrmat.batch.run import BatchRun, run_batch
from uhrmat.batch.settings import Settings
from uhrmat.core.options import ModelOptions
from uhrmat.hints.files import read_alpha
from uhrmat.image import photo
from uhrmat.media.video import open_clip
from uhrmat.metrics import as_unit

LIGHT = ["--prior", "mask", "--refiner", "bilinear", "--outputs", "alpha", "--codec", "ffv1", "--device", "cpu"]
FORMATS = (".jpg", ".png", ".tif", ".webp", ".exr", ".jpeg", ".tiff")
CONTAINERS = {".mkv": ("ffv1", "bgr0"), ".mov": ("prores_ks", "yuv422p10le"), ".mp4": ("mpeg4", "yuv420p")}
COUNTS = {False: (190, 10), True: (17, 3)}
"""Stills and clips, of a quick run or not."""
Size = tuple[int, int]


def picture(path: Path, seed: int, size: Size = (96, 64)) -> None:
    """Noise, in the format of the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    if path.suffix == ".exr":
        with OpenEXR.File({}, {"RGB": pixels.astype(np.float16) / 255}) as file:
            file.write(str(path))
        return
    Image.fromarray(pixels).save(path)


def soft_mask(path: Path, size: Size = (96, 64)) -> None:
    """0 on the left, 255 on the right, a ramp between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.clip(np.linspace(-200, 455, size[0]), 0, 255).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (size[1], 1))).save(path)


def clip(path: Path, masks: Path, count: int = 9) -> None:
    """A stream in the container of the name, with a mask for each frame."""
    codec, pixel = CONTAINERS[path.suffix]
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel  # type: ignore[union-attr]
        for number in range(count):
            pixels = np.full((64, 96, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))  # type: ignore[union-attr]
            soft_mask(masks / f"{number:03d}.png")
        container.mux(stream.encode(None))  # type: ignore[union-attr]


def folder(root: Path, stills: int, clips: int) -> None:
    """`root`/in and `root`/masks: stills of all formats in five subfolders, and clips in three containers."""
    for number in range(stills):
        name = f"s{number % 5}/p{number:04d}"
        picture(root / "in" / f"{name}{FORMATS[number % len(FORMATS)]}", number)
        soft_mask(root / "masks" / f"{name}.png")
    for number in range(clips):
        name = f"clips/c{number}"
        clip(root / "in" / f"{name}{[*CONTAINERS][number % len(CONTAINERS)]}", root / "masks" / name)


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
    stills = [path for path in files if path.suffix not in CONTAINERS][: count - 2]
    bad = stills + [path for path in files if path.suffix in CONTAINERS][:2]
    for number, path in enumerate(bad):
        ways[1 + number % 2 if path.suffix in CONTAINERS else number % 5](path)
    return sorted(path.relative_to(root / "in").as_posix() for path in bad)


def command(root: Path, out: str) -> list[str]:
    """`uhrmat batch` over `root`."""
    words = [root / "in", "-o", root / out, "--masks", root / "masks", *LIGHT, "--keyframe-interval", 3, "--json"]
    return [sys.executable, "-m", "uhrmat", "batch", *map(str, words)]


def results(out: Path) -> dict[str, str]:
    """Path → hash of everything that is not hidden, but for the failures."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not (name := path.relative_to(out).as_posix()).startswith((".", "failures"))
        and "/." not in name
    }  # fmt: skip


def left_over(out: Path) -> int:
    """Hidden files and folders of runs that were killed: all but the bookkeeping."""
    return len([path for path in out.rglob(".*") if path != out / ".uhrmat"])


def is_right(root: Path, key: str) -> bool:
    """Whether the alpha of an input is 0 and 1 where its mask leaves no doubt."""
    source = Path(key)
    stem = root / "out" / source.parent / f"{source.stem}_alpha"
    if source.suffix in CONTAINERS:
        with open_clip(stem.with_name(f"{stem.name}.mkv")) as reader:
            alphas = [as_unit(frame.picture.pixels[..., 0]) for frame in reader.frames()]
    else:
        alphas = [read_alpha(stem.with_name(f"{stem.name}.png"))]
    sides = [(float(alpha[:, :8].max()), float(alpha[:, -8:].min())) for alpha in alphas]
    return len(alphas) == (9 if source.suffix in CONTAINERS else 1) and all(side == (0.0, 1.0) for side in sides)


def mixed(quick: bool, root: Path) -> dict[str, Any]:
    """Ten broken files among many."""
    folder(root, *COUNTS[quick])
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
    """The same folder, SIGKILL at random moments, then to the end."""
    folder(root, *COUNTS[quick])
    bad = spoil(root)
    subprocess.run(command(root, "whole"), capture_output=True)
    whole = results(root / "whole")
    kills, chance, torn = 2 if quick else 10, random.Random(8), 0
    in_hand: Counter[str] = Counter()
    reached = []
    for _ in range(kills):
        in_hand.update(_kill(command(root, "out"), chance, 12 if quick else 80))
        there = results(root / "out")
        torn += sum(whole.get(name) != result for name, result in there.items())
        reached.append(len(there))
    last = subprocess.run(command(root, "out"), capture_output=True, text=True)
    lines = (root / "out" / ".uhrmat" / "manifest-1of1.jsonl").read_text().splitlines()
    begun = Counter(record["key"] for record in map(json.loads, lines) if record["state"] == "begun")
    again = {key: count - 1 for key, count in begun.items() if count > 1 and key not in bad}
    return {
        "files": sum(COUNTS[quick]), "broken": len(bad), "kills": kills, "outputs": len(whole),
        "outputs_after_each_kill": reached, "identical_bytes": results(root / "out") == whole,
        "files_not_whole_after_a_kill": torn, "left_over_at_the_end": left_over(root / "out"),
        "begun_again": sum(again.values()),
        "of_them_not_in_hand_when_killed": sum(max(0, n - in_hand[key]) for key, n in again.items()),
        "left_for_the_last_run": json.loads(last.stdout.splitlines()[-1])["done"], "exit_code": last.returncode,
    }  # fmt: skip


def _kill(words: list[str], chance: random.Random, most: int) -> set[str]:
    """Starts a run, kills it after a random number of events and a moment; what it had in hand."""
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    events, limit = list[dict[str, Any]](), chance.randint(1, most)
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


def _inline(root: Path, model: ModelOptions, tell: Callable[[dict[str, Any]], None]) -> None:
    settings = Settings(model=model, outputs=("alpha",), given=("mask",))
    batch = BatchRun(
        roots=[root / "in"],
        out=root / "out",
        settings=settings,
        selection=Selection(),
        hints=HintFolders({"mask": str(root / "masks")}),
        overwrite=True,
    )
    run_batch(batch, lambda: InlineExecutor(settings), tell)


def overlap(quick: bool, root: Path) -> dict[str, Any]:
    """Three speeds of one disk, which reads or writes one file at a time."""
    size, count = ((300, 200), 6) if quick else ((1500, 1000), 24)
    for number in range(count):
        picture(root / "in" / f"{number}.png", number, size)
        soft_mask(root / "masks" / f"{number}.png", size)
    disk = _Disk()
    load, write_outputs = worker.load, photo.write_outputs  # type: ignore[attr-defined]
    rows: dict[str, Any] = {}
    worker.load, photo.write_outputs = disk.before(load), disk.before(write_outputs)  # type: ignore[attr-defined]
    try:
        each = 0.0
        for name, share in (("bare", 0.0), ("tenth", 0.1), ("equal", 1.0), ("double", 2.0)):
            disk.seconds, disk.busy = share * each / 2, 0.0
            rows[name] = _measured(root, disk)
            each = each or rows[name]["matting"] / count
    finally:
        worker.load, photo.write_outputs = load, write_outputs  # type: ignore[attr-defined]
    return {"photographs": count, "size": size, **rows}


class _Disk:
    """Makes reading and writing wait for their turn, and then for so many seconds more. busy: how long it was."""

    def __init__(self) -> None:
        self.seconds, self.busy, self._lock = 0.0, 0.0, threading.Lock()

    def before(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """`inner`, with the disk's time before it."""

        def call(*arguments: Any) -> Any:
            with self._lock:
                begun = time.perf_counter()
                time.sleep(self.seconds)
                self.busy += time.perf_counter() - begun
            return inner(*arguments)

        return call


def _measured(root: Path, disk: _Disk) -> dict[str, float]:
    times: list[float] = []
    matting = [0.0]

    def tell(event: dict[str, Any]) -> None:
        if event["event"] in ("begin", "done"):
            times.append(time.perf_counter())
        if event["event"] == "done":
            stages = event["stats"]["seconds"]
            matting[0] += sum(seconds for name, seconds in stages.items() if name not in ("load", "write"))

    _inline(root, ModelOptions(prior="mask", refiner="guided", precision="fp32", device="cpu"), tell)
    wall = times[-1] - times[0]
    ratio = wall / max(matting[0], disk.busy)
    return {
        "wall": round(wall, 2), "matting": round(matting[0], 2), "disk": round(disk.busy, 2), "ratio": round(ratio, 3),
    }  # fmt: skip


def memory(quick: bool, root: Path) -> dict[str, Any]:
    """Resident memory of a run's two processes, the one that hands out and the one that mattes, just before every
    tenth: after the last file there is no worker any more."""
    count = 50 if quick else 3000
    folder(root, count - count // 50, count // 50)
    words = [word for word in command(root, "out") if word not in ("--refiner", "bilinear")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen: list[list[int]] = []
    events: dict[str, Any] = {}
    for line in process.stdout:
        events = json.loads(line)
        if events["event"] == "done" and (events["ended"] + 2) % (count // 10) == 0:
            seen.append([resident(one) >> 20 for one in tree(process.pid)[:2]])
    process.wait()
    growth = [round((last - second) * 1024 / (0.8 * count), 2) for second, last in zip(seen[1], seen[-1], strict=True)]
    return {
        "files": count, "done": events["done"], "seconds": round(events["seconds"], 1),
        "resident_mb_at_each_tenth": seen, "growth_kb_per_file_after_the_second": growth,
    }  # fmt: skip


CASES = {"mixed": mixed, "killed": killed, "overlap": overlap, "memory": memory}


def main() -> None:
    """See the module."""
    options = parser(__doc__)
    options.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    chosen = options.parse_args()
    path = chosen.results / "batch.json"
    document: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for name in chosen.cases:
        with tempfile.TemporaryDirectory(prefix="uhrmat-batch-") as root:
            document[name] = {**CASES[name](chosen.quick, Path(root)), "run": header(chosen.threads, chosen.quick)}
        print(name, json.dumps({k: v for k, v in document[name].items() if k != "run"}), flush=True)
        write(chosen.results, "batch", document)


if __name__ == "__main__":
    main()
