"""What a run says: events while it goes, a summary at its end, and a file that names what failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uhrmat.core.printable import escape_surrogates
from uhrmat.media import atomic_write

Tell = Callable[[dict[str, Any]], None]
"""Told every event, see `docs/batch.md`: a mapping with the key "event", as JSON takes it."""


@dataclass
class Summary:
    """kept: items that were done before; done, dropped: of this run; failures: by key, what is wrong and what to do;
    halted: why the run ended early, if it did; seconds: of this run."""

    found: int = 0
    kept: int = 0
    done: int = 0
    dropped: int = 0
    retries: int = 0
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    halted: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether everything is done."""
        return not (self.failures or self.halted)

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        names = ("found", "kept", "done", "dropped", "retries", "halted", "seconds")
        return {**{name: getattr(self, name) for name in names}, "failed": list(self.failures.values())}


def failures_path(out: Path, shard: tuple[int, int]) -> Path:
    """`failures.json`, of a shard with its number."""
    return out / ("failures.json" if shard == (1, 1) else f"failures-{shard[0]}of{shard[1]}.json")


def write_failures(path: Path, summary: Summary) -> None:
    """The failures as a JSON list, whole or not at all; none, no file. Without the paths of inputs, as the file lies
    with the results. Raises OutputError."""
    if not summary.failures:
        path.unlink(missing_ok=True)
        return
    found = [{key: text for key, text in item.items() if key != "source"} for item in summary.failures.values()]
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(escape_surrogates(found), indent=2) + "\n", "utf-8")
