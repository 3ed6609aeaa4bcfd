"""What goes to a worker and what comes back: plain values, so that both travel as JSON to any process or machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from uhrmat.core.errors import OutputError, UhrmatError

Kind = Literal["still", "clip", "carry", "segment", "join"]
Status = Literal["done", "failed", "dropped", "lost"]


@dataclass(frozen=True)
class WorkerTask:
    """One piece of work on the item `key`. A still is one piece; a clip is opened ("clip"), its hints carried through
    each segment where they have to be, its segments matted, and joined.

    folder: where the files go; body: what else the piece needs; alone: nothing else runs beside it on its worker,
    because the last worker that had it died.
    """

    id: int
    kind: Kind
    key: str
    source: str
    folder: str
    hints: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)

    def again(self) -> WorkerTask:
        """The same, for another try; the worker that died may have left its files."""
        return replace(self, alone=True, body={**self.body, "replace": True})

    @property
    def replace(self) -> bool:
        """Whether files that are there may be replaced."""
        return bool(self.body.get("replace", True))


@dataclass(frozen=True)
class TaskResult:
    """What became of the task with that id. result: of one that is done; output: whether a failure was one of writing.

    "dropped" is what was not begun when the run was stopped, "lost" what a worker took with it when it died.
    """

    id: int
    status: Status
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    output: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def failed(task: int, error: BaseException) -> TaskResult:
    """The outcome of a task that ended with `error`."""
    output = isinstance(error, (OSError, OutputError))
    if isinstance(error, UhrmatError):
        return TaskResult(task, "failed", error=error.message, hint=error.hint, output=output)
    if isinstance(error, MemoryError):
        hint = "Allow less with --max-memory, or run fewer --jobs."
        return TaskResult(task, "failed", error="There is not enough memory for it.", hint=hint)
    text = f"{type(error).__name__}: {error}."
    return TaskResult(task, "failed", error=text, hint="This was not expected.", output=output)
