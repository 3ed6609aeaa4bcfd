"""Selects what is left to do, and refuses what must not be begun."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from uhrmat.batch.find import BatchItem, root_names
from uhrmat.batch.manifest import FOLDER, Manifest, name_hash
from uhrmat.batch.settings import Settings, fingerprint
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.naming import normalise_name
from uhrmat.core.stage import recover
from uhrmat.media import check_writable, same_file
from uhrmat.media.video import CODECS


@dataclass
class SelectedItems:
    """Result of `select_items`.

    Attributes:
        todo: items that are missing or changed.
        kept: how many are done already.
    """

    todo: list[BatchItem] = field(default_factory=list)
    kept: int = 0


def check_folders(roots: Sequence[Path], out: Path) -> int:
    """Checks the folders of a run; returns what `check_writable` does.

    Raises:
        InputError: an input folder is none. Nothing has been made in the output folder then.
        OutputError: the output folder cannot be written to, or is or contains an input folder.
    """
    root_names(roots)
    for root in roots:
        if same_file(root, out) or Path(root).resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"The output folder {out} {'is' if same_file(root, out) else 'holds'} the input folder {root}.",
                "Choose another one with -o; a folder inside the input is passed over and will do.",
            )
    return check_writable(out)


def input_fingerprint(item: BatchItem) -> str:
    """The fingerprint of an item and its hints. Raises OSError."""
    return fingerprint([item.source, *(item.hints[name] for name in sorted(item.hints))])


def select_items(items: Iterable[BatchItem], manifest: Manifest, digests: Mapping[str, str]) -> SelectedItems:
    """Separates items that are done from those that are not."""
    selected = SelectedItems()
    for item in items:
        if item.error is None and is_done(item, manifest, digests):
            selected.kept += 1
        else:
            selected.todo.append(item)
    return selected


def is_done(item: BatchItem, manifest: Manifest, digests: Mapping[str, str]) -> bool:
    """Whether the item's files are there, made from its current content with the current settings."""
    if item.key not in manifest.records:
        return False
    try:
        return manifest.done(item.key, input_fingerprint(item), digests[item.kind])
    except OSError:
        return False


def collisions(items: Iterable[BatchItem], manifest: Manifest) -> dict[str, BatchItem]:
    """Items that would overwrite another item's files: key → that other item.

    Of several items with the same output names, the one in the manifest owns them, else the first. Names that differ
    only in case count as the same, as they do on many disks.
    """
    owners: dict[tuple[str, str, str], BatchItem] = {}
    ordered = sorted(items, key=lambda item: item.key not in manifest.records)
    losers = {}
    for item in ordered:
        owner = owners.setdefault(
            (item.kind, normalise_name(str(item.folder)).casefold(), normalise_name(item.stem).casefold()), item
        )
        if owner is not item:
            losers[item.key] = owner
    return losers


def refuse_collision(owner: BatchItem, item: BatchItem) -> None:
    """Raises InputError that names both."""
    raise InputError(
        f"{owner.key} and {item.key} would give files of the same name.",
        "Rename one, or leave one out with --exclude.",
    )


def refuse_foreign_outputs(items: Iterable[BatchItem], manifest: Manifest, settings: Settings) -> None:
    """Raises OutputError for a file in the way that no run made, or that was made from another file of that name."""
    for item in items:
        record = manifest.records[item.key] if item.error is None and _same_source(item, manifest) else None
        if item.error is not None or (record is not None and record.state != "failed"):
            continue  # done before, or begun by a run that was killed
        known = record.outputs if record is not None else {}
        for path in _possible_outputs(item, manifest.out, settings):
            if os.path.lexists(path) and path.relative_to(manifest.out).as_posix() not in known:
                raise OutputError(
                    f"{path} exists, and it is not a result of {item.source}.",
                    "Replace such files with --overwrite, or choose another folder with -o.",
                )


def has_results(item: BatchItem, manifest: Manifest) -> bool:
    """Whether results of the item may exist: it was done, or begun by a run that was killed."""
    record = manifest.records.get(item.key)
    return record is not None and _same_source(item, manifest) and (record.state != "failed" or bool(record.outputs))


def _same_source(item: BatchItem, manifest: Manifest) -> bool:
    """Whether the manifest's record is of the same file: at the same path, or moved since."""
    record = manifest.records.get(item.key)
    if record is None or not record.input:
        return False
    with suppress(OSError):
        return record.source == name_hash(item.source) or record.input == input_fingerprint(item)
    return False


def _possible_outputs(item: BatchItem, out: Path, settings: Settings) -> list[Path]:
    """All paths that the item's files may have; which of them is known only when the item is opened."""
    folder = out / item.folder
    if item.kind == "still":
        forms = [settings.spec.files(item.source, folder, linear=linear) for linear in (False, True)]
        return list(dict.fromkeys(path for form in forms for path in form.values()))
    suffixes = ["", *dict.fromkeys(s for codec in CODECS.values() for s in (codec.suffix, *codec.suffixes))]
    return [folder / f"{item.stem}_{content}{suffix}" for content in settings.contents for suffix in suffixes]


def recover_outputs(out: Path) -> int:
    """Completes or removes what killed runs left half written below `out`; returns how many.

    What a live process writes is left alone, and so are the work folders of clips, which have a lock of their own.
    """
    count = 0
    for folder, folders, _ in os.walk(out):
        folders[:] = [name for name in folders if name == FOLDER or not name.startswith(".")]
        count += recover(Path(folder))
    return count
