"""`uhrmat models`: which weights there are, what they may be used for, fetching, verifying, converting, publishing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, Rows, describe, session
from uhrmat.core.units import format_bytes

if TYPE_CHECKING:  # start-up: `uhrmat --help` loads none of these
    from uhrmat.hub import CatalogEntry
    from uhrmat.hub.fetch import Progress

models = typer.Typer(
    help="Weights: list, fetch, verify, convert, publish.\n\nExample: uhrmat models list", no_args_is_help=True
)


class Kind(str, Enum):
    """The network that a checkpoint is of."""

    auto = "auto"
    modnet = "modnet"
    vitmatte = "vitmatte"


Name = Annotated[
    str, typer.Argument(help="A name that `uhrmat models list` shows.", metavar="NAME", show_default=False)
]
Names = Annotated[
    list[str],
    typer.Argument(
        help="Names that `uhrmat models list` shows, or owner/repo[@revision][:file].",
        metavar="NAME...",
        show_default=False,
    ),
]
PulledNames = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names that `uhrmat models list` shows, or owner/repo[@revision][:file].",
        metavar="[NAME...]",
        show_default=False,
    ),
]
Recommended = Annotated[
    bool,
    typer.Option("--recommended", help="What is recommended for this machine's device: see `uhrmat.hub.recommended`."),
]
Some = Annotated[list[str] | None, typer.Argument(help="Default: all on this machine.", metavar="NAME...")]
Accept = Annotated[
    list[str] | None,
    typer.Option("--accept-licence", metavar="NAME", help="You accept the licence of these weights."),
]
Source = Annotated[Path, typer.Argument(help="A .pth, .ckpt or .bin, or a ViTMatte folder.", metavar="SOURCE")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="PATH", help="Default: beside the source.")]
KindOption = Annotated[Kind, typer.Option("--kind", help="The network that the checkpoint is of.")]
Licence = Annotated[str, typer.Option(metavar="NAME", help="Licence for the card, like Apache-2.0.")]
What = Annotated[Path, typer.Argument(help="Weights with a card (.md) beside, or a folder.", metavar="SOURCE")]
Repo = Annotated[str, typer.Argument(help="Your repository, owner/name; created if missing.", metavar="REPO")]
Private = Annotated[bool, typer.Option("--private", help="Make a new repository private.")]
Message = Annotated[str, typer.Option("--message", "-m", help="Message of the commit.")]


@models.command("list")
def list_models(
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Only weights whose licence allows commercial use.")
    ] = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """List the weights known by name: whether they are on this machine and allow commercial use.

    Example: uhrmat models list --commercial
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hub import catalog_entries, is_cached

        listed = [entry for entry in catalog_entries() if entry.commercial or not commercial]
        console.table([[(entry.name, _line(entry, is_cached(entry))) for entry in listed]])
        console.document({"models": [{**entry.as_dict(), "cached": is_cached(entry)} for entry in listed]})


@models.command()
def show(name: Name, as_json: opt.Json = False, quiet: opt.Quiet = False, debug: opt.Debug = False) -> None:
    """Show one entry of the catalogue: source, licence, training data, inputs and outputs.

    Example: uhrmat models show modnet
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hub import is_cached

        entry = _entry(name)
        console.table([_facts(entry, is_cached(entry)), *_contract(entry)])
        console.document({**entry.as_dict(), "cached": is_cached(entry)})


@models.command()
def pull(
    names: PulledNames = None,
    recommended: Recommended = False,
    accept: Accept = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Fetch weights into the cache and verify them.

    Example: uhrmat models pull modnet
    uhrmat models pull --recommended
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hub import resolve

        items: list[dict[str, Any]] = []
        for name in _wanted(names or [], recommended):
            try:
                with _progress(console) as progress:
                    weights = resolve(name, accept=accept or (), progress=progress, fresh=True)
            except Exception as error:
                console.error(error, item=name)
                items.append({"name": name, "status": "failed", "error": describe(error)})
                continue
            verified = (
                "SHA-256 as in the catalogue"
                if weights.verified
                else "not against the catalogue, which does not have it"
            )
            console.table([[("weights", weights.origin), ("file", str(weights.path)), ("verified", verified)]])
            items.append({"name": name, "status": "ok", "path": str(weights.path), "verified": weights.verified})
        console.document({"items": items})
    _exit(items)


@models.command()
def verify(
    names: Some = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Compare the files on this machine with the catalogue's SHA-256. Wrong files of the cache are deleted.

    Example: uhrmat models verify
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hub import catalog_entries
        from uhrmat.hub.locate import is_partly_cached, verify_cache

        chosen = [_entry(name) for name in names] if names else [e for e in catalog_entries() if is_partly_cached(e)]
        items: list[dict[str, Any]] = []
        for entry in chosen:
            try:
                if not is_partly_cached(entry):
                    items.append({"name": entry.name, "status": "absent"})
                    continue
                verify_cache(entry)
                items.append({"name": entry.name, "status": "ok"})
            except Exception as error:
                console.error(error, item=entry.name)
                items.append({"name": entry.name, "status": "failed", "error": describe(error)})
        console.table([[(item["name"], _STATUS[item["status"]]) for item in items]])
        console.document({"items": items})
    _exit(items)


@models.command()
def convert(
    source: Source,
    output: Output = None,
    kind: KindOption = Kind.auto,
    licence: Licence = "none stated",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Convert your own checkpoint of MODNet or ViTMatte to safetensors with a model card.

    Example: uhrmat models convert modnet.ckpt -o modnet.safetensors
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hub.convert import convert as run

        done = run(source, output, kind.value, licence)
        rows = [("network", done.kind), ("tensors", str(done.tensors))]
        console.table([[*rows, *(("file", str(path)) for path in done.files)]])
        console.document({"kind": done.kind, "files": [str(path) for path in done.files]})


@models.command()
def push(
    source: What,
    repo: Repo,
    private: Private = False,
    message: Message = "Upload weights",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Upload weights with their model card to your repository on the Hub, as one commit. Needs HF_TOKEN.

    Example: uhrmat models push weights me/uhrmat
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hub.push import push as run

        with console.working(f"{source} → {repo} …"):
            done = run(source, repo, private=private, message=message)
        console.table([[("commit", done.url), ("licence", done.licence), *(("file", name) for name in done.files)]])
        console.document({"commit": done.url, "licence": done.licence, "files": done.files})


class Allowed(str, Enum):
    """Whether networks may be downloaded that no command has named."""

    allow = "allow"
    deny = "deny"


@models.command()
def hub(
    choice: Annotated[Allowed | None, typer.Argument(help="Saved for all later commands.", show_default=False)] = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Allow or deny downloads from the Hub for pictures without hints. Without a choice: show the setting.

    Weights that a command names are fetched in any case. UHRMAT_HUB=allow or deny holds for one command.

    Example: uhrmat models hub allow
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hub.consent import hub_setting, save_hub_setting

        if choice is not None:
            save_hub_setting(choice.value)
        value, source = hub_setting()
        console.table([[("hub", value), ("set by", source)]])
        console.document({"hub": value, "set_by": source})


_STATUS = {"ok": "as published", "absent": "not on this machine", "failed": "WRONG, see above"}


def _wanted(names: list[str], recommended: bool) -> list[str]:
    """What is to be fetched. Raises InputError where that is nothing."""
    if recommended:
        from uhrmat.core.devices import pick_device
        from uhrmat.hub.recommended import recommended_weights

        names = [*names, *recommended_weights(pick_device("auto"))]
    if not names:
        from uhrmat.core.errors import InputError

        raise InputError("Nothing is named to be fetched.", "Give names of `uhrmat models list`, or --recommended.")
    return list(dict.fromkeys(names))


def _entry(name: str) -> CatalogEntry:
    from uhrmat.core.errors import WeightsError
    from uhrmat.hub import find_entry
    from uhrmat.hub.catalog import close_names

    entry = find_entry(name)
    if entry is None:
        close = close_names(name)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        raise WeightsError(f"There are no weights {name!r} in the catalogue.", f"{hint}See `uhrmat models list`.")
    return entry


def _line(entry: CatalogEntry, here: bool) -> str:
    place = {"hub": "here" if here else "not here", "bundled": "bundled", "elsewhere": "bring it"}[entry.source]
    return f"{place}, {format_bytes(entry.bytes)}, {_use(entry)}. {entry.title}"


def _use(entry: CatalogEntry) -> str:
    if not entry.commercial:
        return f"{entry.licence}: RESTRICTED"
    return f"{entry.licence}, data contested" if entry.data.startswith("contested") else entry.licence


def _facts(entry: CatalogEntry, here: bool) -> Rows:
    rows = [("name", entry.name), ("what", entry.title), ("task", entry.task), ("run by", entry.loader)]
    if entry.source == "hub":
        rows += [("repository", entry.repo), ("revision", entry.revision)]
    elif entry.source == "elsewhere":
        rows.append(("where", entry.home))
    for file in entry.files:
        rows += [("file", f"{file.path}, {file.bytes:,} bytes"), ("SHA-256", file.sha256)]
    allowed = "allowed by the licence" if entry.commercial else f"not freely: --accept-licence {entry.name}"
    rows += [("licence", entry.licence), ("commercial use", allowed), ("data", entry.data)]
    return [*rows, ("on this machine", "yes" if here else "no")]


def _contract(entry: CatalogEntry) -> list[Rows]:
    net = entry.network
    if net is None:
        return []
    size = {"square": f"{net.side} × {net.side}", "short": f"short side {net.side}", "any": "any"}[net.fit]
    rows = [("input", f"{size}, multiples of {net.multiple}, {net.layout}, tensor {net.input or '(see file)'}")]
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (net.mean, net.std))
    rows += [("values", f"{net.range}, mean {mean}, std {std}")]
    rows += [("trimap", net.trimap)] if net.trimap else []
    rows += [("output", f"{net.activation}, tensor {net.output or '(see file)'}")]
    rows += [("state", ", ".join(f"{a} ← {b}" for a, b in net.recurrence))] if net.recurrence else []
    return [rows]


@contextmanager
def _progress(console: Console) -> Iterator[Progress | None]:
    """A bar on terminals, nothing elsewhere."""
    if console.as_json or console.quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console as Rich
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Rich(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
            bars.update(tasks[file], completed=done, total=total)

        yield show


def _exit(items: list[dict[str, Any]]) -> None:
    if any(item["status"] == "failed" for item in items):
        raise typer.Exit(FAILED)
