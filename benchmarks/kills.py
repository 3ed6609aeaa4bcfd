"""Kills image, video and batch with SIGKILL at random moments: is an old file lost, is a set mixed?

Each kill begins with a whole set of old results and the command that replaces them (`--overwrite`). It comes at a
moment of the run drawn evenly, or, every other time, some milliseconds after a set of files has its stage, which is
where they take their names. It ends the command alone or, every third time, with all that it started. Then each item's
set is looked at: as it lies there, and after what the next run in the folder does first (`check_writable`, and for a
batch `recover_outputs`). Every tenth time the command is run again to its end.

    python -m benchmarks.kills --runs 100

Writes `benchmarks/results/kills.json`; ends with exit code 1 where a file was lost or damaged, or a set stayed mixed.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common import ROOT, header, parser, write
from tests.batch.helpers import clip, clip_masks, mask, photo
from uhrmat.batch.select import recover_outputs
from uhrmat.media import check_writable

LIGHT = ["--prior", "mask", "--refiner", "bilinear", "--device", "cpu", "--threads", "1", "--quiet"]
OUTPUTS = ["--outputs", "alpha,foreground", "--overwrite"]
_AIMED = 0.08
"""Seconds after a stage has appeared up to which an aimed kill comes."""

Contents = dict[str, str]


@dataclass
class Case:
    """A command that writes to `out`: old and new results, path → hash, its items' files, how long it takes."""

    name: str
    command: list[str]
    old: Contents = field(default_factory=dict)
    new: Contents = field(default_factory=dict)
    seconds: float = 0.0

    def sets(self) -> list[list[str]]:
        """The files of each item."""
        items: dict[str, list[str]] = {}
        for path in self.old:
            items.setdefault(path.rsplit("_", 1)[0], []).append(path)
        return list(items.values())


def make_cases(root: Path) -> list[Case]:
    """Inputs, and the three commands with their old and new results."""
    for number in range(2):
        photo(root / "in" / f"p{number}.png", number, (96, 64))
        mask(root / "masks" / f"p{number}.png", (96, 64))
    clip(root / "in", "c.mkv")
    clip_masks(root / "masks" / "c")
    masks, video = str(root / "masks"), ["--codec", "ffv1", "--keyframe-interval", "3"]
    cases = [
        Case("image", ["image", *(str(root / "in" / f"p{n}.png") for n in range(2)), "--mask", masks]),
        Case("video", ["video", str(root / "in" / "c.mkv"), "--mask", str(root / "masks" / "c"), *video]),
        Case("batch", ["batch", str(root / "in"), "--masks", masks, *video]),
    ]
    for case in cases:
        case.command += [*LIGHT, *OUTPUTS]
        for kind in ("old", "new"):
            begun = time.perf_counter()
            run(case, root / case.name / kind, old=kind == "old")
            case.seconds = time.perf_counter() - begun
            setattr(case, kind, contents(root / case.name / kind))
        assert set(case.old) == set(case.new) and all(case.old[path] != case.new[path] for path in case.old), case.name
    return cases


def run(case: Case, out: Path, *, old: bool = False) -> None:
    """The command to its end. old: with other masks, so that every file differs."""
    command = list(case.command)
    if old:
        command[command.index("--prior") + 1] = "auto"
    done = subprocess.run([*uhrmat(), *command, "-o", str(out)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{case.name}: exit code {done.returncode}: {done.stderr[-500:]}")


def uhrmat() -> list[str]:
    return [sys.executable, "-m", "uhrmat"]


def contents(out: Path) -> Contents:
    """Every file that has a name."""
    result = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            result[name.as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return result


def kill(case: Case, out: Path, rng: random.Random, *, aimed: bool, group: bool) -> str:
    """Runs the command and kills it; "killed", or "ended" where it was quicker."""
    process = subprocess.Popen(
        [*uhrmat(), *case.command, "-o", str(out)], cwd=ROOT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    if aimed:
        until = time.monotonic() + 10 * case.seconds
        while process.poll() is None and not list(out.glob(".uhrmat-*")) and time.monotonic() < until:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, _AIMED))
    else:
        time.sleep(rng.uniform(0, 1.1 * case.seconds))
    ended = process.poll() is not None
    with suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 60
    while session_lives(process.pid) and time.monotonic() < until:  # workers end what they have in hand
        time.sleep(0.05)
    return "ended" if ended else "killed"


def session_lives(session: int) -> bool:
    """Whether a process of the session runs."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(state[3]) == session and state[0] not in "ZX":
            return True
    return False


def judge(case: Case, result: Contents, count: Counter[str], when: str) -> None:
    """Counts old files that are gone or are neither old nor new, and items of which some files are old, some new."""
    for paths in case.sets():
        states = {_state(case, result, path) for path in paths}
        count[f"lost {when}"] += "lost" in states
        count[f"damaged {when}"] += "damaged" in states
        count[f"mixed {when}"] += {"old", "new"} <= states
        count[f"{'/'.join(sorted(states))} {when}"] += 1


def _state(case: Case, result: Contents, path: str) -> str:
    if path not in result:
        return "lost"
    return {case.old[path]: "old", case.new[path]: "new"}.get(result[path], "damaged")


def main() -> None:
    """See the module."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    runs = 6 if chosen.quick else chosen.runs
    rng, counts = random.Random(chosen.seed), {name: Counter[str]() for name in ("image", "video", "batch")}
    with tempfile.TemporaryDirectory(prefix="uhrmat-kills-") as scratch:
        root = Path(scratch)
        cases = make_cases(root)
        for number in range(runs):
            case = cases[number % 3]
            one(case, root, rng, number, counts[case.name])
            if number % 10 == 9:
                print(number + 1, flush=True)
    result = {name: {key: n for key, n in sorted(count.items()) if n} for name, count in counts.items()}
    print(json.dumps(result, indent=1))
    write(
        chosen.results,
        "kills",
        {"run": header(chosen.threads, chosen.quick), "runs": runs, "seed": chosen.seed, **result},
    )
    if bad := [f"{name}: {key}" for name, count in result.items() for key in count if _is_bad(key)]:
        raise SystemExit(f"lost, damaged or mixed: {bad}")


def one(case: Case, root: Path, rng: random.Random, number: int, count: Counter[str]) -> None:
    """One kill, and what became of the results."""
    out = root / f"run-{number}"
    shutil.copytree(root / case.name / "old", out)
    count[kill(case, out, rng, aimed=number // 3 % 2 == 1, group=number % 9 < 3)] += 1
    judge(case, contents(out), count, "at once")
    check_writable(out)
    recover_outputs(out)
    judge(case, contents(out), count, "after recovery")
    if number % 10 == 9:
        run(case, out)
        judge(case, contents(out), count, "after the next run")
    shutil.rmtree(out)


def _is_bad(key: str) -> bool:
    return key.startswith(("lost", "damaged", "old after the next")) or (
        key.startswith("mixed") and not key.endswith("at once")
    )


if __name__ == "__main__":
    main()
