"""All that is to be measured on a GPU, in one command that takes eight minutes at most and can be cut short.

    python3 -m benchmarks.gpu --results OUT

needs torch 2.4 or newer with CUDA, numpy, opencv-python-headless, pillow and safetensors, and no network. Each part is
a process of its own, and OUT/gpu.json is written after each; what a part had measured when its time was over is
kept. The same command again runs only the parts that have not ended well for this commit and device (`--again`: all).
Parts: parity with the dense oracle and speed of each engine (`benchmarks.gpu_engines`), then those of
`benchmarks.gpu_parts`. `--device cpu --quick` takes the same path without a GPU, in small.

Where the code came without its repository, say which commit it is: UHRMAT_COMMIT=$(git rev-parse HEAD). To include
spconv, put the unpacked wheels of spconv-cu118, cumm-cu118, pccm, ccimport, portalocker, fire, termcolor, lark and
pybind11 on PYTHONPATH (`pip install --no-deps --target DIR *.whl`). docs/reference/performance.md has the command for a
machine that is lent for some minutes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, header, parser, write

ENGINES = ("tiles", "spconv", "dense")
OTHERS = ("refine", "prior", "memory", "sparsemat", "clips", "profile", "calibration")
PARTS = {"engines-tiles": 110.0, **dict.fromkeys(OTHERS, 60.0), "engines-spconv": 60.0, "engines-dense": 60.0}
"""Parts in their order, the most wanted first, and the seconds that each may take."""


def command(part: str, wanted: Any) -> list[str]:
    """The command line of a part; its result is called `gpu-PART`."""
    common = ["--device", wanted.device, "--results", str(wanted.results), "--threads", str(wanted.threads)]
    common += ["--quick"] if wanted.quick else []
    if part.startswith("engines-"):
        short = ["--nets", "lite", "--precisions", "fp32"] if wanted.quick else ["--precisions", "fp16", "fp32"]
        line = ["benchmarks.gpu_engines", "--name", f"gpu-{part}", "--engines", part.removeprefix("engines-"), *short]
    else:
        line = ["benchmarks.gpu_parts", part]
    return [sys.executable, "-m", *line, *common]


def run(part: str, wanted: Any, seconds: float) -> dict[str, Any]:
    """Run a part in its own process: what it measured, with `ended`: "well", "late" or its exit code."""
    result = wanted.results / f"gpu-{part}.json"
    result.unlink(missing_ok=True)
    start = time.perf_counter()
    with open(wanted.results / f"gpu-{part}.log", "wb") as log:
        process = subprocess.Popen(
            command(part, wanted), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(seconds)
            ended = "well" if code == 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started itself
            process.wait()
            ended = "late"
    row: dict[str, Any] = {"ended": ended, "wall_s": round(time.perf_counter() - start, 1)}
    if ended.startswith("exit"):
        row["log"] = (wanted.results / f"gpu-{part}.log").read_text("utf-8", "replace")[-1000:]
    return row | {"result": json.loads(result.read_text()) if result.exists() else {}}


def before(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """The parts that have ended well in an earlier run of the same commit on the same device."""
    if not path.exists():
        return {}
    stored = json.loads(path.read_text())
    if any(stored.get(key) != document[key] for key in ("commit", "device", "quick")):
        return {}
    return {name: part for name, part in stored.get("parts", {}).items() if part["ended"] == "well"}


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    options.add_argument("--limit", type=float, default=470.0, help="seconds for all parts together")
    options.add_argument("--again", action="store_true", help="measure parts that have been measured, too")
    wanted = options.parse_args(argv)
    wanted.results = wanted.results.absolute()
    wanted.results.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("UHRMAT_COMMIT", "unknown")
    document: dict[str, Any] = {**header(wanted.threads, wanted.quick), "device": wanted.device, "parts": {}}
    if not wanted.again:
        document["parts"] = before(wanted.results / "gpu.json", document)
    end = time.monotonic() + wanted.limit
    failed = []
    for part in wanted.parts:
        if part in document["parts"]:
            continue
        left = end - time.monotonic()
        done = run(part, wanted, min(PARTS[part], left)) if left > 5 else {"ended": "not begun", "result": {}}
        document["parts"][part] = done
        failed += [part] if done["ended"] != "well" else []
        engines = [document["parts"][f"engines-{name}"]["result"] for name in ENGINES
                   if f"engines-{name}" in document["parts"]]  # fmt: skip
        for key in ("parity", "speed"):
            document[key] = [row for engine in engines for row in engine.get(key, [])]
        write(wanted.results, "gpu", document)
        print(part, done["ended"], done.get("wall_s"), flush=True)
    print(wanted.results / "gpu.json")
    if failed:
        raise SystemExit(f"Not measured whole: {', '.join(failed)}. The same command again runs these alone.")


if __name__ == "__main__":
    main()
