"""The `uhrmat` application: its name, its version, its commands. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import subprocess
from typing import Annotated

import typer

from uhrmat._version import __version__
from uhrmat.cli.batch import batch
from uhrmat.cli.bench import bench
from uhrmat.cli.compare import compare
from uhrmat.cli.doctor import doctor
from uhrmat.cli.evaluate import evaluate
from uhrmat.cli.help import dress
from uhrmat.cli.image import image
from uhrmat.cli.models import models
from uhrmat.cli.paint import paint
from uhrmat.cli.train import train
from uhrmat.cli.trimap import trimap
from uhrmat.cli.video import video
from uhrmat.core.startup import run_and_exit

app = typer.Typer(
    name="uhrmat",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(image)
app.command()(paint)
app.command()(video)
app.command()(batch)
app.command()(trimap)
app.command()(evaluate)
app.command()(compare)
app.command()(doctor)
app.add_typer(models, name="models")
app.add_typer(train, name="train")
app.add_typer(bench, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"uhrmat {__version__}")
        raise typer.Exit


@app.callback()
def uhrmat(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Alpha mattes of ultra-high-resolution photographs and clips, refined only at the pixels that need it.

    `uhrmat COMMAND --help` describes one command.

    Example: uhrmat image photo.jpg --trimap photo_trimap.png -o out
    """


dress(app)


def run(child: subprocess.Popen[bytes] | None) -> None:
    """Run the command line. child: a prior process that was started for it, see `prior.launch`."""
    run_and_exit(lambda: app(obj=child))
