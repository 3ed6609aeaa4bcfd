"""All that decides what the results of a batch look like, as plain values, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from uhrmat._version import __version__
from uhrmat.core.options import ModelOptions
from uhrmat.hints.compatibility import check_hint_combination
from uhrmat.hints.key_colour import parse_key
from uhrmat.hints.radius import Radius, check_radius
from uhrmat.image.outputs import OutputSpec
from uhrmat.media import MAX_PIXELS
from uhrmat.media.video import find_codec
from uhrmat.prior.choose import BUNDLED_NETWORKS, DEFAULT_NETWORK, LPN_TRIMAP, REQUIRED_HINTS, choose_prior
from uhrmat.video.segments import KEYFRAME_INTERVAL

_VERSION = 1
_STILLS_ONLY = ("alpha_format", "premultiply", "resize", "colour_format", "keep_metadata")
_CLIPS_ONLY = ("codec", "bits", "temporal", "threshold", "interval", "propagation")
_NOT_HASHED = ("threads", "max_pixels")
"""Settings that may differ between two runs without a recomputation: they do not change the results."""
_REFINERS = {"shm": "shm-lite", "ddfe": "ddfe-line"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a batch run.

    Attributes:
        model: prior, refiner, device and memory.
        outputs, alpha_format, background, premultiply, colour_format, keep_metadata: of stills, see
            `image.outputs.OutputSpec`.
        radius: of the unknown band that masks get, see `hints.trimap.choose_radius`.
        resize: scale trimaps of another size.
        max_pixels: pictures with more pixels are refused.
        given: names of the hints that every file has, see `hints.compatibility.HINT_NAMES`.
        key: colour of the screen, see `hints.key_colour.parse_key`.
        keep_empty: write the mattes of files in which no subject was found.
        codec, bits, temporal, threshold, interval, propagation: of clips, see `video.plan.ClipSpec`.

    Raises:
        InputError: what cannot work for any file.
    """

    model: ModelOptions = field(default_factory=ModelOptions)
    outputs: tuple[str, ...] = ("alpha", "foreground")
    alpha_format: str = "png"
    background: str | None = None
    premultiply: bool | None = None
    radius: Radius = None
    resize: bool = False
    max_pixels: int = MAX_PIXELS
    given: tuple[str, ...] = ()
    key: str | None = None
    codec: str | None = None
    bits: int | None = None
    temporal: bool = True
    threshold: float | None = None
    interval: int = KEYFRAME_INTERVAL
    propagation: str = "network"
    colour_format: str | None = None
    keep_metadata: bool = False
    keep_empty: bool = False

    def __post_init__(self) -> None:
        self.spec  # noqa: B018  refuses what it does not know
        check_hint_combination(frozenset(self.given))
        check_radius(self.radius, frozenset(self.given))
        choose_prior(self.prior, frozenset(self.given))
        if self.key is not None:
            parse_key(self.key)
        if self.codec is not None:
            for content in self.contents:
                find_codec(self.codec, content)  # type: ignore[arg-type]

    @property
    def prior(self) -> str:
        """Name of the prior, or "auto"."""
        return self.model.prior

    @property
    def spec(self) -> OutputSpec:
        """Outputs of stills. Files in the way were refused before (`select.refuse_foreign_outputs`)."""
        return OutputSpec(
            outputs=self.outputs, alpha_format=self.alpha_format, background=self.background,
            premultiply=self.premultiply, overwrite=True, colour_format=self.colour_format,
            keep_metadata=self.keep_metadata, keep_empty=self.keep_empty,
        )  # fmt: skip

    @property
    def contents(self) -> tuple[str, ...]:
        """Outputs of clips: those of `outputs` that clips have, else the alpha."""
        contents = tuple(name for name in self.outputs if name in ("alpha", "foreground")) or ("alpha",)
        return (*contents, "composite") if self.background is not None else contents

    def as_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Settings:
        """The inverse of `as_dict`, from JSON."""
        outputs, given = tuple(values["outputs"]), tuple(values["given"])
        return cls(**{**values, "model": ModelOptions(**values["model"]), "outputs": outputs, "given": given})

    def digests(self) -> dict[str, str]:
        """Hash, for "still" and for "clip", of all settings that decide what the results look like.

        Weights count by their content, so that this may download them. Independent of the order of fields. Raises
        WeightsError.
        """
        values = self.as_dict()
        values["model"] = {k: v for k, v in values["model"].items() if k not in _NOT_HASHED}
        if self.background is not None and Path(self.background).is_file():
            values["behind"] = fingerprint([Path(self.background)])
        values |= {"uhrmat": __version__, "batch": _VERSION, "weights": self._weights()}
        leave = {"still": (*_CLIPS_ONLY, *_NOT_HASHED), "clip": (*_STILLS_ONLY, *_NOT_HASHED)}
        return {kind: _hash({k: v for k, v in values.items() if k not in out}) for kind, out in leave.items()}

    def _weights(self) -> list[str]:
        from uhrmat.hub import find_entry, is_cached, resolve
        from uhrmat.hub.verify import sha256
        from uhrmat.prior.networks.registry import DEFAULT_NETWORKS, bundled_networks

        named = self.model.weights or _REFINERS.get(self.model.refiner)
        names = [str(named)] if named else []
        prior = choose_prior(self.prior, frozenset(self.given)).name
        if prior not in (*REQUIRED_HINTS, *BUNDLED_NETWORKS, DEFAULT_NETWORK):
            names.append(prior)
        sums = [sha256(resolve(name).path) for name in names]
        if prior == DEFAULT_NETWORK:
            networks = sorted({name for names in DEFAULT_NETWORKS.values() for name in names})
            entries = [find_entry(name) for name in networks]
            sums += [entry.main.sha256 for entry in entries if entry is not None and is_cached(entry)]
        # A mask that is a rectangle or strokes is found by the bundled network (`hints.drawn`).
        bundled = prior == DEFAULT_NETWORK or ("mask" in self.given and self.radius is None)
        own = {*(bundled_networks()[:1] if bundled else []), *({prior} & {*BUNDLED_NETWORKS, LPN_TRIMAP})}
        sums += [sha256(resolve(name).path) for name in sorted(own)]
        return sums


def fingerprint(paths: list[Path]) -> str:
    """Hash of the names, sizes and times of change of files and of the files in folders. Raises OSError."""
    states = []
    for path in paths:
        files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
        for file in files:
            state = file.stat()
            states.append([file.name, state.st_size, state.st_mtime_ns])
    return _hash(states)[:32]


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
