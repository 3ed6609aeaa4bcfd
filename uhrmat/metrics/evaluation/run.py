"""Scores of pairs of files and their mean, as CSV or a dictionary."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uhrmat.core.errors import InputError, OutputError
from uhrmat.hints.files import read_alpha, read_trimap
from uhrmat.media import atomic_write, check_writable, same_file
from uhrmat.metrics import ClipScores, Scores, get_protocol, mean_scores, score
from uhrmat.metrics.arrays import Array, same_size
from uhrmat.metrics.evaluation.pairs import Pair, Pairing


@dataclass(frozen=True)
class Evaluation:
    """Scores of all pairs.

    Attributes:
        scores: By name, in order.
        mean: Mean over the pictures that were measured.
        unmatched: Files without a partner.
    """

    scores: dict[str, Scores]
    mean: Scores
    unmatched: tuple[Path, ...]

    @property
    def unmeasured(self) -> list[str]:
        """Names of the pictures whose trimap has no unknown pixel: they have no scores and do not count in the mean."""
        return [name for name, scores in self.scores.items() if not scores.pixels]

    def as_dict(self) -> dict[str, object]:
        """As JSON takes it: protocol, region and scale once, then scores by picture."""
        head = self.mean.as_dict()
        return {
            **{key: head[key] for key in ("protocol", "region", "scale")},
            "pictures": [{"name": name, "pixels": s.pixels, **s.values} for name, s in self.scores.items()],
            "mean": self.mean.values,
            "unmatched": [str(path) for path in self.unmatched],
        }


def evaluate(
    pairing: Pairing,
    *,
    region: str | None = None,
    protocol: str | None = None,
    clip: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> Evaluation:
    """Measure all pairs.

    Args:
        pairing: Files.
        region: "whole" or "unknown"; None takes "unknown" where every pair has a trimap, else "whole".
        protocol: See `protocol.get_protocol`; None takes "rvm" for a clip, else "alphamatting".
        clip: Whether pairs are a clip's frames in order, for which dtSSD is measured too.
        progress: Called with each pair's name before it is read.

    Raises:
        InputError: Files that cannot be read or compared, with the pair's name; region "unknown" without a trimap, or
            no trimap has an unknown pixel.
    """
    if region not in (None, "whole", "unknown"):
        raise InputError(f"There is no region '{region}'.", "Choose whole or unknown.")
    trimaps = all(pair.trimap for pair in pairing.pairs)
    if region == "unknown" and not trimaps:
        raise InputError("The unknown region needs a trimap.", "Add --trimap, or measure --region whole.")
    used = get_protocol(protocol or ("rvm" if clip else "alphamatting")).name
    inside = trimaps and region != "whole"
    measure = ClipScores(protocol=used).push if clip else lambda p, g, r: score(p, g, r, protocol=used)
    scores = {}
    for pair in pairing.pairs:
        progress(pair.name)
        try:
            scores[pair.name] = measure(*_read(pair, inside))
        except InputError as error:
            raise InputError(f"{pair.name}: {error.message}", error.hint) from error
    mean = mean_scores(list(scores.values()))
    if not mean.pixels:
        which = f"The trimap '{pairing.pairs[0].trimap}' leaves" if len(scores) == 1 else "The trimaps leave"
        raise InputError(f"{which} nothing unknown, so there is nothing to measure.", "Measure --region whole.")
    return Evaluation(scores, mean, pairing.unmatched)


def check_outputs(outputs: Sequence[Path | None], pairing: Pairing, overwrite: bool = False) -> None:
    """Check that tables and plots can be written, before any work.

    Args:
        outputs: Their paths; None is skipped.
        pairing: The inputs.
        overwrite: Whether files that exist may be replaced.

    Raises:
        OutputError: An output is one of the inputs, a folder, or a file that exists, is given twice, or its folder
            cannot be written to.
    """
    named = [path for path in outputs if path is not None]
    inputs = [path for pair in pairing.pairs for path in (pair.pred, pair.truth, pair.trimap) if path is not None]
    for number, path in enumerate(named):
        if any(same_file(path, one) for one in (*inputs, *pairing.unmatched)):
            raise OutputError(f"The output {path} is one of the inputs.", "Choose another name.")
        if any(same_file(path, one) for one in named[:number]):
            raise OutputError(f"Two outputs have the name {path}.", "Give each a name of its own.")
        if path.is_dir():
            raise OutputError(f"The output {path} is a folder.", "Give a file name.")
        if path.exists() and not overwrite:
            raise OutputError(f"The output {path} exists.", "Replace it with --overwrite, or choose another name.")
        check_writable(path.parent)


def write_csv(path: Path, evaluation: Evaluation, overwrite: bool = True) -> None:
    """Write a row per picture and one named `mean`; every row has protocol and region, the header has the scales.

    Args:
        path: The CSV file.
        evaluation: What is written.
        overwrite: Whether a file that exists is replaced.

    Raises:
        OutputError: The file exists or cannot be written.
    """
    header = evaluation.mean.header
    with (
        atomic_write(path, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["name", "protocol", "region", "pixels", *header.values()])
        for name, s in [*evaluation.scores.items(), ("mean", evaluation.mean)]:
            writer.writerow([name, s.protocol, s.region, s.pixels, *(s.values.get(key, "") for key in header)])


def _read(pair: Pair, inside: bool) -> tuple[Array, Array, Array | None]:
    pred, truth = read_alpha(pair.pred), read_alpha(pair.truth)
    same_size(pred, truth)
    height, width = truth.shape
    region = read_trimap(pair.trimap, (height, width)) if inside and pair.trimap else None
    return pred, truth, region
