"""The process that mattes a clip for the page, so that it can be broken off at any moment and shares no memory with it.

It reads a `ClipRequest` from its standard input and writes events to its standard output, a line of JSON each:
`{"event": "progress", "done": n, "total": n}`, at last one of "done", "failed" and "cancelled". When its input is
closed, by who started it or because that one has died, it stops as for Ctrl+C.
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

from uhrmat.core.errors import UhrmatError
from uhrmat.core.printable import escape_surrogates
from uhrmat.painter.clips.request import ClipRequest

_INTERVAL = 0.2
"""Least seconds between two events of progress."""
_FIGURES = ("number", "cut", "confidence", "propagation")
"""Which of a frame's figures are sent to the page."""


def main() -> None:
    """Matte what the request on standard input says."""
    events, sys.stdout = sys.stdout, sys.stderr

    def send(event: str, **values: Any) -> None:
        print(json.dumps(escape_surrogates({"event": event, **values})), file=events, flush=True)

    try:
        request = ClipRequest.decode(sys.stdin.readline())
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
        send("done", **matte_request(request, send))
    except KeyboardInterrupt:
        send("cancelled")
    except UhrmatError as error:
        send("failed", error=str(error))
    except Exception as error:
        send("failed", error=f"{type(error).__name__}: {error}")


def _stop_at_end_of_input() -> None:
    sys.stdin.read()
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGINT)  # wakes the main thread where it waits
    else:
        _thread.interrupt_main()


def matte_request(request: ClipRequest, send: Callable[..., None]) -> dict[str, Any]:
    """Matte a clip or a range of it as `uhrmat video` does; what an earlier run has left is gone on with.

    Args:
        request: what is wanted.
        send: called with the progress.

    Returns:
        "files" by content, "notes", and "frames", the figures of each frame that was matted.

    Raises:
        UhrmatError, OSError: what stopped the run, or cannot work.
    """
    from uhrmat.prior.choose import SOLVING_PRIORS
    from uhrmat.prior.worker import PriorProcess
    from uhrmat.video.existing import find_existing
    from uhrmat.video.plan import plan_clip
    from uhrmat.video.redo import redo_clip
    from uhrmat.video.run import ClipResources, matte_clip

    plan = plan_clip(request.spec, overwrite=request.replace)
    outputs = find_existing(plan) if request.redo is not None else ()
    resume, last = plan.work.folder.is_dir(), 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() > last + _INTERVAL:
            last = time.monotonic()
            send("progress", done=done, total=total)

    with ExitStack() as stack:
        process = stack.enter_context(closing(PriorProcess())) if plan.prior in SOLVING_PRIORS else None
        resources = ClipResources.load(plan, None if process is None else process.solve)
        stack.enter_context(plan.work.locked())
        first, stop = request.redo if request.redo is not None else (plan.start, plan.stop - 1)
        send("progress", done=0, total=stop + 1 - first)
        if request.redo is not None:
            report = redo_clip(plan, resources, outputs, resume=resume, progress=progress)
        else:
            report = matte_clip(plan, resources, resume=resume, progress=progress)
    frames = [{name: frame[name] for name in _FIGURES if name in frame} for frame in report.frames]
    return {"files": {name: str(path) for name, path in report.files.items()}, "notes": report.notes, "frames": frames}
