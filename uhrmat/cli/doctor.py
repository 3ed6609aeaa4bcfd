"""`uhrmat doctor`: what this machine has, and a cure for each problem."""

from __future__ import annotations

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, Rows, session


def doctor(as_json: opt.Json = False, quiet: opt.Quiet = False, debug: opt.Debug = False) -> None:
    """Look at this machine: device, memory, engines, codecs, weights, versions; each problem with its cure.

    Ends with exit code 1 where there is a problem.

    Example: uhrmat doctor
    uhrmat doctor --json
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.report.doctor import as_dict, examine

        with console.working("looking …"):
            found = examine()
        sections: dict[str, Rows] = {}
        for one in found:
            sections[one.section] = [*sections.get(one.section, []), (one.name, one.value)]
        ill = [one for one in found if one.problem]
        verdict = [(f"problem {number}", f"{one.problem} {one.cure}") for number, one in enumerate(ill, 1)]
        console.table([*sections.values(), verdict or [("problems", "none")]])
        console.document(as_dict(found))
    if ill:
        raise typer.Exit(FAILED)
