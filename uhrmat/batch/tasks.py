"""What goes to a worker and what comes back: plain values, so that both travel as JSON to any process or machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from uhrmat.core.errors import OutputError, UhrmatError

Kind = Literal["still", "clip", "propagate", "segment", "join"]
Status = Literal["done", "failed", "dropped", "lost"]


@dataclass(frozen=True, kw_only=True)
class WorkerTask:
    """One piece of work on an item.

    A still is one task. A clip is planned ("clip"), its hints are propagated through each segment where they have to be
    ("propagate"), its segments are matted ("segment") and joined ("join").

    Attributes:
        id: number of the task in its run.
        kind: see above.
        key: of the item, see `BatchItem.key`.
        source: absolute path of the still or clip.
        folder: absolute path of the folder for the results.
        hints: absolute paths by name of the hint.
        body: what else this kind of task needs.
        alone: its worker runs nothing else beside it, because the last worker that had it died.
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
        """As plain values for JSON."""
        return asdict(self)

    def retry(self) -> WorkerTask:
        """The same task for another attempt; files that the dead worker may have left are replaced."""
        return replace(self, alone=True, body={**self.body, "replace": True})

    @property
    def replace(self) -> bool:
        """Whether existing files may be replaced."""
        return bool(self.body.get("replace", True))


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What became of a task.

    Attributes:
        id: of the task.
        status: "done"; "failed"; "dropped": not begun when the run was stopped; "lost": its worker died.
        value: result of a task that is done: files, notes and statistics, by kind of task.
        error, hint: of a task that failed: what is wrong, and what to do.
        output: the failure was one of writing.
    """

    id: int
    status: Status
    value: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    output: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)


def failed_result(task: int, error: BaseException) -> TaskResult:
    """The result of the task with this id, which ended with `error`."""
    output = isinstance(error, (OSError, OutputError))
    if isinstance(error, UhrmatError):
        return TaskResult(id=task, status="failed", error=error.message, hint=error.hint, output=output)
    if isinstance(error, MemoryError):
        hint = "Allow less with --max-memory, or run fewer --jobs."
        return TaskResult(id=task, status="failed", error="There is not enough memory for it.", hint=hint)
    text = f"{type(error).__name__}: {error}."
    return TaskResult(id=task, status="failed", error=text, hint="This was not expected.", output=output)
