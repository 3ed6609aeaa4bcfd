"""`uhrmat doctor`: what this machine has, and a cure for each problem."""

from __future__ import annotations

from typing import Annotated

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, Rows, session


def doctor(
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure how much memory refiners take on --device, and keep it.")
    ] = False,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Look at this machine: device, memory, engines, codecs, weights, versions; each problem with its cure.

    Ends with exit code 1 where there is a problem. With --calibrate it measures memory instead, which takes minutes.

    Example: uhrmat doctor
    uhrmat doctor --json
    uhrmat doctor --calibrate
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        if calibrate:
            _calibrate(console, device)
            return
        from uhrmat.report.doctor import as_dict, examine

        with console.working("looking …"):
            findings = examine()
        sections: dict[str, Rows] = {}
        for finding in findings:
            sections[finding.section] = [*sections.get(finding.section, []), (finding.name, finding.value)]
        problems = [finding for finding in findings if finding.problem]
        rows = [(f"problem {number}", f"{one.problem} {one.cure}") for number, one in enumerate(problems, 1)]
        console.table([*sections.values(), rows or [("problems", "none")]])
        console.document(as_dict(findings))
    if problems:
        raise typer.Exit(FAILED)


def _calibrate(console: Console, device: str) -> None:
    """Measures the memory of refiners and says where the table is."""
    from uhrmat.core.devices import pick_device
    from uhrmat.refine.calibrate import calibrate

    measured: dict[str, float] = {}

    def progress(key: str, entry: dict[str, float]) -> None:
        measured[key] = entry["per_pixel"]
        console.note(f"{key}: {entry['per_pixel']:g} bytes per pixel")

    def skipped(key: str, why: str) -> None:
        console.note(f"{key} left out: {why}")

    path = calibrate(pick_device(device), progress=progress, skipped=skipped)
    console.table([[("table", str(path)), *((key, f"{value:g} bytes per pixel") for key, value in measured.items())]])
    console.document({"table": str(path), "bytes_per_pixel": measured})
