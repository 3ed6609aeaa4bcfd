"""A line for each file while a batch runs, for people; every event as one line of JSON, for programs."""

from __future__ import annotations

import json
from typing import Any

from uhrmat.cli.console import Console
from uhrmat.core.printable import escape_surrogates


class LinesConsole(Console):
    """A console whose `--json` is JSON lines: every document is one line, on stdout, as it happens."""

    def document(self, value: dict[str, Any]) -> None:
        """One line, an event; other lines say why nothing was started."""
        if self.as_json:
            event = value if "event" in value else {"event": "refused", **value}
            print(json.dumps(escape_surrogates(event)), flush=True)


class Lines:
    """Told the events of a batch, see `docs/reference/json.md`. Failures go to stderr in every mode."""

    def __init__(self, console: Console) -> None:
        self._console, self._human = console, not (console.as_json or console.quiet)

    def __call__(self, event: dict[str, Any]) -> None:
        self._console.document(event)
        tell = getattr(self, f"_{event['event']}", None)
        if tell is not None:
            tell(event)

    def note(self, text: str) -> None:
        """What a worker logs."""
        self({"event": "note", "text": text})

    def _note(self, event: dict[str, Any]) -> None:
        self._console.note(f"note: {event['text']}")

    def _start(self, event: dict[str, Any]) -> None:
        if event.get("watching"):
            self._console.note("watching; Ctrl-C ends it")
        else:
            self._console.note(f"{event['found']} items, {event['kept']} done already, {event['todo']} to do")

    def _retry(self, event: dict[str, Any]) -> None:
        self._console.note(f"note: {event['item']} is tried again: {event['reason']}")

    def _segment(self, event: dict[str, Any]) -> None:
        self._console.note(f"{event['item']}: {event['share']:.0%}")

    def _done(self, event: dict[str, Any]) -> None:
        from uhrmat.batch.eta import format_remaining

        # of a still only what may not be as it was meant; of a clip everything, such as that it is cut off
        for note in event["notes"] if event["kind"] == "clip" else event["stats"].get("warnings", ()):
            self._console.note(f"note: {event['item']}: {note}")
        if self._human:
            share = event["stats"].get("active_share")
            size = "" if share is None else f", {share:.1%} active"
            left = f"; {format_remaining(event['eta'])}" if event["ended"] < event["of"] else ""
            ended = f"{event['ended']} of {event['of']}"
            self._console.line(f"done  {event['item']}  {event['seconds']:.1f} s{size}  ({ended}{left})")

    def _failed(self, event: dict[str, Any]) -> None:
        self._console.warn(f"error: {event['item']}: {event['error']} {event['hint']}".rstrip())

    def _halt(self, event: dict[str, Any]) -> None:
        self._console.warn(f"error: {event['reason']} The rest is left; run again when that is cured.")

    def _verify(self, event: dict[str, Any]) -> None:
        self._console.warn(f"error: {event['file']} (of {event['item']}): {event['state']}")

    def _verified(self, event: dict[str, Any]) -> None:
        if self._human:
            rows = [("files checked", str(event["files"])), ("missing or changed", str(event["wrong"]))]
            rows += [("by size only", str(event["unsummed"]))] if event["unsummed"] else []
            self._console.table([rows])

    def _summary(self, event: dict[str, Any]) -> None:
        if not self._human:
            return
        rows = [("done", str(event["done"])), ("done before", str(event["kept"]))]
        rows += [("failed", item["item"]) for item in event["failed"]]
        rows += [("left", str(event["dropped"]))] if event["dropped"] else []
        self._console.table([[*rows, ("seconds", f"{event['seconds']:.1f}")]])

    def _page(self, event: dict[str, Any]) -> None:
        if "error" in event:
            self._console.warn(f"error: {event['error']} {event['hint']}".rstrip())
        elif event["path"] is None:
            self._console.note("note: no still was done, so there is no page")
        else:
            self._console.table([[("report", f"{event['path']} ({event['shown']} of {event['stills']} stills)")]])
