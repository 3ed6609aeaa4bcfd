"""What the page asks to be matted: the options of `uhrmat video` for it, and the command line that means the same."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path

from uhrmat.core.options import ModelOptions
from uhrmat.painter.command import model_words
from uhrmat.video.ranges import FrameRange, format_range
from uhrmat.video.spec import ClipSpec


@dataclass(frozen=True, kw_only=True)
class ResultForm:
    """The form in which a clip's results are written, as `ClipSpec` has it; None: its defaults.

    Attributes:
        codec: by name.
        outputs: names of the results.
        background: colour or picture of the composite.
    """

    codec: str | None = None
    outputs: tuple[str, ...] | None = None
    background: str | None = None

    @property
    def words(self) -> list[str]:
        """The options of `uhrmat video` that mean it."""
        outputs = None if self.outputs is None else ",".join(self.outputs)
        given = {"codec": self.codec, "outputs": outputs, "background": self.background}
        return [word for name, value in given.items() if value is not None for word in (f"--{name}", value)]


@dataclass(frozen=True, kw_only=True)
class ClipRequest:
    """A clip that is to be matted with its painted frames.

    Attributes:
        source: the clip.
        keys: the folder of the painted frames' trimaps.
        folder: of the results; None: beside the clip.
        model: networks, device and memory.
        redo: the frames that are matted again inside the results that are there; None: all frames are matted.
        replace: results that are there may be replaced; a redo replaces its frames in any case.
        form: of the results.
    """

    source: Path
    keys: Path
    folder: Path | None
    model: ModelOptions
    redo: FrameRange | None = None
    replace: bool = False
    form: ResultForm = field(default_factory=ResultForm)

    @property
    def spec(self) -> ClipSpec:
        """As `uhrmat video` makes it of `command`."""
        ranges = () if self.redo is None else (self.redo,)
        return ClipSpec(
            source=self.source, trimap=self.keys, output=self.folder, model=self.model, redo=ranges,
            codec=self.form.codec, outputs=self.form.outputs, background=self.form.background,
        )  # fmt: skip

    @property
    def command(self) -> str:
        """The command line that writes the same files, from the same ones."""
        words = ["uhrmat", "video", str(self.source), "--trimap", str(self.keys)]
        if self.folder is not None:
            words += ["-o", str(self.folder)]
        ends = ["--overwrite"] if self.redo is None else ["--redo", format_range(self.redo)]
        return shlex.join([*words, *self.form.words, *model_words(self.model), *ends])

    def encode(self) -> str:
        """One line of JSON."""
        return json.dumps(
            {**asdict(self), "source": str(self.source), "keys": str(self.keys),
             "folder": None if self.folder is None else str(self.folder)}
        )  # fmt: skip

    @classmethod
    def decode(cls, line: str) -> ClipRequest:
        """The request of a line that `encode` made."""
        data = json.loads(line)
        form = data["form"]
        return cls(
            source=Path(data["source"]), keys=Path(data["keys"]), model=ModelOptions(**data["model"]),
            folder=None if data["folder"] is None else Path(data["folder"]), replace=data["replace"],
            redo=None if data["redo"] is None else (data["redo"][0], data["redo"][1]),
            form=ResultForm(**{**form, "outputs": None if form["outputs"] is None else tuple(form["outputs"])}),
        )  # fmt: skip
