"""What a run reports: events while it runs, a summary at its end, and a file with the failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uhrmat.core.printable import escape_surrogates
from uhrmat.media import atomic_write

EventHandler = Callable[[dict[str, Any]], None]
"""Receives every event of a run, see `docs/reference/json.md`: a mapping with the key "event"."""


@dataclass(kw_only=True)
class Summary:
    """Counts of a run.

    Attributes:
        found: items in the folders.
        kept: items that were done before.
        done, dropped: items of this run that were done, and that were left when it was stopped.
        retries: attempts after a worker had died.
        failures: by key of the item: what is wrong and what to do.
        halted: why the run ended early; empty: it did not.
        seconds: duration of this run.
    """

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
        """Whether nothing failed."""
        return not (self.failures or self.halted)

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        names = ("found", "kept", "done", "dropped", "retries", "halted", "seconds")
        return {**{name: getattr(self, name) for name in names}, "failed": list(self.failures.values())}


def failures_path(out: Path, shard: tuple[int, int]) -> Path:
    """`failures.json`; for a shard (i, n) with its number in the name."""
    return out / ("failures.json" if shard == (1, 1) else f"failures-{shard[0]}of{shard[1]}.json")


def write_failures(path: Path, summary: Summary) -> None:
    """Writes the failures as a JSON list, atomically; without failures the file is removed. Raises OutputError.

    The file lies with the results and may be given away, so that it holds no paths of inputs.
    """
    if not summary.failures:
        path.unlink(missing_ok=True)
        return
    failures = [{key: text for key, text in item.items() if key != "source"} for item in summary.failures.values()]
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(escape_surrogates(failures), indent=2) + "\n", "utf-8")
