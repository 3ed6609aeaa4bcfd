"""What `--help` looks like: a manual page in short, with its example, grouped options, and colour on terminals only."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from uhrmat.core.printable import printable

_VALUES = {"path": "PATH", "file": "FILE", "int": "N", "integer": "N", "float": "X", "str": "NAME", "text": "NAME"}
"""What stands for a value in an option's line where the option does not name it itself."""


_OPTIONAL = {"--verify": ("1/1", re.compile(r"\d+/\d+"))}
"""Options whose value may be left out: what it is then, and what one looks like. Typer has none of this kind."""


def with_optional_values(args: list[str]) -> list[str]:
    """The command line with the values that were left out."""
    words = []
    for arg, following in zip(args, [*args, ""][1:], strict=True):
        value, form = _OPTIONAL.get(arg, ("", None))
        words.append(f"{arg}={value}" if form is not None and not form.fullmatch(following) else arg)
    return words


def dress(app: typer.Typer) -> typer.Typer:
    """Gives every command and group of `app` this look; to be called when all are registered."""
    app.info.cls = _Group
    app.rich_markup_mode = None
    for command in app.registered_commands:
        command.cls = _Command
    for group in app.registered_groups:
        group.cls = _Group
        if group.typer_instance is not None:
            dress(group.typer_instance)
    return app


class _Look:
    """Usage and text, which commands and groups have alike."""

    help: str | None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [_plain(piece) for piece in super().collect_usage_pieces(ctx)]  # type: ignore[misc]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _write_text(self.help, formatter)


class _Command(_Look, TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        return super().parse_args(ctx, with_optional_values(args))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_options(self.get_params(ctx), ctx, formatter)


class _Group(_Look, TyperGroup):
    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _printable_errors():
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        with formatter.section(_bold("Commands")):
            rows = [(_cyan(name), _first(command.help)) for name, command in self.commands.items()]
            formatter.write_dl(rows)
        _write_options(self.get_params(ctx), ctx, formatter)


@contextmanager
def _printable_errors() -> Iterator[None]:
    """Errors about the command line quote its words, which may hold control characters."""
    try:
        yield
    except Exception as error:  # typer's own copy of click, or click: distinguished by their methods
        if hasattr(error, "format_message"):
            error.message = printable(str(error.message))  # type: ignore[attr-defined]
        raise


def _write_text(text: str | None, formatter: Any) -> None:
    """What a command does, and below it its examples, each on a line of its own, to be copied."""
    summary, _, examples = inspect.cleandoc(text or "").partition("Example: ")
    formatter.write_paragraph()
    formatter.write_text(summary.strip())
    if examples:
        lines = re.split(r"\s+(?=uhrmat )", " ".join(examples.split()))
        with formatter.section(_bold("Example" if len(lines) == 1 else "Examples")):
            formatter.write("".join(f"  {line}\n" for line in lines))


def _write_options(params: list[Any], ctx: Any, formatter: Any) -> None:
    """Arguments and options by panel, panels in the order of their first options, arguments before all."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for kind, heading in ((TyperArgument, "Arguments"), (TyperOption, "Options")):
        for param in params:
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, kind):
                rows = panels.setdefault(param.rich_help_panel or heading, [])
                rows.append((_cyan(_name(param, ctx)), " ".join(record[1].split())))
    if len(panels["Options"]) == 1:  # --help alone: last
        panels["Options"] = panels.pop("Options")
    for heading, rows in panels.items():
        with formatter.section(_bold(heading)):
            formatter.write_dl(rows, col_max=26)


def _name(param: Any, ctx: Any) -> str:
    """`PHOTO...`, `-o, --output DIR`, `--premultiply, --straight`, `--threads N`."""
    if isinstance(param, TyperArgument):
        return str(param.metavar or param.name)
    names = ", ".join([*sorted(param.opts, key=len), *param.secondary_opts])
    return names if param.is_flag else f"{names} {_value(param, ctx)}"


def _value(param: Any, ctx: Any) -> str:
    if param.metavar is not None:
        return str(param.metavar)
    type_name = getattr(param, "display_type", param.make_metavar)  # the second: before typer 0.29
    kind = str(type_name(ctx)).strip("<>").lower().removesuffix(" range")
    return _VALUES.get(kind, kind)


def _plain(piece: str) -> str:
    """A piece of the usage line without typer's braces and without dots that the name has already."""
    return re.sub(r"(\.\.\.\]?)\.\.\.$", r"\1", piece.translate({ord("{"): None, ord("}"): None}))


def _first(text: str | None) -> str:
    """The first sentence of a help text: its first line or lines up to a blank one."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def _bold(text: str) -> str:
    return text if os.environ.get("NO_COLOR") else typer.style(text, bold=True)


def _cyan(text: str) -> str:
    return text if os.environ.get("NO_COLOR") else typer.style(text, fg="cyan")
